"""Referring expressions that lie in one JSON file with their boxes: see converters/refcoco.py for forms and quirks."""

from collections.abc import Iterator

import msgspec

from converters._coco import image_id, number_of, outer
from converters._read import Broken, items, read
from converters._table import Pictured, Reading, Row, each, malformed
from schemas.box import XYXY, Size
from schemas.errors import ConfigError
from schemas.record import Pair, image_ref


class Expression(Pictured, frozen=True, kw_only=True):
    """One sentence about one region; bbox None where the annotation it names is not in the file."""

    phrase: str
    bbox: XYXY | None
    meta: list[Pair]


class _Captioned(msgspec.Struct, frozen=True):
    id: int
    original_id: int
    caption: str
    width: int
    height: int


class _Grounded(msgspec.Struct, frozen=True):
    image_id: int
    bbox: XYXY
    original_id: int | None = None


class _Flat(msgspec.Struct, frozen=True):
    img_id: str
    sents: str
    bbox: XYXY
    width: int
    height: int


def mdetr_rows(reading: Reading) -> Iterator[Row]:
    """One row per image entry: in this form every sentence has its own, and one annotation."""
    _only_one_text(reading)
    (path,) = reading.files
    file = outer(read(path), path)
    boxes: dict[int, list[_Grounded]] = {}
    for region in items(file.annotations, _Grounded, path):
        if not isinstance(region, Broken):
            boxes.setdefault(region.image_id, []).append(region)
    for entry in items(file.images, _Captioned, path):
        if isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
        else:
            yield _captioned(reading, entry, boxes.get(entry.id, []))


def _captioned(reading: Reading, entry: _Captioned, regions: list[_Grounded]) -> Expression:
    region = regions[0] if len(regions) == 1 else None
    return Expression(
        source=reading.source,
        split=reading.split,
        id=str(entry.id),
        image=image_ref(image_id(entry.original_id), Size(entry.width, entry.height)),
        phrase=entry.caption,
        bbox=region.bbox if region else None,
        meta=[Pair("ann_id", str(region.original_id))] if region and region.original_id is not None else [],
    )


def flat_rows(reading: Reading) -> Iterator[Row]:
    """One row per entry; an entry has no id of its own, so its place in the list is its id."""
    _only_one_text(reading)
    (path,) = reading.files
    return each(reading, items(read(path), _Flat, path), _flat)


def _flat(reading: Reading, index: int, entry: _Flat) -> Row:
    return Expression(
        source=reading.source,
        split=reading.split,
        id=str(index),
        image=image_ref(image_id(number_of(entry.img_id)), Size(entry.width, entry.height)),
        phrase=entry.sents,
        bbox=entry.bbox,
        meta=[],
    )


def _only_one_text(reading: Reading) -> None:
    if reading.options["text"] != "sent":
        raise ConfigError(
            f"{reading.source}: text={reading.options['text']} needs the refs pickle, {reading.files[0]} is none"
        )
