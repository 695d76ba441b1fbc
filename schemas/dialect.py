"""The MiniGPT-v2 box syntax: spans to text and back.

    {<12><30><45><88>}                                         one box
    {<12><30><45><88>}<delim>{<50><0><99><100>}                several boxes of one thing
    <p>a phrase</p> {<12><30><45><88>}<delim>{<..>..}          a phrase and its boxes

Source: github.com/Vision-CAIR/MiniGPT-4, demo_v2.py, whose parser ends a group at a ``}`` that no ``<`` follows; so
text after a group's last ``}`` never begins with ``<`` here: it is quoted. ``parse(render(spans))`` gives the spans
back for any text, because whatever text could be taken for markup is quoted (schemas/text.py).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from schemas.box import BINS, Bins
from schemas.errors import TextError
from schemas.text import harmless, markup, quote, unquote


class Boxes(NamedTuple):
    """One or more boxes, in bins, joined by ``<delim>``."""

    boxes: tuple[Bins, ...]


class Phrase(NamedTuple):
    """A phrase and the boxes, in bins, of what it speaks of."""

    text: str
    boxes: tuple[Bins, ...]


Span = str | Boxes | Phrase

_BIN = r"(?:0|[1-9][0-9]?|100)"
_BOX = rf"\{{<{_BIN}><{_BIN}><{_BIN}><{_BIN}>\}}"
_GROUP = re.compile(rf"(?:<p>(?P<phrase>[^<]*(?:<(?!/?p>)[^<]*)*)</p> )?(?P<boxes>{_BOX}(?:<delim>{_BOX})*)")
_PLAIN_GROUP = re.compile(rf"(?:<p>[^<\[\n]*</p> )?{_BOX}(?:<delim>{_BOX})*")
ONE_BOX = re.compile(_BOX)
_AFTER_BOX = re.compile(r"(\\*)<")


def render(spans: Iterable[Span]) -> str:
    """The text of the spans; TextError where a phrase would follow a box directly or a span holds nothing."""
    pieces: list[str] = []
    text = ""
    for span in spans:
        if isinstance(span, str):
            text += span  # two neighbouring pieces are quoted as one: "<" and "p>" together would be markup
            continue
        if text:
            pieces.append(_text(text, after_box=bool(pieces)))
        elif pieces and isinstance(span, Phrase):
            raise TextError(f"phrase right after a box: {span.text!r}, wanted text between them")
        named = f"<p>{quote(span.text)}</p> " if isinstance(span, Phrase) else ""
        pieces.append(named + box_text(span.boxes))
        text = ""
    if text:
        pieces.append(_text(text, after_box=bool(pieces)))
    return "".join(pieces)


def box_text(boxes: tuple[Bins, ...]) -> str:
    """The tokens of the boxes, joined by ``<delim>``."""
    if not boxes:
        raise TextError("no boxes: a box span needs at least one")
    return "<delim>".join([f"{{<{x1}><{y1}><{x2}><{y2}>}}" for x1, y1, x2, y2 in boxes])


def parse(text: str) -> list[Span]:
    """The spans that ``render`` was given; TextError where markup stands that is no well-formed box or phrase."""
    if harmless(text):
        return [text] if text else []
    spans: list[Span] = []
    end = 0
    for group in _GROUP.finditer(text) if "{<" in text else ():
        if group.start() > end:
            spans.append(_plain(text[end : group.start()], after_box=end > 0))
        elif end > 0 and group["phrase"] is not None:
            raise TextError(f"malformed markup: a phrase right after a box in {text[:80]!r}")
        boxes = _bins(group["boxes"])
        spans.append(Boxes(boxes) if group["phrase"] is None else Phrase(_plain(group["phrase"]), boxes))
        end = group.end()
    if end < len(text):
        spans.append(_plain(text[end:], after_box=end > 0))
    return spans


def plain_tokens(text: str) -> list[str] | None:
    """The tokens of each box, in order, of a text that ``parse`` surely takes: no markup but boxes and plain phrases.

    None says nothing. No group reaches across a line, so that texts joined by a line feed are judged each on its own.
    """
    if "}<p>" in text or not harmless(_PLAIN_GROUP.sub("", text)):
        return None
    return ONE_BOX.findall(text)


def _text(text: str, after_box: bool) -> str:
    quoted = quote(text)
    return "\\" + quoted if after_box and _AFTER_BOX.match(quoted) else quoted


def _plain(quoted: str, after_box: bool = False) -> str:
    if harmless(quoted):
        return quoted
    if token := markup(quoted):
        raise TextError(f"malformed markup: {token!r} in {quoted[:80]!r}, wanted {{<x1><y1><x2><y2>}} with 0..{BINS}")
    found = _AFTER_BOX.match(quoted) if after_box else None
    if found and not found[1]:
        raise TextError(f"malformed markup: '<' right after a box in {quoted[:80]!r}")
    return unquote(quoted[1:] if found else quoted)


def _bins(boxes: str) -> tuple[Bins, ...]:
    return tuple([_bin(box) for box in boxes.split("<delim>")])


def _bin(box: str) -> Bins:
    x1, y1, x2, y2 = box[2:-2].split("><")
    return int(x1), int(y1), int(x2), int(y2)
