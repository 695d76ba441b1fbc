"""The world as every source would publish it, under one folder."""

from pathlib import Path

from pipelines.demo.chats import write_chats
from pipelines.demo.coco import write_coco
from pipelines.demo.flickr30k import write_flickr30k
from pipelines.demo.genome import write_genome
from pipelines.demo.minigpt4 import write_minigpt4
from pipelines.demo.publish import World
from pipelines.demo.questions import write_questions


def write_world(world: World, root: Path) -> None:
    """Writes every source of the table below root, each in its published layout."""
    write_coco(world, root)
    write_genome(world, root)
    write_questions(world, root)
    write_chats(world, root)
    write_flickr30k(world, root)
    write_minigpt4(world, root)
