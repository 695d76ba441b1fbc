"""What a codec costs: the mean IoU of boxes with themselves after encoding and decoding, by box size."""

from bisect import bisect_right
from collections.abc import Iterable

from schemas.box import Box, Codec, self_iou

EDGES = (0.01, 0.03, 0.07, 0.15, 0.3, 0.6)
_NAMES = ("< 1 %", "1-3 %", "3-7 %", "7-15 %", "15-30 %", "30-60 %", ">= 60 %")


class Loss:
    """Self-IoU summed per size class; a box's size is the square root of its share of the picture."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._boxes = [0] * len(_NAMES)
        self._iou = [0.0] * len(_NAMES)

    def add(self, boxes: Iterable[Box]) -> None:
        """Count some boxes in."""
        for box in boxes:
            size = bisect_right(EDGES, box.area**0.5)
            self._boxes[size] += 1
            self._iou[size] += self_iou(box, self.codec)

    def report(self) -> list[dict[str, float | int | str]]:
        """One row per size class that occurred, and a last one for all; empty where there were no boxes."""
        rows = [_row(*row) for row in zip(_NAMES, self._boxes, self._iou, strict=True) if row[1]]
        return [*rows, _row("all", sum(self._boxes), sum(self._iou))] if rows else []


def _row(size: str, boxes: int, iou: float) -> dict[str, float | int | str]:
    return {"size": size, "boxes": boxes, "self_iou": round(iou / boxes, 4)}
