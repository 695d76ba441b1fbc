"""Which of a source's forms lies under a root: by published names at documented places, told apart by content."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from converters._glance import EMPTY, MISSING, NO_JSON, fault, seen
from converters._inputs import listed, wild
from converters._names import meaning, nearest, numbered
from converters._read import Outline, exists, join
from converters._table import Form, Shape, Source
from schemas.errors import ConfigError, SourceError, unknown

MISFIT = "there, but its content is not as published"
UNFINISHED = "there, but nowhere finished"


@dataclass(frozen=True)
class Found:
    """A form that lies under a root, with its files in the form's order; inputs that are unfinished stand apart."""

    form: Form
    files: tuple[str, ...]
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lack:
    """What keeps a form from being there: a file of it, and MISSING, EMPTY, MISFIT or in words what is wrong with it.

    ``name`` is relative to the root, or where it is missing, to any of the places where it may lie.
    """

    name: str
    why: str

    @property
    def absent(self) -> bool:
        """Whether there is nothing under the name, or nothing in what is."""
        return self.why in (MISSING, EMPTY)


def resolve(source: Source, root: str, split: str, form: str = "auto") -> Found:
    """The one form to read for a split.

    With ``auto``: the only one there, or the source's preferred one. Raises ConfigError for an unknown split or form,
    SourceError where nothing fits (it names what is missing) or several do (it says which ``--form`` to choose).
    """
    insist_files(source)
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


def insist_files(source: Source) -> None:
    """Raises ConfigError for a source that reads no files; it says how its records come about instead."""
    if not source.forms:
        raise ConfigError(f"{source.name} has no files of its own: {source.notes}")


def available(source: Source, root: str, split: str) -> list[Found]:
    """Every form of the source that lies under the root for the split, in the table's order."""
    forms = [form for form in source.forms if split in form.splits]
    found = [one for place in source.places for one in _at(forms, join(root, place), split)]
    return sorted(found, key=lambda one: forms.index(one.form))


def named(form: Form, split: str) -> tuple[str, ...]:
    """The form's file names for a split as people write them, a range such as ``a_{0..9}.json`` for many."""
    return tuple(name.format(split=form.splits[split]) for name in form.files)


def expected(form: Form, split: str) -> tuple[str, ...]:
    """The form's file names for a split, each of them, relative to a place under the root; folders end in a slash."""
    return tuple(one for name in named(form, split) for one in numbered(name))


def lacking(source: Source, root: str, split: str, form: Form) -> list[Lack]:
    """What keeps a form from being there, looked for in that place under the root where most of its files are.

    A range of names of which none is there is one Lack.
    """
    files = expected(form, split)
    place = max(source.places, key=lambda place: sum(exists(join(root, place, name)) for name in files))
    return list(_lacks(form, root, place, split))


def _beside(form: Form, folder: str, split: str) -> tuple[str, ...]:
    paths = (join(folder, name.format(split=form.splits[split])) for name in form.optional)
    return tuple(path for path in paths if exists(path))


def _at(forms: list[Form], folder: str, split: str) -> Iterator[Found]:
    by_name = [form for form in forms if form.shape is None]
    for form in by_name:
        if wild(form.files[0]):
            if (inputs := listed(form, folder, split)).finished:
                yield Found(form, *inputs)
            continue
        files = tuple(join(folder, name) for name in expected(form, split))
        if not any(map(fault, files)):
            yield Found(form, files + _beside(form, folder, split))
    by_content = [form for form in forms if form.shape is not None]
    for name in dict.fromkeys(expected(form, split)[0] for form in by_content):
        path = join(folder, name)
        if fault(path) or not (known := _by_content(by_content, path, name, split)):
            continue
        rest = tuple(join(folder, other) for other in expected(known, split)[1:] if name in expected(known, split))
        if not any(map(fault, rest)):
            yield Found(known, (path, *rest, *_beside(known, folder, split)))


def _by_content(forms: list[Form], path: str, name: str, split: str) -> Form | None:
    outline = seen(path)
    fitting = [form for form in forms if outline and form.shape and fits(outline, form.shape)]
    named = [form for form in fitting if name in expected(form, split)]
    return next(iter(named or fitting), None)


def fits(outline: Outline, shape: Shape) -> bool:
    """Whether a file of that outline has the shape; an empty array says nothing against it."""
    keys = outline.first if shape.kind == "table" else outline.keys
    if outline.kind != ("object" if shape.kind == "table" else shape.kind) or not shape.keys <= keys:
        return False
    if shape.without & keys:
        return False
    inner = outline.arrays.get(shape.array) if shape.array else None
    return inner is None or shape.inner <= inner


def _lacks(form: Form, root: str, place: str, split: str) -> Iterator[Lack]:
    told_by = expected(form, split)[0]
    if wild(told_by):
        unfinished = listed(form, join(root, place), split).unfinished
        yield Lack(told_by, f"{UNFINISHED}: {form.proof} is wanted beside each" if unfinished else MISSING)
        return
    for name in named(form, split):
        paths = {one: join(root, place, one) for one in numbered(name)}
        whys = {one: fault(path) or (_misfit(form, path) if one == told_by else "") for one, path in paths.items()}
        if set(whys.values()) == {MISSING}:
            yield Lack(name, MISSING)
        else:
            there = f"{place}/" if place else ""
            yield from (Lack(one if why == MISSING else there + one, why) for one, why in whys.items() if why)


def _misfit(form: Form, path: str) -> str:
    if form.shape is None:
        return ""
    outline = seen(path)
    if outline is None:
        return NO_JSON
    return "" if fits(outline, form.shape) else MISFIT


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
    wanted = dict.fromkeys(" + ".join(named(one, split)) for one in forms)
    told = " or ".join(wanted) or "no form of it that has this split"
    hint = "".join(f"; {one}" for one in _hints(source, root, split, forms))
    return f"{source.name} {split}: not found under {root}: wanted {told}{hint}; get it: {source.homepage}"


def _hints(source: Source, root: str, split: str, forms: list[Form]) -> list[str]:
    if there := sorted({one.form.name for one in available(source, root, split)}):
        return [f"what lies there has the form {' or '.join(there)}"]
    published = {name for form in forms for name in expected(form, split)}
    if partly := sorted(_partly(source, root, split, forms), key=len):
        lacks = sorted(partly[0], key=lambda lack: not lack.absent)
        return [_told(lack, _meant(source, root, lack.name, published)) for lack in lacks]
    meant = (_meant(source, root, name, published) for form in forms for name in named(form, split))
    return list(islice(filter(None, meant), 1))


def _partly(source: Source, root: str, split: str, forms: list[Form]) -> Iterator[list[Lack]]:
    for form in forms:
        lacks = lacking(source, root, split, form)
        if lacks != [Lack(name, MISSING) for name in named(form, split)]:
            yield lacks


def _meant(source: Source, root: str, name: str, published: Collection[str]) -> str:
    first = numbered(name)[0]
    return meaning(first, nearest(root, source.places, first, published))


def _told(lack: Lack, meant: str) -> str:
    if lack.absent:
        return f"{lack.name} is {lack.why}" + (f", {meant}" if meant and lack.why == MISSING else "")
    return f"{lack.name} is {lack.why}" if lack.why == MISFIT else f"{lack.name}: {lack.why}"
