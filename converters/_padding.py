"""Where the whole original picture lies in the one that img2dataset stored, told from the sizes of both.

``keep_ratio``, ``keep_ratio_largest`` and ``no`` keep pictures' shape, so that fractions of them stay true. ``border``
is the default: it fits them into a square and pads that; ``center_crop`` cuts one out, ``fixed`` stretches them to one.
Source of modes and rounding: github.com/rom1504/img2dataset, resizer.py (LongestMaxSize, then PadIfNeeded).
"""

from typing import NamedTuple

from converters._web import Entry
from schemas.box import DECIMALS, Box
from schemas.errors import ImageError


class Frame(NamedTuple):
    """The rectangle of a stored picture that holds the original: its corner and its sides, in fractions."""

    left: float
    top: float
    width: float
    height: float

    def around(self, box: Box) -> Box:
        """The box of the original as one of the stored picture, in fractions of each."""
        x1, x2 = (round(self.left + x * self.width, DECIMALS) for x in (box.x1, box.x2))
        y1, y2 = (round(self.top + y * self.height, DECIMALS) for y in (box.y1, box.y2))
        return Box(x1, y1, x2, y2)


def frame(entry: Entry, border: bool) -> Frame | None:
    """Where the original lies in the stored picture, None where it is the whole of it, or where nothing was resized.

    With ``border`` a square is taken for a padded picture. ImageError where the shapes differ and nothing says how one
    became the other: the sizes alone do not tell a padded square from a cropped or a stretched one. Also where some of
    the sizes are known and others are not: only a download that re-encoded nothing knows none.
    """
    width, height, original_width, original_height = (
        entry.width, entry.height, entry.original_width, entry.original_height,
    )  # fmt: skip
    if all(side is None for side in (width, height, original_width, original_height)):
        return None
    if original_width is None or original_height is None:
        raise ImageError(f"size of the original unknown: the picture is {width}x{height}")
    if width is None or height is None:
        raise ImageError(f"size of the picture unknown: the original is {original_width}x{original_height}")
    told = f"{width}x{height}, the original is {original_width}x{original_height}"
    if min(width, height, original_width, original_height) <= 0:
        raise ImageError(f"picture without a size: {told}")
    if border and width == height:
        return _padded(width, original_width, original_height)
    # Sides are rounded to whole pixels, so one may be off by one from what the other one's scale makes of it.
    if abs(width * original_height - height * original_width) > max(original_width, original_height):
        raise ImageError(f"padded or cropped by the downloader: {told}")
    return None


def _padded(side: int, original_width: int, original_height: int) -> Frame | None:
    """The longer side becomes that of the square, the other in proportion; of an odd rest the larger half is behind."""
    scale = side / max(original_width, original_height)
    width, height = max(1, round(original_width * scale)), max(1, round(original_height * scale))
    if width == height == side:
        return None
    return Frame((side - width) // 2 / side, (side - height) // 2 / side, width / side, height / side)
