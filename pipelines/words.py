"""How a stored record is put into words when it is drawn: its wording of the epoch, codec, identifiers, text rules.

``RELEASED`` is where MiniGPT-v2's recipe sends text through ``blip_caption``: github.com/Vision-CAIR/MiniGPT-4,
minigpt4/datasets/datasets/*.py. What it never touches is left alone here too: box tokens, phrases and whatever else
stands in a turn that holds boxes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from schemas.box import Codec, codec
from schemas.dialect import parse
from schemas.errors import RecordError
from schemas.lock import LockedPart, PinnedPool
from schemas.mixture import Render
from schemas.prompt import SLOTS, Wording
from schemas.record import IDENTIFIER, Draw, Message, Record, recoded, reworded
from schemas.text import quote

MAX_WORDS = 50
_MARKS = re.compile(r"[.!\"()*#:;~]")
_BLANKS = re.compile(r"\s{2,}")
_NEVER_TEXT = "box"  # the slot that holds the number of a box


class _Touched(NamedTuple):
    question: bool
    answer: bool


# By task, and of plain chat, which has none, by source; whatever is not listed stays as it is.
RELEASED: Mapping[str, _Touched] = {
    "caption": _Touched(question=False, answer=True),
    "refer": _Touched(question=True, answer=False),
    "identify": _Touched(question=False, answer=True),
    "vqa": _Touched(question=True, answer=True),
    "llava_detail": _Touched(question=True, answer=False),
    "llava_reason": _Touched(question=True, answer=False),
    "unnatural": _Touched(question=True, answer=True),
}
_UNTOUCHED = _Touched(question=False, answer=False)


@dataclass(frozen=True)
class Words:
    """All that decides how a part's records are worded; ``pool`` is a template pool in place of each record's own."""

    wording: Wording
    pool: str | None
    reword: bool
    recode: bool
    identifiers: bool
    released: bool


def words(pool: PinnedPool, part: LockedPart, render: Render) -> Words:
    """What a lock says of the words of a part."""
    by: Codec = codec(render.codec or pool.codec)
    templates = {name: tuple(texts) for name, texts in pool.templates.items()}
    return Words(
        wording=Wording(pool.seed, by, templates),
        pool=part.wording,
        reword=render.reword,
        recode=by.name != pool.codec,
        identifiers=render.identifiers,
        released=render.text == "released",
    )


def rendered(record: Record, by: Words, epoch: int) -> Record:
    """The record as it is said in that epoch of its part; keys, boxes, and what is drawn of it, stay the stored ones.

    RecordError where the part's template pool has other slots than the record; BoxError where, in another codec, its
    tokens turn out not to be its boxes.
    """
    touched = _touched(record) if by.released else _UNTOUCHED
    drawn = _drawn(record, by.pool, touched)
    said = reworded(replace(record, draw=drawn), by.wording, epoch if by.reword else 0)
    if by.recode:
        said = recoded(said, by.wording.codec)
    return replace(said, messages=[_said(turn, record, by, touched) for turn in said.messages], draw=record.draw)


def _touched(record: Record) -> _Touched:
    return RELEASED.get(record.task or record.source, _UNTOUCHED)


def _drawn(record: Record, pool: str | None, touched: _Touched) -> Draw:
    # The slots as they are filled in: from another pool of templates, and processed before they are.
    drawn = record.draw
    if drawn.pool is None:
        return drawn
    if pool and set(SLOTS[pool]) != {slot.name for slot in drawn.slots}:
        raise RecordError(f"wording does not fit: pool {pool!r} has slots {SLOTS[pool]}, {record.key} others")
    slots = drawn.slots
    if touched.question:
        slots = [slot if slot.name == _NEVER_TEXT else replace(slot, value=released(slot.value)) for slot in slots]
    return replace(drawn, pool=pool or drawn.pool, slots=slots)


def _said(turn: Message, record: Record, by: Words, touched: _Touched) -> Message:
    if turn.role == "assistant":
        return Message(turn.role, _processed(turn.content)) if touched.answer else turn
    found = IDENTIFIER.match(turn.content)
    head, content = (found.group(), turn.content[found.end() :]) if found else ("", turn.content)
    # A drawn question's slots were processed before they were filled in; its template is not text of the source.
    if touched.question and record.draw.pool is None:
        content = _processed(content)
    return Message(turn.role, head + content if by.identifiers else content)


def _processed(content: str) -> str:
    spans = parse(content)
    if len(spans) != 1 or not isinstance(spans[0], str):
        return content
    return quote(released(spans[0]))


def released(text: str) -> str:
    """The text as ``blip_caption`` leaves it: lower case, ten marks made blanks, blanks in a row made one, 50 words.

    A text of which nothing would be left stays as it is.
    """
    plain = _BLANKS.sub(" ", _MARKS.sub(" ", text.lower())).rstrip("\n").strip(" ")
    return " ".join(plain.split(" ")[:MAX_WORDS]) or text
