"""The world as files: its scenes, on which side of COCO each lies, and what its picture is called there."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.demo.world import Scene, image_id, scene

Json = dict[str, Any]
Side = Literal["train", "val"]


@dataclass(frozen=True)
class World:
    """The scenes of one seed, in order: the first `train` lie on COCO's train side.

    Of those, RefCOCO's val and tests hold out `held` scenes each.
    """

    seed: int
    scenes: tuple[Scene, ...]
    train: int
    held: int


def world(images: int, seed: int) -> World:
    """The first `images` scenes of this seed: four fifths are train, of which RefCOCO holds out tenths."""
    train = images * 4 // 5
    return World(seed, tuple(scene(seed, index) for index in range(images)), train, max(1, train // 10))


def split_of(world: World, scene: Scene) -> Side:
    """The COCO side of a scene."""
    return "train" if scene.index < world.train else "val"


def file_name(world: World, scene: Scene) -> str:
    """The picture's file name, such as COCO_train2014_000000203565.jpg."""
    return f"COCO_{split_of(world, scene)}2014_{image_id(scene.index):012d}.jpg"


def scenes_of(world: World, side: Side) -> list[Scene]:
    """The scenes of one side, in order."""
    return [one for one in world.scenes if split_of(world, one) == side]


def write_json(path: Path, content: object) -> None:
    """Writes the content as JSON, making the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
