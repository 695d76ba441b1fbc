"""GQA's questions in each of their forms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]
Json = dict[str, Any]

IMAGES: list[Json] = [
    {"width": 200, "url": "https://example.org/VG_100K_2/21.jpg", "height": 100, "image_id": 21, "coco_id": 7},
    {
        "width": 200,
        "url": "https://example.org/VG_100K/22.jpg",
        "height": 100,
        "image_id": 22,
        "coco_id": None,
    },
]
TRAIN = "train_balanced_questions.json"


def asked(answer: Any = "dog", image: Any = "21", **more: Any) -> Json:
    return {
        "semantic": [{"operation": "select", "dependencies": [], "argument": "animal (5)"}],
        "entailed": [],
        "equivalent": [],
        "question": "Which animal is it?",
        "imageId": image,
        "isBalanced": True,
        "groups": {"global": None, "local": "00-animal"},
        "answer": answer,
        "semanticStr": "select: animal (5)",
        "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
        "types": {"detailed": "categoryThis", "semantic": "cat", "structural": "query"},
        "fullAnswer": "It is a dog.",
        **more,
    }


def listed(**more: Any) -> Json:
    return {"image": "21.jpg", "question": "Which animal is it?", "answer": "dog", "question_id": "0042", **more}


def told(found: list[Outcome]) -> list[tuple[str, str]]:
    """Key, and the answer or else the reason."""
    return [
        (one.key.removeprefix("gqa/"), one.record.messages[1].content if one.record else one.reason) for one in found
    ]


def pictures(found: list[Outcome]) -> list[tuple[str, list[str], int | None, str]]:
    return [(one.image.id, one.image.aliases, one.image.width, one.folder) for one in found if one.image]


def test_a_question_record_is_whole(put: Put, run: Run) -> None:
    put(TRAIN, {"00042": asked()})
    (found,) = run("gqa", "train")
    assert msgspec.to_builtins(found.record) == {
        "key": "gqa/train/00042/vqa",
        "source": "gqa",
        "split": "train",
        "task": "vqa",
        "messages": [
            {"role": "user", "content": "[vqa] question about this image: Which animal is it? Short answer:"},
            {"role": "assistant", "content": "dog"},
        ],
        "boxes": [],
        "draw": {
            "pool": "vqa",
            "slots": [{"name": "question", "value": "Which animal is it?"}],
            "answers": [{"text": "dog", "count": 1}],
        },
        "meta": [{"name": "full_answer", "value": "It is a dog."}],
    }
    assert pictures([found]) == [("vg/21", [], None, "")]


@pytest.mark.parametrize("split", ["train", "val", "testdev"])
def test_ids_keep_their_zeros_and_pictures_their_letter(put: Put, run: Run, split: str) -> None:
    put(f"{split}_balanced_questions.json", {"07333408": asked(), "7333408": asked("cat", "n161313")})
    found = run("gqa", split)
    assert told(found) == [(f"{split}/07333408/vqa", "dog"), (f"{split}/7333408/vqa", "cat")]
    assert [one.image.id for one in found if one.image] == ["vg/21", "vg/n161313"]


def test_texts_are_tidied(put: Put, run: Run) -> None:
    put(TRAIN, {"1": asked(" a\ndog ", question="  Which\u00a0animal? ", fullAnswer=" It is  a dog.\n")})
    (found,) = run("gqa", "train")
    assert found.record is not None
    assert [slot.value for slot in found.record.draw.slots] == ["Which animal?"]
    assert found.record.messages[1].content == "a dog"
    assert [pair.value for pair in found.record.meta] == ["It is a dog."]


def test_a_question_without_an_answer_is_rejected(put: Put, run: Run) -> None:
    without = {key: value for key, value in asked().items() if key not in ("answer", "fullAnswer", "semantic")}
    put(TRAIN, {"1": without, "2": asked(None), "3": asked(" "), "4": asked(fullAnswer=None), "5": asked(question="")})
    found = run("gqa", "train")
    assert told(found) == [
        ("train/1/vqa", "no answer"),
        ("train/2/vqa", "no answer"),
        ("train/3/vqa", "no answer"),
        ("train/4/vqa", "dog"),
        ("train/5/vqa", "empty question"),
    ]
    assert [one.record.meta for one in found if one.record] == [[]]


@pytest.mark.parametrize(
    "damage",
    [
        {"question": None},
        {"answer": 5},
        {"answer": ["dog"]},
        {"imageId": 21},
        {"imageId": "../21"},
        {"imageId": "21\n"},
        {"imageId": "m21"},
        {"fullAnswer": {}},
    ],
)
def test_a_malformed_question_is_rejected_alone(put: Put, run: Run, damage: Json) -> None:
    put(TRAIN, {"01": asked(), "02": asked(**damage), "03": asked("cat")})
    assert told(run("gqa", "train")) == [
        ("train/01/vqa", "dog"),
        ("train/row0-1/vqa", "malformed row"),
        ("train/03/vqa", "cat"),
    ]


@pytest.mark.parametrize("content", [{"1": asked(), "2": asked(image="22"), "3": asked(image="n21")}, None])
def test_image_data_beside_tells_what_coco_calls_a_picture_and_where_it_lies(
    put: Put, run: Run, content: Json | None
) -> None:
    names = ("21.jpg", "22.jpg", "n21.jpg")
    put(TRAIN, content or [listed(image=name, question_id=number) for number, name in enumerate(names)])
    put("image_data.json", IMAGES)
    assert pictures(run("gqa", "train")) == [
        ("vg/21", ["coco/7"], None, "VG_100K_2"),
        ("vg/22", [], None, "VG_100K"),
        ("vg/n21", [], None, ""),
    ]


def test_a_list_under_the_published_name_is_known_by_its_content(put: Put, run: Run) -> None:
    put(TRAIN, [listed(), listed(image="images/gqa/n5.jpg", answer="cat", question_id=43)])
    found = run("gqa", "train", form="lavis")
    assert told(found) == [("train/0042/vqa", "dog"), ("train/43/vqa", "cat")]
    assert [one.image.id for one in found if one.image] == ["vg/21", "vg/n5"]
    with pytest.raises(SourceError, match="what lies there has the form lavis"):
        run("gqa", "train", form="balanced")


def test_rows_of_a_list_may_lack_an_id_and_have_several_answers(put: Put, run: Run) -> None:
    without = {key: value for key, value in listed().items() if key != "question_id"}
    put(TRAIN, [without, {**without, "answer": ["dog", "hound", "dog"]}, {**without, "answer": []}])
    found = run("gqa", "train")
    assert [(one.key, one.reason) for one in found] == [
        ("gqa/train/0/vqa", ""),
        ("gqa/train/1/vqa", ""),
        ("gqa/train/2/vqa", "no answer"),
    ]
    assert [[(one.text, one.count) for one in two.record.draw.answers] for two in found if two.record] == [
        [("dog", 1)],
        [("dog", 2), ("hound", 1)],
    ]


@pytest.mark.parametrize(
    "damage", [{"image": 21}, {"image": "dog.jpg"}, {"image": "21.jpg\n"}, {"question": None}, {"answer": 5}]
)
def test_a_malformed_row_of_a_list_is_rejected_alone(put: Put, run: Run, damage: Json) -> None:
    put(TRAIN, [listed(), {**listed(), **damage}, listed(question_id="3", answer=None)])
    assert told(run("gqa", "train")) == [
        ("train/0042/vqa", "dog"),
        ("train/row1/vqa", "malformed row"),
        ("train/3/vqa", "no answer"),
    ]


def put_all(put: Put, parts: int = 10) -> None:
    for part in range(parts):
        put(f"train_all_questions/train_all_questions_{part}.json", {f"0{part}": asked(f"dog {part}"), f"1{part}": 5})


def test_all_questions_of_train_lie_in_ten_files(put: Put, run: Run) -> None:
    put_all(put)
    assert told(run("gqa", "train")) == [
        row
        for part in range(10)
        for row in ((f"train/0{part}/vqa", f"dog {part}"), (f"train/row{part}-1/vqa", "malformed row"))
    ]


def test_one_of_the_ten_that_is_not_there_is_an_error_that_names_it(put: Put, run: Run, tmp_path: Path) -> None:
    put_all(put)
    (tmp_path / "train_all_questions/train_all_questions_6.json").unlink()
    with pytest.raises(SourceError, match=r"; train_all_questions/train_all_questions_6\.json is missing; get it"):
        run("gqa", "train")


@pytest.mark.parametrize("split", ["val", "testdev"])
def test_where_both_lie_there_the_balanced_questions_are_read(put: Put, run: Run, split: str) -> None:
    put(f"questions1.2/{split}_all_questions.json", {"1": asked("all")})
    put(f"questions1.2/{split}_balanced_questions.json", {"1": asked("balanced")})
    assert told(run("gqa", split)) == [(f"{split}/1/vqa", "balanced")]
    assert told(run("gqa", split, form="all")) == [(f"{split}/1/vqa", "all")]


@pytest.mark.parametrize("split", ["test", "challenge", "submission"])
def test_answers_of_the_other_splits_were_never_published(put: Put, run: Run, split: str) -> None:
    put(f"{split}_all_questions.json", {"1": asked(None)})
    with pytest.raises(ConfigError, match=f"gqa: the answers of {split} were never published"):
        run("gqa", split)


def test_val_is_trained_on_and_testdev_evaluates(run: Run) -> None:
    from converters import find

    assert dict(find("gqa").splits) == {"train": "train", "val": "train", "testdev": "eval"}


def test_where_nothing_lies_the_error_says_what_is_wanted(run: Run) -> None:
    wanted = (
        r"wanted train_balanced_questions\.json or train_all_questions/train_all_questions_\{0\.\.9\}\.json; get it"
    )
    with pytest.raises(SourceError, match=wanted):
        run("gqa", "train")


@pytest.mark.parametrize("content", [{"1": asked()}, [listed()]])
def test_a_file_cut_off_is_an_error_that_names_it(put: Put, run: Run, content: Any) -> None:
    path = put(TRAIN, content)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"gqa train: .*train_balanced_questions\.json"):
        run("gqa", "train")
