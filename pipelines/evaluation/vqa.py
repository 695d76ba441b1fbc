"""Short answers to questions, scored as the VQA challenge does: visualqa.org/evaluation.html.

An answer is worth min(n / 3, 1), where n people gave it, averaged over leaving each person out in turn. Both sides are
normalised first: lower case, no articles, numbers as digits, apostrophes put back, punctuation taken out. A question
with the answers of fewer than three people is right or wrong.
"""

import re
from collections.abc import Sequence

from schemas.record import Answer

_FEWEST = 3
_ARTICLES = {"a", "an", "the"}
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBERS)}
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_LONE_POINT = re.compile(r"\.(?!\d)")
_THOUSANDS = re.compile(r"\d,\d")
# As they are written; without one or more of its apostrophes each is put right.
_CONTRACTED = """ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't
    he'd've he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't
    must've needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll
    somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll
    what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
    would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"""


def _without(word: str) -> set[str]:
    """The word without one or more of its apostrophes, in every way."""
    bare = {word}
    for _ in range(word.count("'")):
        bare |= {one[:at] + one[at + 1 :] for one in bare for at, sign in enumerate(one) if sign == "'"}
    return bare - {word}


_CONTRACTIONS = {bare: word for word in _CONTRACTED.split() for bare in _without(word)}


def normalised(answer: str) -> str:
    """The answer as it is compared."""
    text = " ".join(answer.split())
    plain = text
    for sign in _PUNCTUATION:
        at_edge = f"{sign} " in text or f" {sign}" in text or _THOUSANDS.search(text)
        plain = plain.replace(sign, "" if at_edge else " ")
    words = [_DIGITS.get(word, word) for word in _LONE_POINT.sub("", plain).lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def accuracy(told: str, given: Sequence[Answer]) -> float:
    """What the answer is worth, 0 to 1, where people gave these; 0 where nobody gave any."""
    people = [answer for answer in given for _ in range(answer.count)]
    said = normalised(told)
    same = sum(normalised(answer.text) == said for answer in people)
    if len(people) < _FEWEST:
        return float(same > 0)
    left_out = same * min(1.0, (same - 1) / 3) + (len(people) - same) * min(1.0, same / 3)
    return left_out / len(people)
