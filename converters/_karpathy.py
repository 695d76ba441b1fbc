"""Karpathy's split of COCO and of Flickr30k, as he and LAVIS publish it: each sentence counts once, in its own split.

dataset_<set>.json lists pictures with their ``split`` and their ``sentences``, coco_karpathy_<split>.json one sentence
or all of a picture's per entry. What is wrong costs no more than itself: a sentence that cannot be typed is malformed
alone; a picture that cannot be typed costs its sentences, as many as can be counted, one where none can. Where its
split cannot be read, or is none, they count in every split, for nobody can tell which they were meant for.
Sources: cs.stanford.edu/people/karpathy/deepimagesent, salesforce/LAVIS.
"""

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

import msgspec

from converters._coco import number_of
from converters._read import Broken, decode, items, read
from converters._table import Reading, Row, malformed
from schemas.errors import RecordError, SourceError

_NULL = msgspec.Raw(b"null")


class Picture(msgspec.Struct, frozen=True):
    """An entry of ``images``; each set adds how it names a picture."""

    split: str
    sentences: msgspec.Raw


class _Seen(msgspec.Struct, frozen=True):
    split: msgspec.Raw = _NULL
    sentences: msgspec.Raw = _NULL


class _Images(msgspec.Struct, frozen=True):
    images: msgspec.Raw


class _Entry(msgspec.Struct, frozen=True):
    image: msgspec.Raw = _NULL
    caption: msgspec.Raw = _NULL


P = TypeVar("P", bound=Picture)
S = TypeVar("S")


def dataset_rows(
    reading: Reading,
    splits: Collection[str],
    picture: type[P],
    sentence: type[S],
    row: Callable[[Reading, P, int, S], Row],
) -> Iterator[Row]:
    """One row per sentence of the split's pictures, made of the picture, the sentence and its place among theirs."""
    (path,) = reading.files
    for place, entry in enumerate(items(decode(read(path), _Images, path).images, picture, path)):
        told = _loosely(entry) if isinstance(entry, Broken) else entry
        if told.split != reading.split and told.split in splits:
            continue
        for number, said in enumerate(_listed(told.sentences, sentence, _fault(entry, splits))):
            if isinstance(said, Broken):
                yield malformed(reading, f"{place}-{number}", said.why)
            elif not isinstance(entry, Broken):  # all that is said of such a one is Broken too
                yield row(reading, entry, number, said)


def _loosely(entry: Broken) -> Picture:
    try:
        seen = decode(entry.item, _Seen, "")
    except SourceError:
        seen = _Seen()
    try:
        return Picture(_text(seen.split, "split"), seen.sentences)
    except RecordError:
        return Picture("", seen.sentences)


def _fault(entry: Picture | Broken, splits: Collection[str]) -> str:
    if isinstance(entry, Broken):
        return entry.why
    return "" if entry.split in splits else f"no such split: {entry.split[:40]!r}, wanted {', '.join(splits)}"


def _listed(sentences: msgspec.Raw, kind: type[S], fault: str) -> list[S | Broken]:
    try:
        found = list(items(sentences, kind, "sentences"))
    except SourceError as error:
        return [Broken(0, fault or str(error), None)]
    return [Broken(number, fault, None) for number in range(max(1, len(found)))] if fault else found


def entry_rows(reading: Reading, row: Callable[[Reading, str, int, str], Row]) -> Iterator[Row]:
    """One row per sentence, made of its id, the picture's number and the sentence; LAVIS's train file holds restval.

    An id is the entry's place in the file, and the sentence's in the entry where that has a list of them.
    """
    (path,) = reading.files
    for place, found in enumerate(items(read(path), _Entry, path)):
        entry = _Entry() if isinstance(found, Broken) else found
        if _of_the_other(reading.split, entry.image):
            continue
        for id, caption in _captions(place, entry.caption):
            try:
                made = row(reading, id, number_of(_text(entry.image, "image")), _text(caption, "caption"))
            except RecordError as error:
                made = malformed(reading, id, str(error))
            yield made


def _of_the_other(split: str, image: msgspec.Raw) -> bool:
    if split not in ("train", "restval"):
        return False
    try:
        return ("val2014" in _text(image, "image")) != (split == "restval")
    except RecordError:
        return False


def _captions(place: int, caption: msgspec.Raw) -> list[tuple[str, msgspec.Raw]]:
    if bytes(memoryview(caption)[:1]) != b"[":
        return [(str(place), caption)]
    return [(f"{place}-{n}", one) for n, one in enumerate(decode(caption, list[msgspec.Raw], "caption"))]


def _text(value: msgspec.Raw, name: str) -> str:
    try:
        return decode(value, str, name)
    except SourceError as error:
        raise RecordError(str(error)) from error
