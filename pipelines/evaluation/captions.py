"""Captions: CIDEr of what is said against what people said, and CHAIR, the objects named that are not there.

CIDEr is pycocoevalcap's. Its published numbers are of words as a Java program splits them; here words are runs of
letters and digits in lower case, so that numbers are near the published ones and compare among themselves.

CHAIR (arXiv 1809.02156): of all objects that captions name, the share that is not in the picture, and the share of
captions that name one. Objects are the categories of COCO, by any of their names; those of a picture are the categories
of its annotated instances, and what people's captions name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from schemas.dialect import ONE_BOX

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_MARKUP = re.compile(r"</?p>|<delim>")
_LONGEST = 3  # words of a name
_PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))

Names = Mapping[str, str]


class Chair(NamedTuple):
    """Shares of objects and of captions that are made up, over so many captions of so many words on average."""

    captions: int
    objects: float
    sentences: float
    words: float


def words(text: str) -> list[str]:
    """The words of a caption in lower case, without box tokens and phrase marks."""
    return _WORD.findall(_MARKUP.sub(" ", ONE_BOX.sub(" ", text)).lower())


def cider(told: Mapping[str, str], given: Mapping[str, Sequence[str]]) -> float:
    """The CIDEr of captions by picture against people's; words are weighed by these same pictures."""
    from pycocoevalcap.cider.cider import Cider

    keys = sorted(told)
    said = {key: [" ".join(words(told[key]))] for key in keys}
    people = {key: [" ".join(words(text)) for text in given[key]] for key in keys}
    score, _ = Cider().compute_score(people, said)
    return float(score)


@cache
def coco_names() -> Names:
    """The category that each name speaks of, for all names of COCO's categories."""
    import yaml

    table = yaml.safe_load((Path(__file__).parent / "objects.yaml").read_text(encoding="utf-8"))
    names = {name: category for category, others in table["names"].items() for name in (category, *others)}
    for kind, before in table["before"].items():
        names |= {f"{before_} {one}": one for one in table["kinds"][kind] for before_ in before}
    return names


def objects(text: str, names: Names) -> list[str]:
    """The categories that a caption names, in order, each as often as it does; of names the longest counts."""
    said, found, at = words(text), [], 0
    while at < len(said):
        for length in range(min(_LONGEST, len(said) - at), 0, -1):
            if category := _category(" ".join(said[at : at + length]), names):
                found.append(category)
                break
        else:
            length = 1
        at += length
    return found


def _category(name: str, names: Names) -> str | None:
    singles = [name, *(name.removesuffix(end) + instead for end, instead in _PLURALS if name.endswith(end))]
    return next((names[single] for single in singles if single in names), None)


def chair(told: Sequence[tuple[str, Iterable[str], Iterable[str]]], names: Names) -> Chair:
    """The figures of captions, each with the categories of its picture's instances and people's captions of it."""
    named = made_up = sentences = length = 0
    for text, instances, captions in told:
        there = {*instances, *(one for caption in captions for one in objects(caption, names))}
        said = objects(text, names)
        wrong = sum(one not in there for one in said)
        named, made_up, sentences = named + len(said), made_up + wrong, sentences + (wrong > 0)
        length += len(words(text))
    count = max(1, len(told))
    return Chair(len(told), made_up / max(1, named), sentences / count, length / count)
