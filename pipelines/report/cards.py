"""Samples on a page: the picture with the boxes of its tokens, and what is said about it in the same colours.

Record text may be anything: it is escaped, kept apart from its surroundings whichever way it runs, and cut where it
is long; what is cut is told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from converters._table import CHAT
from pipelines.page import words
from pipelines.report.plots import task_kind
from pipelines.report.samples import Chosen
from pipelines.report.spoken import spans
from schemas.box import Bins
from schemas.dialect import Phrase, Span, box_text
from schemas.record import Message, Record

COLOURS = 8
MOST_CHARS, MOST_BOXES, MOST_TURNS = 480, 12, 6  # of a turn, of a turn, of a record


@dataclass
class _Drawn:
    """The boxes that are drawn, each once, with its colour and what it is of."""

    boxes: dict[Bins, str] = field(default_factory=dict)

    def kind(self, bins: Bins, of: str) -> str:
        self.boxes.setdefault(bins, of)
        return f"k{list(self.boxes).index(bins) % COLOURS}"


def card(one: Chosen) -> str:
    """A sample, as HTML."""
    drawn = _Drawn()
    said = "".join(_record(record, drawn) for record in one.records)
    more = f'<p class="cut">and {one.left:,} more records</p>' if one.left else ""
    name = one.image.id if one.image else one.shown.stem
    where = f"{one.shown.tar}, sample {one.shown.sample}"
    return (
        f'<article class="sample">{_picture(one, drawn)}<header><b dir="auto">{words(_cut(name))}</b>'
        f"<span>{words(where)}</span></header>{said}{more}</article>"
    )


def _picture(one: Chosen, drawn: _Drawn) -> str:
    if one.broken:
        return f'<div class="broken">The picture cannot be shown: {words(_cut(one.broken))}</div>'
    if not one.picture:
        return ""
    width, height = one.size
    boxes = "".join(
        _box(bins, of, f"k{place % COLOURS}", one.size) for place, (bins, of) in enumerate(drawn.boxes.items())
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{words(_cut(one.shown.stem))}">'
        f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{one.picture}"/>{boxes}</svg>'
    )


def _box(bins: Bins, of: str, kind: str, size: tuple[int, int]) -> str:
    x1, y1, x2, y2 = (bin * side / 100 for bin, side in zip(bins, (*size, *size), strict=True))
    told = f"<title>{words(f'{of} {box_text((bins,))}'.strip())}</title>"
    at = f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
    return f'<g class="{kind}">{told}<rect class="halo" {at}/><rect class="box" {at}/></g>'


def _record(record: Record, drawn: _Drawn) -> str:
    part = f"{record.source}/{record.split}"
    turns = "".join(_turn(turn, drawn) for turn in record.messages[:MOST_TURNS])
    left = len(record.messages) - MOST_TURNS
    more = f'<p class="cut">and {left:,} more turns</p>' if left > 0 else ""
    tag = f'<i class="{task_kind(record.task)}"></i>{words(record.task or CHAT)} <span>{words(_cut(part))}</span>'
    return f"<section><h4>{tag}</h4>{turns}{more}</section>"


def _turn(turn: Message, drawn: _Drawn) -> str:
    return f'<div class="{turn.role}" dir="auto">{"".join(_pieces(spans(turn), drawn))}</div>'


def _pieces(some: Sequence[Span], drawn: _Drawn) -> Iterator[str]:
    chars, boxes, lost_chars, lost_boxes = MOST_CHARS, MOST_BOXES, 0, 0
    for span in some:
        text = span if isinstance(span, str) else span.text if isinstance(span, Phrase) else ""
        groups = () if isinstance(span, str) else span.boxes
        lost_chars += max(0, len(text) - chars)
        lost_boxes += max(0, len(groups) - boxes)
        kept = [(bins, drawn.kind(bins, _cut(text, 80))) for bins in groups[:boxes]]
        if text and chars:
            kind = f' class="phrase {kept[0][1]}"' if kept else ""
            yield f"<bdi{kind}>{words(text[:chars])}</bdi>" if groups else words(text[:chars])
        for bins, kind in kept:
            between = " " if text or bins != groups[0] else ""
            yield f'{between}<bdi class="token {kind}">{words(box_text((bins,)))}</bdi>'
        chars, boxes = max(0, chars - len(text)), max(0, boxes - len(groups))
    cut = [f"{n:,} more {what}" for n, what in ((lost_chars, "characters"), (lost_boxes, "boxes")) if n]
    if cut:
        yield f'<p class="cut">\N{HORIZONTAL ELLIPSIS} and {" and ".join(cut)}</p>'


def _cut(text: str, most: int = 120) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
