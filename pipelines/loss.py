"""What a codec costs: the mean IoU of boxes with themselves after encoding and decoding, by box size."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.box import BINS, Box, Codec, encode

EDGES = (0.01, 0.03, 0.07, 0.15, 0.3, 0.6)
NAMES = ("< 1 %", "1-3 %", "3-7 %", "7-15 %", "15-30 %", "30-60 %", ">= 60 %")
_BATCH = 4096


class Loss:
    """Self-IoU summed per size class; a box's size is the square root of its share of the picture."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._held = array("d")
        self._boxes = np.zeros(len(NAMES), dtype=np.int64)
        self._iou = np.zeros(len(NAMES))

    def add(self, boxes: Iterable[Box]) -> None:
        """Count some boxes in."""
        self._held.extend(chain.from_iterable(map(msgspec.structs.astuple, boxes)))
        self._count_batch()

    def add_sides(self, sides: NDArray[np.float64]) -> None:
        """Count boxes in whose sides (x1, y1, x2, y2) are rows of an array."""
        self._held.frombytes(sides.tobytes())
        self._count_batch()

    def _count_batch(self) -> None:
        if len(self._held) >= 4 * _BATCH:
            self._count()

    def report(self) -> list[dict[str, float | int | str]]:
        """One row per size class that occurred, and a last one for all; empty where there were no boxes."""
        self._count()
        boxes, iou = self._boxes.tolist(), self._iou.tolist()
        rows = [_row(*row) for row in zip(NAMES, boxes, iou, strict=True) if row[1]]
        return [*rows, _row("all", sum(boxes), sum(iou))] if rows else []

    def _count(self) -> None:
        areas, ious, _ = costs(np.array(self._held), self.codec)
        sizes = np.searchsorted(EDGES, np.sqrt(areas), side="right")
        # One after another in the order they came, so that no sum depends on where a batch ended.
        np.add.at(self._boxes, sizes, 1)
        np.add.at(self._iou, sizes, ious)
        del self._held[:]


def self_ious(boxes: Sequence[Box], by: Codec) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each box's area, and what ``schemas.box.self_iou`` gives for it, to the last bit."""
    areas, ious, _ = costs(
        np.fromiter(chain.from_iterable(map(msgspec.structs.astuple, boxes)), float, 4 * len(boxes)), by
    )
    return areas, ious


def costs(flat: NDArray[np.float64], by: Codec) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of boxes whose sides follow each other: area, IoU with itself when encoded, the bins' sides (4, n) as 0..1."""
    x1, y1, x2, y2 = sides = flat.reshape(-1, 4).T
    bins = np.rint(sides * BINS) if by.rounding == "nearest" else np.trunc(sides * BINS)
    for place in np.flatnonzero((bins[0] == bins[2]) | (bins[1] == bins[3])).tolist():
        bins[:, place] = encode(Box(*sides[:, place].tolist()), by)  # a side widened
    left, top, right, bottom = decoded = bins / BINS
    width = np.minimum(x2, right) - np.maximum(x1, left)
    height = np.minimum(y2, bottom) - np.maximum(y1, top)
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    areas = (x2 - x1) * (y2 - y1)
    return areas, shared / (areas + (right - left) * (bottom - top) - shared), decoded


def _row(size: str, boxes: int, iou: float) -> dict[str, float | int | str]:
    return {"size": size, "boxes": boxes, "self_iou": round(iou / boxes, 4)}
