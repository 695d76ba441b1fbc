"""Scenes of a few coloured shapes: what a picture holds, before anything is drawn or said about it.

Every scene is a pure function of (seed, index). Boxes are (x, y, w, h) in pixels from the top-left
corner, on a grid of quarter pixels, so sums of them are exact in floating point.
"""

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["circle", "square", "triangle", "star"]
Colour = Literal["red", "yellow", "green", "cyan", "blue", "pink"]
Size = Literal["small", "large"]
Box = tuple[float, float, float, float]

KINDS: tuple[Kind, ...] = get_args(Kind)
COLOURS: tuple[Colour, ...] = get_args(Colour)

#: The longer side of a shape's box as a share of the picture's shorter side. The gap between the
#: two ranges is what makes "small" and "large" words that can be learned.
SIZES: dict[Size, tuple[float, float]] = {"small": (0.15, 0.27), "large": (0.32, 0.45)}

#: Width and height of a kind's box as shares of its longer side. Two kinds are not square, so a
#: converter that mixes up width and height is noticed.
PROPORTIONS: dict[Kind, tuple[float, float]] = {
    "circle": (1.0, 1.0),
    "square": (1.0, 1.0),
    "triangle": (1.0, 0.86),
    "star": (0.8, 1.0),
}

GAP = 6.0  # pixels left free between two boxes, at scale 1
OVERSHOOT = 4.0  # pixels at scale 1: positions this far outside are moved to the edge, so some boxes touch it
TRIES = 60  # positions tried before a scene does without a shape
ID_PRIME = 581_921  # image ids are a permutation modulo this prime; COCO's own end at 581,929


@dataclass(frozen=True)
class Shape:
    """One coloured shape and the tight box around its pixels."""

    kind: Kind
    colour: Colour
    size: Size
    box: Box  # (x, y, w, h) in pixels


@dataclass(frozen=True)
class Scene:
    """What one picture holds; no two boxes overlap."""

    index: int  # position in the world, from 0
    width: int  # pixels
    height: int  # pixels
    shapes: tuple[Shape, ...]


def seed_of(*parts: int | str) -> int:
    """The 64-bit seed of the random numbers that belong to these parts; equal on every machine."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def image_id(index: int) -> int:
    """The picture's id: 1 to 581,921, not consecutive, different for every index below that.

    Raises:
        ValueError: the index has no id of its own.
    """
    if not 0 <= index < ID_PRIME:
        raise ValueError(f"index {index}: want 0 to {ID_PRIME - 1}")
    return 1 + (index * 377_123 + 203_564) % ID_PRIME


def object_id(index: int, position: int) -> int:
    """The id of the shape at this position of the scene at this index; one id per object of a world."""
    return 100_003 + 8 * index + position


def scene(seed: int, index: int, scale: float = 1.0) -> Scene:
    """The scene at this index: 1 to 4 shapes in a picture of 160 to 256 pixels a side, never square; at that scale."""
    rng = random.Random(seed_of(seed, index))
    width, height = _picture_size(rng, scale)
    shapes: list[Shape] = []
    for _ in range(rng.choices((1, 2, 3, 4), weights=(1, 4, 4, 4))[0]):
        kind, colour = _look(rng, shapes)
        shapes.extend(_place(rng, kind, colour, (width, height, scale), shapes))
    return Scene(index, width, height, tuple(shapes))


def centre(shape: Shape) -> tuple[float, float]:
    """The middle (x, y) of the shape's box in pixels."""
    x, y, w, h = shape.box
    return x + w / 2, y + h / 2


def outline(shape: Shape) -> list[tuple[float, float]]:
    """The corners (x, y) of the shape in pixels; they reach all four sides of its box."""
    x, y, w, h = shape.box
    return [(x + u * w, y + v * h) for u, v in OUTLINES[shape.kind]]


def area(shape: Shape) -> float:
    """The area inside the outline in square pixels."""
    corners = outline(shape)
    turned = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in turned)) / 2


def _ring(corners: int, inner: float) -> list[tuple[float, float]]:
    """Corners around the middle of the unit square, every second one at `inner` of the radius."""
    radii = [0.5 if corner % 2 == 0 else 0.5 * inner for corner in range(corners)]
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    return [(0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


#: Corners of each kind in the unit square.
OUTLINES: dict[Kind, list[tuple[float, float]]] = {
    "circle": _ring(32, inner=1.0),
    "square": [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)],
    "triangle": [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)],
    "star": _ring(8, inner=0.45),
}


def _picture_size(rng: random.Random, scale: float) -> tuple[int, int]:
    short = rng.randint(round(160 * scale), round(200 * scale))
    long = min(round(256 * scale), round(short * rng.uniform(1.15, 1.5)))
    return (long, short) if rng.random() < 0.5 else (short, long)


def _look(rng: random.Random, shapes: list[Shape]) -> tuple[Kind, Colour]:
    """Kind and colour; often those of the first shape, so that size and place must be told."""
    if shapes and rng.random() < 0.25:
        return shapes[0].kind, shapes[0].colour
    return rng.choice(KINDS), rng.choice(COLOURS)


def _place(
    rng: random.Random, kind: Kind, colour: Colour, picture: tuple[int, int, float], others: list[Shape]
) -> Iterator[Shape]:
    """The shape at a free place, or nothing where the picture (width, height, scale) is too full for it."""
    width, height, scale = picture
    for _ in range(TRIES):
        size: Size = "large" if rng.random() < 0.5 else "small"
        side = min(width, height) * rng.uniform(*SIZES[size])
        w, h = (_quarter(side * share) for share in PROPORTIONS[kind])
        box = (_position(rng, width - w, scale), _position(rng, height - h, scale), w, h)
        if all(_apart(box, other.box, GAP * scale) for other in others):
            yield Shape(kind, colour, size, box)
            return


def _position(rng: random.Random, room: float, scale: float) -> float:
    beyond = OVERSHOOT * scale
    return _quarter(min(max(rng.uniform(-beyond, room + beyond), 0.0), room))


def _quarter(value: float) -> float:
    return round(value * 4) / 4


def _apart(a: Box, b: Box, gap: float) -> bool:
    return (
        a[0] + a[2] + gap <= b[0] or b[0] + b[2] + gap <= a[0] or a[1] + a[3] + gap <= b[1] or b[1] + b[3] + gap <= a[1]
    )
