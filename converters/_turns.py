"""What may be said after what in a conversation made of several records: nothing twice, and nothing given away."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from schemas.box import Bins, Box, iou
from schemas.dialect import Boxes, Phrase, Span, parse
from schemas.record import IDENTIFIER, Record

SAME_THING = 0.5  # IoU from which on two boxes are taken to be of one thing
_WHOLE = ("caption", "grounding")
_LISTING = ("caption", "grounding", "detection")  # whoever counts what they name knows how many there are
_BETWEEN = re.compile(r"[\W_]+")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_IRREGULAR = {"people": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot", "mice": "mouse"}
_IRREGULAR |= {word: str(number) for number, word in enumerate(_NUMBERS)}
_IRREGULAR |= {"knives": "knife", "geese": "goose", "teeth": "tooth", "shelves": "shelf", "leaves": "leaf"}

# Answers that can be known without ever having been said, from whatever was told of the thing that is asked about.
_KNOWABLE = re.compile(r" (?:yes|yeah|yep|no|nope|not|none|[0-9]+) ")
# Words of a question that do not tell what it is about.
_EMPTY = re.compile(
    r"[a-z]{1,2}|the|and|are|any|all|can|does?|did|has|have|was|were|how|many|much|what|which|where|who|whose|why|when|will|"
    r"would|there|this|that|these|those|they|their|them|she|his|her|its|for|from|with|into|you|your|see|seen|shows?|shown|"
    r"picture|image|photo|colou?rs?|kinds?|types?"
)


class Turn(NamedTuple):
    """A record as one question and its answer, all that is said in it, and the boxes that its tokens name."""

    record: Record
    said: str  # as ``_words`` has it
    signs: str  # as it stands, for answers that hold no word
    asked: str
    answers: tuple[str, ...]  # the phrases of the answer: words, or where one holds none, signs
    bins: frozenset[Bins]

    @property
    def whole(self) -> bool:
        """Whether it describes the picture as a whole."""
        return self.record.task in _WHOLE


def turn(record: Record) -> Turn:
    """A single-turn record, taken apart."""
    question, answer = (parse(IDENTIFIER.sub("", message.content, count=1)) for message in record.messages)
    asked = [slot.value for slot in record.draw.slots if slot.name not in ("box", "choices")] or [record.key]
    said = " ".join(_texts([*question, *answer]))
    phrases = [span.text for span in answer if isinstance(span, Phrase)] or _texts(answer)
    bins = (box for span in (*question, *answer) if not isinstance(span, str) for box in span.boxes)
    answers = tuple(_words(phrase) if _words(phrase).strip() else phrase.strip() for phrase in phrases)
    return Turn(record, _words(said), said, _words(" ".join(asked)), answers, frozenset(bins))


def placed(new: Turn, chosen: Sequence[Turn]) -> list[Turn] | None:
    """The conversation with the turn as late as it, and all that come after it, allow; None where it fits nowhere."""
    for place in range(len(chosen), -1, -1):
        before, after = chosen[:place], chosen[place:]
        if all(_may_follow(new, one) for one in before) and all(_may_follow(one, new) for one in after):
            return [*before, new, *after]
    return None


def _may_follow(new: Turn, before: Turn) -> bool:
    return not (
        new.asked == before.asked
        or (new.whole and before.whole)
        or _tells(before, new.answers)
        or (new.whole and _tells(new, before.answers))
        or (_knowable(new) and (before.record.task in _LISTING or _subjects(new) & {*before.said.split()}))
        or new.bins & before.bins
        or _overlap(new.record.boxes, before.record.boxes)
    )


def _tells(by: Turn, answers: Iterable[str]) -> bool:
    return any(answer in (by.said if answer.startswith(" ") else by.signs) for answer in answers)


def _knowable(new: Turn) -> bool:
    return new.record.task == "vqa" and any(_KNOWABLE.match(answer) for answer in new.answers)


def _subjects(new: Turn) -> set[str]:
    return {word for word in new.asked.split() if not _EMPTY.fullmatch(word)}


def _overlap(some: Sequence[Box], others: Sequence[Box]) -> bool:
    return any(iou(one, other) > SAME_THING for one in some for other in others)


def _texts(spans: Iterable[Span]) -> list[str]:
    return [span if isinstance(span, str) else span.text for span in spans if not isinstance(span, Boxes)]


def _words(text: str) -> str:
    """The words of a text in lower case and the singular, numbers in digits, single blanks between and around them."""
    return f" {' '.join(_plainest(word) for word in _BETWEEN.sub(' ', text.casefold()).split())} "


@lru_cache(2**16)
def _plainest(word: str) -> str:
    # Crude, and right where it matters: categories stand in the singular, and questions speak of several.
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("ses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
