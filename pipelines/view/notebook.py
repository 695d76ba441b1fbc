"""A sample as HTML of its own, which a notebook shows: no script, no file, no text that is markup."""

import base64
from collections.abc import Iterator
from html import escape

from pipelines.view.told import Piece, Taken, taken_apart
from schemas.box import Bins, decode
from schemas.errors import BoxcarError
from schemas.record import Record, Sample

COLOURS = ("#d6123f", "#0a66c2", "#1c8a3a", "#c25700", "#8a22b5", "#007f86", "#9a5b12", "#3b3bd1")
MOST = 12  # records; how many more there are is said
TALL = 420  # pixels of the picture at most
_SIGNS = {"user": "", "assistant": "&gt; "}
_MAGIC = ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"RIFF", "webp"))


def html_of(sample: Sample, picture: bytes | None) -> str:
    """The picture with the boxes of the record that has most, and the conversations of the first records beside it."""
    taken = [taken_apart(record) for record in sample.records[:MOST]]
    boxed = max(taken, key=lambda one: len(one.boxes), default=Taken([], []))
    kind = next((kind for magic, kind in _MAGIC if (picture or b"").startswith(magic)), None)
    said = "".join(_record(record, one, one is boxed) for record, one in zip(sample.records, taken, strict=False))
    left = len(sample.records) - len(taken)
    more = f"<p>and {left:,} more records</p>" if left else ""
    shown = _picture(sample, picture or b"", kind, boxed) if kind else ""
    return f'<div style="display:flex;gap:16px;align-items:flex-start">{shown}<div>{said}{more}</div></div>'


def _picture(sample: Sample, picture: bytes, kind: str, boxed: Taken) -> str:
    name = escape(sample.image.id if sample.image else "", quote=True)
    data = base64.b64encode(picture).decode()
    boxes = "".join(map(_box, boxed.boxes))
    return (
        f'<div style="position:relative;flex:none"><img alt="{name}" src="data:image/{kind};base64,{data}" '
        f'style="display:block;max-height:{TALL}px;max-width:560px">'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" '
        f'style="position:absolute;inset:0;width:100%;height:100%">{boxes}</svg></div>'
    )


def _box(one: tuple[Bins, int]) -> str:
    bins, group = one
    try:
        x1, y1, x2, y2 = (100 * side for side in decode(bins))
    except BoxcarError:  # inverted: nothing to draw
        return ""
    style = f'fill="none" stroke="{_colour(group)}" stroke-width="3" vector-effect="non-scaling-stroke"'
    return f'<rect x="{x1:g}" y="{y1:g}" width="{x2 - x1:g}" height="{y2 - y1:g}" {style}/>'


def _record(record: Record, taken: Taken, boxed: bool) -> str:
    head = escape(f"{record.source}/{record.split}/{record.task or 'chat'}")
    lines = "".join(
        f'<div style="white-space:pre-wrap">{_SIGNS[turn.role]}{"".join(_pieces(pieces, boxed))}</div>'
        for turn, pieces in zip(record.messages, taken.turns, strict=True)
    )
    return f'<div style="margin-bottom:8px"><small>{head}</small>{lines}</div>'


def _pieces(pieces: list[Piece], boxed: bool) -> Iterator[str]:
    for piece in pieces:
        text = escape(piece.text, quote=True)
        coloured = boxed and piece.group is not None
        yield f'<span style="color:{_colour(piece.group)};font-weight:600">{text}</span>' if coloured else text


def _colour(group: int | None) -> str:
    return COLOURS[(group or 0) % len(COLOURS)]
