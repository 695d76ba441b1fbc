"""LLaVA's visual instructions: conversations about COCO pictures, written by GPT-4 from their captions and boxes.

Reads one of conversation_58k.json, detail_23k.json and complex_reasoning_77k.json, as published
(huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K): a list of
  {"id": ..., "image": ..., "conversations": [{"from": "human" or "gpt", "value": ...}, ...]}
Each conversation gives one record of plain chat. Quirks:
  the line ``<image>`` stands first or last in the first human turn and goes, with the line break beside it; elsewhere
    it belongs to nothing and the conversation is rejected (both places occur: LLaVA's own files)
  pictures have their 2014 names (MiniGPT-4), their 2017 names, or a folder before them (LLaVA 1.5's mix): the integer
    id is what counts; in that mix ids may be integers and occur twice, and entries without ``image`` are text alone
Liu et al., Visual Instruction Tuning, 2023, arXiv:2304.08485.
"""

from collections.abc import Iterator

import msgspec

from converters._coco import image_id, number_of
from converters._read import Broken, items, read
from converters._table import Form, Reading, Row, Shape, Source, Variant, malformed
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import RECORD_KEY, ImageRef, Record, chat, image_ref
from schemas.text import tidy_lines

PLACEHOLDER = "<image>"
_SPEAKERS = ("human", "gpt")
_TURNS = ("question", "answer")


class _Said(msgspec.Struct, frozen=True):
    value: str
    speaker: str = msgspec.field(name="from")


class _Entry(msgspec.Struct, frozen=True):
    id: str | int
    conversations: list[_Said]
    image: str | None = None


class Conversation(Row, frozen=True, kw_only=True):
    """What was said, and by whom; ``unplaced`` says why the picture that the entry names is none of COCO's."""

    said: list[_Said]
    unplaced: str = ""


def rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of the list; its id is the entry's own, or its place where a key could not hold that."""
    (path,) = reading.files
    for place, entry in enumerate(items(read(path), _Entry, path)):
        if isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
            continue
        image, unplaced = _picture(entry.image)
        yield Conversation(
            source=reading.source,
            split=reading.split,
            id=str(entry.id) if RECORD_KEY.fullmatch(str(entry.id)) else f"row{place}",
            image=image,
            said=entry.conversations,
            unplaced=unplaced,
        )


def _picture(file_name: str | None) -> tuple[ImageRef | None, str]:
    if file_name is None:
        return None, ""
    try:
        return image_ref(image_id(number_of(file_name)), None), ""
    except RecordError as error:
        return None, str(error)


def conversation(row: Conversation, wording: Wording) -> Record:
    """The turns as they were said, without the placeholder of the picture."""
    if row.unplaced:
        raise RecordError(row.unplaced)
    _insist_in_turn(row.said)
    turns = [tidy_lines(said.value, _TURNS[place % 2]) for place, said in enumerate(row.said)]
    if row.image is not None:
        turns[0] = _without_placeholder(turns[0])
    for turn in turns:
        if PLACEHOLDER in turn:
            raise RecordError(f"image placeholder out of place: {turn[:80]!r}, wanted a first or last line of its own")
    return chat(row.key(None), row.source, row.split, [[turn] for turn in turns], boxes=[])


def _insist_in_turn(said: list[_Said]) -> None:
    speakers = [one.speaker for one in said]
    if any(speaker != _SPEAKERS[place % 2] for place, speaker in enumerate(speakers)):
        raise RecordError(f"speakers out of turn: {speakers}, wanted human and gpt in turn")
    if not said or len(said) % 2:
        raise RecordError(f"turns unequal: {len(said)} of them, wanted an answer to each question")


def _without_placeholder(question: str) -> str:
    lines = question.split("\n")
    if lines[0].strip() == PLACEHOLDER:
        return tidy_lines("\n".join(lines[1:]), "question")
    if lines[-1].strip() == PLACEHOLDER:
        return tidy_lines("\n".join(lines[:-1]), "question")
    return question


_SHAPE = Shape("list", frozenset({"conversations"}))


def _source(name: str, file: str, title: str) -> Source:
    return Source(
        name=name,
        title=title,
        collection="coco",
        splits={"train": "train"},
        forms=(Form("published", (file,), {"train": "train"}, rows, _SHAPE),),
        variants=(Variant(None, candidate="a conversation", record=conversation, boxed=False),),
        unit="conversations",
        counted=(),
        licence="CC-BY-4.0 and OpenAI's terms (text); Flickr terms (pictures)",
        citation="Liu et al. 2023, arXiv:2304.08485",
        homepage="https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K",
        notes="GPT-4 wrote the text from captions and boxes, not from pictures; no exact count is official",
    )


CONVERTERS = (
    _source("llava_conversation", "conversation_58k.json", "LLaVA, conversations"),
    _source("llava_detail", "detail_23k.json", "LLaVA, detailed descriptions"),
    _source("llava_reason", "complex_reasoning_77k.json", "LLaVA, complex reasoning"),
)
