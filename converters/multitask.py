"""Multi-turn conversations about one picture, made of what several sources say of it.

Reads no files: a picture's records of several tasks and one split, as they lie in one sample of a pool, become
conversations when the sample is packed. MiniGPT-v2 trained on such a mix (its multi_task_conversation.json), made of
RefCOCO's annotations and of its own model's predictions, and did not release it; this one holds published facts only.
A turn may follow others only if
  no earlier turn gives its answer away: no phrase of the answer was said before, as whole words, whatever their case
  nothing is spoken of twice: no box of it overlaps a box of an earlier turn by more than half (IoU)
  the picture as a whole is described once at most, and no question is asked again
Which turns, how many and in which order are functions of a hash. Each record names the records that it is made of.
Chen et al., MiniGPT-v2, 2023, arXiv:2310.09478, section 3.3.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from converters._table import Pictured, Source, Variant
from schemas.box import Box, iou
from schemas.dialect import Phrase, parse
from schemas.errors import Filtered
from schemas.prompt import Wording, draw
from schemas.record import IDENTIFIER, Draw, ImageRef, Message, Pair, Record

SAME_THING = 0.5
_WHOLE = ("caption", "grounding")
_BETWEEN = re.compile(r"[\W_]+")


class Facts(Pictured, frozen=True, kw_only=True):
    """What there is to make the n-th conversation of a picture of, and between how many turns it may have."""

    records: list[Record]
    number: int
    least: int
    most: int


class _Turn(NamedTuple):
    record: Record
    words: str  # all that is said, in lower case and between single blanks
    asked: str
    answers: tuple[str, ...]  # the phrases of the answer, likewise


def conversation(row: Facts, wording: Wording) -> Record:
    """The picture's n-th conversation; Filtered where what is left of its records does not make one."""
    turns: list[_Turn] = []
    left = [_turn(record) for record in row.records]
    for number in range(row.number + 1):
        used = {turn.record.key for turn in turns}
        left = [turn for turn in left if turn.record.key not in used]
        turns = _chosen(left, row, f"{row.image.id}/{number}", wording.seed)
    if len(turns) < row.least or len({turn.record.task for turn in turns}) < 2:
        raise Filtered(f"too few facts: {len(turns)} turns of {row.image.id}, wanted {row.least} of two tasks or more")
    return Record(
        key=row.key(None),
        source=row.source,
        split=row.split,
        task=None,
        messages=[message for turn in turns for message in turn.record.messages],
        boxes=[box for turn in turns for box in turn.record.boxes],
        draw=Draw(None, [], []),
        meta=[Pair("record", turn.record.key) for turn in turns],
    )


def facts(image: ImageRef, split: str, records: Iterable[Record], turns: tuple[int, int], count: int) -> list[Facts]:
    """One row per conversation to be made of these records, which all speak of this picture."""
    single = [record for record in records if len(record.messages) == 2]
    least, most = turns
    return [
        Facts(
            source=SOURCE.name,
            split=split,
            id=f"{image.id}-{number}",
            image=image,
            records=single,
            number=number,
            least=least,
            most=most,
        )
        for number in range(count)
    ]


def _chosen(turns: Sequence[_Turn], row: Facts, what: str, seed: int) -> list[_Turn]:
    wanted = row.least + draw(seed, what, 0, "turns") % (row.most - row.least + 1)
    left = sorted(turns, key=lambda turn: (draw(seed, turn.record.key, 0, what), turn.record.key))
    chosen: list[_Turn] = []
    while len(chosen) < wanted:
        tasks = [turn.record.task for turn in chosen]
        tried = sorted(left, key=lambda turn: tasks.count(turn.record.task))
        longer = next((found for turn in tried if (found := _with(turn, chosen))), None)
        if longer is None:
            break
        chosen = longer
    return chosen


def _with(turn: _Turn, chosen: Sequence[_Turn]) -> list[_Turn] | None:
    # At the end if it may stand there, else as late as it and all that come after it allow.
    for place in range(len(chosen), -1, -1):
        before, after = chosen[:place], chosen[place:]
        if _may_follow(turn, before) and all(_may_follow(later, [turn]) for later in after):
            return [*before, turn, *after]
    return None


def _may_follow(turn: _Turn, earlier: Sequence[_Turn]) -> bool:
    whole = turn.record.task in _WHOLE
    return not any(
        turn.asked == before.asked
        or (whole and before.record.task in _WHOLE)
        or any(answer in before.words for answer in turn.answers)
        or _overlap(turn.record.boxes, before.record.boxes)
        for before in earlier
    )


def _overlap(some: Sequence[Box], others: Sequence[Box]) -> bool:
    return any(iou(one, other) > SAME_THING for one in some for other in others)


def _turn(record: Record) -> _Turn:
    question, answer = record.messages
    asked = [slot.value for slot in record.draw.slots if slot.name != "box"] or [record.key]
    said = [*_texts(question), *_texts(answer)]
    phrases = [span.text for span in parse(answer.content) if isinstance(span, Phrase)] or _texts(answer)
    answers = tuple(words for words in map(_words, phrases) if words.strip())
    return _Turn(record, _words(" ".join(said)), _words(" ".join(asked)), answers)


def _texts(message: Message) -> list[str]:
    spans = parse(IDENTIFIER.sub("", message.content, count=1))
    return list(_plain(spans))


def _plain(spans: Iterable[object]) -> Iterator[str]:
    for span in spans:
        if isinstance(span, str):
            yield span
        elif isinstance(span, Phrase):
            yield span.text


def _words(text: str) -> str:
    return f" {_BETWEEN.sub(' ', text.casefold()).strip()} "


SOURCE = Source(
    name="multitask",
    title="Multi-turn mixes of a pool's own records",
    collection=None,
    splits={"train": "train", "restval": "train", "val": "eval", "testA": "eval", "testB": "eval", "test": "eval"},
    forms=(),
    variants=(Variant(None, "a conversation of a picture", conversation, boxed=False),),
    unit="conversations",
    counted=(),
    licence="that of the sources it is made of",
    citation="Chen et al. 2023, arXiv:2310.09478",
    homepage="https://github.com/Vision-CAIR/MiniGPT-4",
    notes="made when a pool is packed: put multitask: {} into the pool's YAML",
)
CONVERTERS = (SOURCE,)
