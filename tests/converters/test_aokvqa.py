"""A-OKVQA: free answers, multiple choice, and evaluation, from one file of two makers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters import find
from converters._files import resolve
from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

TRAIN, VAL = "aokvqa_v1p0_train.json", "aokvqa_v1p0_val.json"


def entry(**changed: Any) -> dict[str, Any]:
    return {
        "split": "train",
        "image_id": 11,
        "question_id": "2aBcD",
        "question": "What will the man eat? ",
        "choices": ["soup", "bread ", "cake", "fish"],
        "correct_choice_idx": 1,
        "direct_answers": ["bread", "toast", "bread", "a bun"],
        "difficult_direct_answer": False,
        "rationales": ["He has a toaster."],
        **changed,
    }


META = [
    {"name": "difficult_direct_answer", "value": "false"},
    {"name": "choice", "value": "soup"},
    {"name": "choice", "value": "bread "},
    {"name": "choice", "value": "cake"},
    {"name": "choice", "value": "fish"},
    {"name": "correct_choice", "value": "1"},
]


def test_the_free_answers_make_a_whole_record(put: Put, run: Run) -> None:
    put(TRAIN, [entry()])
    (outcome,) = run("aokvqa", "train")
    assert msgspec.to_builtins(outcome.record) == {
        "key": "aokvqa/train/2aBcD/vqa",
        "source": "aokvqa",
        "split": "train",
        "task": "vqa",
        "messages": [
            {"role": "user", "content": "[vqa] look at the picture and answer in a few words: What will the man eat?"},
            {"role": "assistant", "content": "a bun"},
        ],
        "boxes": [],
        "draw": {
            "pool": "vqa",
            "slots": [{"name": "question", "value": "What will the man eat?"}],
            "answers": [{"text": "bread", "count": 2}, {"text": "toast", "count": 1}, {"text": "a bun", "count": 1}],
        },
        "meta": META,
    }
    assert outcome.image is not None
    assert outcome.image.id == "coco/11"


def test_the_right_choice_makes_a_whole_record(put: Put, run: Run) -> None:
    put(TRAIN, [entry()])
    (outcome,) = run("aokvqa_mc", "train")
    assert msgspec.to_builtins(outcome.record) == {
        "key": "aokvqa_mc/train/2aBcD/vqa",
        "source": "aokvqa_mc",
        "split": "train",
        "task": "vqa",
        "messages": [
            {"role": "user", "content": "[vqa] What will the man eat? Is it one of these? soup, bread, cake, fish"},
            {"role": "assistant", "content": "bread"},
        ],
        "boxes": [],
        "draw": {
            "pool": "vqa_choices",
            "slots": [
                {"name": "question", "value": "What will the man eat?"},
                {"name": "choices", "value": "soup, bread, cake, fish"},
            ],
            "answers": [{"text": "bread", "count": 1}],
        },
        "meta": META,
    }


def test_choices_that_hold_a_comma_are_parted_by_semicolons(put: Put, run: Run) -> None:
    put(TRAIN, [entry(choices=["soup", "bread, butter", "cake", "fish"])])
    (outcome,) = run("aokvqa_mc", "train")
    assert outcome.record is not None
    assert outcome.record.draw.slots[1].value == "soup; bread, butter; cake; fish"
    assert outcome.record.messages[1].content == "bread, butter"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"correct_choice_idx": 4}, "no such choice"),
        ({"correct_choice_idx": -1}, "no such choice"),
        ({"choices": ["soup", "bread", "cake"]}, "not four choices"),
        ({"choices": ["soup", "bread", "cake", "fish", "tea"]}, "not four choices"),
        ({"choices": ["soup", "bread", "cake", " "]}, "empty choice"),
        ({"question": " "}, "empty question"),
    ],
)
def test_what_is_no_choice_of_four_is_rejected(put: Put, run: Run, changed: dict[str, Any], reason: str) -> None:
    put(TRAIN, [entry(**changed)])
    assert [one.reason for one in run("aokvqa_mc", "train")] == [reason]


@pytest.mark.parametrize("right", [0, 3])
def test_the_first_and_the_last_choice_may_be_right(put: Put, run: Run, right: int) -> None:
    put(TRAIN, [entry(correct_choice_idx=right)])
    (outcome,) = run("aokvqa_mc", "train")
    assert outcome.record is not None
    assert outcome.record.messages[1].content == ("soup", "bread", "cake", "fish")[right]


def test_empty_answers_are_left_out_and_counted(put: Put, run: Run) -> None:
    put(TRAIN, [entry(direct_answers=["", "bread"]), entry(question_id="none", direct_answers=[""])])
    first, second = run("aokvqa", "train")
    assert first.record is not None
    assert [(pair.name, pair.value) for pair in first.record.meta][-1] == ("empty_answers", "1")
    assert second.reason == "no answer"


@pytest.mark.parametrize("source", ["aokvqa", "aokvqa_mc"])
def test_rows_of_wrong_types_and_repeated_ids_are_rejected(put: Put, run: Run, source: str) -> None:
    broken = entry(question_id="b", correct_choice_idx="1"), entry(question_id="c", direct_answers=None), "nothing"
    put(TRAIN, [entry(), *broken, entry()])
    assert [one.reason for one in run(source, "train")] == ["", *["malformed row"] * 3, "duplicate key"]


@pytest.mark.parametrize("source", ["aokvqa", "aokvqa_mc"])
def test_laviss_file_is_told_by_its_image_and_its_picture_checked(put: Put, run: Run, source: str) -> None:
    name = "train2014/COCO_val2014_{:012d}.jpg"
    path = put(
        TRAIN,
        [
            entry(image=name.format(11)),
            entry(question_id="other", image=name.format(12)),
            entry(question_id="none", image="cake.jpg"),
        ],
    )
    assert resolve(find(source), str(path.parent), "train").form.name == "lavis"
    outcomes = run(source, "train")
    assert [one.reason for one in outcomes] == ["", "pictures differ", "no COCO file name"]
    assert {one.image.id for one in outcomes if one.image} == {"coco/11"}


def test_the_published_file_is_told_by_having_no_image(put: Put) -> None:
    path = put(f"annotations/{TRAIN}", [entry()])
    assert resolve(find("aokvqa"), str(path.parent.parent), "train").form.name == "official"


def test_evaluation_keeps_all_that_scoring_needs(put: Put, run: Run) -> None:
    put(VAL, [entry(difficult_direct_answer=True)])
    (outcome,) = run("aokvqa_eval", "val")
    assert outcome.record is not None
    assert outcome.key == "aokvqa_eval/val/2aBcD/vqa"
    assert outcome.record.messages[0].content == (
        "[vqa] Based on the image, respond to this question with a single word or phrase: What will the man eat?"
    )
    assert next((answer.text, answer.count) for answer in outcome.record.draw.answers) == ("bread", 2)
    assert ("difficult_direct_answer", "true") in [(pair.name, pair.value) for pair in outcome.record.meta]


@pytest.mark.parametrize("source", ["aokvqa", "aokvqa_mc", "aokvqa_eval"])
def test_the_split_without_answers_is_refused(run: Run, source: str) -> None:
    with pytest.raises(ConfigError, match=rf"{source}: the answers of test were never published"):
        run(source, "test")


def test_a_missing_file_is_named(run: Run) -> None:
    with pytest.raises(SourceError, match=r"aokvqa_mc train: .*aokvqa_v1p0_train\.json.*github\.com/allenai/aokvqa"):
        run("aokvqa_mc", "train")


def test_a_file_of_another_shape_is_not_read(put: Put, run: Run) -> None:
    put(TRAIN, {"questions": []})
    with pytest.raises(SourceError, match=r"aokvqa_v1p0_train\.json is there, but .* not as published"):
        run("aokvqa", "train")
