"""A variant's line, compiled: what is the same in all its records, and the holes that each fills in its own way.

One specimen of the record is made by the same functions that make every other, for each template, with marks where a
row's own values will stand; its JSON, cut at the marks, is the fixed text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import msgspec
import numpy as np

from converters._block import Told
from schemas.box import Box
from schemas.ledger import Part
from schemas.prompt import Wording, draws, fill
from schemas.record import Draw, Message, Pair, Record, identifier
from schemas.text import harmless

# No template can hold a mark unless somebody put it there: then its variant is not compiled.
_MARK = re.compile("\x7f([a-z]+)\x7f")
_IMAGE, _ID, _TEXT, _TOKENS = "\x7fimage\x7f", "\x7fid\x7f", "\x7ftext\x7f", "\x7ftokens\x7f"
_REPLIES = {"text": _TEXT, "box": _TOKENS, "grounded": "\x7fgrounded\x7f"}
_JSON = msgspec.json.Encoder()
_BOX, _META = Box(0.1, 0.2, 0.3, 0.4), [Pair("\x7f", "")]
_WHOLE = ((_JSON.encode([_BOX]), b"[\x7fboxes\x7f]"), (_JSON.encode(_META), b"\x7fmeta\x7f"))


@dataclass(frozen=True)
class Compiled:
    """The JSON of a variant's records in one wording: texts and the names of the holes in turn, text first and last.

    ``texts`` holds each text once per template of the pool.
    """

    holes: Sequence[str]
    texts: Sequence[Sequence[str]]
    part: Part
    seed: int

    @property
    def boxed(self) -> bool:
        """Whether the records have boxes."""
        return "boxes" in self.holes

    def columns(self, values: Mapping[str, Sequence[str]]) -> list[Iterable[str]]:
        """What the records are made of, side by side: each row of the columns, joined, is one record."""
        source, split, task = self.part
        bits = np.frombuffer(draws(self.seed, (f"{source}/{split}/", values["id"], f"/{task}"), 0, "template"), ">u8")
        drawn = (bits % np.uint64(len(self.texts[0]))).tolist()
        found: list[Iterable[str]] = [_drawn(self.texts[0], drawn)]
        for hole, texts in zip(self.holes, self.texts[1:], strict=True):
            found += [values[hole], _drawn(texts, drawn)]
        return found


def compiled(told: Told, source: str, split: str, wording: Wording) -> Compiled | None:
    """The variant's records, compiled; None where templates are such that each record has to be looked at."""
    pool = wording.pools[told.task]
    if not all(map(harmless, pool)):
        return None
    parts = [_MARK.split(_specimen(told, source, split, template, wording)) for template in pool]
    holes = parts[0][1::2]
    if any(part[1::2] != holes for part in parts) or len(holes) != len(set(holes)) + _said_twice(told):
        return None
    texts = list(zip(*(part[::2] for part in parts), strict=True))
    return Compiled(holes, texts, Part(source, split, told.task), wording.seed)


def _drawn(texts: Sequence[str], drawn: Sequence[int]) -> Iterable[str]:
    return repeat(texts[0]) if len(set(texts)) == 1 else [texts[place] for place in drawn]


def _said_twice(told: Told) -> int:
    return told.slot not in (None, "box")  # in the question and in the slot of the draw


def _specimen(told: Told, source: str, split: str, template: str, wording: Wording) -> str:
    boxed = "box" in (told.slot, told.reply) or told.reply == "grounded"
    slots = [Pair(told.slot, "0" if told.slot == "box" else _TEXT)] if told.slot else []
    asked = fill(template, {slot.name: _TOKENS if slot.name == "box" else slot.value for slot in slots})
    messages = [
        Message("user", identifier(told.task) + asked),
        Message("assistant", _REPLIES[told.reply]),
    ]
    drawn = Draw(pool=told.task, slots=slots, answers=[])
    key = f"{source}/{split}/{_ID}/{told.task}"
    record = Record(key, source, split, told.task, messages, [_BOX] if boxed else [], drawn, _META)
    json = _JSON.encode(record)
    for value, mark in _WHOLE:
        json = json.replace(value, mark)
    return f'{{"image":{_IMAGE},"record":{json.decode()}}}\n'
