"""Pictures of the other collections: two folders of Visual Genome, ids with letters, a folder a picture."""

import zipfile
from pathlib import Path

import pytest

from converters import COLLECTIONS, collection
from pipelines.pictures import in_folder, locate, read_picture


def put(root: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(root)


def contents(name: str, *locations: str) -> dict[str, bytes]:
    return {id: read_picture(located) for id, located in locate(collection(name), locations).items() if located.bytes}


def test_a_picture_in_both_folders_of_visual_genome_is_found_in_each(tmp_path: Path) -> None:
    root = put(
        tmp_path, {"VG_100K/1.jpg": b"a", "VG_100K_2/1.jpg": b"b", "VG_100K_2/2.jpg": b"c", "images/n16.jpg": b"d"}
    )
    assert contents("vg", root) == {
        "vg/1": b"a",
        in_folder("VG_100K", "vg/1"): b"a",
        in_folder("VG_100K_2", "vg/1"): b"b",
        "vg/2": b"c",
        "vg/n16": b"d",
    }


@pytest.mark.parametrize(("first", "second"), [(b"", b"b"), (b"b", b"")])
def test_an_empty_file_gives_way_to_any_other(tmp_path: Path, first: bytes, second: bytes) -> None:
    root = put(tmp_path, {"VG_100K/1.jpg": first, "VG_100K_2/1.jpg": second})
    assert contents("vg", root) == {"vg/1": b"b"}


def test_a_picture_that_is_empty_everywhere_is_still_there_to_be_rejected(tmp_path: Path) -> None:
    root = put(tmp_path, {"VG_100K/1.jpg": b"", "VG_100K_2/1.jpg": b""})
    assert [located.bytes for located in locate(collection("vg"), [root]).values()] == [0]


def test_the_flat_folder_of_all_is_no_second_folder(tmp_path: Path) -> None:
    assert set(contents("vg", put(tmp_path, {"1.jpg": b"a"}))) == {"vg/1"}


def test_coco_does_not_care_for_folders(tmp_path: Path) -> None:
    root = put(tmp_path, {"train2014/COCO_train2014_000000000007.jpg": b"a", "train2017/000000000007.jpg": b"b"})
    assert contents("coco", root) == {"coco/7": b"a"}


@pytest.mark.parametrize(
    ("name", "files", "ids"),
    [
        ("flickr30k", ["flickr30k-images/1000092795.jpg", "flickr30k-images/readme.txt"], ["1000092795"]),
        ("flickr30k", ["flickr30k_images/flickr30k_images/36979.jpg"], ["36979"]),
        (
            "openimages",
            ["train_images/011e7e629fb9ae7b.jpg", "test_images/0054c91397f2fe05.jpg"],
            ["011e7e629fb9ae7b", "0054c91397f2fe05"],
        ),
        (
            "ocrvqa",
            ["images/0761183272.jpg", "images/044310073X.gif", "images/B000FA.png"],
            ["761183272", "44310073X", "B000FA"],
        ),
        ("iconqa", ["iconqa/test/choose_txt/17/image.png", "iconqa/test/choose_txt/17/choice_0.png"], []),
        (
            "iconqa",
            ["test/choose_txt/17/image.png", "test/choose_txt/17/data.json", "test/choose_img/18/image.png"],
            ["17"],
        ),
        ("iconqa", ["17/image.png"], ["17"]),
        (
            "vizwiz",
            ["val/VizWiz_val_00000001.jpg", "train/VizWiz_train_00000001.jpg"],
            ["VizWiz_train_00000001", "VizWiz_val_00000001"],
        ),
        ("hateful_memes", ["img/02345.png", "img/42953.png"], ["2345", "42953"]),
    ],
)
def test_each_collection_is_found_as_it_is_unpacked(
    tmp_path: Path, name: str, files: list[str], ids: list[str]
) -> None:
    root = put(tmp_path / "files", {file: file.encode() for file in files})
    assert sorted(contents(name, root)) == sorted(f"{name}/{id}" for id in ids)


@pytest.mark.parametrize(
    ("name", "file", "id"),
    [
        ("iconqa", "iconqa/test/choose_txt/17/image.png", "17"),
        ("flickr30k", "flickr30k_images/flickr30k_images/36979.jpg", "36979"),
        ("vg", "VG_100K_2/7.jpg", "7"),
        ("hateful_memes", "img/02345.png", "2345"),
    ],
)
def test_each_is_read_from_a_zip_as_well(tmp_path: Path, name: str, file: str, id: str) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr(file, "picture")
        archive.writestr(f"elsewhere/{file.rpartition('/')[2]}", "no picture of it")
    assert contents(name, str(tmp_path / "all.zip")) == {f"{name}/{id}": b"picture"}


def test_every_collection_says_its_own_name() -> None:
    assert {name: one.name for name, one in COLLECTIONS.items()} == {name: name for name in COLLECTIONS}
