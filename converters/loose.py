"""Captioned web pictures that lie as loose files beside a list of them: LLaVA's pretraining, and CC3M as LAVIS has it.

Reads
  llava_pretrain  blip_laion_cc_sbu_558k.json, pictures images/00001/000019465.jpg, and
  llava_cc3m      chat.json, pictures images/GCC_train_000000000.jpg (huggingface.co/datasets/liuhaotian): lists of
                  {"image": ..., "conversations": [{"from": "human", ...}, {"from": "gpt", "value": the caption}]}
  cc3m_lavis      CC3M's own TSVs, pictures training/<row>_<crc32>.jpg and validation/...: the row counted from 0, the
                  checksum of its link (github.com/salesforce/LAVIS)
Each entry gives one ``caption`` record. LLaVA's questions say no more than that a caption is wanted, in some wordings;
they are left out for the template pool's. Of LAVIS's pictures the links are known: they stand as aliases, so that one
that was fetched is known to be the same. A row whose picture was never loaded is a missing picture.
Liu et al., Visual Instruction Tuning, 2023; Li et al., LAVIS, 2022.
"""

import re
from collections.abc import Iterator
from typing import Literal
from zlib import crc32

import msgspec

from converters._read import items, read
from converters._table import (
    Form,
    LinkList,
    Pictured,
    Reading,
    Row,
    Shape,
    Source,
    Use,
    Variant,
    each,
    record_of,
)
from converters._web import ROWS, web_id
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import ImageRef, Record, image_ref
from schemas.text import tidy

_NAME = re.compile(r"(?:[0-9]{5}/|GCC_train_)([0-9]+)\.jpg")
_LINES = LinkList("tsv", "url", "caption", columns=("caption", "url"))


class Loose(Pictured, frozen=True, kw_only=True):
    """A picture and its caption."""

    caption: str


class _Said(msgspec.Struct, frozen=True):
    value: str
    speaker: Literal["human", "gpt"] = msgspec.field(name="from")


class _Entry(msgspec.Struct, frozen=True):
    image: str
    conversations: tuple[_Said, _Said]


def asked_rows(reading: Reading) -> Iterator[Row]:
    """One row per entry; the number in its picture's name is its id."""
    (path,) = reading.files
    return each(reading, items(read(path), _Entry, path), _answered)


def _answered(reading: Reading, _: int, entry: _Entry) -> Row:
    name = _NAME.fullmatch(entry.image)
    if not name:
        raise RecordError(f"bad picture name: {entry.image[:80]!r}, wanted a folder or GCC_train_, digits and .jpg")
    if [said.speaker for said in entry.conversations] != ["human", "gpt"]:
        raise RecordError("speakers out of turn: wanted human and gpt")
    image = image_ref(f"{reading.source}/{name[1]}", None)
    return _loose(reading, name[1], image, entry.conversations[1].value)


def numbered_rows(reading: Reading) -> Iterator[Row]:
    """One row per line; its number and the checksum of its link are what its picture is called."""
    from converters._links import batches  # and with it pyarrow: see converters/_downloads.py

    found = (row for batch in batches(_LINES, reading.files, ROWS) for row in batch.to_pylist())
    return each(reading, found, _numbered)


def _numbered(reading: Reading, place: int, line: dict[str, str | None]) -> Row:
    url, caption = line["url"], line["caption"]
    if url is None or caption is None:
        raise RecordError("bad line: no caption, TAB and link")
    id = f"{place}_{crc32(url.encode())}"
    image = ImageRef(f"cc3m_lavis/{id}", [web_id(url)], None, None, None, None, [])
    return _loose(reading, id, image, caption)


def _loose(reading: Reading, id: str, image: ImageRef, caption: str) -> Row:
    return Loose(source=reading.source, split=reading.split, id=id, image=image, caption=caption)


def caption(row: Loose, wording: Wording) -> Record:
    """The caption, asked for."""
    return record_of(row, "caption", slots=[], reply=[tidy(row.caption, "caption")], boxes=[], wording=wording)


_SHAPE = Shape("list", frozenset({"image", "conversations"}))
_TSVS = {"train": "Train_GCC-training", "val": "Validation_GCC-1.1.0-Validation"}


def _source(
    name: str, title: str, splits: dict[str, Use], form: Form, citation: str, homepage: str, note: str
) -> Source:
    return Source(
        name=name,
        title=title,
        collection=name,
        splits=splits,
        forms=(form,),
        variants=(Variant("caption", candidate="a picture", record=caption, boxed=False),),
        unit="pictures",
        counted=("caption",),
        licence="as is (captions); the pictures are their owners'",
        citation=citation,
        homepage=homepage,
        notes=note,
    )


def _llava(name: str, title: str, file: str) -> Source:
    form = Form("published", (file,), {"train": "train"}, asked_rows, _SHAPE)
    home = "https://huggingface.co/datasets/liuhaotian"
    note = "captions are BLIP's or CC3M's; LLaVA's own questions are left out"
    return _source(name, title, {"train": "train"}, form, "Liu et al. 2023, arXiv:2304.08485", home, note)


CONVERTERS = (
    _llava("llava_pretrain", "LLaVA 1.5's pretraining pictures", "blip_laion_cc_sbu_558k.json"),
    _llava("llava_cc3m", "LLaVA's pretraining pictures of CC3M", "chat.json"),
    _source(
        "cc3m_lavis",
        "CC3M, downloaded by LAVIS",
        {"train": "train", "val": "eval"},
        Form("published", ("{split}.tsv",), _TSVS, numbered_rows),
        "Sharma et al. 2018, aclanthology.org/P18-1238",
        "https://github.com/salesforce/LAVIS",
        "pictures that were never loaded are many: missing_images: filter",
    ),
)
