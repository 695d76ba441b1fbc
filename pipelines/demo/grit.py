"""The world as GRIT-20M publishes it: captions with their phrases marked, and a box for every shape a phrase is of.

A phrase is of one shape, or of all that look the same; an expression tells a shape by its neighbour and so nests the
neighbour's. What is odd in published rows is odd in some of these: emoji, no-break spaces and line breaks before
phrases, boxes that reach a little beyond their picture, one that stands there twice. Layout:
huggingface.co/datasets/zzliang/GRIT.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo.downloads import write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.phrases import RELATIONS, offset
from pipelines.demo.publish import Json, World
from pipelines.demo.web import link
from pipelines.demo.world import Scene, Shape, image_id, seed_of

FIRST_ID = 1_795_000_000_000
OVERHANG = 0.002  # of the picture's side, by which the box of a shape at its edge reaches beyond it
LEAST = 0.65  # the score below which GRIT's authors left boxes out

_NUMBERS = ("no", "a", "two", "three", "four")
_TAKEN = ("key", "width", "height")  # names that img2dataset keeps for itself
_BEFORE = {1: "📷 ", 2: "\xa0"}  # what a caption begins with, by the scene's index modulo 7
_BLANKS = {3: "\n", 4: "\xa0"}  # and what stands before its "and"


class Group(NamedTuple):
    """All shapes of a scene that look the same, and what they are called."""

    words: str
    shapes: tuple[Shape, ...]


_Spans = list[tuple[int, int, Group]]  # from and to which character, and what of


def write_grit(world: World, root: Path, base_url: str) -> None:
    """Writes grit/grit-20m/ below root, two published files in it."""
    folder, half = root / "grit" / "grit-20m", -(-len(world.scenes) // 2)
    folder.mkdir(parents=True, exist_ok=True)
    for number, scenes in enumerate((world.scenes[:half], world.scenes[half:])):
        table = pa.Table.from_pylist([grit_row(one, base_url) for one in scenes], _GRIT)
        pq.write_table(table, folder / f"coyo_{number}_snappy.parquet", compression="snappy")


def write_grit_download(world: World, root: Path, base_url: str = "http://pictures.example.org") -> None:
    """Writes downloads/grit below root: what img2dataset would have left, with the columns that it can keep."""
    rows = [grit_row(one, base_url) for one in world.scenes]
    kept = [{name: value for name, value in row.items() if name not in _TAKEN} for row in rows]
    write_slices(root / "downloads" / "grit", kept, lambda number: jpeg(world.scenes[number], world.seed))


def grit_row(scene: Scene, base_url: str) -> Json:
    """The scene's row as published."""
    rng = random.Random(seed_of("grit", scene.index))
    scores = {shape: round(rng.uniform(LEAST, 1), 6) for shape in scene.shapes}
    caption, chunks, expressions = marked(scene)
    return {
        "key": f"{scene.index:09d}",
        "clip_similarity_vitb32": round(rng.uniform(0.28, 0.42), 6),
        "clip_similarity_vitl14": round(rng.uniform(0.2, 0.35), 6),
        "id": FIRST_ID + image_id(scene.index),
        "url": link(base_url, scene),
        "caption": caption,
        "width": scene.width,
        "height": scene.height,
        "noun_chunks": _entries(scene, chunks, scores),
        "ref_exps": _entries(scene, expressions, scores),
    }


def groups(scene: Scene) -> list[Group]:
    """The scene's shapes by their look, in its order: "a red star", "two blue circles"."""
    looks: dict[tuple[str, str], list[Shape]] = {}
    for shape in scene.shapes:
        looks.setdefault((shape.colour, shape.kind), []).append(shape)
    return [
        Group(f"{_NUMBERS[len(same)]} {colour} {kind}{'s' * (len(same) > 1)}", tuple(same))
        for (colour, kind), same in looks.items()
    ]


def marked(scene: Scene) -> tuple[str, _Spans, _Spans]:
    """The caption, with where in it each group is named, and where it is told from the others."""
    found = groups(scene)
    caption, chunks = _BEFORE.get(scene.index % 7, ""), _Spans()
    for place, group in enumerate(found):
        caption += f" {_joint(scene, found, place)} " if place else ""
        chunks.append((len(caption), len(caption) + len(group.words), group))
        caption += group.words
    told = [(chunks[0][0], chunks[1][1], found[0]), *chunks[1:]] if _related(found) else chunks
    return caption.replace(" and ", f"{_BLANKS.get(scene.index % 7, ' ')}and "), chunks, told


def _related(found: Sequence[Group]) -> bool:
    """Whether the first thing is told by the second, each being the only one of its look."""
    return len(found) > 1 and len(found[0].shapes) == len(found[1].shapes) == 1


def _joint(scene: Scene, found: Sequence[Group], place: int) -> str:
    if place > 1 or not _related(found):
        return "and"
    return max(RELATIONS, key=lambda name: offset(scene, found[0].shapes[0], name, found[1].shapes[0]))


def _entries(scene: Scene, spans: _Spans, scores: Mapping[Shape, float]) -> list[list[float]]:
    """The spans once for each of their shapes, as published; in one scene of nine the first stands there twice."""
    found = [
        [float(start), float(end), *_box(scene, shape), scores[shape]]
        for start, end, group in spans
        for shape in group.shapes
    ]
    return [*found, found[0]] if scene.index % 9 == 4 else found


def _box(scene: Scene, shape: Shape) -> tuple[float, ...]:
    """The corners in fractions; a side at the picture's edge lies a little beyond it."""
    x, y, w, h = shape.box
    sides = x / scene.width, y / scene.height, (x + w) / scene.width, (y + h) / scene.height
    return tuple(side - OVERHANG if side == 0 else side + OVERHANG if side == 1 else side for side in sides)


_ENTRIES = pa.list_(pa.list_(pa.float64()))
_GRIT = pa.schema(
    {
        "key": pa.string(),
        "clip_similarity_vitb32": pa.float64(),
        "clip_similarity_vitl14": pa.float64(),
        "id": pa.int64(),
        "url": pa.string(),
        "caption": pa.string(),
        "width": pa.int64(),
        "height": pa.int64(),
        "noun_chunks": _ENTRIES,
        "ref_exps": _ENTRIES,
    }
)
