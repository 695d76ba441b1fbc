"""Records and samples: Boxcar's validated unit, its linter, and how it is put into words.

One schema for every source: every field is always present, there are no maps whose keys depend on the data, and no
mixed types, so that Arrow, Hugging Face ``datasets`` and plain JSON readers all see the same columns.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import msgspec

from schemas.box import Bins, Box, Codec, Size, encode, latest
from schemas.dialect import Span, box_text, parse, plain_tokens, render
from schemas.errors import BoxError, RecordError, TextError
from schemas.prompt import Wording, choose, draw, fill
from schemas.text import TASKS, harmless, quote

SCHEMA = "boxcar/1"
RECORD_KEY = re.compile(r"[A-Za-z0-9_/+-]+")
IDENTIFIER = re.compile(rf"\[(?:{'|'.join(TASKS)})\] ")

Role = Literal["user", "assistant"]
Task = Literal["caption", "grounding", "refer", "identify", "detection", "vqa"]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number about a picture, such as its CLIP similarity."""

    name: str
    value: float


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name and its value, both text."""

    name: str
    value: str


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One distinct answer to a question and how many people gave it."""

    text: str
    count: int


class ImageRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture by its canonical id; sizes in pixels and sha256 are those of the stored bytes, None where unknown."""

    id: str
    aliases: list[str]
    width: int | None
    height: int | None
    sha256: str | None
    license: str | None
    scores: list[Score]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn, with the role and key that chat templates take."""

    role: Role
    content: str


class Draw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it takes to word the record again: pool, slots, and all answers; pool None where nothing is drawn.

    A slot named ``box`` holds the index of its box in the record's boxes, any other slot its text, unquoted. Where
    there are answers, the reply is one of them, each as likely as its count says.
    """

    pool: str | None
    slots: list[Pair]
    answers: list[Answer]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One conversation about one picture (or none), with its boxes in reading order of their tokens."""

    key: str
    source: str
    split: str
    task: Task | None
    messages: list[Message]
    boxes: list[Box]
    draw: Draw
    meta: list[Pair]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One picture with all its records of a pool: what one key in a tar holds."""

    schema: str
    image: ImageRef | None
    records: list[Record]


def identifier(task: str | None) -> str:
    """What stands in front of a user's turn of that task: ``[refer] `` and so on, nothing for plain chat."""
    return f"[{task}] " if task else ""


def image_ref(id: str, size: Size | None) -> ImageRef:
    """A picture known by its id and, where an annotation states it, its size; its bytes not yet seen."""
    width, height = size or (None, None)
    return ImageRef(id, [], width, height, None, None, [])


def image_json(id: str, size: Size | None) -> str:
    """What ``image_ref`` gives, as JSON, for an id whose characters stand in JSON as they are."""
    width, height = size or ("null", "null")
    return f'{{"id":"{id}","aliases":[],"width":{width},"height":{height},"sha256":null,"license":null,"scores":[]}}'


def _roles(turns: int) -> list[Role]:
    both: list[Role] = ["user", "assistant"]
    return (both * turns)[:turns]


def single_turn(
    key: str,
    source: str,
    split: str,
    task: Task,
    *,
    slots: Sequence[Pair],
    reply: Sequence[Span] | Sequence[Answer],
    boxes: Sequence[Box],
    wording: Wording,
    meta: Sequence[Pair] = (),
    pool: str | None = None,
) -> Record:
    """A record of one question, worded for epoch 0, and the reply; its boxes in reading order.

    ``pool`` is the template pool, by default the one named after the task. A reply of answers is drawn from them.
    """
    answers = [one for one in reply if isinstance(one, Answer)]
    drawn = Draw(pool=pool or task, slots=list(slots), answers=answers)
    question = Message("user", asked(task, drawn, boxes, key, wording, epoch=0))
    said = answered(answers, key, wording, epoch=0) if answers else render(reply)  # type: ignore[arg-type]
    return Record(key, source, split, task, [question, Message("assistant", said)], list(boxes), drawn, list(meta))


def chat(
    key: str, source: str, split: str, turns: Sequence[Sequence[Span]], boxes: Sequence[Box], meta: Sequence[Pair] = ()
) -> Record:
    """A plain conversation: the turns, user first, as they are; nothing of it is drawn."""
    messages = [Message(role, render(turn)) for role, turn in zip(_roles(len(turns)), turns, strict=True)]
    return Record(key, source, split, None, messages, list(boxes), Draw(None, [], []), list(meta))


def counted(texts: Iterable[str]) -> list[Answer]:
    """The distinct answers with how often each was given, most frequent first, then as they first came."""
    return [Answer(text, count) for text, count in Counter(texts).most_common()]


def answered(answers: Sequence[Answer], key: str, wording: Wording, epoch: int) -> str:
    """The answer drawn for that epoch, quoted: a pure function of (seed, key, epoch), as likely as its count says."""
    left = draw(wording.seed, key, epoch, "answer") % sum(answer.count for answer in answers)
    for answer in answers:
        left -= answer.count
        if left < 0:
            return quote(answer.text)
    raise RecordError(f"no answers: {key} has none that anybody gave")


def asked(task: Task, drawn: Draw, boxes: Sequence[Box], key: str, wording: Wording, epoch: int) -> str:
    """The question that the draw gives in that epoch: identifier, then the template with its slots filled."""
    template = choose(wording.seed, key, epoch, wording.pools[drawn.pool or task])
    return identifier(task) + fill(template, {slot.name: _slot(slot, boxes, wording) for slot in drawn.slots})


def reworded(record: Record, wording: Wording, epoch: int) -> Record:
    """The record as it is asked in that epoch; the record itself where nothing of it is drawn."""
    if record.draw.pool is None or record.task is None:
        return record
    question = Message("user", asked(record.task, record.draw, record.boxes, record.key, wording, epoch))
    reply = record.messages[1:]
    if record.draw.answers:
        reply = [Message("assistant", answered(record.draw.answers, record.key, wording, epoch))]
    return msgspec.structs.replace(record, messages=[question, *reply])


def recoded(record: Record, by: Codec) -> Record:
    """The record with the tokens of all its boxes written by another codec; BoxError where tokens and boxes differ."""
    left = iter(record.boxes)
    messages = [Message(turn.role, _recoded(turn, left, by)) for turn in record.messages]
    if extra := len(list(left)):
        raise BoxError(f"boxes without tokens: {extra} of {len(record.boxes)} in {record.key}")
    return msgspec.structs.replace(record, messages=messages)


def _slot(slot: Pair, boxes: Sequence[Box], wording: Wording) -> str:
    if slot.name == "box":
        return _token(boxes[int(slot.value)], wording.codec)
    return quote(slot.value)


@latest
def _token(box: Box, by: Codec) -> str:
    return box_text((encode(box, by),))


def _recoded(turn: Message, left: Iterator[Box], by: Codec) -> str:
    head = _identified(turn)
    return head + render(_respan(span, left, by) for span in parse(turn.content[len(head) :]))


def _identified(turn: Message) -> str:
    task = IDENTIFIER.match(turn.content) if turn.role == "user" else None
    return task.group() if task else ""


def _respan(span: Span, left: Iterator[Box], by: Codec) -> Span:
    if isinstance(span, str):
        return span
    bins = tuple(encode(box, by) for box in islice(left, len(span.boxes)))
    if len(bins) < len(span.boxes):
        raise BoxError("tokens without boxes: the text holds more boxes than the record")
    return span._replace(boxes=bins)


def lint(record: Record, by: Codec) -> None:
    """Prove one record: keys, turns, identifier, and that every token is exactly its box encoded; else RecordError."""
    if _plainly_sound(record, by):
        return
    if not RECORD_KEY.fullmatch(record.key):
        raise RecordError(f"bad record key: {record.key!r}, wanted {RECORD_KEY.pattern}")
    roles = [turn.role for turn in record.messages]
    if not roles or len(roles) % 2 or roles != _roles(len(roles)):
        raise RecordError(f"bad turns: {roles} in {record.key}, wanted user and assistant in turn")
    _lint_text(record)
    tokens = [bins for turn in record.messages for bins in _tokens(turn)]
    if len(tokens) != len(record.boxes):
        what = "tokens without boxes" if len(tokens) > len(record.boxes) else "boxes without tokens"
        raise BoxError(f"{what}: {len(tokens)} tokens, {len(record.boxes)} boxes in {record.key}")
    if tokens != [encode(box, by) for box in record.boxes]:
        raise BoxError(f"tokens differ from boxes: {[turn.content for turn in record.messages]} in {record.key}")


def _plainly_sound(record: Record, by: Codec) -> bool:
    # A look that proves of nearly every record what parsing would: one turn each, and in the two of them nothing that
    # could be markup but the tokens of all boxes, and phrases before them. False says nothing.
    if len(record.messages) != 2 or not RECORD_KEY.fullmatch(record.key):
        return False
    user, assistant = record.messages
    question, answer, head = user.content, assistant.content, identifier(record.task)
    if user.role != "user" or assistant.role != "assistant" or not question.startswith(head):
        return False
    if not answer or answer.isspace() or not question or question.isspace():
        return False
    both = f"{question[len(head) :]}\n{answer}"
    if not record.boxes:
        return harmless(both)
    tokens = [_token(box, by) for box in record.boxes]
    if len(tokens) == 1 and "</p>" not in answer:
        before, found, after = both.partition(tokens[0])
        return bool(found) and harmless(before + after)
    return plain_tokens(both) == tokens


def _tokens(turn: Message) -> Iterator[Bins]:
    spans = parse(turn.content[len(_identified(turn)) :])
    return (bins for span in spans if not isinstance(span, str) for bins in span.boxes)


def _lint_text(record: Record) -> None:
    for turn in record.messages:
        if not turn.content or turn.content.isspace():
            raise TextError(f"empty turn: {turn.role} in {record.key}")
    if not record.messages[0].content.startswith(identifier(record.task)):
        raise TextError(f"no task identifier: {record.messages[0].content[:40]!r} in {record.key}")
