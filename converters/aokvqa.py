"""A-OKVQA: questions about COCO pictures that need knowledge of the world, with four choices and ten free answers.

Reads one of
  official   aokvqa_v1p0_<split>.json, as published (github.com/allenai/aokvqa)
  lavis      LAVIS's file of the same name, whose entries name their picture's file too (``image``)
Each question gives one ``vqa`` record: in ``aokvqa`` its free answers with their counts, in ``aokvqa_mc`` the right one
of its choices. Quirks: splits are those of COCO 2017, so a train picture may lie in val2014: pictures are found by
``image_id``, which is one number in both years; test lacks all answers; questions with ``difficult_direct_answer`` do
not count in the official score of free answers (the flag is in ``meta``); ``rationales`` are not used.
Schwenk et al., A-OKVQA: A Benchmark for Visual Question Answering using World Knowledge, 2022.
"""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from converters._coco import image_id, number_of
from converters._questions import ASKED, Question, evaluated, listed
from converters._table import Form, Reading, Row, Shape, Source, record_of
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Pair, Record, counted, image_ref
from schemas.text import tidy

CHOICES = 4


class Multiple(Question, frozen=True, kw_only=True):
    """One question with its choices and the index of the right one."""

    choices: list[str]
    right: int


class _Entry(msgspec.Struct, frozen=True):
    image_id: int
    question_id: str
    question: str
    choices: list[str]
    correct_choice_idx: int
    direct_answers: list[str]
    difficult_direct_answer: bool
    image: str | None = None


def rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of the list."""
    yield from listed(reading, _Entry, _multiple)


def _multiple(reading: Reading, entry: _Entry) -> Multiple:
    return Multiple(
        source=reading.source,
        split=reading.split,
        id=entry.question_id,
        image=image_ref(image_id(entry.image_id), None),
        question=entry.question,
        answers=entry.direct_answers,
        meta=[
            Pair("difficult_direct_answer", str(entry.difficult_direct_answer).lower()),
            *(Pair("choice", choice) for choice in entry.choices),
            Pair("correct_choice", str(entry.correct_choice_idx)),
        ],
        fault=_fault(entry),
        choices=entry.choices,
        right=entry.correct_choice_idx,
    )


def _fault(entry: _Entry) -> str:
    if entry.image is None:
        return ""
    try:
        named = number_of(entry.image)
    except RecordError as error:
        return str(error)
    return "" if named == entry.image_id else f"pictures differ: image_id is {entry.image_id}, image {entry.image!r}"


def choose(row: Multiple, wording: Wording) -> Record:
    """The question with its choices, answered by the right one; RecordError where they are not as they should be."""
    if row.fault:
        raise RecordError(row.fault)
    if len(row.choices) != CHOICES:
        raise RecordError(f"not four choices: {row.id} has {len(row.choices)}")
    if not 0 <= row.right < CHOICES:
        raise RecordError(f"no such choice: the right one of {row.id} is said to be number {row.right}, wanted 0 to 3")
    choices = [tidy(choice, "choice") for choice in row.choices]
    between = "; " if any("," in choice for choice in choices) else ", "
    return record_of(
        row,
        "vqa",
        slots=[Pair("question", tidy(row.question, "question")), Pair("choices", between.join(choices))],
        reply=counted([choices[row.right]]),
        boxes=[],
        wording=wording,
        meta=row.meta,
        pool="vqa_choices",
    )


_KEYS = frozenset({"image_id", "question_id", "question", "choices"})
_SPLITS = {"train": "train", "val": "val"}
_FILES = ("aokvqa_v1p0_{split}.json",)
_COUNTS = {"train": 17_056, "val": 1_145}

_AOKVQA = Source(
    name="aokvqa",
    title="A-OKVQA",
    collection="coco",
    splits={"train": "train", "val": "eval"},
    forms=(
        Form("official", _FILES, _SPLITS, rows, Shape("list", _KEYS, without=frozenset({"image"})), _COUNTS),
        Form("lavis", _FILES, _SPLITS, rows, Shape("list", _KEYS | {"image"}), _COUNTS),
    ),
    variants=(ASKED,),
    unit="questions",
    counted=("vqa",),
    licence="Apache-2.0 (annotations); Flickr terms (pictures)",
    citation="Schwenk et al. 2022, arXiv:2206.01718",
    homepage="https://github.com/allenai/aokvqa",
    places=("", "annotations"),
    closed=("test",),
    notes="difficult_direct_answer in meta marks the questions that the official score of free answers leaves out",
)

CONVERTERS = (
    _AOKVQA,
    evaluated(_AOKVQA, "vqa_eval", "val"),
    replace(_AOKVQA, name="aokvqa_mc", title="A-OKVQA, multiple choice", variants=(replace(ASKED, record=choose),)),
)
