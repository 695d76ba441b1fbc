"""VizWiz: one list, pictures by their own names, empty answers; for training and for evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters import collection
from pipelines.convert import Outcome
from pipelines.pictures import locate
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]


def entry(image: str, answers: list[Any], **changed: Any) -> dict[str, Any]:
    return {
        "image": image,
        "question": "What is in this tin?  ",
        "answers": [{"answer": text, "answer_confidence": "maybe"} for text in answers],
        "answer_type": "other",
        "answerable": 1,
        **changed,
    }


def test_a_question_gives_a_whole_record(put: Put, run: Run) -> None:
    put("Annotations/val.json", [entry("VizWiz_val_00000012.jpg", ["beans", "", "unanswerable", "beans"])])
    (outcome,) = run("vizwiz", "val")
    assert msgspec.to_builtins(outcome.record) == {
        "key": "vizwiz/val/12/vqa",
        "source": "vizwiz",
        "split": "val",
        "task": "vqa",
        "messages": [
            {"role": "user", "content": "[vqa] question about this image: What is in this tin? Short answer:"},
            {"role": "assistant", "content": "beans"},
        ],
        "boxes": [],
        "draw": {
            "pool": "vqa",
            "slots": [{"name": "question", "value": "What is in this tin?"}],
            "answers": [{"text": "beans", "count": 2}, {"text": "unanswerable", "count": 1}],
        },
        "meta": [
            {"name": "answer_type", "value": "other"},
            {"name": "answerable", "value": "1"},
            {"name": "empty_answers", "value": "1"},
        ],
    }
    assert outcome.image is not None
    assert outcome.image.id == "vizwiz/VizWiz_val_00000012"


def test_its_picture_is_found_by_that_id(put: Put, run: Run) -> None:
    put("train.json", [entry("VizWiz_train_00000000.jpg", ["beans"])])
    place = put("pictures/train/VizWiz_train_00000000.jpg", b"any bytes")
    (outcome,) = run("vizwiz", "train")
    assert outcome.key == "vizwiz/train/0/vqa"
    assert outcome.image is not None
    assert outcome.image.id in locate(collection("vizwiz"), [str(place.parent.parent)])


def test_evaluation_asks_in_the_words_that_allow_for_no_answer(put: Put, run: Run) -> None:
    put("val.json", [entry("VizWiz_val_00000001.jpg", ["unanswerable"], answer_type="unanswerable", answerable=0)])
    (outcome,) = run("vizwiz_eval", "val")
    assert outcome.record is not None
    assert outcome.key == "vizwiz_eval/val/1/vqa"
    assert outcome.record.draw.pool == "vizwiz_eval"
    assert outcome.record.messages[0].content == (
        "[vqa] The question is 'What is in this tin?' Based on the image, answer the question with a single word or"
        " phrase. and reply 'unanswerable' when the provided information is insufficient"
    )
    meta = [(pair.name, pair.value) for pair in outcome.record.meta]
    assert meta == [("answer_type", "unanswerable"), ("answerable", "0")]


def test_what_gives_no_record_is_rejected_alone(put: Put, run: Run) -> None:
    good = entry("VizWiz_train_00000005.jpg", ["beans"])
    put(
        "train.json",
        [
            good,
            entry("VizWiz_train_00000006.jpg", ["", " "]),
            entry("tin.jpg", ["beans"]),
            entry("VizWiz_train_00000007.jpg", [None]),
            entry("VizWiz_train_00000008.jpg", ["beans"], question=" "),
            {"image": "VizWiz_train_00000009.jpg", "question": "What?"},
            good,
        ],
    )
    outcomes = run("vizwiz", "train")
    assert [(one.key.split("/")[2], one.reason) for one in outcomes] == [
        ("5", ""),
        ("6", "no answer"),
        ("row2", "malformed row"),
        ("row3", "malformed row"),
        ("8", "empty question"),
        ("row5", "malformed row"),
        ("5", "duplicate key"),
    ]
    assert "no VizWiz file name: 'tin.jpg'" in outcomes[2].detail


@pytest.mark.parametrize("source", ["vizwiz", "vizwiz_eval"])
def test_the_split_without_answers_is_refused(run: Run, source: str) -> None:
    with pytest.raises(ConfigError, match=rf"{source}: the answers of test were never published"):
        run(source, "test")


def test_another_list_of_that_plain_name_is_not_read(put: Put, run: Run) -> None:
    put("train.json", [{"image": "VizWiz_train_00000001.jpg", "question": "What?"}])
    with pytest.raises(SourceError, match=r"train\.json is there, but .* not as published"):
        run("vizwiz", "train")


def test_a_missing_file_is_named(run: Run) -> None:
    with pytest.raises(SourceError, match=r"vizwiz_eval val: .*wanted val\.json; get it: https://vizwiz\.org"):
        run("vizwiz_eval", "val")
