"""GRIT's pictures as rows, and the expressions for things in them: see converters/grit.py for files and quirks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from converters._downloads import SUCCESS
from converters._spans import Fault, Marked, marks, ruled
from converters._table import Reading
from converters._web import Entry, Web, told, web_ref, whence, whence_id
from schemas.box import latest
from schemas.errors import TextError

SCORES = ("clip_similarity_vitb32", "clip_similarity_vitl14")

_Entries = list[list[float]] | None


class GritEntry(Entry, frozen=True, kw_only=True):
    """A published row, or what a download kept of it; None for a column that it did not keep."""

    id: int | None = None
    clip_similarity_vitb32: float | None = None
    clip_similarity_vitl14: float | None = None
    noun_chunks: _Entries = None
    ref_exps: _Entries = None


class Rules(NamedTuple):
    """The source's options, as values."""

    spans: str
    min_score: float | None
    most: int | None
    one_task: bool
    border: bool


class Grounded(Web, frozen=True, kw_only=True):
    """A picture and its caption, untouched, with all that is marked in it."""

    entry: GritEntry
    caption: str
    rules: Rules


class Expression(Grounded, frozen=True, kw_only=True):
    """One expression for a thing in the picture, or an entry that is none, and the rule that leaves it out, if any."""

    phrase: Marked | Fault
    rule: str


def grounded(reading: Reading, entry: Any) -> Grounded:
    """The row of a picture; RecordError where it has no link or no caption, unless nothing was loaded."""
    link = whence_id(whence(reading, entry))
    id, aliases = (link, []) if entry.id is None else (f"coyo/{entry.id}", [link])
    options = reading.options
    one_task, border = options["tasks_per_picture"] == "one", options["padded"] == "border"
    return Grounded(
        source=reading.source,
        split=reading.split,
        id=id.partition("/")[2],
        image=web_ref(entry, id, aliases, {name: getattr(entry, name) for name in SCORES}),
        entry=entry,
        caption=_caption(entry),
        rules=Rules(options["spans"], reading.real("min_score"), reading.number("max_per_picture"), one_task, border),
    )


def _caption(entry: GritEntry) -> str:
    try:
        return told(entry)
    except TextError:
        if entry.status == SUCCESS:
            raise
        return ""


def marked(row: Grounded, spans: str) -> Sequence[Marked | Fault]:
    """What the row marks in its caption in that column; a fault where it has no such column."""
    entries: _Entries = getattr(row.entry, spans)
    if entries is None:
        return (Fault(0, f"no {spans}: the row of {row.image.id} lacks them; a download has to keep that column"),)
    return marks(row.caption, entries)


def expressions(row: Grounded) -> list[Expression]:
    """The row's expressions, named by where in the caption they stand, and the entries that are none."""
    return _expressions(row, marked(row, "ref_exps"))


@latest
def _expressions(row: Grounded, found: Sequence[Marked | Fault]) -> list[Expression]:
    ruling = ruled(found, row.rules.min_score, row.rules.most)
    shared = {**msgspec.structs.asdict(row)}
    return [
        Expression(**{**shared, "id": f"{row.id}-{one.name}"}, phrase=one, rule=rule)
        for one, rule in zip(found, ruling, strict=True)
    ]
