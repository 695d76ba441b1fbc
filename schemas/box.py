"""Boxes as fractions of the picture, and the named codecs that turn them into 0-100 bins and back.

A box is (x1, y1, x2, y2) with 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, origin top left, as fractions of the *whole
stored picture*, rounded to six decimals. Constructors take pixels in the convention their name states.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Literal, NamedTuple, TypeVar

import msgspec

from schemas.errors import BoxError, ConfigError, unknown

DECIMALS = 6
BINS = 100
_TWO_BINS = 2 / BINS
_MILLION = 10.0**DECIMALS

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

XYXY = tuple[float, float, float, float]
Bins = tuple[int, int, int, int]


class Size(NamedTuple):
    """A picture's width and height in pixels."""

    width: int
    height: int


class Box(msgspec.Struct, frozen=True, array_like=True):
    """(x1, y1, x2, y2) in fractions of the picture; raises BoxError where it is empty, inverted or outside."""

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        # NaN is refused here too: every comparison with it is false.
        if not (0.0 <= self.x1 < self.x2 <= 1.0 and 0.0 <= self.y1 < self.y2 <= 1.0):
            raise BoxError(f"box not inside the picture: {tuple(self)}, wanted 0 <= x1 < x2 <= 1 and y likewise")

    def __iter__(self) -> Iterator[float]:
        return iter((self.x1, self.y1, self.x2, self.y2))

    @property
    def area(self) -> float:
        """The share of the picture that the box covers, in (0, 1]."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)


@dataclass(frozen=True)
class Slack:
    """How far a box may overhang its picture and still be clipped: the larger of pixels and a share of the side.

    A large overhang means that the size or the layout was misread, so it is an error, not something to clip.
    """

    px: float = 2.0
    share: float = 0.01

    def of(self, side: float) -> float:
        """The tolerance along a side of that many pixels, in pixels."""
        return max(self.px, self.share * side)


SLACK = Slack()


def from_xyxy(xyxy: XYXY, size: Size, slack: Slack = SLACK) -> Box:
    """The box of 0-based pixel edges (x1, y1, x2, y2) in a picture of that size, clipped within the slack."""
    x1, y1, x2, y2 = xyxy
    width, height = size
    if 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height:  # inside, as nearly every box is; NaN is not
        return Box(_rounded(x1 / width), _rounded(y1 / height), _rounded(x2 / width), _rounded(y2 / height))
    return _clipped(xyxy, size, slack)


def _clipped(xyxy: XYXY, size: Size, slack: Slack) -> Box:
    x1, y1, x2, y2 = xyxy
    if not (size.width > 0 and size.height > 0):
        raise BoxError(f"picture has no size: {size.width}x{size.height}")
    if not (x1 < x2 and y1 < y2):
        raise BoxError(f"empty box: xyxy {xyxy} in a {size.width}x{size.height} picture")
    if max(-x1, x2 - size.width) > slack.of(size.width) or max(-y1, y2 - size.height) > slack.of(size.height):
        raise BoxError(f"box overhangs the picture: xyxy {xyxy} in a {size.width}x{size.height} picture")
    fractions = (x1 / size.width, y1 / size.height, x2 / size.width, y2 / size.height)
    return Box(*(round(min(max(value, 0.0), 1.0), DECIMALS) for value in fractions))


def _rounded(value: float) -> float:
    """``round(value, DECIMALS)`` of a value in [0, 1], in less than half the time."""
    scaled = value * _MILLION
    whole = int(scaled + 0.5)
    # A tie is a double, so rounding the product to the nearest takes nothing across one; the quotient of two whole
    # numbers is the double nearest to the decimal. Ties themselves go the long way, and zero, whose sign int() loses.
    return whole / _MILLION if whole and abs(scaled - whole) < 0.5 else round(value, DECIMALS)


def overhang(xyxy: XYXY, size: Size) -> float:
    """How many pixels the box of pixel edges reaches beyond its picture, 0 where it does not."""
    x1, y1, x2, y2 = xyxy
    return max(0.0, -x1, -y1, x2 - size.width, y2 - size.height)


def from_xywh(xywh: XYXY, size: Size, slack: Slack = SLACK) -> Box:
    """The box of 0-based pixels (left, top, width, height): COCO's and RefCOCO's convention."""
    x, y, w, h = xywh
    return from_xyxy((x, y, x + w, y + h), size, slack)


def from_inclusive(xyxy: XYXY, size: Size, slack: Slack = SLACK) -> Box:
    """The box of 1-based pixel indices, last ones included (xmin, ymin, xmax, ymax): Pascal VOC's convention."""
    x1, y1, x2, y2 = xyxy
    return from_xyxy((x1 - 1, y1 - 1, x2, y2), size, slack)


@dataclass(frozen=True)
class Codec:
    """A named rule that turns a coordinate in [0, 1] into one of the integers 0..100.

    ``nearest`` is Python's ``round(value * 100)``: IEEE doubles, ties to even. ``down`` is ``int(value * 100)``,
    what MiniGPT-v2's released code does. Both act on values that are already rounded to six decimals.
    """

    name: str
    rounding: Literal["nearest", "down"]

    def bin(self, value: float) -> int:
        """The bin of a coordinate in [0, 1]."""
        return round(value * BINS) if self.rounding == "nearest" else int(value * BINS)


CODECS = {codec.name: codec for codec in (Codec("round-100", "nearest"), Codec("trunc-100", "down"))}
DEFAULT_CODEC = "round-100"


def codec(name: str) -> Codec:
    """The codec of that name; ConfigError with near names where there is none."""
    if name not in CODECS:
        raise ConfigError(unknown("codec", name, CODECS))
    return CODECS[name]


def latest(make: Callable[[A, B], C]) -> Callable[[A, B], C]:
    """The pure function, run once where it is asked for the same two objects several times in a row.

    Every box is wanted for one record after another, for the proof of each and for the count of what it cost.
    """
    last: tuple[A, B, C] | None = None

    @wraps(make)
    def remembered(one: A, other: B) -> C:
        nonlocal last
        held = last  # looked at once: another thread may put its own there at any moment
        if held is not None and held[0] is one and held[1] is other:
            return held[2]
        made = make(one, other)
        last = (one, other, made)
        return made

    return remembered


@latest
def encode(box: Box, by: Codec) -> Bins:
    """The box in bins (x1, y1, x2, y2), each 0..100, x1 < x2 and y1 < y2: a side of no bins is widened to one."""
    x1, y1, x2, y2 = _bins(box, by)
    if x1 == x2:
        x1, x2 = _widened(box.x1, box.x2, x1)
    if y1 == y2:
        y1, y2 = _widened(box.y1, box.y2, y1)
    return x1, y1, x2, y2


def widened(box: Box, by: Codec) -> bool:
    """Whether a side of the box is so short that encoding has to widen it to one bin."""
    if box.x2 - box.x1 > _TWO_BINS < box.y2 - box.y1:  # sides that long never end in one bin
        return False
    x1, y1, x2, y2 = _bins(box, by)
    return x1 == x2 or y1 == y2


def decode(bins: Bins) -> Box:
    """The box that the bins name; BoxError where they are inverted, empty or outside 0..100."""
    x1, y1, x2, y2 = bins
    return Box(x1 / BINS, y1 / BINS, x2 / BINS, y2 / BINS)


def token_box(bins: Bins, by: Codec) -> Box:
    """A box that the codec encodes to exactly these bins, for text whose tokens are all there is; else BoxError."""
    # What was rounded down lies above its bin's edge, and the edge itself may be a hair below it in binary.
    above = 10**-DECIMALS if by.rounding == "down" else 0.0
    x1, y1, x2, y2 = (round(min(bin / BINS + above, 1.0), DECIMALS) for bin in bins)
    return Box(x1, y1, x2, y2)


def self_iou(box: Box, by: Codec) -> float:
    """Intersection over union of the box with what is left of it after encoding and decoding, in [0, 1]."""
    return iou(box, decode(encode(box, by)))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (a.area + b.area - shared)


def _bins(box: Box, by: Codec) -> Bins:
    # What by.bin gives for each side, without a call for each: this runs several times for every box there is.
    if by.rounding == "nearest":
        return round(box.x1 * BINS), round(box.y1 * BINS), round(box.x2 * BINS), round(box.y2 * BINS)
    return int(box.x1 * BINS), int(box.y1 * BINS), int(box.x2 * BINS), int(box.y2 * BINS)


def _widened(low: float, high: float, bin: int) -> tuple[int, int]:
    # Widen towards where the side really lies, so that the bin still covers as much of it as one bin can.
    towards_zero = (low + high) / 2 * BINS < bin
    return (bin - 1, bin) if bin == BINS or (towards_zero and bin > 0) else (bin, bin + 1)
