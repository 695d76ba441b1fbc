"""COCO instances: category names and all their boxes.

Reads instances_<split><year>.json, as published (cocodataset.org): (x, y, width, height) in 0-based pixels, polygons or
run lengths beside them. Gives, per picture,
  detection   a category name, answered with the name and all its boxes, left to right
  refer       the same name where it occurs once, answered with its one box
  identify    a box, answered with its category name
Quirks: ``iscrowd`` regions stand for many things at once and are left out by a counted rule; category ids have gaps. A
box that lies more than 3 px off its own segmentation on a side is rejected: one of the two is wrong.
Lin et al., Microsoft COCO, 2014.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from converters._coco import Category, Region, outer, picture_ref, pictures, placed
from converters._read import Broken, items, read
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, malformed, record_of
from schemas.box import XYXY, Box, encode
from schemas.dialect import Boxes, Phrase
from schemas.errors import BoxError, Filtered, RecordError
from schemas.prompt import Wording
from schemas.record import ImageRef, Pair, Record
from schemas.text import tidy

TOLERANCE_PX = 3.0

# pycocotools counts pixels in uint32, and reads beyond the end of a string whose last run length is cut off.
_MAX_PIXELS = 2**32 - 1
_CODED_RUNS = re.compile("(?:[P-o]{0,6}[0-O])*")


class Instance(Region, frozen=True, gc=False):
    """An entry of ``annotations``; the segmentation stays undecoded until it is compared with the box."""

    category_id: int
    iscrowd: int = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"null")
    broken: str = ""  # why the rest of it could not be typed; it still counts as one of its category


class _Ids(msgspec.Struct, frozen=True):
    id: int
    image_id: int
    category_id: int


class Annotated(Pictured, frozen=True, kw_only=True):
    """All that is annotated on one picture, and the names of the categories."""

    instances: list[Instance]
    categories: Mapping[int, str]


class Kind(Pictured, frozen=True, kw_only=True):
    """All regions of one category on one picture; name None where the file does not list the category."""

    name: str | None
    instances: list[Instance]


def rows(reading: Reading) -> Iterator[Row]:
    """One row per picture that has annotations."""
    (path,) = reading.files
    file = outer(read(path), path)
    known = pictures(file.images, path)
    categories = {c.id: c.name for c in items(file.categories, Category, path) if not isinstance(c, Broken)}
    by_picture: dict[int, list[Instance]] = {}
    for entry in items(file.annotations, Instance, path):
        instance = _known(entry) if isinstance(entry, Broken) else entry
        if instance:
            by_picture.setdefault(instance.image_id, []).append(instance)
        elif isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
    for number in list(by_picture):
        instances = by_picture.pop(number)  # let go of what has been read
        yield Annotated(
            source=reading.source,
            split=reading.split,
            id=str(number),
            image=picture_ref(number, known),
            instances=instances,
            categories=categories,
        )


def _known(entry: Broken) -> Instance | None:
    # Left out, it would make "the only one" and "all of them" false of the others of its category.
    try:
        ids = msgspec.json.decode(entry.item, type=_Ids)
    except msgspec.DecodeError:
        return None
    return Instance(ids.id, ids.image_id, (0, 0, 0, 0), ids.category_id, broken=entry.why)


def kinds(row: Annotated) -> Iterator[Kind]:
    """The picture's categories, each with all its regions, crowds too."""
    by_category: dict[int, list[Instance]] = {}
    for instance in row.instances:
        by_category.setdefault(instance.category_id, []).append(instance)
    for category, instances in sorted(by_category.items()):
        yield _kind(row, f"{row.id}-{category}", instances)


def regions(row: Annotated) -> Iterator[Kind]:
    """The picture's regions, each alone."""
    return (_kind(row, str(instance.id), [instance]) for instance in row.instances)


def _kind(row: Annotated, id: str, instances: list[Instance]) -> Kind:
    name = row.categories.get(instances[0].category_id)
    return Kind(source=row.source, split=row.split, id=id, image=row.image, name=name, instances=instances)


def detection(row: Kind, wording: Wording) -> Record:
    """Category name to the name and all its boxes, left to right; crowds left out, and how many is noted."""
    single = [instance for instance in row.instances if not instance.iscrowd]
    if not single:
        raise Filtered("crowd: the category has crowd regions only")
    crowds = len(row.instances) - len(single)
    found = sorted((_box(instance, row.image) for instance in single), key=lambda pair: tuple(pair[0]))
    boxes = [box for box, _ in found]
    name = _name(row)
    return record_of(
        row,
        "detection",
        slots=[Pair("phrase", name)],
        reply=[Phrase(name, tuple(encode(box, wording.codec) for box in boxes))],
        boxes=boxes,
        wording=wording,
        meta=[
            *chain.from_iterable(notes for _, notes in found),
            *([Pair("crowd_regions", str(crowds))] if crowds else []),
        ],
    )


def refer(row: Kind, wording: Wording) -> Record:
    """The name of the picture's only such thing to its box."""
    if len(row.instances) > 1:
        raise Filtered("not the only one: the category occurs more than once")
    instance, box, notes = _only(row)
    return record_of(
        row,
        "refer",
        slots=[Pair("phrase", f"the {_name(row)}")],
        reply=[Boxes((encode(box, wording.codec),))],
        boxes=[box],
        wording=wording,
        meta=[Pair("ann_id", str(instance.id)), *notes],
    )


def identify(row: Kind, wording: Wording) -> Record:
    """Box to category name."""
    _, box, notes = _only(row)
    slots = [Pair("box", "0")]
    return record_of(row, "identify", slots=slots, reply=[_name(row)], boxes=[box], wording=wording, meta=notes)


def _only(row: Kind) -> tuple[Instance, Box, list[Pair]]:
    (instance,) = row.instances
    if instance.iscrowd:
        raise Filtered("crowd: the region stands for many things at once")
    return instance, *_box(instance, row.image)


def _name(row: Kind) -> str:
    if row.name is None:
        raise RecordError(f"no such category: {row.instances[0].category_id} is not in the file's categories")
    return tidy(row.name, "category name")


def _box(instance: Instance, image: ImageRef) -> tuple[Box, list[Pair]]:
    if instance.broken:
        raise RecordError(f"malformed row: {instance.broken}")
    placed_box = placed(instance.bbox, image)
    x, y, w, h = instance.bbox
    outline = extent(instance.segmentation, image)
    if outline and max(abs(a - b) for a, b in zip(outline, (x, y, x + w, y + h), strict=True)) > TOLERANCE_PX:
        raise BoxError(
            f"box off its segmentation: xywh {instance.bbox}, segmentation spans {outline}, id {instance.id}"
        )
    return placed_box


def extent(segmentation: msgspec.Raw, image: ImageRef) -> XYXY | None:
    """The pixel edges (x1, y1, x2, y2) that the segmentation spans; None where there is none."""
    try:
        mask = _MASK.decode(segmentation)
    except msgspec.DecodeError as error:
        raise BoxError(f"segmentation unreadable: {error}") from error
    if isinstance(mask, _Runs):
        return _runs_extent(mask, image)
    points = [polygon for polygon in mask or [] if polygon]
    if any(len(polygon) % 2 for polygon in points):
        raise BoxError("segmentation unreadable: an odd number of polygon coordinates")
    if not points:
        return None
    xs, ys = ([polygon[axis::2] for polygon in points] for axis in (0, 1))
    return min(map(min, xs)), min(map(min, ys)), max(map(max, xs)), max(map(max, ys))


class _Runs(msgspec.Struct, frozen=True):
    counts: list[int] | str
    size: tuple[int, int]


_MASK = msgspec.json.Decoder(list[list[float]] | _Runs | None)


def _runs_extent(runs: _Runs, image: ImageRef) -> XYXY | None:
    from pycocotools import mask

    height, width = runs.size
    if (width, height) != (image.width, image.height):
        raise BoxError(f"segmentation of another size: {width}x{height}, picture {image.width}x{image.height}")
    if width * height > _MAX_PIXELS:
        raise BoxError(f"segmentation unreadable: more pixels than run lengths can count, {width}x{height}")
    if isinstance(runs.counts, str) and not _CODED_RUNS.fullmatch(runs.counts):
        raise BoxError(f"segmentation unreadable: no compressed run lengths: {runs.counts[:40]!r}")
    coded: Any = {"size": [height, width], "counts": runs.counts}
    if isinstance(runs.counts, list):
        if min(runs.counts, default=0) < 0 or sum(runs.counts) != width * height:
            raise BoxError(f"segmentation unreadable: run lengths do not sum to {width}x{height}")
        coded = mask.frPyObjects(coded, height, width)
    x, y, w, h = (float(value) for value in mask.toBbox(coded))
    return (x, y, x + w, y + h) if w and h else None


_SHAPE = Shape("object", frozenset({"images", "annotations", "categories"}), "annotations", frozenset({"bbox"}))
_COUNTS = {"2014": {"train": 604_907, "val": 291_875}, "2017": {"train": 860_001, "val": 36_781}}

CONVERTERS = (
    Source(
        name="coco_instances",
        title="COCO instances",
        collection="coco",
        splits={"train": "train", "val": "eval"},
        forms=tuple(
            Form(year, (f"instances_{{split}}{year}.json",), {"train": "train", "val": "val"}, rows, _SHAPE, counts)
            for year, counts in _COUNTS.items()
        ),
        variants=(
            Variant("detection", "a picture x category", detection, boxed=True, candidates=kinds),
            Variant("refer", "a picture x category", refer, boxed=True, candidates=kinds),
            Variant("identify", "a region", identify, boxed=True, candidates=regions),
        ),
        unit="regions",
        counted=("identify",),
        licence="CC-BY-4.0 (annotations); Flickr terms (pictures)",
        citation="Lin et al. 2014, arXiv:1405.0312",
        homepage="https://cocodataset.org/#download",
        places=("", "annotations"),
        notes="crowd regions are left out; boxes more than 3 px off their segmentation are rejected",
    ),
)
