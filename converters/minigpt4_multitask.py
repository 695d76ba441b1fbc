"""MiniGPT-v2's conversations of several tasks about a COCO picture, as its authors made them, where people have them.

Reads multitask_conversation.json, which the authors' configuration calls multi_task_conversation.json: a list of
  {"id": "000000203564", "conversations": [{"from": "human" or "gpt", "value": ...}, ...]}
The turns hold task identifiers, ``[refer] a cup``, and boxes as 0-100 tokens (see converters/_minigpt4.py) already, and
stay as they are. Quirks: the first turn holds ``<image>`` and line breaks, which go; ids occur more than once, so an
entry's place in the list is its id here; RefCOCO's boxes are people's, those of captions and detection were predicted
by a model of the authors', so they are no ground truth (github.com/Vision-CAIR/MiniGPT-4/issues/401).
Chen et al., MiniGPT-v2, 2023.
"""

import re
from collections.abc import Iterator

import msgspec

from converters._coco import image_id
from converters._minigpt4 import NAMES, NOTE, authors_source, token_boxes
from converters._read import items, read
from converters._table import Form, Pictured, Reading, Row, Shape, Variant, each
from schemas.dialect import Span, parse
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import IDENTIFIER, Draw, Message, Record, Role, image_ref
from schemas.text import tidy, tidy_lines

_ROLES: dict[str, Role] = {"human": "user", "gpt": "assistant"}
_COCO_ID = re.compile("[0-9]{1,12}")


class _Turn(msgspec.Struct, frozen=True):
    value: str
    speaker: str = msgspec.field(name="from")


class _Entry(msgspec.Struct, frozen=True):
    id: int | str
    conversations: list[_Turn]


class Conversation(Pictured, frozen=True, kw_only=True):
    """What was said, and by whom."""

    said: list[_Turn]


def rows(reading: Reading) -> Iterator[Row]:
    """One row per conversation."""
    (path,) = reading.files
    return each(reading, items(read(path), _Entry, path), _conversation)


def _conversation(reading: Reading, index: int, entry: _Entry) -> Row:
    if not _COCO_ID.fullmatch(str(entry.id)):
        raise RecordError(f"no picture id: {str(entry.id)[:40]!r}, wanted at most 12 digits")
    image = image_ref(image_id(int(entry.id)), None)
    return Conversation(
        source=reading.source, split=reading.split, id=str(index), image=image, said=entry.conversations
    )


def conversation(row: Conversation, wording: Wording) -> Record:
    """The turns as they are, identifiers and all; nothing of it is drawn."""
    messages = [_message(turn, first=place == 0) for place, turn in enumerate(row.said)]
    boxes = [box for message in messages for box in token_boxes(_spans(message), wording)]
    meta = [NOTE] if boxes else []
    return Record(row.key(None), row.source, row.split, None, messages, boxes, Draw(None, [], []), meta)


def _message(turn: _Turn, first: bool) -> Message:
    if turn.speaker not in _ROLES:
        raise RecordError(f"unknown speaker: {turn.speaker[:40]!r}, wanted {' or '.join(_ROLES)}")
    text = tidy(turn.value.replace("<image>", " "), "turn") if first else tidy_lines(turn.value, "turn")
    return Message(_ROLES[turn.speaker], text)


def _spans(message: Message) -> list[Span]:
    task = IDENTIFIER.match(message.content)  # the linter refuses one in an answer
    return parse(message.content[task.end() if task else 0 :])


_SHAPE = Shape("list", frozenset({"id", "conversations"}))

CONVERTERS = (
    authors_source(
        "minigpt4_multitask",
        "MiniGPT-v2's multi-task conversations",
        "coco",
        "multitask_conversation",
        tuple(Form(name, (f"{name}_conversation.json",), NAMES, rows, _SHAPE) for name in ("multitask", "multi_task")),
        Variant(None, "a conversation", conversation, boxed=False),
    ),
)
