"""A sample as the page is told of it: its texts taken apart into words, phrases and tokens, each with its boxes.

Phrases and boxes that belong together have a number, their group within the record: one colour on the page.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from schemas.box import Bins, Box, Codec, decode, self_iou
from schemas.dialect import Phrase, box_text, parse
from schemas.errors import BoxcarError
from schemas.record import IDENTIFIER, Record, Sample

BRIEF_RECORDS, BRIEF_BOXES, BRIEF_CHARS = 6, 60, 400  # what a sample's card in the grid shows of it


class Piece(NamedTuple):
    """Some text of a turn: ``plain``, ``task``, ``phrase``, or ``token``; the group that it belongs to, or None."""

    kind: str
    text: str
    group: int | None = None


class Taken(NamedTuple):
    """A record taken apart: the pieces of each turn, the bins of each box with its group, and what was odd."""

    turns: list[list[Piece]]
    boxes: list[tuple[Bins, int]]
    odd: str | None = None


def taken_apart(record: Record) -> Taken:
    """The pieces of a record's turns and the boxes of its tokens; text that is malformed is told as it stands."""
    turns: list[list[Piece]] = []
    boxes: list[tuple[Bins, int]] = []
    groups = 0
    try:
        for turn in record.messages:
            head = IDENTIFIER.match(turn.content) if turn.role == "user" else None
            task = head.group() if head else ""
            pieces = [Piece("task", task)] if task else []
            for span in parse(turn.content[len(task) :]):
                if isinstance(span, str):
                    pieces.append(Piece("plain", span))
                    continue
                if isinstance(span, Phrase):
                    pieces.append(Piece("phrase", span.text, groups))
                pieces.append(Piece("token", box_text(span.boxes), groups))
                boxes += [(bins, groups) for bins in span.boxes]
                groups += 1
            turns.append(pieces)
    except BoxcarError as error:
        return Taken([[Piece("plain", turn.content)] for turn in record.messages], [], str(error))
    return Taken(_with_phrase(record, turns) if groups == 1 else turns, boxes)


def _with_phrase(record: Record, turns: list[list[Piece]]) -> list[list[Piece]]:
    # One thing is spoken of: in the question by its phrase, or by its box, and then the answer is the phrase.
    if record.task == "identify":
        last = [Piece("phrase", one.text, 0) if one.kind == "plain" else one for one in turns[-1]]
        return [*turns[:-1], last]
    phrase = next((slot.value for slot in record.draw.slots if slot.name == "phrase"), "")
    return [[part for piece in pieces for part in _split(piece, phrase)] for pieces in turns]


def _split(piece: Piece, phrase: str) -> Iterator[Piece]:
    before, found, after = piece.text.partition(phrase) if phrase else (piece.text, "", "")
    if piece.kind != "plain" or not found:
        yield piece
        return
    yield from (one for one in (Piece("plain", before), Piece("phrase", phrase, 0), Piece("plain", after)) if one.text)


def loss_of(box: Box, by: Codec) -> float:
    """What a box loses by being written as tokens: 1 - IoU of both, in [0, 1]."""
    return 1.0 - self_iou(box, by)


def told(sample: Sample, by: Codec, places: Sequence[int] | None = None, brief: bool = False) -> dict[str, Any]:
    """The sample as JSON: all records, or those at the places, in brief no more than a card shows."""
    numbers = [place for place in (places or range(len(sample.records))) if place < len(sample.records)]
    shown = numbers[:BRIEF_RECORDS] if brief else numbers
    image = sample.image
    return {
        "image": None if image is None else _image(image),
        "records": [{"place": place, **told_record(sample.records[place], by, brief)} for place in shown],
        "matching": len(numbers),
        "of": len(sample.records),
    }


def _image(image: Any) -> dict[str, Any]:
    return {
        "id": image.id,
        "width": image.width,
        "height": image.height,
        "aliases": image.aliases,
        "license": image.license,
        "scores": [[score.name, score.value] for score in image.scores],
    }


def told_record(record: Record, by: Codec, brief: bool = False) -> dict[str, Any]:
    """A record as JSON: ``boxes`` are fractions of the picture, from the tokens and exact, or None."""
    taken = taken_apart(record)
    most = BRIEF_BOXES if brief else None
    boxes = [_box(token, exact, by) for token, exact in zip_longest(taken.boxes[:most], record.boxes[:most])]
    turns = _shortened(taken.turns) if brief else taken.turns
    return {
        "key": record.key,
        "source": record.source,
        "split": record.split,
        "task": record.task,
        "turns": [{"role": turn.role, "pieces": pieces} for turn, pieces in zip(record.messages, turns, strict=False)],
        "boxes": boxes,
        "of": max(len(taken.boxes), len(record.boxes)),
        "odd": taken.odd or _uneven(taken, record),
        "meta": [] if brief else [[pair.name, pair.value] for pair in record.meta],
        "answers": [] if brief else [[answer.text, answer.count] for answer in record.draw.answers],
    }


def _uneven(taken: Taken, record: Record) -> str | None:
    if len(taken.boxes) == len(record.boxes):
        return None
    return f"tokens differ from boxes: {len(taken.boxes)} tokens, {len(record.boxes)} boxes"


def _box(token: tuple[Bins, int] | None, exact: Box | None, by: Codec) -> dict[str, Any]:
    bins, group = token or (None, None)
    try:
        decoded = list(decode(bins)) if bins else None
    except BoxcarError:  # inverted: the record is told to be odd by what verifies it, here there is nothing to draw
        decoded = None
    loss = None if exact is None else round(loss_of(exact, by), 4)
    return {"token": decoded, "exact": list(exact) if exact else None, "group": group, "loss": loss}


def _shortened(turns: list[list[Piece]]) -> list[list[Piece]]:
    left, kept = BRIEF_CHARS, []
    for pieces in turns:
        some = []
        for piece in pieces:
            if left <= 0:
                break
            cut = piece.text if len(piece.text) <= left else piece.text[:left] + "…"
            some.append(piece._replace(text=cut))
            left -= len(piece.text)
        if some:
            kept.append(some)
    return kept
