"""Records in other models' dialects, and what such text says, read back.

``parse(render(record, ...))`` gives what was said: the same text, the same boxes as the dialect's grid has them, the
same phrases where the dialect marks them. Text that could be taken for the dialect's markup is quoted by one backslash
after its first character, as Boxcar quotes its own; what a dialect has no way to write is a TextError. The identifiers
``[refer]`` and so on are MiniGPT-v2's, and stand in its dialect alone.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

from schemas import dialect as own
from schemas.box import Box, Size, decode
from schemas.dialects import DIALECTS, OWN, Dialect, gridded, insist_dialect, number_pattern, read, spelled, ungridded
from schemas.errors import BoxError, TextError
from schemas.record import IDENTIFIER, Message, Record
from schemas.text import Reserved, reserved

_FRACTION = r"\s*[01]?\.[0-9]+\s*"


class Boxed(NamedTuple):
    """Boxes of one thing, as fractions of the picture, and the phrase that speaks of it, None where none is marked."""

    phrase: str | None
    boxes: tuple[Box, ...]


Piece = str | Boxed
Turn = list[Piece]


def turns(record: Record) -> list[Turn]:
    """What is said in each turn, identifiers left out, with the exact boxes; BoxError where there are not as many."""
    left = iter(record.boxes)
    said = [[_exact(span, left) for span in own.parse(_bare(turn))] for turn in record.messages]
    if extra := len(list(left)):
        raise BoxError(f"boxes without tokens: {extra} of {len(record.boxes)} in {record.key}")
    return said


def render(record: Record, size: Size | None, name: str) -> list[Message]:
    """The record's turns in a dialect; in MiniGPT-v2's they are as they are, in the record's own codec.

    ``size`` is the picture's, which only dialects that pad it need. TextError where the dialect cannot say it.
    """
    insist_dialect(name)
    if name == OWN:
        return list(record.messages)
    row, prefix = DIALECTS[name], DIALECTS[name].prefix if record.boxes else ""
    texts = [_rendered(said, size, row) for said in turns(record)]
    texts[0] = prefix + texts[0]
    return [Message(turn.role, text) for turn, text in zip(record.messages, texts, strict=True)]


def parse(messages: Sequence[Message], size: Size | None, name: str) -> list[Turn]:
    """What was said in each turn, by the dialect's own text; TextError or BoxError where it is malformed."""
    insist_dialect(name)
    if name == OWN:
        return [[_decoded(span) for span in own.parse(_bare(turn))] for turn in messages]
    row = DIALECTS[name]
    texts = [turn.content for turn in messages]
    texts[:1] = [text.removeprefix(row.prefix) for text in texts[:1]]
    return [list(_parsed(text, size, row)) for text in texts]


def flat(said: Iterable[Piece], name: str) -> Turn:
    """What is said as the dialect can tell it: neighbouring text is one, unmarked phrases are text before the boxes."""
    unmarked = name != OWN and DIALECTS[name].phrase is None
    flat: Turn = []
    for piece in said:
        if unmarked and isinstance(piece, Boxed) and piece.phrase is not None:
            _append(flat, piece.phrase + DIALECTS[name].gap)
            piece = Boxed(None, piece.boxes)
        _append(flat, piece)
    return flat


def _append(flat: Turn, piece: Piece) -> None:
    if isinstance(piece, str) and flat and isinstance(flat[-1], str):
        flat[-1] += piece
    elif piece != "":
        flat.append(piece)


def _bare(turn: Message) -> str:
    found = IDENTIFIER.match(turn.content) if turn.role == "user" else None
    return turn.content[found.end() :] if found else turn.content


def _exact(span: own.Span, left: Iterator[Box]) -> Piece:
    if isinstance(span, str):
        return span
    boxes = tuple(islice(left, len(span.boxes)))
    if len(boxes) < len(span.boxes):
        raise BoxError("tokens without boxes: the text holds more boxes than the record")
    return Boxed(span.text if isinstance(span, own.Phrase) else None, boxes)


def _decoded(span: own.Span) -> Piece:
    if isinstance(span, str):
        return span
    return Boxed(span.text if isinstance(span, own.Phrase) else None, tuple(map(decode, span.boxes)))


def _rendered(said: Turn, size: Size | None, row: Dialect) -> str:
    pieces = flat(said, row.name)
    for before, after in pairwise(pieces):
        if row.joiner == "" and isinstance(before, Boxed) and isinstance(after, Boxed) and after.phrase is None:
            raise TextError(f"boxes side by side: {row.name} would take them for boxes of one thing")
    quoting = _reserved(row.name)
    return "".join(quoting.quote(piece) if isinstance(piece, str) else _group(piece, size, row) for piece in pieces)


def _group(piece: Boxed, size: Size | None, row: Dialect) -> str:
    if row.joiner is None and len(piece.boxes) > 1:
        raise TextError(f"several boxes of one thing: {row.name} has no way to write {len(piece.boxes)} of them")
    text = (row.joiner or "").join(spelled(gridded(box, _known(size, row), row), row) for box in piece.boxes)
    named = ""
    if piece.phrase is not None and row.phrase is not None:
        named = f"{row.phrase[0]}{_reserved(row.name).quote(piece.phrase)}{row.phrase[1]}{row.gap}"
    return f"{named}{row.open}{text}{row.close}"


def _known(size: Size | None, row: Dialect) -> Size:
    if size is None and row.padded:
        raise BoxError(f"picture of unknown size: {row.name} pads it to a square")
    return size or Size(1, 1)


def _parsed(text: str, size: Size | None, row: Dialect) -> Iterator[Piece]:
    group, one = _patterns(row.name)
    end = 0
    for found in group.finditer(text):
        if found.start() > end:
            yield _plain(text[end : found.start()], row)
        numbers = (box.groups() for box in one.finditer(found["boxes"]))
        boxes = tuple(ungridded(read(digits, row), _known(size, row), row) for digits in numbers)
        phrase = found.groupdict().get("phrase")
        yield Boxed(None if phrase is None else _plain(phrase, row), boxes)
        end = found.end()
    if end < len(text):
        yield _plain(text[end:], row)


def _plain(text: str, row: Dialect) -> str:
    quoting = _reserved(row.name)
    if token := quoting.found(text):
        raise TextError(f"malformed markup: {token!r} in {text[:80]!r}, wanted what {row.name} writes")
    return quoting.unquote(text)


@cache
def _reserved(name: str) -> Reserved:
    # Where a box is four fractions in brackets, others read them however many blanks and decimals there are.
    bracketed = DIALECTS[name].number == "decimal"
    return reserved(DIALECTS[name].reserved, [("[", rf"{_FRACTION}(?:,{_FRACTION}){{3}}")] if bracketed else [])


@cache
def _patterns(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    row = DIALECTS[name]
    one, box = (re.escape(row.box).replace(r"\{\}", f"({begin}{number_pattern(row)})") for begin in ("", "?:"))
    more = "" if row.joiner is None else f"(?:{re.escape(row.joiner)}{box})*"
    named = ""
    if row.phrase is not None:
        begin, end = map(re.escape, row.phrase)
        named = f"(?:{begin}(?P<phrase>[^<]*(?:<(?!{begin[1:]}|{end[1:]})[^<]*)*){end}{re.escape(row.gap)})?"
    return re.compile(f"{named}{re.escape(row.open)}(?P<boxes>{box}{more}){re.escape(row.close)}"), re.compile(one)
