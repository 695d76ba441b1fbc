"""Phrases of a caption that are given boxes, as GRIT writes them: which there are, which stand, and what is between.

An entry is [start, end, x1, y1, x2, y2, score]: offsets of code points into the untouched caption, the end not
included, and fractions of the picture. A phrase with several boxes has an entry for each. Nothing here tidies a caption
before it is cut; blanks at the ends of a phrase are left to the text around it.
"""

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import NamedTuple

from schemas.box import XYXY, Box, Size, Slack, from_xyxy, latest
from schemas.errors import RecordError
from schemas.text import tidy

SEVERAL = "phrase with several boxes"
TWICE = "expression said twice"
LOW = "below min_score"
BEYOND = "beyond max_per_picture"

_NUMBERS = 7
_WHOLE = Size(1, 1)  # the boxes are fractions already
_OVERHANG = Slack(px=0.0, share=0.01)  # no more than any other source may overhang by

_Phrase = tuple[int, int, str]  # where it stands in the caption, and its words


class Marked(NamedTuple):
    """A phrase of a caption, tidied, where it stands there, and its boxes in the whole picture, left to right.

    ``entries`` is how many boxes were given for it, ``clipped`` how many of them had to be clipped; ``score`` is the
    lowest of theirs. Nothing is known of the boxes of a phrase that has a ``fault``.
    """

    start: int
    end: int
    text: str
    boxes: tuple[Box, ...]
    score: float
    entries: int
    clipped: int
    fault: str = ""

    @property
    def name(self) -> str:
        """What tells it from the caption's other phrases."""
        return f"{self.start}-{self.end}"


class Fault(NamedTuple):
    """An entry that marks no phrase at all: its place in the list, and why."""

    place: int
    fault: str

    @property
    def name(self) -> str:
        """What tells it from the caption's phrases and its other faults."""
        return f"entry{self.place}"


@latest
def marks(caption: str, entries: Sequence[Sequence[float]]) -> list[Marked | Fault]:
    """Every phrase that the entries mark, in the order in which they first do, and the entries that mark none."""
    groups: dict[_Phrase, list[Sequence[float]]] = {}
    faults: list[Fault] = []
    for place, entry in enumerate(entries):
        try:
            groups.setdefault(_phrase(caption, entry), []).append(entry)
        except RecordError as error:
            faults.append(Fault(place, str(error)))
    return [*(_marked(phrase, found) for phrase, found in groups.items()), *faults]


def _phrase(caption: str, entry: Sequence[float]) -> _Phrase:
    """Where the entry's phrase stands in the caption, without blanks at its ends; RecordError where it does not."""
    if len(entry) != _NUMBERS or not all(map(isfinite, entry)):
        raise RecordError(f"malformed span: {len(entry)} numbers, wanted {_NUMBERS} finite ones")
    start, end = int(entry[0]), int(entry[1])
    if (start, end) != (entry[0], entry[1]) or not 0 <= start < end <= len(caption):
        raise RecordError(f"malformed span: {entry[0]:g} to {entry[1]:g} of a caption of {len(caption):,} characters")
    phrase = caption[start:end]
    # Tidying takes nothing but blanks from the ends, so what it leaves there is the first and the last that is none.
    text = tidy(phrase, "phrase")
    return start + phrase.index(text[0]), start + phrase.rindex(text[-1]) + 1, text


def _marked(phrase: _Phrase, entries: Sequence[Sequence[float]]) -> Marked:
    score, number = min([entry[6] for entry in entries]), len(entries)
    try:
        boxes = [_box(entry) for entry in entries]
    except RecordError as error:
        return Marked(*phrase, (), score, number, 0, str(error))
    clipped = sum([min(entry[2:4]) < 0 or max(entry[4:6]) > 1 for entry in entries])
    return Marked(*phrase, tuple(sorted(set(boxes), key=tuple)) if number > 1 else tuple(boxes), score, number, clipped)


def _box(entry: Sequence[float]) -> Box:
    xyxy: XYXY = (entry[2], entry[3], entry[4], entry[5])
    return from_xyxy(xyxy, _WHOLE, _OVERHANG)


def ruled(marked: Sequence[Marked | Fault], min_score: float | None, most: int | None) -> list[str]:
    """The rule that leaves each phrase out as an expression for one box, as "rule: detail"; empty for those that stay.

    What has a fault is nobody's rival and breaks no rule. Of the rest at most so many stay, the best: those of the
    highest score, of equal ones the longest, of these the first.
    """
    fine = [(place, one) for place, one in enumerate(marked) if isinstance(one, Marked) and not one.fault]
    told: dict[str, list[Marked]] = {}
    for _, one in fine:
        told.setdefault(one.text.casefold(), []).append(one)
    several = {text for text, same in told.items() if _several([box for one in same for box in one.boxes])}
    best = {text: min(same, key=_order) for text, same in told.items()}
    rules = [""] * len(marked)
    for place, one in fine:
        text = one.text.casefold()
        rules[place] = _rule(one, text in several, best[text], min_score)
    if most is not None:
        left = sorted((_order(one), place) for place, one in fine if not rules[place])
        for _, place in left[most:]:
            rules[place] = f"{BEYOND}: {most} of {len(left)} stay"
    return rules


def _several(boxes: Sequence[Box]) -> bool:
    return len(boxes) > 1 and len(set(boxes)) > 1


def _rule(one: Marked, several: bool, best: Marked, min_score: float | None) -> str:
    if several:
        return f"{SEVERAL}: {one.text[:80]!r} names no one of them"
    if one is not best:
        return f"{TWICE}: {one.text[:80]!r} has the same box elsewhere in the caption"
    return low(one, min_score)


def sound(one: Marked | Fault) -> Marked:
    """The phrase; RecordError where it is none, or its boxes are at fault."""
    if isinstance(one, Fault) or one.fault:
        raise RecordError(one.fault)
    return one


def low(one: Marked, min_score: float | None) -> str:
    """The rule against a phrase any of whose boxes has a lower score; empty where there is none."""
    return f"{LOW}: {one.score:.4f}, wanted {min_score}" if min_score is not None and one.score < min_score else ""


def _order(one: Marked) -> tuple[float, int, int]:
    return -one.score, one.start - one.end, one.start


def apart(marked: Iterable[Marked]) -> list[Marked]:
    """The best phrases that stand apart, in the order of the caption: no two overlap or touch.

    Taken greedily: the highest score first, of equal ones the longest, of these the first.
    """
    chosen: list[Marked] = []
    for one in sorted(marked, key=_order):
        place = bisect(chosen, one)  # by where they start
        before, after = chosen[max(place - 1, 0) : place], chosen[place : place + 1]
        if all(other.end < one.start for other in before) and all(one.end < other.start for other in after):
            chosen.insert(place, one)
    return chosen


def pieces(caption: str, chosen: Sequence[Marked]) -> Iterator[str | Marked]:
    """The tidied caption as its phrases, which stand apart, and the text around them; TextError where it is none."""
    tidy(caption, "caption")
    ends = [0, *(end for one in chosen for end in (one.start, one.end)), len(caption)]
    for place in range(len(chosen) + 1):
        # A mark for the phrase on either side, so that the blank next to it stays.
        before, after = "|" * (place > 0), "|" * (place < len(chosen))
        between = tidy(f"{before}{caption[ends[2 * place] : ends[2 * place + 1]]}{after}", "caption")
        if between := between[len(before) : len(between) - len(after)]:
            yield between
        yield from chosen[place : place + 1]
