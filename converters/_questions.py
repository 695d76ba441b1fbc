"""What all sources of questions share: a question with people's answers, its record, and how it is asked to evaluate.

All answers stay, with how often each was given: the reply is one of them, drawn as MiniGPT-v2 draws it, each as likely
as its count says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from converters._read import items, read
from converters._table import Form, Pictured, Reading, Row, Source, Variant, each, record_of
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Pair, Record, counted, image_ref
from schemas.text import tidy

T = TypeVar("T")


class Question(Pictured, frozen=True, kw_only=True):
    """One question about one picture and everybody's answers, in the file's order.

    ``fault`` says why it can be no record, where that is known from joining files: "reason: detail".
    """

    question: str
    answers: Sequence[str]
    meta: Sequence[Pair] = ()
    fault: str = ""


def question(
    reading: Reading,
    id: str,
    image: str,
    text: str,
    answers: Sequence[str],
    meta: Sequence[Pair] = (),
    fault: str = "",
) -> Question:
    """The row of a question about the picture of that id, whose size nobody states."""
    return Question(
        source=reading.source,
        split=reading.split,
        id=id,
        image=image_ref(image, None),
        question=text,
        answers=answers,
        meta=meta,
        fault=fault,
    )


def listed(reading: Reading, kind: type[T], row: Callable[[Reading, T], Row]) -> Iterator[Row]:
    """One row per entry of the one file's list; an entry of another type, or of which there is no row, is malformed."""
    (path,) = reading.files
    return each(reading, items(read(path), kind, path), lambda reading, _, entry: row(reading, entry))


def ask(row: Question, wording: Wording, pool: str = "vqa") -> Record:
    """The question, answered. Empty answers among others are left out and counted; RecordError where none is left."""
    if row.fault:
        raise RecordError(row.fault)
    given = [tidy(answer, "answer") for answer in row.answers if answer.strip()]
    if not given:
        raise RecordError(f"no answer: {row.source} {row.split} {row.id} has {len(row.answers)}, none with any text")
    empty = len(row.answers) - len(given)
    return record_of(
        row,
        "vqa",
        slots=[Pair("question", tidy(row.question, "question"))],
        reply=counted(given),
        boxes=[],
        wording=wording,
        meta=[*row.meta, Pair("empty_answers", str(empty))] if empty else row.meta,
        pool=pool,
    )


ASKED = Variant("vqa", candidate="a question", record=ask, boxed=False)


def evaluated(base: Source, pool: str, *splits: str) -> Source:
    """These splits of a source as an evaluation set, a source of its own: each question in the pool's one wording."""
    return replace(
        base,
        name=f"{base.name}_eval",
        title=f"{base.title}, in the wording that evaluates",
        splits=dict.fromkeys(splits, "eval"),
        forms=tuple(_only(form, splits) for form in base.forms if set(splits) <= set(form.splits)),
        variants=(replace(ASKED, record=partial(ask, pool=pool)),),
    )


def _only(form: Form, splits: Sequence[str]) -> Form:
    return replace(
        form,
        splits={split: form.splits[split] for split in splits},
        counts={split: count for split, count in form.counts.items() if split in splits},
    )
