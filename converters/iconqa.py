"""IconQA, answers among texts: questions about icons, asked as MiniGPT-v2's paper asks when it evaluates.

Reads one of
  published  [iconqa/]<split>/choose_txt/<pid>/data.json, with image.png beside it (iconqa.github.io)
  flat       choose_text_val.json, MiniGPT-v2's list of the same questions of val (github.com/Vision-CAIR/MiniGPT-4)
``answer`` is the index of the right one of ``choices``. Each question gives one ``vqa`` record; the choices are not in
the question but in its meta, since the paper ranks them by likelihood. Quirk: MiniGPT-v2's file calls pids image ids.
Lu et al., IconQA, 2021, arXiv:2110.13214.
"""

from collections.abc import Iterator

import msgspec

from converters._read import Broken, decode, exists, items, join, names, read
from converters._table import Form, Pictured, Reading, Row, Shape, Source, Variant, malformed, record_of
from schemas.errors import RecordError, SourceError
from schemas.prompt import Wording
from schemas.record import Pair, Record, counted, image_ref
from schemas.text import tidy


class _Problem(msgspec.Struct, frozen=True):
    question: str
    choices: list[str]
    answer: int


class _Listed(_Problem, frozen=True):
    image_id: str | int


class Problem(Pictured, frozen=True, kw_only=True):
    """A question, the texts to choose from, and the index of the right one."""

    question: str
    choices: list[str]
    answer: int


def folder_rows(reading: Reading) -> Iterator[Row]:
    """One row per folder whose name is a number, in the order of those numbers."""
    (folder,) = reading.files
    for pid in sorted(filter(str.isdecimal, names(folder)), key=lambda pid: (int(pid), pid)):
        path, place = join(folder, pid, "data.json"), f"{pid}/data.json"
        if not exists(path):
            yield malformed(reading, pid, f"no {place}")
            continue
        try:
            yield _row(reading, pid, decode(read(path), _Problem, place))
        except SourceError as error:
            yield malformed(reading, pid, str(error))


def listed_rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of the list."""
    (path,) = reading.files
    for entry in items(read(path), _Listed, path):
        if isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
        else:
            yield _row(reading, str(entry.image_id), entry)


def _row(reading: Reading, pid: str, problem: _Problem) -> Problem:
    return Problem(
        source=reading.source,
        split=reading.split,
        id=pid,
        image=image_ref(f"iconqa/{pid}", None),
        question=problem.question,
        choices=problem.choices,
        answer=problem.answer,
    )


def choose(row: Problem, wording: Wording) -> Record:
    """The question, answered with the text of the right choice."""
    choices = [tidy(choice, "choice") for choice in row.choices]
    if not 0 <= row.answer < len(choices):
        raise RecordError(f"no such choice: {row.answer}, wanted 0 to {len(choices) - 1}")
    return record_of(
        row,
        "vqa",
        slots=[Pair("question", tidy(row.question, "question"))],
        reply=counted([choices[row.answer]]),
        boxes=[],
        wording=wording,
        meta=[*(Pair("choice", choice) for choice in choices), Pair("correct_choice", str(row.answer))],
        pool="vqa_eval",
    )


_SPLITS = ("train", "val", "test")

CONVERTERS = (
    Source(
        name="iconqa",
        title="IconQA, answers among texts",
        collection="iconqa",
        splits=dict.fromkeys(_SPLITS, "eval"),
        forms=(
            Form(
                "published",
                ("{split}/choose_txt/",),
                {split: split for split in _SPLITS},
                folder_rows,
                counts={"train": 18_946, "val": 6_316, "test": 6_316},
            ),
            Form(
                "flat",
                ("choose_text_val.json",),
                {"val": "val"},
                listed_rows,
                Shape("list", frozenset({"image_id", "question", "choices", "answer"})),
            ),
        ),
        variants=(Variant("vqa", candidate="a question", record=choose, boxed=False),),
        unit="questions",
        counted=("vqa",),
        licence="CC-BY-NC-SA-4.0",
        citation="Lu et al. 2021, arXiv:2110.13214",
        homepage="https://iconqa.github.io",
        places=("", "iconqa"),
        preferred=("published",),
        notes="the choose_txt sub-task alone: choose_img and fill_in_blank are no part of MiniGPT-v2's evaluation",
    ),
)
