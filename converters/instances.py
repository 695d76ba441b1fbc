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

from itertools import chain

from converters._coco import placed
from converters._instances import Instance, Kind, kinds, regions, rows
from converters._segmentation import extent
from converters._table import Form, Shape, Source, Variant, record_of
from schemas.box import Box, encode
from schemas.dialect import Boxes, Phrase
from schemas.errors import BoxError, Filtered, RecordError
from schemas.prompt import Wording
from schemas.record import ImageRef, Pair, Record
from schemas.text import tidy

TOLERANCE_PX = 3.0


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
