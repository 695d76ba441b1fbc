"""What COCO and everything annotated on COCO pictures share: JSON types, integer image ids, and where pictures lie.

The same integer id is the same picture in 2014 and 2017; train2017 is train2014 plus most of val2014. So pictures are
looked up by integer id over all four folders, never by the name that an annotation gives.
Source: cocodataset.org/#format-data.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, TypeVar

import msgspec

from converters._read import Broken, collector_resting, decode, in_runs, items, read, runs
from converters._table import Collection, Folder
from schemas.box import XYXY, Box, Size, from_xywh, latest, overhang
from schemas.errors import BoxError, RecordError, SourceError
from schemas.record import ImageRef, Pair, image_json, image_ref

_FILE = r"(?:COCO_[a-z]+[0-9]{4}_)?(?P<id>[0-9]{12})\.jpg"
_NAMED = re.compile(r"(?:^|[/_])([0-9]{12})(?:_[0-9]+)?(?:\.jpg)?$")

COCO = Collection(
    name="coco",
    title="Microsoft COCO 2014 and 2017, train and val",
    folders=tuple(Folder(folder, _FILE) for folder in ("train2014", "val2014", "train2017", "val2017")),
    numeric=True,
)


# Of a picture, in pixels. JSON has whole numbers of any length, and beyond these not every one is a double.
Side = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class Picture(msgspec.Struct, frozen=True, gc=False):
    """An entry of ``images``; sizes in pixels, None where a file leaves them out."""

    id: int
    file_name: str = ""
    width: Side | None = None
    height: Side | None = None

    @property
    def size(self) -> Size | None:
        """The annotated size; None unless both sides are stated."""
        if self.width and self.height and self.width > 0 < self.height:
            return Size(self.width, self.height)
        return None


class Category(msgspec.Struct, frozen=True):
    """An entry of ``categories``; ids have gaps (80 categories, ids 1 to 90)."""

    id: int
    name: str


class Region(msgspec.Struct, frozen=True, gc=False):
    """An entry of instances' ``annotations``; bbox is (x, y, width, height) in 0-based pixels."""

    id: int
    image_id: int
    bbox: XYXY


class Caption(msgspec.Struct, frozen=True, gc=False):
    """An entry of captions' ``annotations``."""

    id: int
    image_id: int
    caption: str


class _Captions(msgspec.Struct, frozen=True):
    images: list[Picture]
    annotations: list[Caption]


class Outer(msgspec.Struct, frozen=True):
    """A COCO file from outside: its arrays, not yet decoded."""

    images: msgspec.Raw
    annotations: msgspec.Raw
    categories: msgspec.Raw = msgspec.Raw(b"[]")


Entry = TypeVar("Entry", Picture, Region)


def image_id(number: int) -> str:
    """The canonical id of a COCO picture, whatever its file is called: ``coco/100667``."""
    return f"{COCO.name}/{number}"


def number_of(file_name: str) -> int:
    """The integer id in a COCO file name of either year, RefCOCO's suffixed ones too; RecordError without one."""
    found = _NAMED.search(file_name)
    if not found:
        raise RecordError(f"no COCO file name: {file_name!r}, wanted 12 digits near its end")
    return int(found[1])


def picture_ref(number: int, known: Mapping[int, Picture]) -> ImageRef:
    """The reference of a COCO picture, with the size that the file states of it."""
    picture = known.get(number)
    return image_ref(image_id(number), picture.size if picture else None)


def picture_json(number: int, known: Mapping[int, Picture]) -> str:
    """The same as JSON."""
    picture = known.get(number)
    return image_json(image_id(number), picture.size if picture else None)


def pictures(images: msgspec.Raw, path: str) -> dict[int, Picture]:
    """The pictures of a file by id; an entry that could not be typed is left out, so that what needs it is rejected."""
    return by_id(items(images, Picture, path))


def captions(path: str) -> tuple[Mapping[int, Picture], Iterator[list[Caption] | Broken], bool]:
    """The pictures of a captions file by id, its annotations in lists of some thousands, and whether all ids differ.

    Of a file in which something could not be typed it is not said that they do.
    """
    data = read(path)
    with suppress(SourceError), collector_resting():
        whole = decode(data, _Captions, path)
        data = b""
        once = len({entry.id for entry in whole.annotations}) == len(whole.annotations)
        return by_id(whole.images), in_runs(whole.annotations), once
    file = outer(data, path)  # some entry's fault, or no such file
    return pictures(file.images, path), runs(file.annotations, Caption, path), False


def by_id(found: Iterable[Entry | Broken]) -> dict[int, Entry]:
    """The entries by id; of an id that stands for two different things neither, so that what names it is rejected."""
    known: dict[int, Entry] = {}
    twice: set[int] = set()
    for entry in found:
        if not isinstance(entry, Broken) and known.setdefault(entry.id, entry) != entry:
            twice.add(entry.id)
    return {id: entry for id, entry in known.items() if id not in twice} if twice else known


def outer(data: bytes, path: str) -> Outer:
    """The arrays of a COCO file; SourceError where it is no such file."""
    return decode(data, Outer, path)


@latest
def placed(xywh: XYXY, image: ImageRef) -> tuple[Box, list[Pair]]:
    """The box of 0-based pixels (x, y, width, height), and a note of how far it was clipped where it was."""
    if not (image.width and image.height):
        raise BoxError("picture size unknown: neither the annotation nor a picture states it")
    size = Size(image.width, image.height)
    x, y, w, h = xywh
    beyond = overhang((x, y, x + w, y + h), size)
    # 0.005 px: the noise of coordinates printed with two decimals, as COCO's are.
    return from_xywh(xywh, size), [Pair("clipped_px", f"{beyond:.2f}")] if beyond > 0.005 else []
