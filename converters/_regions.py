"""The rows of Visual Genome's region descriptions: see converters/vg.py for fields and quirks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter

import msgspec

from converters._block import Block
from converters._genome import Listed, image_id, pictures
from converters._read import RUN, Broken, decode, read, runs
from converters._table import Pictured, Reading, Row, malformed
from schemas.box import XYXY, Size
from schemas.errors import SourceError
from schemas.record import ImageRef, image_ref

_JSON = msgspec.json.Encoder()


class Described(Pictured, frozen=True, kw_only=True):
    """One region: its phrase, and (x, y, width, height) in 0-based pixels as stated, which may overhang the picture.

    ``size`` is the picture's, None where image_data lists no such picture; a region of ``max_area_px`` is too large.
    """

    phrase: str
    bbox: XYXY
    size: Size | None
    max_area_px: int | None


class _Regions(msgspec.Struct, frozen=True):
    regions: msgspec.Raw


class _Region(msgspec.Struct, frozen=True, gc=False):
    phrase: str
    x: float
    y: float
    width: float
    height: float
    region_id: int | None = None
    id: int | None = None
    image_id: int | None = None
    image: int | None = None


class _Newer(_Region, frozen=True, gc=False, kw_only=True):
    region_id: int
    image_id: int


class _OfNewer(msgspec.Struct, frozen=True, gc=False):
    regions: list[_Newer]


class _Either(_Region, frozen=True, gc=False):
    def __post_init__(self) -> None:
        if (self.region_id is None and self.id is None) or (self.image_id is None and self.image is None):
            raise ValueError("no ids, wanted region_id or id, and image_id or image")


def blocks(reading: Reading) -> Iterator[Block | Row]:
    """One row per region; a picture's regions are typed when it is their turn, the file as a whole never."""
    path, image_data = reading.files
    known, most = pictures(image_data), reading.number("max_area_px")
    run: list[_Region] = []
    for index, entry in enumerate(decode(read(path), list[msgspec.Raw], path)):
        for found in _regions(entry):
            if isinstance(found, Broken):
                yield _block(reading, run, known, most)
                yield malformed(reading, f"{index}-{found.index}", found.why)
                run = []
            else:
                run += found
        if len(run) >= RUN:
            yield _block(reading, run, known, most)
            run = []
    yield _block(reading, run, known, most)


def _regions(entry: msgspec.Raw) -> Iterator[Sequence[_Region] | Broken]:
    with suppress(SourceError):  # of another version, or a region's fault: told below
        yield decode(entry, _OfNewer, "entry").regions
        return
    try:
        yield from runs(decode(entry, _Regions, "entry").regions, _Either, "entry")
    except SourceError as error:  # this entry is none, or its regions are no list: the others still are
        yield Broken(0, str(error), entry)


def _block(reading: Reading, run: list[_Region], known: Mapping[str, Listed], most: int | None) -> Block:
    numbers = [region.image if region.image_id is None else region.image_id for region in run]
    images = {number: _JSON.encode(_image(image_id(number), known)).decode() for number in {*numbers}}
    sizes = {number: _size(image_id(number), known) for number in {*numbers}}
    x, y, w, h = ([*map(attrgetter(side), run)] for side in ("x", "y", "width", "height"))
    if most is not None:
        w = [width if width * height < most else math.nan for width, height in zip(w, h, strict=True)]
    return Block(
        ids=[str(region.id if region.region_id is None else region.region_id) for region in run],
        images=[images[number] for number in numbers],
        texts=[region.phrase for region in run],
        row=lambda place: _described(reading, run[place], known, most),
        xywh=(x, y, w, h),
        sizes=[[sizes[number][side] for number in numbers] for side in (0, 1)],
        least_px=1,
    )


def _described(reading: Reading, region: _Region, known: Mapping[str, Listed], most: int | None) -> Described:
    id = image_id(region.image if region.image_id is None else region.image_id)
    picture = known.get(id)
    return Described(
        source=reading.source,
        split=reading.split,
        id=str(region.id if region.region_id is None else region.region_id),
        image=_image(id, known),
        folder=picture.folder if picture else "",
        phrase=region.phrase,
        bbox=(region.x, region.y, region.width, region.height),
        size=picture.size if picture else None,
        max_area_px=most,
    )


def _image(id: str, known: Mapping[str, Listed]) -> ImageRef:
    return known[id].image if id in known else image_ref(id, None)


def _size(id: str, known: Mapping[str, Listed]) -> Size:
    return known[id].size if id in known else Size(0, 0)
