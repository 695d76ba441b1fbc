"""COCO pictures: integer ids out of every published file name."""

import re

import pytest

from converters import collection
from converters._coco import image_id, number_of
from schemas.errors import RecordError


@pytest.mark.parametrize(
    "name",
    [
        "COCO_train2014_000000581857.jpg",
        "train2014/COCO_train2014_000000581857.jpg",
        "val2014/COCO_val2014_000000581857.jpg",
        "000000581857.jpg",
        "train2017/000000581857.jpg",
        "COCO_train2014_000000581857_16.jpg",
        "COCO_train2014_000000581857_16",
        "COCO_train2014_000000581857_1719310",
        "COCO_train2014_000000581857_900100581857.jpg",
        "COCO_train2014_000000581857",
    ],
)
def test_the_id_is_found_in_every_published_name(name: str) -> None:
    assert number_of(name) == 581857
    assert image_id(number_of(name)) == "coco/581857"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "dog.jpg",
        "581857.jpg",
        "COCO_train2014_581857.jpg",
        "000000581857.png",
        "0000000581857.jpg",
        "000000581857.jpg/x",
    ],
)
def test_a_name_without_an_id_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match=r"^no COCO file name: "):
        number_of(name)


def test_pictures_are_looked_for_in_the_four_folders_in_this_order() -> None:
    assert [folder.path for folder in collection("coco").folders] == ["train2014", "val2014", "train2017", "val2017"]
    assert collection("coco").numeric


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("COCO_val2014_000000000042.jpg", "000000000042"),
        ("000000000042.jpg", "000000000042"),
        ("COCO_train2014_000000000042_3.jpg", None),
        ("42.jpg", None),
        ("000000000042.jpg.tmp", None),
    ],
)
def test_the_folders_pattern_takes_pictures_only(name: str, number: str | None) -> None:
    for folder in collection("coco").folders:
        found = re.fullmatch(folder.pattern, name)
        assert (found["id"] if found else None) == number
