"""A world to learn from: many small pictures, published as COCO and RefCOCO, and a mixture of what is said about them.

Pictures are those of the other world at less than half its size, because a model of minutes sees 64 pixels a side;
there are many, because a model that sees the same few again learns them by heart. All lie on COCO's train side, and
RefCOCO's val is held out of the mixture by its lock.
"""

import json
from pathlib import Path
from typing import Any

from pipelines.demo.coco import write_captions, write_instances, write_pictures, write_refs
from pipelines.demo.publish import World
from pipelines.demo.world import scene

POOL = "learn"
SCALE = 0.4  # sides of 64 to 102 pixels
HELD = 500  # pictures of RefCOCO's val, and of each of its tests
FEWEST, PER_MINUTE, MOST = 2000, 2000, 20_000
STEPS = 500  # what two idle processors take a minute and a little more for, the control's among them
JOINED = 4  # records of a picture in one sequence
MIXTURE: dict[str, Any] = {
    "stage": "demo",
    "unit": "sample",
    "per_image": JOINED,
    "held_out": ["refcoco/val"],
    "parts": [
        {"source": "refcoco", "task": "refer", "weight": 6},
        {"source": "refcoco", "task": "identify", "weight": 2},
        {"source": "coco_instances", "task": "detection", "weight": 1},
        {"source": "coco_caption", "task": "caption", "weight": 0.5},
    ],
    # Steps are what the lock predicts epochs from; how many are taken is asked for on the command line.
    "train": {"steps": 20_000, "global_batch": 16},
}


def pictures_for(minutes: float) -> int:
    """How many pictures it takes that a model of so many minutes sees each about twice."""
    return min(MOST, round(FEWEST + PER_MINUTE * minutes))


def steps_for(minutes: float) -> int:
    """The steps of about so many minutes: counted, so that a slower machine takes longer and learns no less."""
    most: int = MIXTURE["train"]["steps"]
    return max(1, min(most, round(STEPS * minutes)))


def learning_world(images: int, seed: int, held: int = HELD, scale: float = SCALE) -> World:
    """So many scenes of a scale, not the demo's others; RefCOCO's val and each test hold out ``held``."""
    made = tuple(scene(seed + 1_000_003, index, scale) for index in range(images))
    return World(seed, made, train=images, held=held)


def write_learning(world: World, root: Path) -> None:
    """Writes coco/ and refer/ below root: pictures, captions, instances, RefCOCO."""
    write_pictures(world, root / "coco")
    write_captions(world, root / "coco" / "annotations")
    write_instances(world, root / "coco" / "annotations")
    write_refs(world, root / "refer", "refcoco", "unc")


def learning_pool(root: Path) -> str:
    """The YAML of the pool of what ``write_learning`` wrote there."""
    places = {name: str((root / name).absolute()) for name in ("coco", "refer")}
    entries: list[dict[str, Any]] = [
        {"name": "refcoco", "root": places["refer"], "splits": ["train", "val"]},
        {"name": "coco_instances", "root": places["coco"], "splits": ["train"]},
        {"name": "coco_caption", "root": places["coco"], "splits": ["train"]},
    ]
    lines = [f"pool: {POOL}", f"collections: {json.dumps({'coco': [places['coco']]})}", "sources:"]
    return "\n".join([*lines, *(f"  - {json.dumps(entry)}" for entry in entries), "shard: {max_bytes: 8MiB}", ""])


def learning_mixture(seed: int) -> str:
    """The YAML of the mixture, of that seed."""
    return json.dumps({**MIXTURE, "seed": seed}, indent=1)
