"""The two files that VQA's own tools read, questions and annotations, joined: see converters/vqa.py for quirks."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from converters._coco import image_id
from converters._questions import Question, question
from converters._read import Broken, decode, items, read
from converters._table import Reading, Row, malformed
from schemas.errors import SourceError
from schemas.record import Pair


class Given(msgspec.Struct, frozen=True, gc=False):
    """One person's answer."""

    answer: str


class _AsTyped(Given, frozen=True, gc=False):
    answer: str = msgspec.field(name="raw_answer")


class _Questions(msgspec.Struct, frozen=True):
    questions: msgspec.Raw


class _Annotations(msgspec.Struct, frozen=True):
    annotations: msgspec.Raw
    question_types: dict[str, str] = {}


class _Numbered(msgspec.Struct, frozen=True, gc=False):
    question_id: int


class _Asked(_Numbered, frozen=True, gc=False):
    image_id: int
    question: str


class _Answered(_Numbered, frozen=True, gc=False):
    image_id: int
    answers: tuple[Given, ...]
    question_type: str = ""
    answer_type: str = ""


class _AnsweredAsTyped(_Answered, frozen=True, gc=False):
    answers: tuple[_AsTyped, ...]


class _Left(NamedTuple):
    by_number: dict[int | None, _Answered | Broken]
    twice: list[Broken]
    nameless: list[Broken]


def official_rows(reading: Reading) -> Iterator[Row]:
    """One row per question, in their file's order, then one per annotation that no question can have been meant for.

    A question whose number cannot be read may be that of any annotation that no other question takes, and an annotation
    whose number cannot be read may be of any question that has none: as many pairs as there can be count once.
    """
    questions, annotations = reading.files
    left, types = _annotations(reading, annotations)
    unread = lone = 0
    for entry in items(decode(read(questions), _Questions, questions).questions, _Asked, questions):
        number = _number(entry)
        found = left.by_number.pop(number, None)
        unread += number is None
        lone += number is not None and found is None
        if isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
        else:
            yield _joined(reading, entry, found, types)
    yield from (_unasked(reading, found) for found in _unpaired(left, unread, lone))


def _unpaired(left: _Left, unread: int, lone: int) -> list[_Answered | Broken]:
    numbered = list(left.by_number.values())
    free = lone + max(0, unread - len(numbered))  # questions that the nameless may be of
    return [*numbered[unread:], *left.twice, *left.nameless[free:]]


def _annotations(reading: Reading, path: str) -> tuple[_Left, Mapping[str, str]]:
    file = decode(read(path), _Annotations, path)
    kind = _AnsweredAsTyped if reading.options.get("answer") == "raw" else _Answered
    left = _Left({}, [], [])
    for index, entry in enumerate(items(file.annotations, kind, path)):
        number = _number(entry)
        if number is None:
            left.nameless.append(Broken(index, entry.why if isinstance(entry, Broken) else "", None))
        elif number in left.by_number:
            left.twice.append(Broken(index, f"question {number} is annotated twice", None))
        else:
            left.by_number[number] = entry
    return left, file.question_types


def _number(entry: _Numbered | Broken) -> int | None:
    if not isinstance(entry, Broken):
        return entry.question_id
    try:
        return decode(entry.item, _Numbered, "").question_id
    except SourceError:
        return None  # too broken to tell


def _joined(reading: Reading, asked: _Asked, found: _Answered | Broken | None, types: Mapping[str, str]) -> Question:
    image, number = image_id(asked.image_id), str(asked.question_id)
    fault = _fault(asked, found)
    if fault or not isinstance(found, _Answered):
        return question(reading, number, image, asked.question, [], fault=fault)
    said = [
        Pair("question_type", types.get(found.question_type, found.question_type)),
        Pair("answer_type", found.answer_type),
    ]
    answers = [given.answer for given in found.answers]
    return question(reading, number, image, asked.question, answers, [pair for pair in said if pair.value])


def _fault(asked: _Asked, found: _Answered | Broken | None) -> str:
    if found is None:
        return f"no annotation: none is left for question {asked.question_id}"
    if isinstance(found, Broken):
        return f"malformed row: the annotation of question {asked.question_id}: {found.why}"
    if found.image_id != asked.image_id:
        told = f"of picture {asked.image_id}, its annotation of {found.image_id}"
        return f"pictures differ: question {asked.question_id} is {told}"
    return ""


def _unasked(reading: Reading, found: _Answered | Broken) -> Row:
    if isinstance(found, Broken):
        return malformed(reading, f"{found.index}-annotation", found.why)
    fault = f"no question: annotation {found.question_id} is of none that is asked"
    return question(reading, str(found.question_id), image_id(found.image_id), "", [], fault=fault)
