"""VQAv2: two published files joined, and LAVIS's one list."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"
ANNOTATIONS = "v2_mscoco_train2014_annotations.json"


def asked(number: int, image: int = 7, question: Any = "Is the dog wet?") -> dict[str, Any]:
    return {"image_id": image, "question": question, "question_id": number}


def answered(number: int, answers: list[Any], image: int = 7) -> dict[str, Any]:
    given = [{"answer": text, "answer_confidence": "yes", "answer_id": n} for n, text in enumerate(answers, 1)]
    kinds = {"question_type": "is the", "answer_type": "yes/no", "multiple_choice_answer": "yes"}
    return {**kinds, "answers": given, "image_id": image, "question_id": number}


def questions(*listed: Any) -> dict[str, Any]:
    head = {"info": {}, "task_type": "Open-Ended", "data_type": "mscoco", "license": {}, "data_subtype": "train2014"}
    return {**head, "questions": list(listed)}


def annotations(*listed: Any) -> dict[str, Any]:
    return {"info": {}, "license": {}, "data_subtype": "train2014", "annotations": list(listed), "data_type": "mscoco"}


def told(outcomes: list[Outcome]) -> list[tuple[str, str, list[tuple[str, int]] | str]]:
    """Id, picture, and the answers with their counts or else the reason."""
    return [
        (
            one.key.removeprefix("vqav2/").removesuffix("/vqa"),
            one.image.id if one.image else "",
            [(answer.text, answer.count) for answer in one.record.draw.answers] if one.record else one.reason,
        )
        for one in outcomes
    ]


@pytest.fixture
def both(put: Put) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Writes the two files of train."""

    def written(asks: dict[str, Any], answers: dict[str, Any]) -> None:
        put(QUESTIONS, asks)
        put(ANNOTATIONS, answers)

    return written


def test_a_question_gives_a_whole_record(both: Any, run: Run) -> None:
    both(questions(asked(7000, question=" Is the\ndog wet? ")), annotations(answered(7000, ["yes"] * 7 + ["no"] * 3)))
    (outcome,) = run("vqav2", "train")
    assert msgspec.to_builtins(outcome.record) == {
        "key": "vqav2/train/7000/vqa",
        "source": "vqav2",
        "split": "train",
        "task": "vqa",
        "messages": [
            {"role": "user", "content": "[vqa] Is the dog wet? Keep the answer short."},
            {"role": "assistant", "content": "no"},
        ],
        "boxes": [],
        "draw": {
            "pool": "vqa",
            "slots": [{"name": "question", "value": "Is the dog wet?"}],
            "answers": [{"text": "yes", "count": 7}, {"text": "no", "count": 3}],
        },
        "meta": [{"name": "question_type", "value": "is the"}, {"name": "answer_type", "value": "yes/no"}],
    }
    assert msgspec.to_builtins(outcome.image) == {
        "id": "coco/7",
        "aliases": [],
        "width": None,
        "height": None,
        "sha256": None,
        "license": None,
        "scores": [],
    }


def test_the_files_are_joined_by_id_whatever_their_order(both: Any, run: Run) -> None:
    both(
        questions(asked(9001, 9), asked(7000), asked(9000, 9)),
        annotations(answered(7000, ["a"]), answered(9000, ["b"], 9), answered(9001, ["c"], 9)),
    )
    assert told(run("vqav2", "train")) == [
        ("train/9001", "coco/9", [("c", 1)]),
        ("train/7000", "coco/7", [("a", 1)]),
        ("train/9000", "coco/9", [("b", 1)]),
    ]


def test_what_has_no_partner_is_rejected_on_either_side(both: Any, run: Run) -> None:
    both(questions(asked(7000), asked(7001)), annotations(answered(9000, ["b"], 9), answered(7001, ["a"])))
    assert told(run("vqav2", "train")) == [
        ("train/7000", "coco/7", "no annotation"),
        ("train/7001", "coco/7", [("a", 1)]),
        ("train/9000", "coco/9", "no question"),
    ]


def test_files_that_disagree_about_the_picture_give_no_record(both: Any, run: Run) -> None:
    both(questions(asked(7000, 7)), annotations(answered(7000, ["a"], 8)))
    (outcome,) = run("vqav2", "train")
    assert outcome.reason == "pictures differ"
    assert "question 7000 is of picture 7, its annotation of 8" in outcome.detail


def test_nothing_that_is_there_twice_is_lost_or_counted_as_one(both: Any, run: Run) -> None:
    both(
        questions(asked(7000), asked(7000, question="Again?")),
        annotations(answered(7000, ["a"]), answered(7000, ["b"])),
    )
    assert told(run("vqav2", "train")) == [
        ("train/7000", "coco/7", [("a", 1)]),
        ("train/7000", "coco/7", "no annotation"),
        ("train/row1-annotation", "", "malformed row"),
    ]


def test_a_broken_half_makes_one_reject_of_its_question(both: Any, run: Run) -> None:
    no_text, no_number = asked(7001, question=None), {"image_id": 7, "question": "Whose?", "question_id": "x"}
    both(
        questions(asked(7000), no_text, no_number),
        annotations(answered(7000, ["a", 5]), answered(7001, ["a"]), {"answers": []}),
    )
    outcomes = run("vqav2", "train")
    assert told(outcomes) == [
        ("train/7000", "coco/7", "malformed row"),
        ("train/row1", "", "malformed row"),
        ("train/row2", "", "malformed row"),
    ]
    assert "the annotation of question 7000: Expected `str`, got `int`" in outcomes[0].detail


def test_a_question_whose_number_is_lost_has_the_annotation_that_is_left_over(both: Any, run: Run) -> None:
    lost = {**asked(7001), "question_id": None}
    answers = [answered(7001, ["a"]), answered(7002, ["b"])]
    both(questions(asked(7000), lost), annotations(answered(7000, ["a"]), *answers))
    assert told(run("vqav2", "train")) == [
        ("train/7000", "coco/7", [("a", 1)]),
        ("train/row1", "", "malformed row"),
        ("train/7002", "coco/7", "no question"),
    ]


def test_an_annotation_whose_number_is_lost_is_that_of_a_question_without_one(both: Any, run: Run) -> None:
    both(questions(asked(7000)), annotations({"answers": []}, {**answered(7000, ["a"]), "question_id": "7000"}))
    outcomes = run("vqav2", "train")
    assert told(outcomes) == [
        ("train/7000", "coco/7", "no annotation"),
        ("train/row1-annotation", "", "malformed row"),
    ]
    assert "Expected `int`, got `str`" in outcomes[1].detail


def test_a_lost_question_stands_for_one_annotation_only(both: Any, run: Run) -> None:
    lost = {**asked(7001), "question_id": None}
    both(questions(lost), annotations(answered(7001, ["a"]), {"answers": []}))
    assert told(run("vqav2", "train")) == [
        ("train/row0", "", "malformed row"),
        ("train/row1-annotation", "", "malformed row"),
    ]


def test_empty_answers_are_left_out_and_counted_unless_there_is_no_other(both: Any, run: Run) -> None:
    both(
        questions(asked(7000), asked(7001), asked(7002)),
        annotations(answered(7000, ["red", "", " red", "\n", "blue"]), answered(7001, ["", " "]), answered(7002, [])),
    )
    outcomes = run("vqav2", "train")
    assert told(outcomes) == [
        ("train/7000", "coco/7", [("red", 2), ("blue", 1)]),
        ("train/7001", "coco/7", "no answer"),
        ("train/7002", "coco/7", "no answer"),
    ]
    assert outcomes[0].record is not None
    assert ("empty_answers", "2") in [(pair.name, pair.value) for pair in outcomes[0].record.meta]
    assert outcomes[0].notes == ("empty answer left out of a record",) * 2


def test_a_question_without_words_is_rejected(both: Any, run: Run) -> None:
    both(questions(asked(7000, question=" \n")), annotations(answered(7000, ["a"])))
    assert told(run("vqav2", "train")) == [("train/7000", "coco/7", "empty question")]


def test_what_looks_like_markup_is_quoted(both: Any, run: Run) -> None:
    both(questions(asked(7000, question="What is <p>?")), annotations(answered(7000, ["[vqa]"])))
    (outcome,) = run("vqav2", "train")
    assert outcome.record is not None
    assert "What is <\\p>?" in outcome.record.messages[0].content
    assert outcome.record.messages[1].content == "[\\vqa]"


LAVIS: list[Any] = [
    {
        "question_id": 7000,
        "question": "Is the dog wet?",
        "answer": ["yes", "yes", "no"],
        "image": "train2014/COCO_train2014_000000000007.jpg",
        "dataset": "vqa",
    },
    {
        "question_id": 986,
        "question": "Where is the dog?",
        "answer": "in the river",
        "image": "val2014/COCO_val2014_000000000011.jpg",
        "dataset": "vg",
    },
    {"question_id": 5, "question": "Which?", "answer": ["a"], "image": "VG_100K/5.jpg", "dataset": "vg"},
    {"question_id": 8000, "question": "Why?", "answer": [5], "image": "train2014/COCO_train2014_000000000008.jpg"},
]


@pytest.mark.parametrize("split", ["train", "val"])
def test_laviss_list_is_read_with_its_answers_in_a_list_or_alone(put: Put, run: Run, split: str) -> None:
    put(f"annotations/vqa_{split}.json", LAVIS)
    outcomes = run("vqav2", split)
    assert told(outcomes) == [
        (f"{split}/7000", "coco/7", [("yes", 2), ("no", 1)]),
        (f"{split}/986", "coco/11", [("in the river", 1)]),
        (f"{split}/row2", "", "malformed row"),
        (f"{split}/row3", "", "malformed row"),
    ]
    assert "no COCO file name: 'VG_100K/5.jpg'" in outcomes[2].detail
    assert outcomes[0].record is not None
    assert outcomes[0].record.meta == []


def test_the_published_files_are_preferred_to_laviss_beside_them(both: Any, put: Put, run: Run) -> None:
    both(questions(asked(7000)), annotations(answered(7000, ["a"])))
    put("vqa_train.json", LAVIS)
    assert told(run("vqav2", "train")) == [("train/7000", "coco/7", [("a", 1)])]
    assert len(run("vqav2", "train", form="lavis")) == 4


def test_a_list_of_another_shape_is_not_taken_for_laviss(put: Put, run: Run) -> None:
    put("vqa_train.json", [{"question": "Is it?", "label": "yes"}])
    with pytest.raises(SourceError, match=r"vqa_train\.json is there, but .* not as published"):
        run("vqav2", "train")


@pytest.mark.parametrize("split", ["test", "test-dev"])
def test_the_splits_without_answers_are_refused(run: Run, split: str) -> None:
    with pytest.raises(ConfigError, match=rf"vqav2: the answers of {split} were never published"):
        run("vqav2", split)


def test_one_file_of_the_two_is_not_enough(put: Put, run: Run) -> None:
    put(QUESTIONS, questions(asked(7000)))
    with pytest.raises(SourceError, match=rf"wanted {QUESTIONS} \+ {ANNOTATIONS} or vqa_train.json.*visualqa\.org"):
        run("vqav2", "train")


@pytest.mark.parametrize("cut", [QUESTIONS, ANNOTATIONS])
def test_a_file_cut_off_is_an_error_that_names_it(both: Any, run: Run, tmp_path: Path, cut: str) -> None:
    both(questions(asked(7000)), annotations(answered(7000, ["a"])))
    whole = (tmp_path / cut).read_bytes()
    (tmp_path / cut).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=cut):
        run("vqav2", "train")


def test_a_pair_that_is_of_another_kind_is_an_error(put: Put, run: Run) -> None:
    put(QUESTIONS, json.dumps([1]).encode())
    put(ANNOTATIONS, annotations())
    with pytest.raises(SourceError, match=QUESTIONS):
        run("vqav2", "train")
