"""What is true of a scene, in plain words: expressions for one shape, captions for the picture.

An expression reads "the [small|large] <colour> <shape> [left of|right of|above|below the <colour> <shape>]".
`matches` reads it back, so that what is said can be checked against the scene.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.demo.world import COLOURS, KINDS, SIZES, Scene, Shape, centre, object_id, seed_of

RefSource = Literal["refcoco", "refcoco+", "refcocog"]

RELATIONS = ("left of", "right of", "above", "below")

#: A relation holds where the two centres are this share of the picture's shorter side apart along
#: its axis. Boxes do not overlap, so of any two shapes at least one relation holds.
MARGIN = 0.1

MOST = 4  # expressions for one shape

#: Held-out parts of the train scenes, by default tenths, counted from their end. All three sources hold out the same
#: scenes: RefCOCO's val and test pictures are train2014 pictures.
TENTHS: dict[RefSource, tuple[str, str, str]] = {
    "refcoco": ("val", "testA", "testB"),
    "refcoco+": ("val", "testA", "testB"),
    "refcocog": ("val", "test", "test"),
}

_THING = rf"({'|'.join(COLOURS)}) ({'|'.join(KINDS)})"
_EXPRESSION = re.compile(
    rf"the (?:({'|'.join(SIZES)}) )?{_THING}(?: (?:that is )?({'|'.join(RELATIONS)}) the {_THING})?"
)
_NUMBERS = ("no", "one", "two", "three", "four")


@dataclass(frozen=True)
class Ref:
    """One object and what is said of it."""

    scene: Scene
    shape: Shape
    ann_id: int  # the object's id in every file that lists objects
    number: int  # of the object in its picture, from 0
    split: str
    sentences: tuple[str, ...]


def offset(scene: Scene, shape: Shape, relation: str, other: Shape) -> float:
    """How far the shape lies on that side of the other: a share of the picture's shorter side, negative beyond it."""
    (x, y), (other_x, other_y) = centre(shape), centre(other)
    pixels = {"left of": other_x - x, "right of": x - other_x, "above": other_y - y, "below": y - other_y}
    return pixels[relation] / min(scene.width, scene.height)


def matches(scene: Scene, expression: str) -> list[Shape]:
    """The shapes the expression is true of, in the scene's order.

    Raises:
        ValueError: the expression is not of the form this module writes.
    """
    parsed = _EXPRESSION.fullmatch(expression)
    if parsed is None:
        raise ValueError(f"not an expression of this world: {expression!r}")
    size, colour, kind, relation, other_colour, other_kind = parsed.groups()
    named = [s for s in scene.shapes if (s.colour, s.kind) == (colour, kind) and size in (None, s.size)]
    if relation is None:
        return named
    others = [s for s in scene.shapes if (s.colour, s.kind) == (other_colour, other_kind)]
    return [s for s in named if any(offset(scene, s, relation, o) >= MARGIN for o in others if o != s)]


def expressions(scene: Scene, shape: Shape, places: bool = True) -> list[str]:
    """Up to four expressions true of this shape alone, shortest first; [] where nothing tells it apart.

    Args:
        places: whether to tell where the shape is; RefCOCO+ does not.
    """
    heads = [f"the {shape.colour} {shape.kind}", f"the {shape.size} {shape.colour} {shape.kind}"]
    ends = ["", *_locations(scene, shape)] if places else [""]
    said = [head + end for end in ends for head in heads]
    unique = [text for text in said if matches(scene, text) == [shape]]
    # At most two with one ending, so that a crowded scene does not repeat one neighbour four times.
    return sorted(unique[:MOST], key=lambda text: len(text.split()))


def _locations(scene: Scene, shape: Shape) -> Iterator[str]:
    """Endings such as " left of the blue square", the clearest first."""
    others = [other for other in scene.shapes if other != shape]
    looks = Counter((other.colour, other.kind) for other in others)
    alone = [other for other in others if looks[other.colour, other.kind] == 1]
    pairs = [(offset(scene, shape, relation, other), relation, other) for other in alone for relation in RELATIONS]
    for distance, relation, other in sorted(pairs, key=lambda pair: -pair[0]):
        if distance >= MARGIN:
            yield f" {relation} the {other.colour} {other.kind}"


def refs(scenes: Sequence[Scene], name: RefSource, held: int | None = None) -> list[Ref]:
    """The objects of these train scenes that the source can tell apart, in order; ``held`` scenes in each held part."""
    tenth = held or max(1, len(scenes) // 10)
    found = []
    for from_end, one in zip(range(len(scenes) - 1, -1, -1), scenes, strict=True):
        held_out = from_end // tenth  # 0 for the last tenth
        split = TENTHS[name][held_out] if held_out < 3 else "train"
        for position, shape in enumerate(one.shapes):
            if said := _said(one, shape, name):
                found.append(Ref(one, shape, object_id(one.index, position), position, split, said))
    return found


def as_typed(text: str, number: int) -> str:
    """The sentence as an annotator might have typed it."""
    return (text.upper(), f"{text.capitalize()}.", f" {text} ", f"{text}!!")[number % 4]


def captions(scene: Scene) -> list[str]:
    """Five different true sentences about the picture; in one scene of seven one ends in a blank, as COCO's do."""
    rng = random.Random(seed_of("captions", scene.index))
    said = [_listing(scene), _count(scene), _colours(scene), _kinds(scene), _relation(scene, rng)]
    said = [text if rng.random() < 0.25 else f"{text[0].upper()}{text[1:]}." for text in said]
    rng.shuffle(said)
    return [*said[:-1], said[-1] + " "] if scene.index % 7 == 3 else said


def _said(scene: Scene, shape: Shape, name: RefSource) -> tuple[str, ...]:
    """The sentences in the source's manner: RefCOCO+ without places, RefCOCOg long ones only."""
    short = expressions(scene, shape, places=name != "refcoco+")
    return tuple(_with_clause(text) for text in short[-2:]) if name == "refcocog" else tuple(short)


def _with_clause(expression: str) -> str:
    """The expression with its place in a relative clause, as in "the red star that is above the blue square"."""
    return re.sub(rf" ({'|'.join(RELATIONS)}) ", r" that is \1 ", expression)


def _listing(scene: Scene) -> str:
    return f"{_and([_thing(shape) for shape in scene.shapes])} on a grey background"


def _count(scene: Scene) -> str:
    number = len(scene.shapes)
    verb, noun = ("is", "shape") if number == 1 else ("are", "shapes")
    return f"there {verb} {_NUMBERS[number]} {noun} in the picture"


def _colours(scene: Scene) -> str:
    found = list(dict.fromkeys(shape.colour for shape in scene.shapes))
    return f"every shape in this picture is {_and(found)}"


def _kinds(scene: Scene) -> str:
    found = Counter(shape.kind for shape in scene.shapes)
    return f"a picture of {_and([_counted(kind, number) for kind, number in found.items()])}"


def _relation(scene: Scene, rng: random.Random) -> str:
    """One relation that holds, or for a lone shape that it is alone."""
    if len(scene.shapes) == 1:
        return f"{_thing(scene.shapes[0])} is all there is"
    shape, other = rng.sample(scene.shapes, 2)
    relation = max(RELATIONS, key=lambda name: offset(scene, shape, name, other))
    return f"{_thing(shape)} is {relation} {_thing(other)}"


def _thing(shape: Shape) -> str:
    return f"a {shape.size} {shape.colour} {shape.kind}"


def _counted(kind: str, number: int) -> str:
    return f"{_NUMBERS[number]} {kind}{'' if number == 1 else 's'}"


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
