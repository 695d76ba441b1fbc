"""Referring expressions: what MiniGPT-v2's released evaluation calls right (Vision-CAIR/MiniGPT-4, eval_scripts).

An answer points where it begins with a box and holds four numbers in all, blanks aside; else it is wrong. Overlap is
measured between pixels that both ends of a box count, and must be more than one half.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from schemas.box import BINS
from schemas.errors import RecordError
from schemas.record import ImageRef, Record

RIGHT = 0.5
Pixels = tuple[float, float, float, float]

_BOX = re.compile(r"\{<\d{1,3}><\d{1,3}><\d{1,3}><\d{1,3}>\}")


class Truth(NamedTuple):
    """Where the thing is: a box of pixel edges (x1, y1, x2, y2), and the sides of the picture that they are of."""

    box: Pixels
    width: float
    height: float


class Pointed(NamedTuple):
    """One answer: the share of its box and the true one that they have in common, and the box; None where unparsable.

    The box and the true one are in shares of the picture.
    """

    overlap: float
    told: Pixels | None
    true: Pixels


class Rec(NamedTuple):
    """How well a set of answers points: accuracy and mean overlap over all, and the share that could be parsed."""

    questions: int
    accuracy: float
    mean_iou: float
    parsed: float


def truth(record: Record, image: ImageRef) -> Truth:
    """The true box of a question: in pixels as published where the record says so, else its own box.

    RecordError where the record has no box, or its picture no size.
    """
    meta = {pair.name: pair.value for pair in record.meta}
    if {"bbox", "width", "height"} <= meta.keys() and meta["bbox"]:
        x, y, w, h = (float(value) for value in meta["bbox"].split(","))
        return Truth((x, y, x + w, y + h), float(meta["width"]), float(meta["height"]))
    if not record.boxes or not image.width or not image.height:
        raise RecordError(
            f"no truth: {record.key} has {len(record.boxes)} boxes, its picture {image.width} x {image.height}"
        )
    x1, y1, x2, y2 = record.boxes[0]
    width, height = image.width, image.height
    return Truth((x1 * width, y1 * height, x2 * width, y2 * height), width, height)


def released_box(answer: str) -> tuple[int, int, int, int] | None:
    """The four numbers of an answer as the released evaluation reads them; None where it would not."""
    bare = answer.replace("<unk>", "").replace(" ", "").strip()
    numbers = re.findall(r"\d+", bare)
    if not _BOX.match(bare) or len(numbers) != 4:
        return None
    x1, y1, x2, y2 = (int(number) for number in numbers)
    return x1, y1, x2, y2


def pointed(answer: str, true: Truth) -> Pointed:
    """How an answer compares with the truth."""
    sides = (true.width, true.height, true.width, true.height)
    at = _shares(true.box, sides)
    bins = released_box(answer)
    if bins is None:
        return Pointed(0.0, None, at)
    told = (bins[0] / BINS, bins[1] / BINS, bins[2] / BINS, bins[3] / BINS)
    return Pointed(inclusive_iou(_pixels(told, sides), true.box), told, at)


def inclusive_iou(one: Pixels, other: Pixels) -> float:
    """Intersection over union of two boxes of pixels whose last ones count: a side is ``x2 - x1 + 1`` long."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]) + 1)
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return width * height / (areas[0] + areas[1] - width * height)


def rec(answers: Sequence[Pointed]) -> Rec:
    """The figures of these answers; all zero where there are none."""
    count = max(1, len(answers))
    return Rec(
        questions=len(answers),
        accuracy=sum(one.overlap > RIGHT for one in answers) / count,
        mean_iou=sum(one.overlap for one in answers) / count,
        parsed=sum(one.told is not None for one in answers) / count,
    )


def always(box: Sequence[float], truths: Sequence[Truth]) -> Rec:
    """What it would give to answer every question with this box, in shares of the picture."""
    corners = (box[0], box[1], box[2], box[3])
    found = []
    for true in truths:
        sides = (true.width, true.height, true.width, true.height)
        overlap = inclusive_iou(_pixels(corners, sides), true.box)
        found.append(Pointed(overlap, corners, _shares(true.box, sides)))
    return rec(found)


def _pixels(box: Pixels, sides: Pixels) -> Pixels:
    return box[0] * sides[0], box[1] * sides[1], box[2] * sides[2], box[3] * sides[3]


def _shares(box: Pixels, sides: Pixels) -> Pixels:
    return box[0] / sides[0], box[1] / sides[1], box[2] / sides[2], box[3] / sides[3]
