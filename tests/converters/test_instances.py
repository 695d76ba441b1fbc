"""COCO instances: category names, boxes, crowds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]


def instance(number: int, category: int, bbox: list[float], image: int = 7, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0, "area": 1.5, **more}


def published(*annotations: Any) -> dict[str, Any]:
    return {
        "info": {},
        "licenses": [],
        "images": [
            {"id": 7, "width": 200, "height": 100, "file_name": "COCO_val2014_000000000007.jpg"},
            {"id": 8, "file_name": "COCO_val2014_000000000008.jpg"},
            {"id": 9, "width": 50, "height": 50, "file_name": "COCO_val2014_000000000009.jpg"},
        ],
        "annotations": list(annotations),
        "categories": [
            {"supercategory": "person", "id": 1, "name": "person"},
            {"supercategory": "animal", "id": 18, "name": "dog"},
            {"supercategory": "sports", "id": 90, "name": " toothbrush "},
            {"supercategory": "broken", "id": "91", "name": "hat"},
        ],
    }


@pytest.fixture
def read(put: Put, run: Run) -> Callable[..., list[Outcome]]:
    def ran(*annotations: Any, task: str) -> list[Outcome]:
        put("instances_val2014.json", published(*annotations))
        return run("coco_instances", "val", tasks=[task])

    return ran


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """Key without source and split, and the answer or else the reason."""
    return [
        (one.key.removeprefix("coco_instances/val/"), one.record.messages[1].content if one.record else one.reason)
        for one in outcomes
    ]


def test_a_category_is_answered_with_its_name_and_all_its_boxes_left_to_right(read: Run) -> None:
    (outcome,) = read(instance(3, 18, [100, 50, 40, 50]), instance(2, 18, [20, 10, 60, 40]), task="detection")
    assert msgspec.to_builtins(outcome.record) == {
        "key": "coco_instances/val/7-18/detection",
        "source": "coco_instances",
        "split": "val",
        "task": "detection",
        "messages": [
            {"role": "user", "content": "[detection] locate each dog in the picture"},
            {"role": "assistant", "content": "<p>dog</p> {<10><10><40><50>}<delim>{<50><50><70><100>}"},
        ],
        "boxes": [[0.1, 0.1, 0.4, 0.5], [0.5, 0.5, 0.7, 1.0]],
        "draw": {"pool": "detection", "slots": [{"name": "phrase", "value": "dog"}], "answers": []},
        "meta": [],
    }
    assert (outcome.image.id, outcome.image.width, outcome.image.height) == ("coco/7", 200, 100)


def test_each_category_of_a_picture_is_asked_alone(read: Run) -> None:
    one, other, third = (
        instance(1, 90, [0, 0, 200, 100]),
        instance(2, 1, [20, 10, 60, 40]),
        instance(3, 18, [1, 1, 9, 9], 9),
    )
    assert told(read(one, third, other, task="detection")) == [
        ("7-1/detection", "<p>person</p> {<10><10><40><50>}"),
        ("7-90/detection", "<p>toothbrush</p> {<0><0><100><100>}"),
        ("9-18/detection", "<p>dog</p> {<2><2><20><20>}"),
    ]


def test_what_occurs_once_can_be_referred_to(read: Run) -> None:
    found = read(instance(5, 18, [20, 10, 60, 40]), task="refer")
    assert told(found) == [("7-18/refer", "{<10><10><40><50>}")]
    record = found[0].record
    assert record is not None
    assert [(pair.name, pair.value) for pair in record.draw.slots] == [("phrase", "the dog")]
    assert [(pair.name, pair.value) for pair in record.meta] == [("ann_id", "5")]
    assert "the dog" in record.messages[0].content


def test_what_occurs_twice_is_not_referred_to_by_a_counted_rule(read: Run) -> None:
    (outcome,) = read(instance(5, 18, [20, 10, 60, 40]), instance(6, 18, [0, 0, 9, 9]), task="refer")
    assert (outcome.rule, outcome.reason) == (True, "not the only one")


def test_one_beside_a_crowd_of_its_kind_is_not_the_only_one(read: Run) -> None:
    crowd = instance(6, 18, [0, 0, 200, 100], iscrowd=1)
    (outcome,) = read(instance(5, 18, [20, 10, 60, 40]), crowd, task="refer")
    assert (outcome.rule, outcome.reason) == (True, "not the only one")


@pytest.mark.parametrize(("task", "key"), [("detection", "7-18"), ("refer", "7-18"), ("identify", "6")])
def test_a_crowd_alone_is_left_out_by_a_counted_rule(read: Run, task: str, key: str) -> None:
    (outcome,) = read(instance(6, 18, [0, 0, 200, 100], iscrowd=1), task=task)
    assert (outcome.key, outcome.rule, outcome.reason) == (f"coco_instances/val/{key}/{task}", True, "crowd")


def test_crowds_beside_single_ones_are_left_out_of_the_answer_and_noted(read: Run) -> None:
    crowds = [instance(number, 18, [0, 0, 200, 100], iscrowd=1) for number in (6, 7)]
    (outcome,) = read(crowds[0], instance(5, 18, [20, 10, 60, 40]), crowds[1], task="detection")
    assert told([outcome]) == [("7-18/detection", "<p>dog</p> {<10><10><40><50>}")]
    assert outcome.record is not None
    assert [(pair.name, pair.value) for pair in outcome.record.meta] == [("crowd_regions", "2")]


def test_each_region_is_identified_by_its_category(read: Run) -> None:
    found = read(instance(5, 18, [20, 10, 60, 40]), instance(6, 90, [0, 0, 9, 9]), task="identify")
    assert told(found) == [("5/identify", "dog"), ("6/identify", "toothbrush")]
    assert found[0].record is not None
    assert "{<10><10><40><50>}" in found[0].record.messages[0].content


@pytest.mark.parametrize("category", [2, 91, 0, -1])
@pytest.mark.parametrize("task", ["detection", "refer", "identify"])
def test_a_category_that_the_file_does_not_list_is_rejected(read: Run, task: str, category: int) -> None:
    (outcome,) = read(instance(5, category, [20, 10, 60, 40]), task=task)
    assert (outcome.rule, outcome.reason) == (False, "no such category")


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ([20, 10, 0, 40], "empty box"),
        ([20, 10, 60, 0.0], "empty box"),
        ([20, 10, 190, 40], "box overhangs the picture"),
        ([-5, 10, 60, 40], "box overhangs the picture"),
        ([1e300, 10, 1e308, 40], "box overhangs the picture"),
    ],
)
@pytest.mark.parametrize("task", ["detection", "refer", "identify"])
def test_a_box_that_cannot_be_is_rejected(read: Run, task: str, bbox: list[float], reason: str) -> None:
    assert [one.reason for one in read(instance(5, 18, bbox), task=task)] == [reason]


def test_a_bad_box_rejects_its_whole_category_and_no_other_region(read: Run) -> None:
    good, bad = instance(5, 18, [20, 10, 60, 40]), instance(6, 18, [20, 10, 0, 40])
    assert told(read(good, bad, task="detection")) == [("7-18/detection", "empty box")]
    assert told(read(good, bad, task="identify")) == [("5/identify", "dog"), ("6/identify", "empty box")]


def test_one_pixel_is_widened_and_noted(read: Run) -> None:
    (outcome,) = read(instance(5, 18, [50, 50, 0.5, 0.25]), task="identify")
    assert outcome.notes == ("side widened to one bin",)


def test_a_little_overhang_is_clipped_and_noted(read: Run) -> None:
    (outcome,) = read(instance(5, 18, [150, 10, 51.5, 40]), task="detection")
    assert told([outcome]) == [("7-18/detection", "<p>dog</p> {<75><10><100><50>}")]
    assert outcome.notes == ("box clipped",)


@pytest.mark.parametrize("image", [8, 999])
def test_a_picture_without_a_size_rejects_its_boxes(read: Run, image: int) -> None:
    (outcome,) = read(instance(5, 18, [20, 10, 60, 40], image=image), task="identify")
    assert outcome.reason == "picture size unknown"


@pytest.mark.parametrize("task", ["detection", "refer", "identify"])
@pytest.mark.parametrize("damage", [{"category_id": "18"}, {"image_id": 7.5}, {"id": None}])
def test_a_malformed_annotation_is_rejected_and_the_others_are_read(
    read: Run, damage: dict[str, Any], task: str
) -> None:
    found = read({**instance(4, 1, [0, 0, 9, 9]), **damage}, instance(5, 18, [20, 10, 60, 40]), task=task)
    assert (found[0].key, found[0].reason) == (f"coco_instances/val/row0/{task}", "malformed row")
    assert [one.record is not None for one in found] == [False, True]


@pytest.mark.parametrize("damage", [{"bbox": [1, 2, 3]}, {"bbox": None}, {"iscrowd": "no"}])
def test_a_malformed_region_still_counts_as_one_of_its_category(read: Run, damage: dict[str, Any]) -> None:
    regions = instance(4, 18, [0, 0, 9, 9]), {**instance(5, 18, [20, 10, 60, 40]), **damage}
    assert told(read(*regions, task="detection")) == [("7-18/detection", "malformed row")]
    assert told(read(*regions, task="refer")) == [("7-18/refer", "not the only one")]
    assert [one.reason for one in read(*regions, task="identify")] == ["", "malformed row"]


def test_an_annotation_id_said_twice_is_rejected_the_second_time(read: Run) -> None:
    found = read(instance(5, 18, [20, 10, 60, 40]), instance(5, 1, [0, 0, 9, 9]), task="identify")
    assert [one.reason for one in found] == ["", "duplicate key"]


def test_pictures_without_annotations_are_left_alone(read: Run) -> None:
    assert {one.image.id for one in read(instance(5, 18, [20, 10, 60, 40]), task="detection")} == {"coco/7"}


def test_a_truncated_file_is_an_error_that_names_it(put: Put, run: Run) -> None:
    path = put("annotations/instances_val2017.json", published(instance(5, 18, [20, 10, 60, 40])))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"annotations/instances_val2017\.json|instances_val2017\.json is there"):
        run("coco_instances", "val")


def test_the_demo_worlds_categories_are_all_there_with_their_boxes(run: Run, demo_files: Path) -> None:
    raw = msgspec.json.decode((demo_files / "coco/annotations/instances_val2014.json").read_bytes())
    names = {category["id"]: category["name"] for category in raw["categories"]}
    single = [one for one in raw["annotations"] if not one["iscrowd"]]
    expected = sorted((f"coco/{one['image_id']}", names[one["category_id"]]) for one in single)
    found = run("coco_instances", "val", demo_files / "coco", tasks=["identify"])
    assert sorted((one.image.id, one.record.messages[1].content) for one in found if one.record) == expected
    assert [one.reason for one in found if one.record is None] == ["crowd"] * (len(raw["annotations"]) - len(single))
