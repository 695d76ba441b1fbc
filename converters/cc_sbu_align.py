"""MiniGPT-4's aligned captions: a paragraph about each of some 3,400 pictures of CC3M and SBU.

Reads filter_cap.json (github.com/Vision-CAIR/MiniGPT-4), in the root or in the folder cc_sbu_align:
  {"annotations": [{"image_id": "2", "caption": ...}]}
Pictures are ``image/2.jpg`` and so on, beside it. Each annotation gives one record of plain chat: somebody asks for
detail and the caption is the answer, as no template of the ``caption`` task asks for a paragraph. Quirks: ids are text,
a number is taken for one; a model wrote the captions, and some of what they tell is not in the picture.
Zhu et al., MiniGPT-4, 2023.
"""

from collections.abc import Iterator

import msgspec

from converters._read import decode, items, read
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, each
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Record, chat, image_ref
from schemas.text import tidy_lines

ASKED = "Describe this image in detail."


class Aligned(Pictured, frozen=True, kw_only=True):
    """A picture and a paragraph about it."""

    caption: str


class _Entry(msgspec.Struct, frozen=True):
    image_id: str | int
    caption: str


class _File(msgspec.Struct, frozen=True):
    annotations: msgspec.Raw


def rows(reading: Reading) -> Iterator[Row]:
    """One row per annotation; its picture's id is its own."""
    (path,) = reading.files
    return each(reading, items(decode(read(path), _File, path).annotations, _Entry, path), _aligned)


def _aligned(reading: Reading, _: int, entry: _Entry) -> Row:
    id = str(entry.image_id)
    if not (id.isascii() and id.isdigit()):
        raise RecordError(f"bad image id: {id[:80]!r}, wanted digits")
    image = image_ref(f"cc_sbu_align/{id}", None)
    return Aligned(source=reading.source, split=reading.split, id=id, image=image, caption=entry.caption)


def detail(row: Aligned, wording: Wording) -> Record:
    """The paragraph, as the answer to who asks for detail."""
    turns = [[ASKED], [tidy_lines(row.caption.lstrip(), "caption")]]
    return chat(row.key(None), row.source, row.split, turns, boxes=[])


_SHAPE = Shape("object", frozenset({"annotations"}), "annotations", frozenset({"image_id", "caption"}))

CONVERTERS = (
    Source(
        name="cc_sbu_align",
        title="MiniGPT-4's aligned captions",
        collection="cc_sbu_align",
        splits={"train": "train"},
        forms=(Form("published", ("filter_cap.json",), {"train": "train"}, rows, _SHAPE),),
        variants=(Variant(None, candidate="a picture", record=detail, boxed=False),),
        unit="pictures",
        counted=(),
        licence="not stated (captions); the pictures are their owners'",
        citation="Zhu et al. 2023, arXiv:2304.10592",
        homepage="https://huggingface.co/datasets/Vision-CAIR/cc_sbu_align",
        places=("", "cc_sbu_align"),
        notes="a model wrote the captions; no exact count is official",
    ),
)
