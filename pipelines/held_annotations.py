"""The pictures of a held-out split as its annotations name them: through its source's own reader, no picture opened."""

from collections.abc import Mapping
from typing import NamedTuple

from converters import find
from converters._files import Found, available, resolve
from converters._table import Malformed, Reading, Source
from pipelines.options import chosen_options
from schemas.errors import RejectsError, SourceError
from schemas.mixture import HeldSplit

MOST_MALFORMED = 0.01  # of a split's rows, as in a pool


class Told(NamedTuple):
    """The ids of a split's pictures, and these with all their aliases."""

    ids: set[str]
    names: set[str]


def annotated(split: HeldSplit, roots: Mapping[str, str]) -> Told | None:
    """The pictures of a split that the annotations under the first root given for it name; None where none is given.

    SourceError where there are no annotations of it or they name no picture, RejectsError where more than 1 % of their
    rows are malformed: what is not read is not held out.
    """
    for place in (split.split, *split.same):
        name, _, within = place.partition("/")
        if name in roots:
            return _read(find(name), roots[name], within, split)
    return None


def _read(source: Source, root: str, within: str, split: HeldSplit) -> Told:
    told, rows, malformed = Told(set(), set()), 0, 0
    for found in _found(source, root, within, split):
        reading = Reading(source.name, within, found.files, chosen_options(source, {}))
        for row in found.form.rows(reading):
            rows += 1
            malformed += isinstance(row, Malformed)
            if row.image is not None:
                told.ids.add(row.image.id)
                told.names.update((row.image.id, *row.image.aliases))
    if malformed > MOST_MALFORMED * rows:
        share = f"{malformed:,} of {rows:,} rows are malformed, at most {MOST_MALFORMED:.0%} may be"
        raise RejectsError(f"held-out split {split.split}: {share}: its pictures cannot be told from {root}")
    if not told.ids:
        raise SourceError(f"held-out split {split.split}: its annotations under {root} name no picture")
    return told


def _found(source: Source, root: str, within: str, split: HeldSplit) -> list[Found]:
    """The forms to read: the preferred one, or where none is, all that are there, as each tells the same split."""
    there = [one for one in available(source, root, within) if split.forms is None or one.form.name in split.forms]
    preferred = [one for name in source.preferred for one in there if one.form.name == name]
    if there:
        return preferred[:1] or there
    other = resolve(source, root, within).form.name  # says what is missing, where nothing is there at all
    wanted = " or ".join(split.forms or ())
    raise SourceError(f"held-out split {split.split}: the form {other} under {root} has another split: wanted {wanted}")
