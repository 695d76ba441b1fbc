"""The columns of a block as they stand in JSON, each put there at once, and which rows it is sure of.

Of a row that is not sure nothing is said: it goes the long way, alone.
"""

import codecs
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from converters._block import NO_THING, Spans
from converters._read import collector_resting
from schemas.box import BINS, DECIMALS, Codec
from schemas.errors import TextError
from schemas.text import MAX_CHARS, harmless, tidy

Sure = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Places = NDArray[np.int64]

_MILLION = 10.0**DECIMALS
_BLANK, _ODD = 1, 2
# Printable ASCII stands in JSON as it is, but for these two; the brackets are those of markup.
_PLAIN = {*range(33, 127)}.difference(b'"\\<[{}')
_CLASSES = bytes(_BLANK if char == 32 else 0 if char in _PLAIN else _ODD for char in range(256))
_AS_ODD = "boxcar.odd"
_JSON = msgspec.json.Encoder()


class Boxes(NamedTuple):
    """Boxes as their tokens, as JSON, and as (n, 4) fractions of their pictures; and which of them are sure."""

    tokens: list[str]
    json: list[str]
    sides: Doubles
    sure: Sure


class Grounded(NamedTuple):
    """Texts with their things' boxes in them, a row each; these boxes as JSON, and their sides, row after row.

    ``ends`` say where each row's boxes end, after a 0; ``sure`` which rows are.
    """

    texts: list[str]
    boxes: list[str]
    sides: Doubles
    ends: Places
    sure: Sure


def _as_odd(error: Any) -> tuple[str, int]:
    return "\x7f" * (error.end - error.start), error.end  # a character each, that none may be


codecs.register_error(_AS_ODD, _as_odd)


def texts_in_json(texts: Sequence[str]) -> tuple[list[str], Sure]:
    """Each text, tidied, as it stands within the quotes of a JSON string; sure of those that hold no bracket."""
    found, sure = list(texts), np.ones(len(texts), bool)
    for place in _not_plain(texts):
        mended = _mended(found[place])
        found[place], sure[place] = mended or "", mended is not None
    return found, sure


def _not_plain(texts: Sequence[str]) -> list[int]:
    # Where a blank stands before each text and after the last, two in a row are what tidying would not leave.
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    classes = np.frombuffer(f" {' '.join(texts)} ".encode("ascii", _AS_ODD).translate(_CLASSES), np.uint8)
    odd = np.flatnonzero((classes[:-1] & classes[1:] & _BLANK) | (classes[1:] & _ODD))
    begins = np.cumsum(lengths + 1) - lengths - 1
    within = np.searchsorted(begins, odd, side="right") - 1
    return np.union1d(within, np.flatnonzero(lengths > MAX_CHARS)).tolist()  # type: ignore[no-any-return]


def _mended(text: str) -> str | None:
    try:
        tidied = tidy(text)
    except TextError:
        return None
    if not harmless(tidied) or "{" in tidied or "}" in tidied:
        return None
    return _JSON.encode(tidied).decode()[1:-1]


def boxes_in_json(xywh: Doubles, sizes: Doubles, least: float, by: Codec) -> Boxes:
    """Boxes given as four columns (left, top, width, height) of 0-based pixels, in pictures of (width, height): two.

    Sure of those that lie within their picture and none of whose sides is under ``least`` pixels or ends in one bin.
    """
    (low, span), size = xywh.reshape(2, 2, -1).copy(), sizes.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        high = low + span
        long = high - low >= least
    sound = (low >= 0) & ~np.signbit(low) & (low < high) & long & (high <= size)
    sure: Sure = np.all(sound, axis=0)
    low[:, ~sure], high[:, ~sure], size[:, ~sure] = 0, 1, 1
    sides = _rounded(np.concatenate((low / size, high / size)))
    bins = (np.rint(sides * BINS) if by.rounding == "nearest" else np.trunc(sides * BINS)).astype(int)
    sure &= (bins[:2] < bins[2:]).all(axis=0)  # so that the sides they were made of differ too
    with collector_resting():  # it would look through the lists of numbers, of which none stays
        tokens = _lines(bins.T.tolist(), lambda json: json.replace("[", "{<").replace(",", "><").replace("]", ">}"))
        return Boxes(tokens, _lines(sides.T.tolist()), sides.T, sure)


def left_to_right(things: Sequence[int], xywh: Doubles) -> tuple[Places, Places]:
    """The places of the boxes, thing after thing, each thing's left to right and equal ones once; and whose each is."""
    boxes = np.array([things, *xywh], float)
    order = np.lexsort(boxes[::-1])
    boxes = boxes[:, order]
    new = np.ones(len(order), bool)
    new[1:] = (boxes[:, 1:] != boxes[:, :-1]).any(axis=0)
    return order[new], boxes[0, new].astype(int)


def grounded(spans: Spans, things: Places, boxes: Boxes, fewest: int) -> Grounded:
    """What ``spans`` take apart (see converters/_block.py), put together with the tokens of each thing's boxes.

    ``things`` are whose the boxes are, which come thing after thing; a row has to have words for ``fewest`` of them.
    """
    begins = np.searchsorted(things, np.arange(max((*spans.things, NO_THING)) + 2))
    runs = [*pairwise(begins.tolist()), (0, 0), (0, 0)]
    # By their numbers the two that are no thing, -1 and -2, are the last ones of every list.
    marks = ["<p>" if begin < end else "" for begin, end in runs]
    tokens = [f"</p> {'<delim>'.join(boxes.tokens[begin:end])}" if begin < end else "" for begin, end in runs]
    words = (map(marks.__getitem__, spans.things), spans.words, map(tokens.__getitem__, spans.things))
    said = chain.from_iterable(zip(spans.plain, *words, strict=False))
    places, ends, sure = _of_rows(spans, begins, boxes.sure, fewest)
    json = [boxes.json[place] for place in places.tolist()]
    return Grounded(
        ("".join(said) + spans.plain[-1]).split("\n"),
        [",".join(json[begin:end]) for begin, end in pairwise(ends.tolist())],
        boxes.sides[places],
        ends,
        sure,
    )


def _of_rows(spans: Spans, begins: Places, certain: Sure, fewest: int) -> tuple[Places, Places, Sure]:
    """The places of all boxes, row after row, where each row's end, and which rows are sure."""
    thing = np.array(spans.things, int)
    chars = np.frombuffer("[".join(spans.plain).encode("ascii", _AS_ODD), np.uint8)
    put, feeds = np.flatnonzero(chars == ord("[")), np.cumsum(chars == ord("\n"))
    row, rows = feeds[put], int(feeds[-1]) + 1 if len(feeds) else 1
    counts = np.append(np.diff(begins), (0, 0))[thing]
    unsure = np.append(np.diff(np.append(0, np.cumsum(~certain))[begins]) > 0, (True, False))[thing]
    # Words with boxes right after others would be refused.
    unsure[1:] |= (np.diff(put) == 1) & (counts[1:] > 0) & (counts[:-1] > 0)
    sure = np.bincount(row, counts > 0, rows) >= fewest
    sure[row[unsure]] = False
    after = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(np.append(begins, 0)[thing] - after + counts, counts)
    return places, np.append(0, np.cumsum(np.bincount(row, counts, rows).astype(int))), sure


def _rounded(values: Doubles) -> Doubles:
    # As schemas.box rounds a value in [0, 1]: ties, as every eighth hundredth of a pixel in 640 is one, the long way.
    scaled = values * _MILLION
    whole = np.floor(scaled + 0.5)
    rounded = whole / _MILLION
    ties = np.abs(scaled - whole) >= 0.5
    rounded[ties] = [round(value, DECIMALS) for value in values[ties].tolist()]
    return rounded


def _lines(values: Iterable[Any], change: Callable[[str], str] = str) -> list[str]:
    # No JSON holds a line feed, so that the lines are the values, and an empty text after the last.
    return change(_JSON.encode_lines(values).decode()).split("\n")[:-1]
