"""What may be said after what in a conversation made of several records: nothing twice, and nothing given away."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.box import Box, iou
from schemas.dialect import Phrase, parse
from schemas.record import IDENTIFIER, Message, Record

SAME_THING = 0.5  # IoU from which on two boxes are taken to be of one thing
_WHOLE = ("caption", "grounding")
_BETWEEN = re.compile(r"[\W_]+")

# Answers that can be known without ever having been said, from whatever was told of the thing that is asked about.
_KNOWABLE = re.compile(
    r" (?:yes|yeah|yep|no|nope|not|none|zero|one|two|three|four|five|six|seven|eight|nine|ten|[0-9]+) "
)
# Words of a question that do not tell what it is about.
_EMPTY = re.compile(
    r"[a-z]{1,2}|the|and|are|any|all|can|does|did|has|have|was|were|how|many|much|what|which|where|who|whose|why|when|will|"
    r"would|there|this|that|these|those|they|their|them|she|his|her|its|for|from|with|into|you|your|see|seen|shows?|shown|"
    r"picture|image|photo|colou?rs?|kinds?|types?"
)


class Turn(NamedTuple):
    """A record as one question and its answer; texts are in lower case, words apart by single blanks, edges too."""

    record: Record
    said: str
    asked: str
    answers: tuple[str, ...]  # the phrases of the answer

    @property
    def whole(self) -> bool:
        """Whether it describes the picture as a whole."""
        return self.record.task in _WHOLE


def turn(record: Record) -> Turn:
    """A single-turn record, taken apart."""
    question, answer = record.messages
    asked = [slot.value for slot in record.draw.slots if slot.name != "box"] or [record.key]
    texts = [*_texts(question), *_texts(answer)]
    phrases = [span.text for span in parse(answer.content) if isinstance(span, Phrase)] or _texts(answer)
    answers = tuple(words for words in map(_words, phrases) if words.strip())
    return Turn(record, _words(" ".join(texts)), _words(" ".join(asked)), answers)


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
        or any(answer in before.said for answer in new.answers)
        or (new.whole and any(answer in new.said for answer in before.answers))
        or (_knowable(new) and not _subjects(new).isdisjoint(before.said.split()))
        or _overlap(new.record.boxes, before.record.boxes)
    )


def _knowable(new: Turn) -> bool:
    return new.record.task == "vqa" and any(_KNOWABLE.match(answer) for answer in new.answers)


def _subjects(new: Turn) -> set[str]:
    return {word for word in new.asked.split() if not _EMPTY.fullmatch(word)}


def _overlap(some: Sequence[Box], others: Sequence[Box]) -> bool:
    return any(iou(one, other) > SAME_THING for one in some for other in others)


def _texts(message: Message) -> list[str]:
    return list(_plain(IDENTIFIER.sub("", message.content, count=1)))


def _plain(text: str) -> Iterator[str]:
    for span in parse(text):
        if isinstance(span, str):
            yield span
        elif isinstance(span, Phrase):
            yield span.text


def _words(text: str) -> str:
    return f" {_BETWEEN.sub(' ', text.casefold()).strip()} "
