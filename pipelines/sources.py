"""What sources there are, and what of one lies in a folder."""

import sys
from typing import Any

import msgspec

from converters import find, sources
from converters._files import available, expected, nearest
from converters._read import exists, filesystem, join
from converters._table import Form, Source, Whole
from schemas.errors import SourceError


class FormState(msgspec.Struct, frozen=True):
    """One form of one split in a folder: its files, those not there, and whether it is there as published.

    ``near`` are what lies in place of the missing ones under almost the same names, empty texts where nothing does.
    """

    split: str
    form: str
    files: list[str]
    missing: list[str]
    near: list[str]
    found: bool


def described(source: Source) -> dict[str, Any]:
    """Everything that the table says of a source, as plain data."""
    return {
        "name": source.name,
        "title": source.title,
        "collection": source.collection,
        "splits": dict(source.splits),
        "tasks": {variant.name: variant.candidate for variant in source.variants},
        "options": {name: _option(values) for name, values in source.options.items()},
        "forms": [_form(form) for form in source.forms],
        "unit": source.unit,
        "licence": source.licence,
        "citation": source.citation,
        "homepage": source.homepage,
        "notes": source.notes,
    }


def listed() -> list[dict[str, Any]]:
    """Every source of the table, by name."""
    return [described(source) for source in sources().values()]


def checked(name: str, root: str) -> list[FormState]:
    """What of a source lies under a root, per split and form; SourceError where the root itself is not there."""
    source = find(name)
    fs, path = filesystem(root)
    if not fs.isdir(path):
        raise SourceError(f"no such folder: {root}")
    return [
        _state(source, root, split, form) for split in source.splits for form in source.forms if split in form.splits
    ]


def _option(values: tuple[str, ...] | Whole) -> list[str]:
    return [values.text, "a whole number"] if isinstance(values, Whole) else list(values)


def _form(form: Form) -> dict[str, Any]:
    files = {split: list(expected(form, split)) for split in form.splits}
    return {"name": form.name, "names": list(form.files), "files": files, "counts": dict(form.counts)}


def _state(source: Source, root: str, split: str, form: Form) -> FormState:
    files = list(expected(form, split))
    found = [one for one in available(source, root, split) if one.form.name == form.name]
    if found:
        return FormState(split, form.name, list(found[0].files), [], [], found=True)
    missing = [name for name in files if not any(exists(join(root, place, name)) for place in source.places)]
    published = {name for other in source.forms for one in other.splits for name in expected(other, one)}
    likely = [nearest(source, root, name) for name in missing]
    near = ["" if name in published else name for name in likely]
    return FormState(split, form.name, files, missing, near, found=False)


if __name__ == "__main__":
    from pipelines.cli import main

    main(["sources", *sys.argv[1:]])
