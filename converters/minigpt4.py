"""MiniGPT-v2's selection of Flickr30k Entities, as its authors made it and where somebody still has it.

Reads, each as a source of its own, lists of
  groundedcaption.json   {"image_id", "grounded_caption"}: a sentence with ``<p>a man</p> {<8><0><62><91>}`` in it
  captiontobbox.json     {"image_id", "caption", "output"}: a sentence, and its phrases with their boxes
  phrasetobbox.json      {"image_id", "phrase", "bbox"}: a phrase, and its boxes as text
Boxes are 0-100 tokens in the text (see converters/_minigpt4.py). Quirks: ``image_id`` is a number or text; entries have
no id of their own, so their place in the list is it. All pictures are of Entities' train split, as the authors say.
Chen et al., MiniGPT-v2, 2023; source: github.com/Vision-CAIR/MiniGPT-4.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from converters._flickr30k import flickr_image
from converters._minigpt4 import NAMES, NOTE, authors_source, token_boxes
from converters._read import items, read
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, each, record_of
from schemas.dialect import Boxes, Phrase, Span, parse
from schemas.errors import BoxError
from schemas.prompt import Wording
from schemas.record import Pair, Record, Task
from schemas.text import tidy


class Worded(Pictured, frozen=True, kw_only=True):
    """What is asked about, empty where that is the whole picture, and an answer with boxes as tokens."""

    asked: str
    reply: str


class _Grounded(msgspec.Struct, frozen=True, rename={"reply": "grounded_caption"}):
    image_id: int | str
    reply: str
    asked: str = ""


class _Parsed(msgspec.Struct, frozen=True, rename={"asked": "caption", "reply": "output"}):
    image_id: int | str
    asked: str
    reply: str


class _Located(msgspec.Struct, frozen=True, rename={"asked": "phrase", "reply": "bbox"}):
    image_id: int | str
    asked: str
    reply: str


_Entry = _Grounded | _Parsed | _Located


def rows(kind: type[Any], reading: Reading) -> Iterator[Row]:
    """One row per entry."""
    (path,) = reading.files
    return each(reading, items(read(path), kind, path), _worded)


def _worded(reading: Reading, index: int, entry: _Entry) -> Row:
    return Worded(
        source=reading.source,
        split=reading.split,
        id=str(index),
        image=flickr_image(str(entry.image_id)),
        asked=entry.asked,
        reply=entry.reply,
    )


def grounding(row: Worded, wording: Wording) -> Record:
    """A description is asked for, the answer is the sentence with boxes."""
    return _answered(row, "grounding", [], parse(tidy(row.reply, "answer")), wording)


def parsing(row: Worded, wording: Wording) -> Record:
    """Sentence to its phrases and their boxes."""
    slots = [Pair("caption", tidy(row.asked, "caption"))]
    return _answered(row, "detection", slots, parse(tidy(row.reply, "answer")), wording, "detection_caption")


def phrase(row: Worded, wording: Wording) -> Record:
    """Phrase to all its boxes."""
    text = tidy(row.asked, "phrase")
    match parse(tidy(row.reply, "answer")):
        case [Boxes(boxes)]:
            slots = [Pair("phrase", text)]
            return _answered(row, "detection", slots, [Phrase(text, boxes)], wording, "detection_phrase")
    raise BoxError(f"not boxes alone: {row.reply[:80]!r}, wanted {{<x1><y1><x2><y2>}} joined by <delim>")


def _answered(
    row: Worded, task: Task, slots: list[Pair], reply: list[Span], wording: Wording, pool: str | None = None
) -> Record:
    boxes = token_boxes(reply, wording)
    if not boxes:
        raise BoxError(f"no boxes: none in {row.reply[:80]!r}")
    return record_of(row, task, slots=slots, reply=reply, boxes=boxes, wording=wording, meta=[NOTE], pool=pool)


def _source(name: str, title: str, file: str, kind: type[_Entry], keys: set[str], variant: Variant) -> Source:
    shape = Shape("list", frozenset({"image_id", *keys}))
    form = Form("published", (file,), NAMES, partial(rows, kind), shape)
    return authors_source(f"minigpt4_flickr_{name}", title, "flickr30k", "filtered_flickr", (form,), variant)


CONVERTERS = (
    _source(
        "grounded",
        "MiniGPT-v2's grounded captions of Flickr30k",
        "groundedcaption.json",
        _Grounded,
        {"grounded_caption"},
        Variant("grounding", "an entry", grounding, boxed=False),
    ),
    _source(
        "parsing",
        "MiniGPT-v2's captions of Flickr30k with their phrases",
        "captiontobbox.json",
        _Parsed,
        {"caption", "output"},
        Variant("detection", "an entry", parsing, boxed=False),
    ),
    _source(
        "phrase",
        "MiniGPT-v2's phrases of Flickr30k",
        "phrasetobbox.json",
        _Located,
        {"phrase", "bbox"},
        Variant("detection", "an entry", phrase, boxed=False),
    ),
)
