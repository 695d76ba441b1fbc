"""OCR-VQA: one file by ASIN, its three splits, and the covers it speaks of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters import collection
from pipelines.convert import Outcome
from pipelines.pictures import locate
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]


def book(split: Any, questions: list[Any], answers: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "imageURL": "http://images.example.org/I/x.gif",
        "questions": questions,
        "answers": answers,
        "title": 'The "Red" Bo\u00f6k',
        "authorName": "A. Nobody",
        "genre": "Calendars",
        "split": split,
        **more,
    }


WHO, WHAT = "Who wrote this book?", "What is the title?"


def told(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    """Id, picture, and the answer or else the reason."""
    return [
        (
            one.key.removeprefix("ocrvqa/").removesuffix("/vqa"),
            one.image.id if one.image else "",
            one.record.messages[1].content if one.record else one.reason,
        )
        for one in outcomes
    ]


def test_a_question_gives_a_whole_record(put: Put, run: Run) -> None:
    put("dataset.json", {"0123": book(1, [WHAT], [' The "Red"  Bo\u00f6k'])})
    (outcome,) = run("ocrvqa", "train")
    assert msgspec.to_builtins(outcome.record) == {
        "key": "ocrvqa/train/0123-0/vqa",
        "source": "ocrvqa",
        "split": "train",
        "task": "vqa",
        "messages": [
            {"role": "user", "content": "[vqa] using the picture, answer this: What is the title?"},
            {"role": "assistant", "content": 'The "Red" Bo\u00f6k'},
        ],
        "boxes": [],
        "draw": {
            "pool": "vqa",
            "slots": [{"name": "question", "value": "What is the title?"}],
            "answers": [{"text": 'The "Red" Bo\u00f6k', "count": 1}],
        },
        "meta": [],
    }
    assert outcome.image is not None
    assert outcome.image.id == "ocrvqa/123"


BOOKS = {
    "761183272": book(1, [WHO, WHAT], ["A. Nobody", "Red"]),
    "044310073X": book(2, [WHO], ["B. Nobody"]),
    "B000AB": book(3, [WHO], ["C. Nobody"]),
}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", [("761183272-0", "761183272", "A. Nobody"), ("761183272-1", "761183272", "Red")]),
        ("val", [("044310073X-0", "44310073X", "B. Nobody")]),
        ("test", [("B000AB-0", "B000AB", "C. Nobody")]),
    ],
)
def test_the_split_field_is_honoured(put: Put, run: Run, split: str, expected: list[tuple[str, str, str]]) -> None:
    put("dataset.json", BOOKS)
    assert told(run("ocrvqa", split)) == [(f"{split}/{id}", f"ocrvqa/{image}", said) for id, image, said in expected]


@pytest.mark.parametrize("key", ["044310073X", "44310073X"])
@pytest.mark.parametrize("name", ["044310073X.jpg", "44310073X.gif"])
def test_a_cover_is_found_with_and_without_leading_zeros(put: Put, run: Run, key: str, name: str) -> None:
    put("dataset.json", {key: book(1, [WHO], ["A"])})
    place = put(f"images/{name}", b"any bytes")
    (outcome,) = run("ocrvqa", "train")
    assert outcome.image is not None
    assert outcome.image.id in locate(collection("ocrvqa"), [str(place.parent.parent)])


@pytest.mark.parametrize("answers", [["A"], ["A", "B", "C"], []])
def test_where_answers_do_not_match_every_question_of_the_book_is_rejected(
    put: Put, run: Run, answers: list[str]
) -> None:
    put("dataset.json", {"1": book(1, [WHO, WHAT], answers), "2": book(1, [WHO], ["Z"])})
    assert told(run("ocrvqa", "train")) == [
        ("train/1-0", "ocrvqa/1", "answers do not match"),
        ("train/1-1", "ocrvqa/1", "answers do not match"),
        ("train/2-0", "ocrvqa/2", "Z"),
    ]


def test_answers_without_any_question_are_one_reject(put: Put, run: Run) -> None:
    put("dataset.json", {"1": book(1, [], ["A", "B"]), "2": book(1, [], [])})
    assert told(run("ocrvqa", "train")) == [("train/row1", "", "malformed row")]


def test_an_empty_text_is_rejected_alone(put: Put, run: Run) -> None:
    put("dataset.json", {"1": book(1, [WHO, " ", WHAT], ["A", "B", ""])})
    assert [said for _, _, said in told(run("ocrvqa", "train"))] == ["A", "empty question", "no answer"]


def test_a_book_in_no_split_is_counted_in_each(put: Put, run: Run) -> None:
    put("dataset.json", {"1": book(4, [WHO, WHAT], ["A", "B"])})
    for split in ("train", "val", "test"):
        outcomes = run("ocrvqa", split)
        assert told(outcomes) == [(f"{split}/row1-{place}", "", "malformed row") for place in (0, 1)]
        assert "no such split: 4, wanted 1, 2 or 3" in outcomes[0].detail


def test_a_broken_book_is_as_many_rejects_as_it_has_questions(put: Put, run: Run) -> None:
    books = {
        "1": book(1, [WHO, WHAT], ["A", 1999]),
        "2": book(2, [WHO], [None]),
        "3": book(1, [], [None]),
        "4": {"questions": 5},
        "5": "no book",
    }
    put("dataset.json", {"0": BOOKS["761183272"], **books})
    broken = [(f"row{place}", "", "malformed row") for place in ("1-0", "1-1", "3-0", "4-0", "5-0")]
    found = told(run("ocrvqa", "train"))
    assert [one for one in found if "row" in one[0]] == [(f"train/{id}", *rest) for id, *rest in broken]
    assert told(run("ocrvqa", "val")) == [(f"val/{id}", "", "malformed row") for id in ("row2-0", "row4-0", "row5-0")]


def test_a_key_that_cannot_be_an_id_is_rejected(put: Put, run: Run) -> None:
    put("dataset.json", {"..": book(1, [WHO], ["A"])})
    assert [one.reason for one in run("ocrvqa", "train")] == ["bad record key"]


@pytest.mark.parametrize("content", [[BOOKS["B000AB"]], {"1": {"questions": [WHO], "split": 2}}, {"images": []}])
def test_a_file_of_another_shape_is_not_read(put: Put, run: Run, content: Any) -> None:
    put("dataset.json", content)
    with pytest.raises(SourceError, match=r"dataset\.json is there, but .* not as published"):
        run("ocrvqa", "train")


def test_a_missing_file_is_named(run: Run) -> None:
    with pytest.raises(SourceError, match=r"ocrvqa val: .*wanted dataset\.json; get it: https://ocr-vqa\.github\.io"):
        run("ocrvqa", "val")
