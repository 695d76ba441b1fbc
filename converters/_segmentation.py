"""What a COCO segmentation spans, polygons or run lengths: to be compared with the box beside it."""

import re
from typing import Any

import msgspec

from schemas.box import XYXY
from schemas.errors import BoxError
from schemas.record import ImageRef

# pycocotools counts pixels in uint32, and reads beyond the end of a string whose last run length is cut off.
_MAX_PIXELS = 2**32 - 1
_CODED_RUNS = re.compile("(?:[P-o]{0,6}[0-O])*")


def extent(segmentation: msgspec.Raw, image: ImageRef) -> XYXY | None:
    """The pixel edges (x1, y1, x2, y2) that the segmentation spans; None where there is none."""
    try:
        mask = _MASK.decode(segmentation)
    except msgspec.DecodeError as error:
        raise BoxError(f"segmentation unreadable: {error}") from error
    if isinstance(mask, _Runs):
        return _runs_extent(mask, image)
    points = [polygon for polygon in mask or [] if polygon]
    if any(len(polygon) % 2 for polygon in points):
        raise BoxError("segmentation unreadable: an odd number of polygon coordinates")
    if not points:
        return None
    xs, ys = ([polygon[axis::2] for polygon in points] for axis in (0, 1))
    return min(map(min, xs)), min(map(min, ys)), max(map(max, xs)), max(map(max, ys))


class _Runs(msgspec.Struct, frozen=True):
    counts: list[int] | str
    size: tuple[int, int]


_MASK = msgspec.json.Decoder(list[list[float]] | _Runs | None)


def _runs_extent(runs: _Runs, image: ImageRef) -> XYXY | None:
    from pycocotools import mask

    height, width = runs.size
    if (width, height) != (image.width, image.height):
        raise BoxError(f"segmentation of another size: {width}x{height}, picture {image.width}x{image.height}")
    if width * height > _MAX_PIXELS:
        raise BoxError(f"segmentation unreadable: more pixels than run lengths can count, {width}x{height}")
    if isinstance(runs.counts, str) and not _CODED_RUNS.fullmatch(runs.counts):
        raise BoxError(f"segmentation unreadable: no compressed run lengths: {runs.counts[:40]!r}")
    coded: Any = {"size": [height, width], "counts": runs.counts}
    if isinstance(runs.counts, list):
        if min(runs.counts, default=0) < 0 or sum(runs.counts) != width * height:
            raise BoxError(f"segmentation unreadable: run lengths do not sum to {width}x{height}")
        coded = mask.frPyObjects(coded, height, width)
    x, y, w, h = (float(value) for value in mask.toBbox(coded))
    return (x, y, x + w, y + h) if w and h else None
