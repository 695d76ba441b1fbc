"""VQAv2, OK-VQA and VizWiz: questions about COCO's pictures, or about blind people's own, ten answers to each.

Reads one of
  official   OpenEnded_mscoco_<split>2014_questions.json and mscoco_<split>2014_annotations.json, as published
             (visualqa.org, where both names begin with v2_; okvqa.allenai.org)
  lavis      vqa_<split>.json or okvqa_train.json: one list of both, as LAVIS and BLIP publish it
and for VizWiz <split>.json, one list of both, as published (vizwiz.org).
Each question gives one ``vqa`` record. Quirks: the two files are joined by ``question_id`` (picture * 1000 + n, in
OK-VQA picture * 10 + n), never by their order; people's answers differ, and all stay with their counts; VQAv2's are
lower-cased and lack articles; OK-VQA's are those of five people, each doubled, and ``answer`` is cut to stems where
``raw_answer`` is as typed; its ``question_type`` is a number word that ``question_types`` explains; LAVIS's ``answer``
may be one text; VizWiz has no ids but its pictures' numbers, empty answers, and blanks after questions. Known from
github.com/GT-Vision-Lab/VQA, google-research/big_vision and salesforce/LAVIS.
Goyal et al., Making the V in VQA Matter, 2017; Marino et al., OK-VQA, 2019; Gurari et al., VizWiz, 2018.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from converters._coco import image_id, number_of
from converters._collections import VIZWIZ
from converters._questions import ASKED, evaluated, listed, question
from converters._table import Form, Reading, Row, Shape, Source
from converters._vqa import Given, official_rows
from schemas.errors import ConfigError, RecordError
from schemas.record import Pair


class _Entry(msgspec.Struct, frozen=True):
    question_id: int
    question: str
    answer: list[str] | str
    image: str


class _VizWiz(msgspec.Struct, frozen=True):
    image: str
    question: str
    answers: list[Given]
    answer_type: str
    answerable: int


def lavis_rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of the list."""
    if (text := reading.options.get("answer", "raw")) != "raw":
        raise ConfigError(f"{reading.source}: answer={text} needs the official files, not {reading.files[0]}")
    yield from listed(reading, _Entry, _lavis)


def _lavis(reading: Reading, entry: _Entry) -> Row:
    answers = [entry.answer] if isinstance(entry.answer, str) else entry.answer
    return question(reading, str(entry.question_id), image_id(number_of(entry.image)), entry.question, answers)


def vizwiz_rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of the list; its id is the number in its picture's name."""
    yield from listed(reading, _VizWiz, _vizwiz)


def _vizwiz(reading: Reading, entry: _VizWiz) -> Row:
    named = re.fullmatch(VIZWIZ.folders[0].pattern, entry.image)
    if not named:
        raise RecordError(f"no VizWiz file name: {entry.image!r}")
    number, image = str(int(named["id"][-8:])), f"{VIZWIZ.name}/{named['id']}"
    answers = [given.answer for given in entry.answers]
    meta = [Pair("answer_type", entry.answer_type), Pair("answerable", str(entry.answerable))]
    return question(reading, number, image, entry.question, answers, meta)


_LIST = Shape("list", frozenset({"question_id", "question", "answer", "image"}))
_ASKED = Shape("object", frozenset({"questions"}), "questions", frozenset({"question_id"}))
_SPLITS = {"train": "train", "val": "val"}

_VQAV2 = Source(
    name="vqav2",
    title="VQA v2.0",
    collection="coco",
    splits={"train": "train", "val": "eval"},
    forms=(
        Form(
            "official",
            ("v2_OpenEnded_mscoco_{split}2014_questions.json", "v2_mscoco_{split}2014_annotations.json"),
            _SPLITS,
            official_rows,
            _ASKED,
            {"train": 443_757, "val": 214_354},
        ),
        Form("lavis", ("vqa_{split}.json",), _SPLITS, lavis_rows, _LIST),
    ),
    variants=(ASKED,),
    unit="questions",
    counted=("vqa",),
    licence="CC-BY-4.0 (annotations); Flickr terms (pictures)",
    citation="Goyal et al. 2017, arXiv:1612.00837",
    homepage="https://visualqa.org/download.html",
    places=("", "annotations"),
    preferred=("official",),
    closed=("test", "test-dev"),
)

_OKVQA = replace(
    _VQAV2,
    name="okvqa",
    title="OK-VQA",
    forms=(
        Form(
            "official",
            ("OpenEnded_mscoco_{split}2014_questions.json", "mscoco_{split}2014_annotations.json"),
            _SPLITS,
            official_rows,
            _ASKED,
            {"train": 9_009, "val": 5_046},
        ),
        Form("lavis", ("okvqa_{split}.json",), {"train": "train"}, lavis_rows, _LIST),
    ),
    citation="Marino et al. 2019, arXiv:1906.00067",
    homepage="https://okvqa.allenai.org/download.html",
    options={"answer": ("raw", "processed")},
    closed=(),
    notes="val is what OK-VQA's paper tests on; answer=processed takes the answers cut to stems",
)

# The official score compares the answers that were cut to stems.
_OKVQA_EVAL = replace(
    evaluated(_OKVQA, "vqa_eval", "val"),
    options={"answer": ("processed", "raw")},
    notes="val is what OK-VQA's paper tests on, by the answers cut to stems; answer=raw takes them as typed",
)

_SEEN = Shape("list", frozenset({"image", "question", "answers", "answerable"}))
_COUNTS = {"train": 20_523, "val": 4_319}

_VIZWIZ = replace(
    _VQAV2,
    name="vizwiz",
    title="VizWiz-VQA",
    collection="vizwiz",
    forms=(Form("official", ("{split}.json",), _SPLITS, vizwiz_rows, _SEEN, _COUNTS),),
    licence="CC-BY-4.0",
    citation="Gurari et al. 2018, arXiv:1802.08218",
    homepage="https://vizwiz.org/tasks-and-datasets/vqa/",
    places=("", "Annotations"),
)

CONVERTERS = (_VQAV2, _OKVQA, _OKVQA_EVAL, _VIZWIZ, evaluated(_VIZWIZ, "vizwiz_eval", "val"))
