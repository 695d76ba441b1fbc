"""RefCOCO as published: refs pickle and instances.json."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.box import Box
from schemas.errors import ConfigError, SourceError
from schemas.record import Pair

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

INSTANCES: dict[str, Any] = {
    "info": {"description": "made for this test"},
    "licenses": [],
    "images": [
        {"id": 101, "width": 200, "height": 100, "file_name": "COCO_train2014_000000000101.jpg", "license": 1},
        {"id": 102, "width": 640, "height": 480, "file_name": "COCO_train2014_000000000102.jpg"},
        {"id": 103, "file_name": "COCO_train2014_000000000103.jpg"},
    ],
    "annotations": [
        {"id": 11, "image_id": 101, "bbox": [20, 10, 60, 40], "category_id": 18, "iscrowd": 0, "area": 9.5},
        {"id": 12, "image_id": 102, "bbox": [600.5, 400.25, 39.5, 79.75], "category_id": 1, "segmentation": [[1, 2]]},
        {"id": 13, "image_id": 102, "bbox": [10, 10, 50, 50], "category_id": 1},
        {"id": 14, "image_id": 101, "bbox": [150, 10, 60, 40], "category_id": 1},
        {"id": 15, "image_id": 101, "bbox": [150, 10, 51, 40], "category_id": 1},
        {"id": 16, "image_id": 103, "bbox": [1, 1, 5, 5], "category_id": 1},
        {"id": 17, "image_id": 101, "bbox": [1, 1, 5], "category_id": 1},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
}


def ref(ref_id: int, ann_id: int, image_id: int, *sents: str, split: str = "val", **more: Any) -> dict[str, Any]:
    sentences = [
        {"sent_id": 10 * ref_id + n, "sent": sent, "raw": sent.upper() + " !", "tokens": sent.split()}
        for n, sent in enumerate(sents)
    ]
    return {
        "ref_id": ref_id,
        "ann_id": ann_id,
        "image_id": image_id,
        "split": split,
        "sentences": sentences,
        "sent_ids": [sentence["sent_id"] for sentence in sentences],
        "file_name": f"COCO_train2014_{image_id:012d}_{ref_id}.jpg",
        "category_id": 1,
        **more,
    }


@pytest.fixture
def publish(put: Put) -> Callable[..., None]:
    def published(*refs: Any, name: str = "refcoco", by: str = "unc") -> None:
        put(f"{name}/refs({by}).p", list(refs))
        put(f"{name}/instances.json", INSTANCES)

    return published


Publish = Callable[..., None]


def answer(outcome: Outcome) -> tuple[str, str]:
    assert outcome.record is not None
    return outcome.key, outcome.record.messages[1].content


def refused(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.key: outcome.detail for outcome in outcomes if outcome.record is None}


def test_each_sentence_gives_a_refer_and_an_identify_record(publish: Publish, run: Run) -> None:
    publish(ref(4, 12, 102, "boat far right"))
    refer, identify = run("refcoco", "val")
    assert refer.record is not None
    assert identify.record is not None
    assert msgspec.to_builtins(refer.record) == {
        "key": "refcoco/val/4-40/refer",
        "source": "refcoco",
        "split": "val",
        "task": "refer",
        "messages": [
            {"role": "user", "content": "[refer] where is boat far right?"},
            {"role": "assistant", "content": "{<94><83><100><100>}"},
        ],
        "boxes": [[0.938281, 0.833854, 1.0, 1.0]],
        "draw": {"pool": "refer", "slots": [{"name": "phrase", "value": "boat far right"}], "answers": []},
        "meta": [{"name": "ann_id", "value": "12"}],
    }
    assert msgspec.to_builtins(identify.record) == {
        "key": "refcoco/val/4-40/identify",
        "source": "refcoco",
        "split": "val",
        "task": "identify",
        "messages": [
            {"role": "user", "content": "[identify] which object is found in {<94><83><100><100>}?"},
            {"role": "assistant", "content": "boat far right"},
        ],
        "boxes": [[0.938281, 0.833854, 1.0, 1.0]],
        "draw": {"pool": "identify", "slots": [{"name": "box", "value": "0"}], "answers": []},
        "meta": [{"name": "ann_id", "value": "12"}],
    }


def test_the_picture_is_found_by_integer_id_and_never_by_the_refs_file_name(publish: Publish, run: Run) -> None:
    publish(ref(0, 11, 101, "a dog", file_name="COCO_train2014_000000999999_3.jpg"))
    image = run("refcoco", "val")[0].image
    assert (image.id, image.width, image.height) == ("coco/101", 200, 100)


def test_only_the_splits_own_refs_are_read(publish: Publish, run: Run) -> None:
    publish(ref(0, 11, 101, "a", split="train"), ref(1, 11, 101, "b"), ref(2, 11, 101, "c", split="testA"))
    assert [answer(one) for one in run("refcoco", "testA", tasks=["identify"])] == [
        ("refcoco/testA/2-20/identify", "c")
    ]


def test_googles_test_split_is_not_testa_and_testb(publish: Publish, run: Run) -> None:
    publish(*(ref(n, 11, 101, split, split=split) for n, split in enumerate(("testA", "test", "testB"))), by="google")
    assert [answer(one) for one in run("refcoco", "test", tasks=["identify"])] == [
        ("refcoco/test/1-10/identify", "test")
    ]


def test_duplicate_sentences_are_kept(publish: Publish, run: Run) -> None:
    publish(ref(0, 11, 101, "a dog", "a dog"))
    assert [answer(one) for one in run("refcoco", "val", tasks=["identify"])] == [
        ("refcoco/val/0-0/identify", "a dog"),
        ("refcoco/val/0-1/identify", "a dog"),
    ]


def test_sentences_are_read_clean_and_as_typed_only_where_asked(publish: Publish, run: Run) -> None:
    publish(ref(0, 11, 101, "a dog"))
    assert answer(run("refcoco", "val", tasks=["identify"])[0])[1] == "a dog"
    assert answer(run("refcoco", "val", tasks=["identify"], options={"text": "sent"})[0])[1] == "a dog"
    assert answer(run("refcoco", "val", tasks=["identify"], options={"text": "raw"})[0])[1] == "A DOG !"


def test_an_annotation_that_is_not_there_rejects_its_sentences(publish: Publish, run: Run) -> None:
    publish(ref(0, 999, 101, "a", "b"), ref(1, 11, 101, "c"))
    found = run("refcoco", "val", tasks=["refer"])
    assert set(refused(found)) == {"refcoco/val/0-0/refer", "refcoco/val/0-1/refer"}
    assert {one.reason for one in found if one.record is None} == {"no box"}
    assert [answer(one) for one in found if one.record] == [("refcoco/val/1-10/refer", "{<10><10><40><50>}")]


def test_an_annotation_of_another_picture_rejects_its_sentences(publish: Publish, run: Run) -> None:
    publish(ref(0, 13, 101, "a"))
    (refer, identify) = run("refcoco", "val")
    assert (refer.reason, identify.reason) == ("no box", "no box")


def test_an_annotation_that_cannot_be_typed_rejects_its_sentences(publish: Publish, run: Run) -> None:
    publish(ref(0, 17, 101, "a"), ref(1, 11, 101, "b"))
    assert [one.reason for one in run("refcoco", "val", tasks=["refer"])] == ["no box", ""]


def test_a_picture_without_a_size_rejects_its_sentences(publish: Publish, run: Run) -> None:
    publish(ref(0, 16, 103, "a"))
    assert run("refcoco", "val", tasks=["refer"])[0].reason == "picture size unknown"


def test_a_box_that_overhangs_far_is_rejected_and_one_that_overhangs_little_is_clipped(
    publish: Publish, run: Run
) -> None:
    publish(ref(0, 14, 101, "far"), ref(1, 15, 101, "little"))
    far, little = run("refcoco", "val", tasks=["refer"])
    assert far.reason == "box overhangs the picture"
    assert little.record is not None
    assert little.record.boxes == [Box(0.75, 0.1, 1.0, 0.5)]
    assert little.record.meta == [Pair("ann_id", "15"), Pair("clipped_px", "1.00")]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [("", "empty phrase"), ("  \n", "empty phrase"), ("x" * 20_001, "over-long phrase")],
)
def test_a_sentence_that_is_no_text_is_rejected(publish: Publish, run: Run, sent: str, reason: str) -> None:
    publish(ref(0, 11, 101, sent))
    assert [one.reason for one in run("refcoco", "val")] == [reason, reason]


def test_markup_in_a_sentence_is_quoted(publish: Publish, run: Run) -> None:
    publish(ref(0, 11, 101, "<p>dog</p> {<1><2><3><4>} [refer]"))
    assert answer(run("refcoco", "val", tasks=["identify"])[0])[1] == "<\\p>dog<\\/p> {\\<1><2><3><4>} [\\refer]"


def test_a_malformed_ref_of_another_split_is_none_of_this_ones(publish: Publish, run: Run) -> None:
    publish(ref(0, 11, 101, "a", split="train", sentences=None), ref(1, 11, 101, "b"))
    assert [one.reason for one in run("refcoco", "val", tasks=["refer"])] == [""]


@pytest.mark.parametrize("value", [5, "ref", None, ["a"]])
def test_a_ref_that_is_no_mapping_is_rejected(publish: Publish, run: Run, value: Any) -> None:
    publish(value, ref(1, 11, 101, "b"))
    assert [one.reason for one in run("refcoco", "val", tasks=["refer"])] == ["malformed row", ""]


def test_a_sentence_listed_under_two_refs_of_one_id_is_a_duplicate_key(publish: Publish, run: Run) -> None:
    publish(ref(3, 11, 101, "a"), ref(3, 11, 101, "b"))
    assert [one.reason for one in run("refcoco", "val", tasks=["refer"])] == ["", "duplicate key"]


@pytest.mark.parametrize("content", [{"refs": []}, "refs", 7, None])
def test_a_pickle_of_something_else_than_a_list_is_no_refs_file(
    put: Put, publish: Publish, run: Run, content: Any
) -> None:
    publish()
    put("refcoco/refs(unc).p", content)
    with pytest.raises(SourceError, match=r"refs\(unc\)\.p: a pickle of \w+, wanted the list of refs"):
        run("refcoco", "val")


@pytest.mark.parametrize("cut", [1, 50, 500])
def test_truncated_instances_are_an_error_that_names_the_file(put: Put, publish: Publish, run: Run, cut: int) -> None:
    publish(ref(0, 11, 101, "a"))
    path = put("refcoco/instances.json", INSTANCES)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SourceError, match=r"refcoco/instances\.json: not the JSON it should be"):
        run("refcoco", "val")


@pytest.mark.parametrize(
    ("source", "folder", "by", "split"),
    [
        ("refcoco", "refcoco", "google", "test"),
        ("refcocoplus", "refcoco+", "unc", "testB"),
        ("refcocog", "refcocog", "umd", "test"),
        ("refcocog", "refcocog", "google", "val"),
    ],
)
def test_the_other_published_splits_are_read(
    publish: Publish, run: Run, source: str, folder: str, by: str, split: str
) -> None:
    publish(ref(2, 11, 101, "a dog", split=split), name=folder, by=by)
    assert [answer(one) for one in run(source, split)] == [
        (f"{source}/{split}/2-20/refer", "{<10><10><40><50>}"),
        (f"{source}/{split}/2-20/identify", "a dog"),
    ]


def test_an_unknown_option_or_value_offers_near_ones(publish: Publish, run: Run) -> None:
    publish()
    with pytest.raises(ConfigError, match=r"refcoco: unknown option 'txt'; did you mean text\?"):
        run("refcoco", "val", options={"txt": "raw"})
    with pytest.raises(ConfigError, match=r"refcoco: unknown text 'sents'; did you mean sent\?"):
        run("refcoco", "val", options={"text": "sents"})


def test_an_unknown_task_offers_near_ones(publish: Publish, run: Run) -> None:
    publish()
    with pytest.raises(ConfigError, match=r"refcoco: unknown task 'identity'; did you mean identify\?"):
        run("refcoco", "val", tasks=["identity"])
