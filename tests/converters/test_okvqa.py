"""OK-VQA: VQA's two files with answers in two spellings, for training and for evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import find
from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

LAVIS = [
    {
        "question_id": 75,
        "question": "What is the dog doing?",
        "answer": ["swimming", "swimming", "bathing"],
        "image": "train2014/COCO_train2014_000000000007.jpg",
        "dataset": "okvqa",
    }
]


def given(raw: list[str]) -> list[dict[str, Any]]:
    return [
        {"answer_id": n, "raw_answer": text, "answer_confidence": "yes", "answer": text.removesuffix("ing")}
        for n, text in enumerate(raw, 1)
    ]


@pytest.fixture
def both(put: Put) -> Callable[..., None]:
    """Writes the two files of a split, one question with those answers and any more annotations."""

    def written(split: str, answers: list[dict[str, Any]]) -> None:
        asked = {"image_id": 7, "question": "What is the dog doing?", "question_id": 75}
        kinds = {"image_id": 7, "answer_type": "other", "question_type": "four", "question_id": 75}
        types = {"four": "Sports and Recreation", "other": "Other"}
        put(f"OpenEnded_mscoco_{split}2014_questions.json", {"info": {"version": "1.0"}, "questions": [asked]})
        answered = {"question_types": types, "annotations": [{**kinds, "answers": answers}]}
        put(f"mscoco_{split}2014_annotations.json", answered)

    return written


def answers(outcome: Outcome) -> list[tuple[str, int]]:
    assert outcome.record is not None, outcome.detail
    return [(answer.text, answer.count) for answer in outcome.record.draw.answers]


def meta(outcome: Outcome) -> list[tuple[str, str]]:
    assert outcome.record is not None, outcome.detail
    return [(pair.name, pair.value) for pair in outcome.record.meta]


PEOPLE = given(
    ["swimming", "swimming", "bathing", "bathing", "swimming", "swimming", "play", "play", "hunting", "hunt"]
)


def test_doubled_annotators_stay_and_answers_are_as_they_were_typed(both: Any, run: Run) -> None:
    both("train", PEOPLE)
    (outcome,) = run("okvqa", "train")
    assert outcome.key == "okvqa/train/75/vqa"
    assert outcome.image is not None
    assert outcome.image.id == "coco/7"
    assert answers(outcome) == [("swimming", 4), ("bathing", 2), ("play", 2), ("hunting", 1), ("hunt", 1)]


def test_the_stems_are_taken_where_they_are_asked_for(both: Any, run: Run) -> None:
    both("train", PEOPLE)
    (outcome,) = run("okvqa", "train", options={"answer": "processed"})
    assert answers(outcome) == [("swimm", 4), ("bath", 2), ("play", 2), ("hunt", 2)]


def test_the_number_word_of_a_question_type_is_explained(both: Any, run: Run) -> None:
    both("train", PEOPLE)
    (outcome,) = run("okvqa", "train")
    assert meta(outcome) == [("question_type", "Sports and Recreation"), ("answer_type", "other")]


def test_an_answer_without_the_spelling_wanted_makes_a_reject(both: Any, run: Run) -> None:
    both("train", [{"answer_id": 1, "answer": "swim", "answer_confidence": "yes"}])
    (outcome,) = run("okvqa", "train")
    assert outcome.reason == "malformed row"
    assert "missing required field `raw_answer`" in outcome.detail
    (taken,) = run("okvqa", "train", options={"answer": "processed"})
    assert answers(taken) == [("swim", 1)]


def test_laviss_list_has_one_spelling_only(put: Put, run: Run) -> None:
    put("okvqa_train.json", LAVIS)
    (outcome,) = run("okvqa", "train")
    assert answers(outcome) == [("swimming", 2), ("bathing", 1)]
    with pytest.raises(ConfigError, match=r"okvqa: answer=processed needs the official files, .*okvqa_train\.json"):
        run("okvqa", "train", options={"answer": "processed"})


def test_evaluation_asks_every_question_in_the_papers_words(both: Any, run: Run) -> None:
    both("val", PEOPLE)
    (outcome,) = run("okvqa_eval", "val")
    assert outcome.record is not None
    assert outcome.key == "okvqa_eval/val/75/vqa"
    assert outcome.record.draw.pool == "vqa_eval"
    assert outcome.record.messages[0].content == (
        "[vqa] Based on the image, respond to this question with a single word or phrase: What is the dog doing?"
    )
    assert sum(count for _, count in answers(outcome)) == 10
    assert answers(outcome)[0] == ("swimm", 4)  # as the score compares them
    (typed,) = run("okvqa_eval", "val", options={"answer": "raw"})
    assert answers(typed) == [("swimming", 4), ("bathing", 2), ("play", 2), ("hunting", 1), ("hunt", 1)]
    (trained,) = run("okvqa", "val")
    assert trained.record is not None
    assert trained.record.draw.pool == "vqa"


def test_evaluation_has_no_train_split(run: Run) -> None:
    assert find("okvqa_eval").splits == {"val": "eval"}
    with pytest.raises(ConfigError, match=r"okvqa_eval: unknown split 'train'; .*known: val"):
        run("okvqa_eval", "train")


def test_missing_files_are_named(run: Run) -> None:
    with pytest.raises(SourceError, match=r"wanted OpenEnded_.*val2014.* \+ mscoco_val2014_ann.*okvqa\.allenai"):
        run("okvqa", "val")
