"""TextCaps: captions of pictures with writing in them, five people's each.

Reads TextCaps_0.1_<split>.json, as published (textvqa.org/textcaps). Each entry of ``data`` is one caption and gives
one ``caption`` record. Pictures are TextVQA's, from OpenImages; sizes are in pixels.
Quirks: validation pictures lie in train_images; ``reference_strs`` repeats all captions of the picture in each of its
entries, this one's too, so it holds no further ones; the same caption may be given twice and stays; keys come in any
order, though LAVIS takes the fourth for ``data``; test has no captions (github.com/google-research/big_vision).
Sidorov et al., TextCaps, 2020.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from converters._read import Broken, decode, items, read
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, malformed, record_of
from schemas.box import Size
from schemas.errors import TextError
from schemas.prompt import Wording
from schemas.record import Record, image_ref
from schemas.text import tidy


class Captioned(Pictured, frozen=True, kw_only=True):
    """One sentence about one picture; None where the entry holds no caption."""

    caption: str | None


class _File(msgspec.Struct, frozen=True):
    data: msgspec.Raw


class _Entry(msgspec.Struct, frozen=True):
    image_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    caption_id: int
    caption_str: str | None = None
    image_width: int = 0
    image_height: int = 0


def rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of ``data``."""
    (path,) = reading.files
    for entry in items(decode(read(path), _File, path).data, _Entry, path):
        yield malformed(reading, entry.index, entry.why) if isinstance(entry, Broken) else _captioned(reading, entry)


def _captioned(reading: Reading, entry: _Entry) -> Captioned:
    size = Size(entry.image_width, entry.image_height)
    return Captioned(
        source=reading.source,
        split=reading.split,
        id=str(entry.caption_id),
        image=image_ref(f"openimages/{entry.image_id}", size if min(size) > 0 else None),
        caption=entry.caption_str,
    )


def caption(row: Captioned, wording: Wording) -> Record:
    """The sentence, asked for."""
    if row.caption is None:
        raise TextError(f"no caption: {row.source} {row.split} {row.id} has no caption_str")
    return record_of(row, "caption", slots=[], reply=[tidy(row.caption, "caption")], boxes=[], wording=wording)


_DATA = Shape("object", frozenset({"data"}), "data", frozenset({"image_id", "caption_id"}))
_FILES = ("TextCaps_0.1_{split}.json",)

CONVERTERS = (
    Source(
        name="textcaps",
        title="TextCaps",
        collection="openimages",
        splits={"train": "train", "val": "eval"},
        forms=(
            Form(
                "published",
                _FILES,
                {"train": "train", "val": "val"},
                rows,
                _DATA,
                {"train": 109_765, "val": 15_830},
            ),
        ),
        variants=(Variant("caption", candidate="a sentence", record=caption, boxed=False),),
        unit="sentences",
        counted=("caption",),
        licence="CC-BY-4.0",
        citation="Sidorov et al. 2020, arXiv:2003.12462",
        homepage="https://textvqa.org/textcaps/dataset/",
        closed=("test",),
        notes="pictures are TextVQA's train_val_images.zip; those of val are among them, in train_images/",
    ),
)
