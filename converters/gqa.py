"""GQA: questions on Visual Genome's pictures, made from scene graphs, one answer each.

Reads one of
  balanced   <split>_balanced_questions.json, as published (cs.stanford.edu/people/dorarad/gqa)
  all        <split>_all_questions.json; of train the ten files of the folder train_all_questions
  lavis      a list under the same name as the balanced file, as LAVIS and BLIP publish it, told apart by content
and image_data.json, where it lies beside them, for what COCO calls a picture (see converters/_genome.py).
Quirks: the published files are objects by question id, a string with leading zeros, which is kept; image ids are Visual
Genome's numbers or ``n`` and a number; answers of test and challenge were never published; a row of LAVIS may lack its
question_id, its place in the file is its id then. By the protocol val is trained on too, and testdev evaluates.
Sources: github.com/google-research/big_vision; github.com/salesforce/LAVIS.
Hudson and Manning, GQA, 2019.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from converters._genome import Listed, image_id, pictures
from converters._questions import ASKED, Question, evaluated, question
from converters._read import Broken, entries, items, read
from converters._table import Form, Reading, Row, Shape, Source, malformed
from schemas.record import Pair

_Known = Mapping[str, Listed]
_IMAGE_DATA = "image_data.json"


class _Question(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    image_id: Annotated[str, msgspec.Meta(pattern=r"^n?[0-9]+\Z")]
    question: str
    answer: str | None = None
    full_answer: str | None = None


class _Lavis(msgspec.Struct, frozen=True):
    image: Annotated[str, msgspec.Meta(pattern=r"(?:^|/)n?[0-9]+\.jpg\Z")]
    question: str
    answer: str | list[str] | None = None
    question_id: int | str | None = None


def rows(reading: Reading) -> Iterator[Row]:
    """One row per question of the published file, or of the ten of all that train has."""
    known = _known(reading)
    for number, file in enumerate(file for file in reading.files if not file.endswith(_IMAGE_DATA)):
        for id, entry in entries(read(file), _Question, file):
            if isinstance(entry, Broken):
                yield malformed(reading, f"{number}-{entry.index}", entry.why)
            else:
                yield _asked(reading, id, entry, known)


def _known(reading: Reading) -> _Known:
    last = reading.files[-1]
    return pictures(last) if last.endswith(_IMAGE_DATA) else {}


def _asked(reading: Reading, id: str, entry: _Question, known: _Known) -> Row:
    full = " ".join((entry.full_answer or "").split())
    meta = [Pair("full_answer", full)] if full else []
    return _found(question(reading, id, image_id(entry.image_id), entry.question, [entry.answer or ""], meta), known)


def lavis_rows(reading: Reading) -> Iterator[Row]:
    """One row per entry of LAVIS's list."""
    path, known = reading.files[0], _known(reading)
    for index, entry in enumerate(items(read(path), _Lavis, path)):
        if isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
            continue
        id = str(index if entry.question_id is None else entry.question_id)
        image = image_id(entry.image.rpartition("/")[2].removesuffix(".jpg"))
        answers = entry.answer if isinstance(entry.answer, list) else [entry.answer or ""]
        yield _found(question(reading, id, image, entry.question, answers), known)


def _found(row: Question, known: _Known) -> Question:
    listed = known.get(row.image.id)
    if not listed:
        return row
    # Not its size: no box needs it, and the question holds of a scaled copy as well.
    image = msgspec.structs.replace(row.image, aliases=listed.image.aliases)
    return msgspec.structs.replace(row, image=image, folder=listed.folder)


_TABLE = Shape("table", frozenset({"question", "imageId"}))
_LIST = Shape("list", frozenset({"image", "question"}))
_SPLITS = {split: split for split in ("train", "val", "testdev")}
_ALL = {
    "train": "train_all_questions/train_all_questions_{0..9}.json",
    "val": "val_all_questions.json",
    "testdev": "testdev_all_questions.json",
}
_BALANCED = ("{split}_balanced_questions.json",)
_BESIDE = (_IMAGE_DATA,)

_GQA = Source(
    name="gqa",
    title="GQA",
    collection="vg",
    splits={"train": "train", "val": "train", "testdev": "eval"},
    forms=(
        Form(
            "balanced",
            _BALANCED,
            _SPLITS,
            rows,
            _TABLE,
            {"train": 943_000, "val": 132_062, "testdev": 12_578},
            optional=_BESIDE,
        ),
        Form(
            "all",
            ("{split}",),
            _ALL,
            rows,
            counts={"train": 14_305_356, "val": 2_011_853, "testdev": 172_174},
            optional=_BESIDE,
        ),
        Form("lavis", _BALANCED, _SPLITS, lavis_rows, _LIST, optional=_BESIDE),
    ),
    variants=(ASKED,),
    unit="questions",
    counted=("vqa",),
    licence="CC-BY-4.0",
    citation="Hudson and Manning 2019, arXiv:1902.09506",
    homepage="https://cs.stanford.edu/people/dorarad/gqa/download.html",
    places=("", "questions1.2"),
    preferred=("balanced",),
    closed=("test", "challenge", "submission"),
    notes="pictures are Visual Genome's, or all in one folder images/; image_data.json names those that are COCO's",
)

CONVERTERS = (_GQA, evaluated(_GQA, "vqa_eval", "val", "testdev"))
