"""OCR-VQA: questions about book covers, each with one answer.

Reads ``dataset.json``, as published (ocr-vqa.github.io): an object from a book's ASIN to its ``questions`` and
``answers``, which belong together by place, and its ``split``: 1 is train, 2 val, 3 test.
Each question gives one ``vqa`` record. Quirks: all three splits are in the one file, and many loaders train on all of
it; keys are ASINs, which may hold letters and lose their leading zeros here or in a file's name, so pictures are found
without those; a cover's file is called after its key and the ending of ``imageURL``, but GIFs lie under .jpg names and
many covers are gone or 1x1 placeholders: pictures are read by their content. Their sources: Vision-CAIR/MiniGPT-4,
open-mmlab/mmpretrain and what users of haotian-liu/LLaVA report.
Mishra et al., OCR-VQA: Visual Question Answering by Reading Text in Images, 2019.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from converters._collections import OCRVQA
from converters._questions import ASKED, question
from converters._read import Broken, decode, entries, read
from converters._table import Form, Reading, Row, Shape, Source, malformed
from schemas.errors import SourceError

_NUMBERS = {"train": 1, "val": 2, "test": 3}


class _Book(msgspec.Struct, frozen=True):
    questions: list[str]
    answers: list[str]
    split: int


class _Untyped(msgspec.Struct, frozen=True):
    questions: Any = None
    split: Any = None


def rows(reading: Reading) -> Iterator[Row]:
    """One row per question of the split's books; of a book in no split at all, in every split."""
    (path,) = reading.files
    for asin, book in entries(read(path), _Book, path):
        if isinstance(book, Broken):
            yield from _broken(reading, asin, book)
        elif book.split == _NUMBERS[reading.split]:
            yield from _questions(reading, asin, book)
        elif book.split not in _NUMBERS.values():
            yield from _each(reading, asin, len(book.questions), f"no such split: {book.split}, wanted 1, 2 or 3")


def _questions(reading: Reading, asin: str, book: _Book) -> Iterator[Row]:
    asked, answered = len(book.questions), len(book.answers)
    fault = "" if asked == answered else f"answers do not match: {asin} has {asked} questions, {answered} answers"
    image = image_of(asin)
    for place, text in enumerate(book.questions):
        yield question(reading, f"{asin}-{place}", image, text, [] if fault else [book.answers[place]], fault=fault)
    if answered and not asked:
        yield malformed(reading, asin, f"{answered} answers without questions")


def image_of(asin: str) -> str:
    """The canonical id of a book's cover: ``ocrvqa/761183272``, without the leading zeros that only some names have."""
    return f"{OCRVQA.name}/{asin.lstrip('0') or '0'}"


def _broken(reading: Reading, asin: str, book: Broken) -> Iterator[Row]:
    try:
        seen = decode(book.item, _Untyped, "")
    except SourceError:
        seen = _Untyped()
    if seen.split == _NUMBERS[reading.split] or seen.split not in _NUMBERS.values():
        yield from _each(reading, asin, len(seen.questions) if isinstance(seen.questions, list) else 1, book.why)


def _each(reading: Reading, asin: str, count: int, why: str) -> Iterator[Row]:
    yield from (malformed(reading, f"{asin}-{place}", why) for place in range(max(1, count)))


CONVERTERS = (
    Source(
        name="ocrvqa",
        title="OCR-VQA",
        collection="ocrvqa",
        splits={"train": "train", "val": "eval", "test": "eval"},
        forms=(
            Form(
                "official",
                ("dataset.json",),
                {split: split for split in _NUMBERS},
                rows,
                Shape("table", frozenset({"questions", "answers", "imageURL"})),
            ),
        ),
        variants=(ASKED,),
        unit="questions",
        counted=("vqa",),
        licence="OCR-VQA Dataset License v1.0 (research, non-commercial); covers: Amazon's terms",
        citation="Mishra et al. 2019, ICDAR",
        homepage="https://ocr-vqa.github.io",
        notes="about 1,002,000 questions on 207,572 covers; many covers are no longer to be had",
    ),
)
