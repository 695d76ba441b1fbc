"""COCO captions: five or more people's sentences per picture.

Reads one of
  2014, 2017   captions_<split><year>.json, as published (cocodataset.org)
  karpathy     dataset_coco.json: Karpathy's split of the 2014 pictures into train, restval, val and test
  lavis        coco_karpathy_<split>.json, the same split as LAVIS and BLIP publish it; its train file holds restval
               too, told apart here by the val2014 folder in its rows, so that both forms give the same splits
Each sentence gives one ``caption`` record. Quirks: sentences carry stray blanks and line breaks; the captions of one
picture are not contiguous; some pictures have six or seven; pictures without any are left alone.
Chen et al., Microsoft COCO Captions, 2015; Karpathy and Fei-Fei, 2015.
"""

from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

from converters._block import Block, InBlocks, Told, in_blocks
from converters._coco import Caption, Picture, captions, image_id, picture_json, picture_ref
from converters._karpathy import Picture as _Named
from converters._karpathy import dataset_rows, entry_rows
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, record_of
from schemas.prompt import Wording
from schemas.record import Record, image_ref
from schemas.text import tidy


class Captioned(Pictured, frozen=True, kw_only=True):
    """One sentence about one picture."""

    caption: str


class _Picture(_Named, frozen=True):
    cocoid: int


class _Sentence(msgspec.Struct, frozen=True):
    raw: str
    sentid: int


def published_blocks(reading: Reading) -> Iterator[Block | Row]:
    """One row per annotation; a picture's size is what ``images`` states of it."""
    (path,) = reading.files
    known, entries, once = captions(path)
    image = cache(lambda number: picture_json(number, known))

    def block(run: list[Caption]) -> Block:
        return Block(
            ids=[str(entry.id) for entry in run],
            images=[image(entry.image_id) for entry in run],
            texts=[entry.caption for entry in run],
            row=lambda place: _published(reading, run[place], known),
            once=once,
        )

    return in_blocks(reading, entries, block)


def _published(reading: Reading, entry: Caption, known: Mapping[int, Picture]) -> Captioned:
    image = picture_ref(entry.image_id, known)
    return Captioned(source=reading.source, split=reading.split, id=str(entry.id), image=image, caption=entry.caption)


def karpathy_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split's pictures."""
    return dataset_rows(reading, _SPLITS, _Picture, _Sentence, _of_dataset)


def _of_dataset(reading: Reading, picture: _Picture, _: int, sentence: _Sentence) -> Row:
    return _captioned(reading, str(sentence.sentid), picture.cocoid, sentence.raw)


def lavis_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence; entries have no id, so their place in the file (and in the entry's list) is it."""
    return entry_rows(reading, _captioned)


def _captioned(reading: Reading, id: str, number: int, caption: str) -> Row:
    image = image_ref(image_id(number), None)
    return Captioned(source=reading.source, split=reading.split, id=id, image=image, caption=caption)


def caption(row: Captioned, wording: Wording) -> Record:
    """The sentence, asked for."""
    return record_of(row, "caption", slots=[], reply=[tidy(row.caption, "caption")], boxes=[], wording=wording)


_SPLITS = ("train", "restval", "val", "test")
_COCO = Shape("object", frozenset({"images", "annotations"}), "annotations", frozenset({"image_id", "caption"}))
_DATASET = Shape("object", frozenset({"images"}), "images", frozenset({"cocoid", "sentences"}))
_LIST = Shape("list", frozenset({"image", "caption"}))

CONVERTERS = (
    Source(
        name="coco_caption",
        title="COCO captions",
        collection="coco",
        splits={"train": "train", "restval": "train", "val": "eval", "test": "eval"},
        forms=(
            Form(
                "2014",
                ("captions_{split}2014.json",),
                {"train": "train", "val": "val"},
                InBlocks(published_blocks),
                _COCO,
                {"train": 414_113},
            ),
            Form(
                "2017",
                ("captions_{split}2017.json",),
                {"train": "train", "val": "val"},
                InBlocks(published_blocks),
                _COCO,
                {"val": 25_014},
            ),
            Form(
                "karpathy",
                ("dataset_coco.json",),
                {split: split for split in _SPLITS},
                karpathy_rows,
                _DATASET,
                {"train": 414_113, "restval": 152_634},
            ),
            Form(
                "lavis",
                ("coco_karpathy_{split}.json",),
                {"train": "train", "restval": "train", "val": "val", "test": "test"},
                lavis_rows,
                _LIST,
                {"train": 414_113, "restval": 152_634},
            ),
        ),
        variants=(
            Variant(
                "caption", candidate="a sentence", record=Told(caption, "caption", slot=None, reply="text"), boxed=False
            ),
        ),
        unit="sentences",
        counted=("caption",),
        licence="CC-BY-4.0 (annotations); Flickr terms (pictures)",
        citation="Chen et al. 2015, arXiv:1504.00325",
        homepage="https://cocodataset.org/#download",
        places=("", "annotations"),
        notes="train and restval together are the 113,287 pictures that Karpathy's split trains on",
    ),
)
