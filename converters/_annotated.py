"""The pictures and regions of an instances file, by id, and what an expression that names one of them leads to."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from converters._coco import Picture, Region, by_id, outer, pictures
from converters._read import collector_resting, decode, items, read
from schemas.box import XYXY
from schemas.errors import SourceError

UNPLACED: XYXY = (math.nan,) * 4


class _Instances(msgspec.Struct, frozen=True):
    images: list[Picture]
    annotations: list[Region]


class Annotated(NamedTuple):
    """What an instances file says, by id."""

    pictures: Mapping[int, Picture]
    regions: Mapping[int, Region]

    def bbox(self, region: int, picture: int) -> XYXY | None:
        """The box (x, y, width, height) of the picture's region; None where it is not there or not its own."""
        found = self.regions.get(region)
        return found.bbox if found and found.image_id == picture else None

    def size(self, picture: int) -> tuple[int, int]:
        """The size that is stated of the picture, or zeros."""
        found = self.pictures.get(picture)
        return found.size or (0, 0) if found else (0, 0)


def annotated(path: str) -> Annotated:
    """The file's pictures and regions; one that could not be typed is left out, so that what needs it is rejected."""
    data = read(path)
    with suppress(SourceError), collector_resting():
        whole = decode(data, _Instances, path)
        return Annotated(by_id(whole.images), by_id(whole.annotations))
    file = outer(data, path)  # some entry's fault, or no such file
    return Annotated(pictures(file.images, path), by_id(items(file.annotations, Region, path)))
