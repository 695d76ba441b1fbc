"""Visual Genome's pictures, which GQA speaks of too: their ids, and what image_data.json says of each.

Ids are ``image_id`` in v1.2 and ``id`` in v1.0. The last two components of a picture's URL are its folder and file;
the folder cannot be guessed from the id. About half of the pictures are COCO's, under a ``coco_id``.
Sources: github.com/Vision-CAIR/MiniGPT-4; github.com/huggingface/datasets, visual_genome.py.
"""

from typing import NamedTuple

import msgspec

from converters._coco import Side
from converters._read import Broken, items, read
from schemas.box import Size
from schemas.record import ImageRef, image_ref


class Listed(NamedTuple):
    """A picture as image_data has it: its reference, with COCO's id for it as an alias; its size; its folder."""

    image: ImageRef
    size: Size
    folder: str


class _Picture(msgspec.Struct, frozen=True):
    url: str
    width: Side
    height: Side
    coco_id: int | None = None
    image_id: int | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        if self.image_id is None and self.id is None:
            raise ValueError("no id, wanted image_id or id")


def image_id(name: int | str | None) -> str:
    """The canonical id of a picture: ``vg/2375429``, or ``vg/n161313`` for one that GQA added."""
    return f"vg/{name}"


def pictures(path: str) -> dict[str, Listed]:
    """The pictures of image_data by canonical id.

    One that cannot be typed is left out, and so is an id that stands for two different ones: what needs it fails.
    """
    known: dict[str, Listed] = {}
    twice = set()
    for entry in items(read(path), _Picture, path):
        if not isinstance(entry, Broken):
            listed = _listed(entry)
            if known.setdefault(listed.image.id, listed) != listed:
                twice.add(listed.image.id)
    return {id: listed for id, listed in known.items() if id not in twice}


def _listed(picture: _Picture) -> Listed:
    size = Size(picture.width, picture.height)
    image = image_ref(image_id(picture.id if picture.image_id is None else picture.image_id), size)
    aliases = [] if picture.coco_id is None else [f"coco/{picture.coco_id}"]
    folder = picture.url.rpartition("/")[0].rpartition("/")[2]
    return Listed(msgspec.structs.replace(image, aliases=aliases), size, folder)
