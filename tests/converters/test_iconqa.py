"""IconQA's questions with answers among texts: folders and MiniGPT-v2's list."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

FLAT = "choose_text_val.json"


def problem(question: Any = "How many?", choices: Any = ("two", "ten"), answer: Any = 1, **more: Any) -> dict[str, Any]:
    return {"question": question, "choices": choices, "answer": answer, **more}


def published(put: Put, pid: str, content: Any, split: str = "val", within: str = "iconqa/") -> None:
    put(f"{within}{split}/choose_txt/{pid}/data.json", content)


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """The row's id, and the answer or else the reason."""
    return [(one.key.split("/")[2], one.record.messages[1].content if one.record else one.reason) for one in outcomes]


def test_a_question_is_whole(put: Put, run: Run) -> None:
    published(put, "7", problem(" How many\nicons? ", ["two", " ten "], ques_type="choose_txt", grade="grade1"))
    (found,) = run("iconqa", "val")
    question = "Based on the image, respond to this question with a single word or phrase: How many icons?"
    assert msgspec.to_builtins(found.record) == {
        "key": "iconqa/val/7/vqa",
        "source": "iconqa",
        "split": "val",
        "task": "vqa",
        "messages": [{"role": "user", "content": f"[vqa] {question}"}, {"role": "assistant", "content": "ten"}],
        "boxes": [],
        "draw": {
            "pool": "vqa_eval",
            "slots": [{"name": "question", "value": "How many icons?"}],
            "answers": [{"text": "ten", "count": 1}],
        },
        "meta": [
            {"name": "choice", "value": "two"},
            {"name": "choice", "value": "ten"},
            {"name": "correct_choice", "value": "1"},
        ],
    }
    assert found.image is not None
    assert found.image.id == "iconqa/7"


def test_folders_are_read_in_the_order_of_their_numbers_and_none_is_lost(put: Put, run: Run) -> None:
    for pid in ("10", "9", "100"):
        published(put, pid, problem())
    published(put, "2", b"{no json")
    published(put, "3", problem(answer="1"))
    put("iconqa/val/choose_txt/4/image.png", b"a picture alone")
    put("iconqa/val/choose_txt/notes.txt", b"no question")
    published(put, "5", problem(), split="test")
    put("iconqa/val/fill_in_blank/6/data.json", problem())
    found = run("iconqa", "val")
    assert told(found) == [
        ("row2", "malformed row"),
        ("row3", "malformed row"),
        ("row4", "malformed row"),
        ("9", "ten"),
        ("10", "ten"),
        ("100", "ten"),
    ]
    assert [one.detail.split(": ")[1] for one in found[:3]] == ["2/data.json", "3/data.json", "no 4/data.json"]


@pytest.mark.parametrize("within", ["iconqa/", ""])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_root_is_the_folder_or_the_one_above_it(put: Put, run: Run, within: str, split: str) -> None:
    published(put, "7", problem(), split, within)
    assert told(run("iconqa", split)) == [("7", "ten")]


@pytest.mark.parametrize(
    ("content", "told_of_it"),
    [
        (problem(answer=0), "two"),
        (problem(answer=2), "no such choice"),
        (problem(answer=-1), "no such choice"),
        (problem(choices=[], answer=0), "no such choice"),
        (problem(choices=["two", " "], answer=0), "empty choice"),
        (problem(question="\n"), "empty question"),
        (problem(choices=["<p>", "ten"], answer=0), "<\\p>"),
        (problem(choices=[2, 10]), "malformed row"),
        (problem(choices="two"), "malformed row"),
        (problem(question=None), "malformed row"),
        ([problem()], "malformed row"),
    ],
)
def test_a_question_gives_a_record_or_a_reject(put: Put, run: Run, content: Any, told_of_it: str) -> None:
    published(put, "7", content)
    ((_, found),) = told(run("iconqa", "val"))
    assert found == told_of_it


def test_minigpts_list_gives_the_same_records(put: Put, run: Run) -> None:
    published(put, "7", problem())
    published(put, "8", problem(choices=["red", "blue"], answer=0))
    folders = [one.record for one in run("iconqa", "val")]
    listed = [problem(image_id="7"), problem(image_id=8, choices=["red", "blue"], answer=0)]
    put(FLAT, [*listed, problem(), problem(image_id="a b"), problem(image_id="7")])
    found = run("iconqa", "val", form="flat")
    assert [one.record for one in found][:2] == folders
    assert [one.reason for one in found][2:] == ["malformed row", "bad record key", "duplicate key"]
    assert len(run("iconqa", "val")) == 2


def test_the_list_is_known_by_its_content_and_holds_val_alone(put: Put, run: Run) -> None:
    put(FLAT, [{"question": "How many?", "answer": "ten"}])
    with pytest.raises(SourceError, match=f"{FLAT} is there, but its content is not as published"):
        run("iconqa", "val")
    put(FLAT, [problem(image_id="7")])
    assert told(run("iconqa", "val")) == [("7", "ten")]
    with pytest.raises(
        SourceError, match=r"iconqa test: not found under .*: wanted test/choose_txt/; get it: https://"
    ):
        run("iconqa", "test")
