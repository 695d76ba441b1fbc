"""COCO captions in each of their forms."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

CAPTIONS: dict[str, Any] = {
    "info": {},
    "type": "captions",
    "licenses": [],
    "images": [
        {"id": 7, "width": 640, "height": 427, "file_name": "COCO_train2014_000000000007.jpg", "license": 3},
        {"id": 8, "file_name": "COCO_train2014_000000000008.jpg"},
        {"id": 9, "width": 500, "height": 333, "file_name": "COCO_train2014_000000000009.jpg"},
        {"id": "ten"},
    ],
    "annotations": [
        {"image_id": 7, "id": 48, "caption": " A dog\nruns . "},
        {"image_id": 8, "id": 49, "caption": "A cat sleeps."},
        {"image_id": 7, "id": 50, "caption": "A dog\u00a0runs  fast"},
        {"image_id": 7, "id": 51, "caption": "\n"},
        {"image_id": 7, "id": 52},
        {"image_id": 7, "id": 53, "caption": None},
        {"image_id": 7, "id": 54, "caption": "<p>A dog</p> {<1><2><3><4>}"},
        {"image_id": 999, "id": 55, "caption": "A picture that the file does not list"},
        {"image_id": 7, "id": 50, "caption": "An id said twice"},
    ],
}
KARPATHY: dict[str, Any] = {
    "images": [
        {
            "filepath": "val2014",
            "sentids": [61, 62],
            "filename": "COCO_val2014_000000000011.jpg",
            "imgid": 0,
            "split": split,
            "sentences": [
                {"tokens": ["a", split], "raw": f"A {split} dog. ", "imgid": 0, "sentid": 61 + 10 * number},
                {"tokens": ["again"], "raw": "Again\n", "imgid": 0, "sentid": 62 + 10 * number},
            ],
            "cocoid": 11 + number,
        }
        for number, split in enumerate(("train", "restval", "val", "test"))
    ]
    + [{"split": "train", "cocoid": 99}],
    "dataset": "coco",
}
LAVIS_TRAIN: list[Any] = [
    {"caption": "A train dog ", "image": "train2014/COCO_train2014_000000000007.jpg", "image_id": "coco_7"},
    {"caption": "A restval dog", "image": "val2014/COCO_val2014_000000000011.jpg", "image_id": "coco_11"},
    {"caption": "No such name", "image": "train2014/dog.jpg", "image_id": "coco_dog"},
    {"caption": 5, "image": "train2014/COCO_train2014_000000000007.jpg", "image_id": "coco_7"},
    {"caption": "No folder", "image": "COCO_train2014_000000000008.jpg", "image_id": "coco_8"},
    {"caption": "No year", "image": "000000000009.jpg", "image_id": "coco_9"},
]
LAVIS_VAL: list[Any] = [
    {"image": "val2014/COCO_val2014_000000000021.jpg", "caption": [f"Sentence {n}" for n in range(6)]},
    {"image": "val2014/COCO_val2014_000000000022.jpg", "caption": ["One", " ", "Three"]},
]


def told(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    """Key, picture, and the caption or else the reason."""
    return [
        (
            one.key.removeprefix("coco_caption/"),
            one.image.id if one.image else "",
            one.record.messages[1].content if one.record else one.reason,
        )
        for one in outcomes
    ]


def test_each_published_sentence_gives_a_record_or_a_reject(put: Put, run: Run) -> None:
    put("annotations/captions_train2014.json", CAPTIONS)
    assert told(run("coco_caption", "train")) == [
        ("train/48/caption", "coco/7", "A dog runs ."),
        ("train/49/caption", "coco/8", "A cat sleeps."),
        ("train/50/caption", "coco/7", "A dog runs fast"),
        ("train/51/caption", "coco/7", "empty caption"),
        ("train/row4/caption", "", "malformed row"),
        ("train/row5/caption", "", "malformed row"),
        ("train/54/caption", "coco/7", "<\\p>A dog<\\/p> {\\<1><2><3><4>}"),
        ("train/55/caption", "coco/999", "A picture that the file does not list"),
        ("train/50/caption", "coco/7", "duplicate key"),
    ]


def test_a_caption_record_is_whole(put: Put, run: Run) -> None:
    put("captions_val2014.json", CAPTIONS)
    first = run("coco_caption", "val")[0]
    assert msgspec.to_builtins(first.record) == {
        "key": "coco_caption/val/48/caption",
        "source": "coco_caption",
        "split": "val",
        "task": "caption",
        "messages": [
            {"role": "user", "content": "[caption] how would you caption this image?"},
            {"role": "assistant", "content": "A dog runs ."},
        ],
        "boxes": [],
        "draw": {"pool": "caption", "slots": [], "answers": []},
        "meta": [],
    }


def test_a_picture_has_the_annotated_size_where_there_is_one(put: Put, run: Run) -> None:
    put("captions_train2014.json", CAPTIONS)
    sizes = {one.image.id: (one.image.width, one.image.height) for one in run("coco_caption", "train") if one.record}
    assert sizes == {"coco/7": (640, 427), "coco/8": (None, None), "coco/999": (None, None)}


def test_a_picture_that_is_listed_with_two_sizes_has_none(put: Put, run: Run) -> None:
    images = [{"id": 1, "width": 640, "height": 480}, {"id": 1, "width": 480, "height": 640}]
    put("captions_train2017.json", {"images": images, "annotations": [{"id": 5, "image_id": 1, "caption": "a dog"}]})
    (found,) = run("coco_caption", "train")
    assert found.image is not None and found.image.id == "coco/1" and found.image.width is None


def test_pictures_without_captions_are_left_alone(put: Put, run: Run) -> None:
    put("captions_train2014.json", CAPTIONS)
    assert "coco/9" not in {one.image.id for one in run("coco_caption", "train") if one.image}


@pytest.mark.parametrize(
    ("split", "number", "picture"), [("train", 61, 11), ("restval", 71, 12), ("val", 81, 13), ("test", 91, 14)]
)
def test_karpathys_file_is_read_by_its_own_splits(put: Put, run: Run, split: str, number: int, picture: int) -> None:
    put("dataset_coco.json", KARPATHY)
    assert told(run("coco_caption", split)) == [
        (f"{split}/{number}/caption", f"coco/{picture}", f"A {split} dog."),
        (f"{split}/{number + 1}/caption", f"coco/{picture}", "Again"),
        *([("train/row4-0/caption", "", "malformed row")] if split == "train" else []),
    ]


def test_laviss_train_file_holds_two_splits_and_loses_no_row(put: Put, run: Run) -> None:
    put("coco_karpathy_train.json", LAVIS_TRAIN)
    assert told(run("coco_caption", "train")) == [
        ("train/0/caption", "coco/7", "A train dog"),
        ("train/row2/caption", "", "malformed row"),
        ("train/row3/caption", "", "malformed row"),
        ("train/4/caption", "coco/8", "No folder"),
        ("train/5/caption", "coco/9", "No year"),
    ]
    assert told(run("coco_caption", "restval")) == [
        ("restval/1/caption", "coco/11", "A restval dog"),
    ]


@pytest.mark.parametrize("split", ["val", "test"])
def test_laviss_other_files_list_all_sentences_of_a_picture(put: Put, run: Run, split: str) -> None:
    put(f"coco_karpathy_{split}.json", LAVIS_VAL)
    assert told(run("coco_caption", split)) == [
        *[(f"{split}/0-{n}/caption", "coco/21", f"Sentence {n}") for n in range(6)],
        (f"{split}/1-0/caption", "coco/22", "One"),
        (f"{split}/1-1/caption", "coco/22", "empty caption"),
        (f"{split}/1-2/caption", "coco/22", "Three"),
    ]


def test_a_sentence_with_bytes_that_are_no_utf_8_is_rejected_alone(put: Put, run: Run) -> None:
    rows = '[{"image_id": 1, "id": 1, "caption": "caf\u00e9"}, {"image_id": 1, "id": 2, "caption": "tea"}]'
    put("captions_val2014.json", f'{{"images": [], "annotations": {rows}}}'.encode("latin-1"))
    assert told(run("coco_caption", "val")) == [
        ("val/row0/caption", "", "malformed row"),
        ("val/2/caption", "coco/1", "tea"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "split"),
    [
        ("captions_train2014.json", CAPTIONS, "train"),
        ("dataset_coco.json", KARPATHY, "train"),
        ("coco_karpathy_val.json", LAVIS_VAL, "val"),
    ],
)
def test_a_file_cut_off_is_an_error_that_names_it(put: Put, run: Run, name: str, content: Any, split: str) -> None:
    path = put(name, content)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=rf"coco_caption {split}: .*{name}"):
        run("coco_caption", split)


def told_of(outcomes: list[Outcome]) -> Counter[tuple[str, str]]:
    return Counter((one.image.id, one.record.messages[1].content if one.record else "") for one in outcomes)


def test_all_forms_give_the_same_sentences(run: Run, demo_files: Path) -> None:
    def all_of(folder: str, *splits: str) -> Counter[tuple[str, str]]:
        return sum((told_of(run("coco_caption", split, demo_files / folder)) for split in splits), Counter())

    published = all_of("coco", "train")
    assert published.total() > 200
    assert all_of("karpathy", "train") == published
    assert all_of("lavis", "train") == published
    others = all_of("coco", "val")
    assert all_of("karpathy", "restval", "val", "test") == others
    assert all_of("lavis", "restval", "val", "test") == others


@pytest.mark.parametrize("split", ["restval", "val", "test"])
def test_karpathy_and_lavis_split_alike(run: Run, demo_files: Path, split: str) -> None:
    by_karpathy = told_of(run("coco_caption", split, demo_files / "karpathy"))
    assert by_karpathy
    assert told_of(run("coco_caption", split, demo_files / "lavis")) == by_karpathy
