"""What sources there are, and what of one lies in a folder."""

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from converters import find, sources
from converters._files import Lack, available, expected, insist_files, lacking, named
from converters._glance import MISSING
from converters._names import nearest, numbered
from converters._read import filesystem
from converters._table import Form, Option, Source, Whole
from schemas.errors import SourceError


class Wanted(msgspec.Struct, frozen=True):
    """A file or folder that is absent (missing or empty) or wrong: why, and what is near in place of a missing one."""

    name: str
    why: str
    absent: bool
    near: str


class FormState(msgspec.Struct, frozen=True):
    """One form of one split in a folder: its files, whether it is there as published, and what of it is not."""

    split: str
    form: str
    files: list[str]
    found: bool
    wanted: list[Wanted]


def described(source: Source) -> dict[str, Any]:
    """Everything that the table says of a source, as plain data."""
    return {
        "name": source.name,
        "title": source.title,
        "collection": source.collection or ("web" if any(form.links for form in source.forms) else None),
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
    """What of a source lies under a root, per split and form.

    SourceError where the root itself is not there, ConfigError for a source that has no files.
    """
    source = find(name)
    insist_files(source)
    fs, path = filesystem(root)
    if not fs.isdir(path):
        raise SourceError(f"no such folder: {root}")
    return [state for split in source.splits for state in _states(source, root, split)]


def _option(values: Option) -> list[str]:
    if isinstance(values, tuple):
        return list(values)
    return [values.text, "a whole number" if isinstance(values, Whole) else "a number"]


def _form(form: Form) -> dict[str, Any]:
    files = {split: list(named(form, split)) for split in form.splits}
    return {"name": form.name, "names": list(form.files), "files": files, "counts": dict(form.counts)}


def _states(source: Source, root: str, split: str) -> Iterator[FormState]:
    there = {one.form.name: one for one in reversed(available(source, root, split))}
    for form in (form for form in source.forms if split in form.splits):
        if found := there.get(form.name):
            yield FormState(split, form.name, list(found.files), True, [])
        else:
            wanted = [_wanted(source, root, lack) for lack in lacking(source, root, split, form)]
            yield FormState(split, form.name, list(named(form, split)), False, wanted)


def _wanted(source: Source, root: str, lack: Lack) -> Wanted:
    published = {name for form in source.forms for split in form.splits for name in expected(form, split)}
    near = nearest(root, source.places, numbered(lack.name)[0], published) if lack.why == MISSING else ""
    return Wanted(lack.name, lack.why, lack.absent, near)


if __name__ == "__main__":
    from pipelines.cli import main

    main(["sources", *sys.argv[1:]])
