"""The world as every source would publish it, under one folder."""

from pathlib import Path

from pipelines.demo.coco import write_coco
from pipelines.demo.publish import World


def write_world(world: World, root: Path) -> None:
    """Writes every source of the table below root, each in its published layout."""
    write_coco(world, root)
