"""RefCOCO files of which some rows are not as published: each sentence still ends somewhere, counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

INSTANCES: dict[str, Any] = {
    "images": [{"id": 101, "width": 200, "height": 100}, {"id": 102, "width": 640, "height": 480}],
    "annotations": [
        {"id": 11, "image_id": 101, "bbox": [20, 10, 60, 40]},
        {"id": 12, "image_id": 102, "bbox": [600.5, 400.25, 39.5, 79.75]},
    ],
}


def ref(ref_id: int, ann_id: int, image_id: int, *sents: str, split: str = "val", **more: Any) -> dict[str, Any]:
    sentences = [{"sent_id": 10 * ref_id + n, "sent": sent, "raw": sent} for n, sent in enumerate(sents)]
    ids = {"ref_id": ref_id, "ann_id": ann_id, "image_id": image_id}
    return {**ids, "split": split, "sentences": sentences, **more}


@pytest.fixture
def publish(put: Put) -> Callable[..., None]:
    def published(*refs: Any) -> None:
        put("refcoco/refs(unc).p", list(refs))
        put("refcoco/instances.json", INSTANCES)

    return published


@pytest.mark.parametrize(
    "damage",
    [
        {"sentences": None},
        {"ann_id": "11"},
        {"ref_id": 10**5000},
        {"sentences": [{"sent_id": 1}]},
        {"sentences": [{"sent_id": 1, "sent": 5}]},
        {"image_id": 1.5},
    ],
)
def test_a_malformed_ref_is_rejected_and_the_others_are_read(
    publish: Callable[..., None], run: Run, damage: dict[str, Any]
) -> None:
    publish({**ref(0, 11, 101, "a"), **damage}, ref(1, 11, 101, "b"))
    found = run("refcoco", "val", tasks=["identify"])
    assert [(one.key, one.reason) for one in found] == [
        ("refcoco/val/row0-0/identify", "malformed row"),
        ("refcoco/val/1-10/identify", ""),
    ]


def test_every_sentence_of_a_malformed_ref_is_counted(publish: Callable[..., None], run: Run) -> None:
    publish(ref(0, "x", 101, "a", "b", "c"), ref(1, 11, 101, "d"))
    found = run("refcoco", "val", tasks=["refer"])
    assert [one.reason for one in found] == ["malformed row"] * 3 + [""]


def test_one_malformed_sentence_leaves_the_others_of_its_ref(publish: Callable[..., None], run: Run) -> None:
    odd = ref(0, 11, 101, "a", "b", "c")
    odd["sentences"][1]["sent"] = None
    publish(odd)
    found = run("refcoco", "val", tasks=["refer"])
    assert [(one.key, one.reason) for one in found] == [
        ("refcoco/val/0-0/refer", ""),
        ("refcoco/val/row0-1/refer", "malformed row"),
        ("refcoco/val/0-2/refer", ""),
    ]


def test_a_ref_of_no_known_split_is_counted_in_every_split(publish: Callable[..., None], run: Run) -> None:
    publish(ref(0, 11, 101, "a", split="Val"), ref(1, 11, 101, "b"))
    assert [one.reason for one in run("refcoco", "val", tasks=["refer"])] == ["malformed row", ""]
    assert [one.reason for one in run("refcoco", "train", tasks=["refer"])] == ["malformed row"]


def test_an_annotation_id_that_stands_for_two_boxes_stands_for_none(put: Put, run: Run) -> None:
    twice = {**INSTANCES, "annotations": [*INSTANCES["annotations"], {"id": 11, "image_id": 101, "bbox": [1, 1, 5, 5]}]}
    put("refcoco/refs(unc).p", [ref(0, 11, 101, "a"), ref(1, 12, 102, "b")])
    put("refcoco/instances.json", twice)
    assert [one.reason for one in run("refcoco", "val", tasks=["refer"])] == ["no box", ""]


def test_a_pickle_that_says_one_list_over_and_over_is_no_refs_file(publish: Callable[..., None], run: Run) -> None:
    many = ref(0, 11, 101, "a")
    many["sentences"] = many["sentences"] * 3000
    publish(*[many] * 3000)
    with pytest.raises(SourceError, match="over 2,000,000 sentences"):
        run("refcoco", "val", tasks=["refer"])
