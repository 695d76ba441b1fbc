"""RefCOCO in its other forms: MDETR's and MiniGPT-v2's files, Python 2's pickles, and all forms together."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError
from schemas.record import Pair

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]


def entry(number: int, caption: str, **more: Any) -> dict[str, Any]:
    image = {"id": number, "original_id": 101, "caption": caption, "width": 200, "height": 100}
    return {**image, "file_name": "COCO_train2014_000000000101.jpg", "dataset_name": "refcoco", **more}


def grounded(number: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": number, "bbox": bbox, "original_id": 500 + number, "iscrowd": 0, **more}


MDETR: dict[str, Any] = {
    "images": [
        entry(0, "a dog"),
        entry(1, "a dog"),
        entry(2, "no annotation"),
        entry(3, "two annotations"),
        {"id": 4, "caption": "no size"},
        entry(5, "annotation untyped"),
        entry(6, "no original id of the annotation"),
        entry(7, "no size", width=0),
    ],
    "annotations": [
        grounded(0, [20, 10, 60, 40]),
        grounded(1, [20, 10, 60, 40]),
        grounded(3, [20, 10, 60, 40]),
        grounded(3, [20, 10, 60, 40]),
        grounded(5, [20, 10, 60]),
        {"image_id": 6, "bbox": [0, 0, 200, 100]},
        grounded(7, [20, 10, 60, 40]),
        grounded(99, [20, 10, 60, 40]),
    ],
    "categories": [],
}
FLAT: list[Any] = [
    {
        "img_id": "COCO_train2014_000000000101_3",
        "sents": "a dog",
        "bbox": [20, 10, 60, 40],
        "width": 200,
        "height": 100,
    },
    {
        "img_id": "COCO_train2014_000000000101_3",
        "sents": "a dog",
        "bbox": [20, 10, 60, 40],
        "width": 200,
        "height": 100,
    },
    {"img_id": "no name", "sents": "a cat", "bbox": [20, 10, 60, 40], "width": 200, "height": 100},
    {"img_id": "COCO_train2014_000000000101_3", "sents": ["a"], "bbox": [20, 10, 60, 40], "width": 200, "height": 100},
    {"img_id": "000000000102.jpg", "sents": "a hat ", "bbox": [0, 0, 640, 480], "width": 640, "height": 480},
]


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(one.key, one.record.messages[1].content if one.record else one.reason) for one in outcomes]


def test_mdetrs_form_gives_one_sentence_per_picture_entry(put: Put, run: Run) -> None:
    put("finetune_refcoco_val.json", MDETR)
    found = run("refcoco", "val", tasks=["refer"])
    assert told(found) == [
        ("refcoco/val/0/refer", "{<10><10><40><50>}"),
        ("refcoco/val/1/refer", "{<10><10><40><50>}"),
        ("refcoco/val/2/refer", "no box"),
        ("refcoco/val/3/refer", "no box"),
        ("refcoco/val/row4/refer", "malformed row"),
        ("refcoco/val/5/refer", "no box"),
        ("refcoco/val/6/refer", "{<0><0><100><100>}"),
        ("refcoco/val/7/refer", "picture size unknown"),
    ]
    assert found[0].record is not None
    assert found[0].record.meta == [Pair("ann_id", "500")]
    assert found[6].record is not None
    assert found[6].record.meta == []
    assert found[0].image.id == "coco/101"


def test_the_flat_form_gives_one_sentence_per_entry(put: Put, run: Run) -> None:
    put("refcoco/refcoco_val.json", FLAT)
    found = run("refcoco", "val", tasks=["identify"])
    assert told(found) == [
        ("refcoco/val/0/identify", "a dog"),
        ("refcoco/val/1/identify", "a dog"),
        ("refcoco/val/row2/identify", "malformed row"),
        ("refcoco/val/row3/identify", "malformed row"),
        ("refcoco/val/4/identify", "a hat"),
    ]
    assert [one.image.id for one in found if one.record] == ["coco/101", "coco/101", "coco/102"]


@pytest.mark.parametrize(
    ("name", "content"), [("finetune_refcoco_val.json", MDETR), ("refcoco/refcoco_val.json", FLAT)]
)
def test_sentences_as_typed_are_in_the_refs_pickle_only(put: Put, run: Run, name: str, content: Any) -> None:
    put(name, content)
    with pytest.raises(ConfigError, match=r"refcoco: text=raw needs the refs pickle, .*_val\.json is none"):
        run("refcoco", "val", options={"text": "raw"})


@pytest.mark.parametrize(
    ("name", "content"), [("finetune_refcoco_val.json", MDETR), ("refcoco/refcoco_val.json", FLAT)]
)
def test_mdetr_and_flat_files_are_told_apart_by_content(put: Put, run: Run, name: str, content: Any) -> None:
    other = FLAT if content is MDETR else MDETR
    put(name, other)
    assert told(run("refcoco", "val", tasks=["refer"]))[0][1] == "{<10><10><40><50>}"
    asked, there = ("mdetr", "flat") if content is MDETR else ("flat", "mdetr")
    with pytest.raises(SourceError, match=rf"not found under .*; what lies there has the form {there}; get it: https"):
        run("refcoco", "val", form=asked)


def py2(value: Any) -> bytes:
    """The opcodes of protocol 0, as Python 2 wrote them: bytes are its ``str``, str its ``unicode``."""
    match value:
        case dict():
            return b"(d" + b"".join(py2(key) + py2(item) + b"s" for key, item in value.items())
        case list():
            return b"(l" + b"".join(py2(item) + b"a" for item in value)
        case bytes():
            return b"S" + repr(value)[1:].encode("ascii") + b"\n"
        case str():
            return b"V" + value.encode("raw_unicode_escape") + b"\n"
        case int():
            return b"I%d\n" % value
    raise TypeError(value)


def python2_ref(sent: str | bytes) -> list[Any]:
    sentences = [{b"sent_id": 7, b"sent": sent, b"raw": sent, b"tokens": [sent]}]
    ref = {b"ref_id": 3, b"ann_id": 11, b"image_id": 101, b"split": b"val", b"sentences": sentences, b"sent_ids": [7]}
    return [{**ref, b"file_name": b"COCO_train2014_000000000101_0.jpg", b"category_id": 1}]


INSTANCES = {
    "images": [{"id": 101, "width": 200, "height": 100}],
    "annotations": [{"id": 11, "image_id": 101, "bbox": [20, 10, 60, 40]}],
    "categories": [],
}


@pytest.mark.parametrize(
    ("sent", "phrase"),
    [
        (b"the dog's tail", "the dog's tail"),
        ("the caf\u00e9 \u2603", "the caf\u00e9 \u2603"),
        ("the caf\u00e9".encode(), "the caf\u00e9"),
        (b"two\nlines", "two lines"),
    ],
)
def test_a_pickle_as_python_2_wrote_it_is_read(put: Put, run: Run, sent: str | bytes, phrase: str) -> None:
    put("refcoco/refs(unc).p", py2(python2_ref(sent)) + b".")
    put("refcoco/instances.json", INSTANCES)
    assert told(run("refcoco", "val")) == [
        ("refcoco/val/3-7/refer", "{<10><10><40><50>}"),
        ("refcoco/val/3-7/identify", phrase),
    ]


def test_bytes_that_are_no_utf_8_reject_their_sentence_alone(put: Put, run: Run) -> None:
    refs = [*python2_ref("caf\u00e9".encode("latin-1")), {**python2_ref(b"a dog")[0], b"ref_id": 4}]
    put("refcoco/refs(unc).p", py2(refs) + b".")
    put("refcoco/instances.json", INSTANCES)
    assert told(run("refcoco", "val", tasks=["identify"])) == [
        ("refcoco/val/3-7/identify", "broken phrase"),
        ("refcoco/val/4-7/identify", "a dog"),
    ]


def pairs(outcomes: list[Outcome]) -> Counter[tuple[object, ...]]:
    """Each record's picture, task, slots, box and answer, whatever its key and wording."""
    found: Counter[tuple[object, ...]] = Counter()
    for one in outcomes:
        assert one.record is not None
        picture = (one.image.id, one.image.width, one.image.height)
        answer = one.record.messages[1].content
        found[picture, one.record.task, str(one.record.draw.slots), tuple(one.record.boxes), answer] += 1
    return found


@pytest.mark.parametrize("split", ["train", "val", "testA", "testB"])
def test_the_refs_pickle_and_mdetrs_file_give_the_same_pairs(run: Run, demo_files: Path, split: str) -> None:
    by_refs = run("refcoco", split, demo_files / "refer", form="unc")
    by_mdetr = run("refcoco", split, demo_files / "mdetr", form="mdetr")
    assert len(by_refs) > 20
    assert pairs(by_refs) == pairs(by_mdetr)


@pytest.mark.parametrize("split", ["val", "testA", "testB"])
def test_the_refs_pickle_and_the_flat_file_give_the_same_pairs(run: Run, demo_files: Path, split: str) -> None:
    by_refs = run("refcoco", split, demo_files / "refer")
    assert pairs(by_refs) == pairs(run("refcoco", split, demo_files / "flat"))
