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

from collections.abc import Mapping, Sequence

from converters._block import InBlocks, Told
from converters._coco import placed
from converters._expressions import Expression, flat_rows, mdetr_rows
from converters._refs import refs_blocks
from converters._table import Form, Rows, Shape, Source, Variant, record_of
from schemas.box import Box, encode
from schemas.dialect import Boxes
from schemas.errors import BoxError
from schemas.prompt import Wording
from schemas.record import Pair, Record
from schemas.text import tidy


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
    Variant("refer", "a sentence", Told(refer, "refer", slot="phrase", reply="box"), boxed=True),
    Variant("identify", "a sentence", Told(identify, "identify", slot="box", reply="text"), boxed=True),
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
            InBlocks(refs_blocks),
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
