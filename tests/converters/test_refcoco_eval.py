"""RefCOCO's evaluation sources: the paper's one wording, and the box as its file states it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters import find
from pipelines.convert import Outcome
from schemas.errors import ConfigError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]


def ref(number: int, split: str, sent: str, ann_id: int) -> dict[str, Any]:
    sentences = [{"sent_id": number, "sent": sent, "raw": sent.upper(), "tokens": sent.split()}]
    return {"ref_id": number, "ann_id": ann_id, "image_id": 101, "split": split, "sentences": sentences}


REFS = [
    ref(1, "train", "a cup", 11),
    ref(2, "val", "the dog on the left", 11),
    ref(3, "val", "a dog nobody drew", 99),
    ref(4, "testA", "a man", 12),
]
INSTANCES = {
    "images": [{"id": 101, "width": 200, "height": 100, "file_name": "COCO_train2014_000000000101.jpg"}],
    "annotations": [
        {"id": 11, "image_id": 101, "bbox": [20.1, 10, 60.25, 40], "category_id": 1},
        {"id": 12, "image_id": 101, "bbox": [0, 0, 300, 40], "category_id": 1},
    ],
    "categories": [],
}


@pytest.fixture
def files(put: Put) -> None:
    put("refcoco/refs(unc).p", REFS)
    put("refcoco/instances.json", INSTANCES)


@pytest.mark.usefixtures("files")
def test_a_record_is_whole_and_keeps_the_box_that_the_file_states(run: Run) -> None:
    found = run("refcoco_eval", "val")
    assert [one.reason for one in found] == ["", "no box"]
    assert msgspec.to_builtins(found[0].record) == {
        "key": "refcoco_eval/val/2-2/refer",
        "source": "refcoco_eval",
        "split": "val",
        "task": "refer",
        "messages": [
            {"role": "user", "content": "[refer] give me the location of the dog on the left"},
            {"role": "assistant", "content": "{<10><10><40><50>}"},
        ],
        "boxes": [[0.1005, 0.1, 0.40175, 0.5]],
        "draw": {"pool": "refer_eval", "slots": [{"name": "phrase", "value": "the dog on the left"}], "answers": []},
        "meta": [
            {"name": "ann_id", "value": "11"},
            {"name": "bbox", "value": "20.1,10.0,60.25,40.0"},
            {"name": "width", "value": "200"},
            {"name": "height", "value": "100"},
        ],
    }


@pytest.mark.usefixtures("files")
def test_a_box_outside_its_picture_is_rejected_and_the_train_split_is_not_to_be_had(run: Run) -> None:
    assert [one.reason for one in run("refcoco_eval", "testA")] == ["box overhangs the picture"]
    with pytest.raises(ConfigError, match="refcoco_eval: unknown split 'train'"):
        run("refcoco_eval", "train")


@pytest.mark.usefixtures("files")
def test_every_option_of_the_trained_source_is_there(run: Run) -> None:
    (found, _) = run("refcoco_eval", "val", options={"text": "raw"})
    assert found.record is not None
    assert found.record.messages[0].content == "[refer] give me the location of THE DOG ON THE LEFT"


def test_the_flat_file_gives_its_own_size(put: Put, run: Run) -> None:
    entry = {"img_id": "COCO_train2014_000000000101_3", "sents": "a dog", "bbox": [0, 0, 320.5, 480]}
    put("refcocog/refcocog_test.json", [{**entry, "width": 640, "height": 480}])
    (found,) = run("refcocog_eval", "test")
    assert found.record is not None
    assert {pair.name: pair.value for pair in found.record.meta} == {
        "bbox": "0.0,0.0,320.5,480.0",
        "width": "640",
        "height": "480",
    }


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("refcoco_eval", {"val", "testA", "testB", "test"}),
        ("refcocoplus_eval", {"val", "testA", "testB"}),
        ("refcocog_eval", {"val", "test"}),
    ],
)
def test_the_sources_hold_held_out_splits_alone(name: str, splits: set[str]) -> None:
    source = find(name)
    assert source.splits == dict.fromkeys(splits, "eval")
    assert all("train" not in {*form.splits, *form.counts} for form in source.forms)
    assert [variant.name for variant in source.variants] == ["refer"]
