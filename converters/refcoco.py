"""RefCOCO, RefCOCO+ and RefCOCOg: referring expressions on COCO train2014 pictures.

Reads one of
  refs      <name>/refs(unc|umd|google).p + <name>/instances.json, as published (github.com/lichengunc/refer)
  mdetr     finetune_<name>_<split>.json, one image entry per sentence (github.com/ashkamath/mdetr)
  flat      <name>/<name>_<split>.json, MiniGPT-v2's evaluation files (github.com/Vision-CAIR/MiniGPT-4)
Boxes are (x, y, width, height) in 0-based pixels. Each sentence gives one ``refer`` record (phrase to box) and one
``identify`` record (box to phrase). Quirks: a ref's ``file_name`` is no file, its picture is found by ``image_id``; the
pickle holds no box, ``ann_id`` leads to it; a sentence may occur twice under one ref: both are people's votes and stay.
Yu et al., Modeling Context in Referring Expressions, 2016; Mao et al., Generation and Comprehension of Unambiguous
Object Descriptions, 2016.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from converters._coco import Region, by_id, image_id, number_of, outer, picture_ref, pictures, placed
from converters._read import Broken, collector_resting, items, objects, read, unpickle
from converters._table import Form, Pictured, Reading, Row, Rows, Shape, Source, Variant, malformed, record_of
from schemas.box import XYXY, Box, Size, encode
from schemas.dialect import Boxes
from schemas.errors import BoxError, ConfigError, RecordError, SourceError
from schemas.prompt import Wording
from schemas.record import ImageRef, Pair, Record, image_ref
from schemas.text import tidy

MOST_SENTENCES = 2_000_000  # RefCOCO has 142,210; a pickle can say one list over and over for a few bytes each time
_SPLITS = ("train", "val", "testA", "testB", "test")


class Expression(Pictured, frozen=True, kw_only=True):
    """One sentence about one region; bbox None where the annotation it names is not in the file."""

    phrase: str
    bbox: XYXY | None
    meta: list[Pair]


# A pickle may hold integers of any length, and Python refuses to print those of thousands of digits.
_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Sentence(msgspec.Struct, frozen=True, gc=False):
    sent_id: _Id
    sent: str
    raw: str = ""


class _Ref(msgspec.Struct, frozen=True, gc=False):
    ref_id: _Id
    ann_id: _Id
    image_id: _Id
    split: str
    sentences: list[Any]  # dicts, then _Sentence | Broken


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


def refs_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split, from the refs pickle and the instances beside it."""
    path, instances = reading.files
    with collector_resting():  # the pickle's many dicts are gone before it goes on
        refs = [_typed(ref) for ref in objects(_listed(path), _Ref) if _wanted(ref, reading.split)]
    file = outer(read(instances), instances)
    known, regions = pictures(file.images, instances), by_id(items(file.annotations, Region, instances))
    del file  # its bytes, once they are typed
    for ref in refs:
        if isinstance(ref, Broken):
            yield from _broken(reading, ref)
        elif ref.split == reading.split:
            yield from _sentences(reading, ref, regions.get(ref.ann_id), picture_ref(ref.image_id, known))
        else:
            yield malformed(reading, ref.ref_id, f"no such split: {ref.split!r}")


def _listed(path: str) -> list[Any]:
    listed = unpickle(path)
    if not isinstance(listed, list):
        raise SourceError(f"{path}: a pickle of {type(listed).__name__}, wanted the list of refs")
    if len(listed) > MOST_SENTENCES or sum(map(_sentence_count, listed)) > MOST_SENTENCES:
        raise SourceError(f"{path}: over {MOST_SENTENCES:,} sentences: no refs file is so large")
    return listed


def _wanted(ref: _Ref | Broken, split: str) -> bool:
    return isinstance(ref, Broken) or ref.split == split or ref.split not in _SPLITS


def _typed(ref: _Ref | Broken) -> _Ref | Broken:
    if isinstance(ref, Broken):
        return ref
    return msgspec.structs.replace(ref, sentences=list(objects(ref.sentences, _Sentence)))


def _broken(reading: Reading, ref: Broken) -> Iterator[Row]:
    split = ref.item.get("split") if isinstance(ref.item, dict) else None
    if split == reading.split or split not in _SPLITS:
        for place in range(max(1, _sentence_count(ref.item))):
            yield malformed(reading, f"{ref.index}-{place}", ref.why)


def _sentence_count(ref: Any) -> int:
    sentences = ref.get("sentences") if isinstance(ref, dict) else None
    return len(sentences) if isinstance(sentences, list) else 0


def _sentences(reading: Reading, ref: _Ref, region: Region | None, image: ImageRef) -> Iterator[Row]:
    bbox = region.bbox if region and region.image_id == ref.image_id else None
    meta = [Pair("ann_id", str(ref.ann_id))]
    for sentence in ref.sentences:
        if isinstance(sentence, Broken):
            yield malformed(reading, f"{ref.ref_id}-{sentence.index}", sentence.why)
            continue
        yield Expression(
            source=reading.source,
            split=reading.split,
            id=f"{ref.ref_id}-{sentence.sent_id}",
            image=image,
            phrase=sentence.raw if reading.options["text"] == "raw" else sentence.sent,
            bbox=bbox,
            meta=meta,
        )


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
    for index, entry in enumerate(items(read(path), _Flat, path)):
        yield malformed(reading, entry.index, entry.why) if isinstance(entry, Broken) else _flat(reading, index, entry)


def _flat(reading: Reading, index: int, entry: _Flat) -> Row:
    try:
        image = image_ref(image_id(number_of(entry.img_id)), Size(entry.width, entry.height))
    except RecordError as error:
        return malformed(reading, index, str(error))
    said = entry.sents
    return Expression(
        source=reading.source, split=reading.split, id=str(index), image=image, phrase=said, bbox=entry.bbox, meta=[]
    )


def _only_one_text(reading: Reading) -> None:
    if reading.options["text"] != "sent":
        raise ConfigError(
            f"{reading.source}: text={reading.options['text']} needs the refs pickle, {reading.files[0]} is none"
        )


def refer(row: Expression, wording: Wording) -> Record:
    """Phrase to box."""
    box, notes = _box(row)
    return record_of(
        row,
        "refer",
        slots=[Pair("phrase", tidy(row.phrase, "phrase"))],
        reply=[Boxes((encode(box, wording.codec),))],
        boxes=[box],
        wording=wording,
        meta=row.meta + notes,
    )


def identify(row: Expression, wording: Wording) -> Record:
    """Box to phrase: the same pair reversed."""
    box, notes = _box(row)
    return record_of(
        row,
        "identify",
        slots=[Pair("box", "0")],
        reply=[tidy(row.phrase, "phrase")],
        boxes=[box],
        wording=wording,
        meta=row.meta + notes,
    )


def _box(row: Expression) -> tuple[Box, list[Pair]]:
    if row.bbox is None:
        raise BoxError(
            f"no box: {row.source} {row.split} {row.id} names an annotation that is not there or not its own"
        )
    return placed(row.bbox, row.image)


_VARIANTS = (
    Variant("refer", candidate="a sentence", record=refer, boxed=True),
    Variant("identify", candidate="a sentence", record=identify, boxed=True),
)
_FLAT = Shape("list", frozenset({"img_id", "sents", "bbox"}))
_MDETR = Shape("object", frozenset({"images", "annotations"}), "images", frozenset({"caption", "original_id"}))
_ABC = ("train", "val", "testA", "testB")
_ONE = ("train", "val", "test")
_UNC = {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095}
_UNC_PLUS = {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}
_UMD = {"train": 80_512, "val": 4_896, "test": 9_602}


def _source(
    name: str,
    folder: str,
    title: str,
    splits: Sequence[str],
    refs: Mapping[str, Sequence[str]],
    counts: Mapping[str, int],
) -> Source:
    def form(form: str, file: str, rows: Rows, shape: Shape, within: Sequence[str]) -> Form:
        return Form(form, (file,), {split: split for split in within}, rows, shape, counts)

    by_refs = tuple(
        Form(
            split_by,
            (f"{folder}/refs({split_by}).p", f"{folder}/instances.json"),
            {split: split for split in within},
            refs_rows,
            counts=counts if split_by != "google" else {},
        )
        for split_by, within in refs.items()
    )
    return Source(
        name=name,
        title=title,
        collection="coco",
        splits={split: "train" if split == "train" else "eval" for within in refs.values() for split in within},
        forms=(
            *by_refs,
            form("mdetr", f"finetune_{folder}_{{split}}.json", mdetr_rows, _MDETR, splits),
            form("flat", f"{folder}/{folder}_{{split}}.json", flat_rows, _FLAT, splits[1:]),
        ),
        variants=_VARIANTS,
        unit="sentences",
        counted=("refer", "identify"),
        licence="Apache-2.0 (annotations); Flickr terms (pictures)",
        citation="Yu et al. 2016, arXiv:1608.00272" if name != "refcocog" else "Mao et al. 2016, arXiv:1511.02283",
        homepage="https://github.com/lichengunc/refer",
        places=("", "mdetr_annotations"),
        preferred=(next(iter(refs)),),
        options={"text": ("sent", "raw")},
        notes="val and test pictures are COCO train2014 pictures; text=raw takes the sentence as it was typed",
    )


CONVERTERS = (
    _source("refcoco", "refcoco", "RefCOCO", _ABC, {"unc": _ABC, "google": _ONE}, _UNC),
    _source("refcocoplus", "refcoco+", "RefCOCO+", _ABC, {"unc": _ABC}, _UNC_PLUS),
    _source("refcocog", "refcocog", "RefCOCOg", _ONE, {"umd": _ONE, "google": _ONE[:2]}, _UMD),
)
