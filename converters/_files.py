"""Which of a source's forms lies under a root: by published names at documented places, told apart by content."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from converters._read import Outline, exists, join, names, outline
from converters._table import Form, Shape, Source
from schemas.errors import ConfigError, SourceError, unknown


@dataclass(frozen=True)
class Found:
    """A form that lies under a root, with its files in the form's order."""

    form: Form
    files: tuple[str, ...]


def resolve(source: Source, root: str, split: str, form: str = "auto") -> Found:
    """The one form to read for a split.

    With ``auto``: the only one there, or the source's preferred one. Raises ConfigError for an unknown split or form,
    SourceError where nothing fits (it names what is missing) or several do (it says which ``--form`` to choose).
    """
    if not source.forms:
        raise ConfigError(f"{source.name} has no files of its own: {source.notes}")
    if split in source.closed:
        raise ConfigError(f"{source.name}: the answers of {split} were never published: nothing to train or score on")
    if split not in source.splits:
        raise ConfigError(f"{source.name}: {unknown('split', split, source.splits)}")
    if form != "auto" and form not in (known := [known.name for known in source.forms]):
        raise ConfigError(f"{source.name}: {unknown('form', form, known)}")
    found = [one for one in available(source, root, split) if form in ("auto", one.form.name)]
    if not found:
        raise SourceError(_absent(source, root, split, form))
    if len(found) == 1:
        return found[0]
    return _preferred(source, found, root, split)


def available(source: Source, root: str, split: str) -> list[Found]:
    """Every form of the source that lies under the root for the split, in the table's order."""
    forms = [form for form in source.forms if split in form.splits]
    found = [one for place in source.places for one in _at(forms, join(root, place), split)]
    return sorted(found, key=lambda one: forms.index(one.form))


def expected(form: Form, split: str) -> tuple[str, ...]:
    """The form's file names for a split, relative to a place under the root; folders end in a slash."""
    return tuple(name.format(split=form.splits[split]) for name in form.files)


def _beside(form: Form, folder: str, split: str) -> tuple[str, ...]:
    paths = (join(folder, name.format(split=form.splits[split])) for name in form.optional)
    return tuple(path for path in paths if exists(path))


def _at(forms: list[Form], folder: str, split: str) -> Iterator[Found]:
    by_name = [form for form in forms if form.shape is None]
    for form in by_name:
        files = tuple(join(folder, name) for name in expected(form, split))
        if all(map(exists, files)):
            yield Found(form, files + _beside(form, folder, split))
    by_content = [form for form in forms if form.shape is not None]
    for name in dict.fromkeys(expected(form, split)[0] for form in by_content):
        path = join(folder, name)
        if not exists(path) or not (known := _by_content(by_content, path, name, split)):
            continue
        rest = tuple(join(folder, other) for other in expected(known, split)[1:] if name in expected(known, split))
        if all(map(exists, rest)):
            yield Found(known, (path, *rest, *_beside(known, folder, split)))


def _by_content(forms: list[Form], path: str, name: str, split: str) -> Form | None:
    seen = outline(path)
    fitting = [form for form in forms if seen and form.shape and fits(seen, form.shape)]
    named = [form for form in fitting if name in expected(form, split)]
    return next(iter(named or fitting), None)


def fits(seen: Outline, shape: Shape) -> bool:
    """Whether a file of that outline has the shape; an empty array says nothing against it."""
    keys = seen.first if shape.kind == "table" else seen.keys
    if seen.kind != ("object" if shape.kind == "table" else shape.kind) or not shape.keys <= keys:
        return False
    if shape.without & keys:
        return False
    inner = seen.arrays.get(shape.array) if shape.array else None
    return inner is None or shape.inner <= inner


def _preferred(source: Source, found: list[Found], root: str, split: str) -> Found:
    for name in source.preferred:
        if len(chosen := [one for one in found if one.form.name == name]) == 1:
            return chosen[0]
    forms = sorted({one.form.name for one in found})
    files = ", ".join(one.files[0] for one in found)
    if len(forms) == 1:
        raise SourceError(f"{source.name} {split}: the same rows lie twice under {root}: {files}; keep one")
    choice = " or ".join(f"--form {name}" for name in forms)
    raise SourceError(f"{source.name} {split}: the same rows lie in several forms under {root}: {files}; use {choice}")


def _absent(source: Source, root: str, split: str, form: str) -> str:
    forms = [one for one in source.forms if split in one.splits and form in ("auto", one.name)]
    wanted = " or ".join(" + ".join(expected(one, split)) for one in forms) or "no form of it that has this split"
    return (
        f"{source.name} {split}: not found under {root}: wanted {wanted}{_hint(source, root, split)}; {_where(source)}"
    )


def _where(source: Source) -> str:
    return f"get it: {source.homepage}"


def _hint(source: Source, root: str, split: str) -> str:
    if there := sorted({one.form.name for one in available(source, root, split)}):
        return f"; what lies there has the form {' or '.join(there)}"
    wanted = {name for form in source.forms if split in form.splits for name in expected(form, split)}
    for name in sorted(wanted):
        if any(exists(join(root, place, name)) for place in source.places):
            return f"; {name} is there, but it or what belongs with it is not as published"
    for name in sorted(wanted):
        parent, _, base = name.rpartition("/")
        if parent and exists(join(root, base)):
            return f"; {base} lies in the root itself: give the folder above it as the root"
        if near := nearest(source, root, name):
            return f"; found {near}: misspelt or another split?"
    return ""


def nearest(source: Source, root: str, name: str) -> str:
    """What lies where that file should and is called almost the same, relative to the root; empty where nothing is."""
    parent, _, base = name.rstrip("/").rpartition("/")
    for place in source.places:
        if near := difflib.get_close_matches(base, names(join(root, place, parent)), n=1, cutoff=0.8):
            return "/".join(filter(None, (place, parent, near[0])))
    return ""
