"""Finding COCO pictures by integer id, over four folders, in folders and zips, local and remote."""

import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from converters._coco import COCO
from pipelines.pictures import locate, read_picture
from schemas.errors import ImageError, SourceError

FOLDERS = ("train2014", "val2014", "train2017", "val2017")


def file_name(folder: str, number: int) -> str:
    """How COCO names a picture in that folder: the split's name before the number in 2014, the number alone in 2017."""
    return f"COCO_{folder}_{number:012d}.jpg" if folder.endswith("2014") else f"{number:012d}.jpg"


def put(location: str, files: Mapping[str, bytes]) -> str:
    for name, data in files.items():
        with fsspec.open(f"{location}/{name}", "wb", auto_mkdir=True) as file:
            file.write(data)
    return location


def zipped(path: Path, files: Mapping[str, bytes]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return str(path)


def in_memory() -> str:
    return f"memory://{uuid4().hex}"


def contents(*locations: str) -> dict[str, bytes]:
    """What is found, and read, by image id."""
    return {image: read_picture(located) for image, located in locate(COCO, locations).items()}


def test_a_picture_is_found_by_its_number_in_any_of_the_four_folders(tmp_path: Path) -> None:
    for number, folder in enumerate(FOLDERS, start=7):
        put(str(tmp_path), {f"{folder}/{file_name(folder, number)}": folder.encode()})
    wanted = {"coco/7": b"train2014", "coco/8": b"val2014", "coco/9": b"train2017", "coco/10": b"val2017"}
    assert contents(str(tmp_path)) == wanted


@pytest.mark.parametrize("missing", range(4))
def test_of_several_folders_the_first_in_the_stated_order_wins(missing: int, tmp_path: Path) -> None:
    present = FOLDERS[missing:]
    for folder in reversed(present):
        put(str(tmp_path), {f"{folder}/{file_name(folder, 391895)}": folder.encode()})
    assert contents(str(tmp_path)) == {"coco/391895": present[0].encode()}


def test_either_years_name_is_taken_in_any_folder(tmp_path: Path) -> None:
    put(str(tmp_path), {"train2017/COCO_train2014_000000000001.jpg": b"one", "val2014/000000000002.jpg": b"two"})
    assert contents(str(tmp_path)) == {"coco/1": b"one", "coco/2": b"two"}


@pytest.mark.parametrize(
    "name",
    ["COCO_train2014_1.jpg", "000000000001.png", "000000000001.jpg.part", "x000000000001.jpg", "0000000000001.jpg"],
)
def test_a_file_of_another_name_is_no_picture(name: str, tmp_path: Path) -> None:
    assert contents(put(str(tmp_path), {f"train2014/{name}": b"odd"})) == {}


def test_folders_inside_a_folder_are_not_searched(tmp_path: Path) -> None:
    put(str(tmp_path), {"train2014/more/000000000001.jpg": b"deep", "other/train2014/000000000002.jpg": b"deep"})
    assert contents(str(tmp_path)) == {}


def test_a_location_may_itself_be_the_folder_or_hold_all_pictures_flat(tmp_path: Path) -> None:
    put(str(tmp_path), {"val2014/COCO_val2014_000000000005.jpg": b"five", "flat/000000000006.jpg": b"six"})
    assert contents(str(tmp_path / "val2014")) == {"coco/5": b"five"}
    assert contents(str(tmp_path / "flat")) == {"coco/6": b"six"}


def test_pictures_are_read_from_a_zip_beside_or_instead_of_the_folder(tmp_path: Path) -> None:
    put(str(tmp_path), {"train2014/COCO_train2014_000000000001.jpg": b"one"})
    zipped(tmp_path / "val2014.zip", {"val2014/COCO_val2014_000000000002.jpg": b"two", "val2014/": b""})
    zipped(tmp_path / "val2017.zip", {"val2017/000000000003.jpg": b"three"})
    assert contents(str(tmp_path)) == {"coco/1": b"one", "coco/2": b"two", "coco/3": b"three"}


def test_the_folder_wins_over_the_zip_of_the_same_name(tmp_path: Path) -> None:
    zipped(tmp_path / "val2014.zip", {"val2014/COCO_val2014_000000000002.jpg": b"zipped"})
    put(str(tmp_path), {"val2014/COCO_val2014_000000000002.jpg": b"unpacked"})
    assert contents(str(tmp_path)) == {"coco/2": b"unpacked"}


def test_a_zip_may_be_the_location_whatever_it_is_called(tmp_path: Path) -> None:
    files = {f"{folder}/{file_name(folder, 4)}": folder.encode() for folder in reversed(FOLDERS)}
    files |= {"val2017/000000000005.jpg": b"five", "000000000006.jpg": b"six", "other/000000000007.jpg": b"no"}
    path = zipped(tmp_path / "pictures of mine.zip", files)
    assert contents(path) == {"coco/4": b"train2014", "coco/5": b"five", "coco/6": b"six"}


def test_earlier_locations_win(tmp_path: Path) -> None:
    first = put(str(tmp_path / "first"), {"val2017/000000000001.jpg": b"first"})
    second = put(str(tmp_path / "second"), {"train2014/000000000001.jpg": b"second", "val2017/000000000002.jpg": b"2"})
    assert contents(first, second) == {"coco/1": b"first", "coco/2": b"2"}
    assert contents(second, first) == {"coco/1": b"second", "coco/2": b"2"}


def test_pictures_lie_in_object_stores_too(tmp_path: Path) -> None:
    path = zipped(tmp_path / "val2014.zip", {"val2014/COCO_val2014_000000000002.jpg": b"two"})
    place = put(in_memory(), {"train2017/000000000001.jpg": b"one", "val2014.zip": Path(path).read_bytes()})
    assert contents(place) == {"coco/1": b"one", "coco/2": b"two"}
    assert contents(f"{place}/") == {"coco/1": b"one", "coco/2": b"two"}
    assert contents(f"{place}/val2014.zip") == {"coco/2": b"two"}


def test_file_urls_are_local_paths(tmp_path: Path) -> None:
    put(str(tmp_path), {"train2017/000000000001.jpg": b"one"})
    zipped(tmp_path / "val2014.zip", {"val2014/COCO_val2014_000000000002.jpg": b"two"})
    assert contents(f"file://{tmp_path}") == {"coco/1": b"one", "coco/2": b"two"}
    assert contents(f"file://{tmp_path}/val2014.zip") == {"coco/2": b"two"}


@pytest.mark.parametrize("name", ["a b", "per%20cent", "ünïcode", "brackets[1]", "curly{x}", "star*", "hash#tag"])
def test_a_folder_of_an_odd_name_is_read(name: str, tmp_path: Path) -> None:
    place = put(str(tmp_path / name), {"train2017/000000000001.jpg": b"one"})
    zipped(tmp_path / name / "val2014.zip", {"val2014/COCO_val2014_000000000002.jpg": b"two"})
    assert contents(place) == {"coco/1": b"one", "coco/2": b"two"}


def test_where_a_picture_lies_is_said_with_its_size(tmp_path: Path) -> None:
    put(str(tmp_path), {"train2017/000000000001.jpg": b"four"})
    path = zipped(tmp_path / "val2017.zip", {"val2017/000000000002.jpg": b"x" * 1000})
    found = locate(COCO, [str(tmp_path)])
    assert (found["coco/1"].member, found["coco/1"].bytes) == (None, 4)
    assert found["coco/1"].path.endswith("train2017/000000000001.jpg")
    assert (found["coco/2"].member, found["coco/2"].bytes) == ("val2017/000000000002.jpg", 1000)
    assert found["coco/2"].path.endswith(path)


@pytest.mark.parametrize("where", ["nowhere", "nowhere.zip", "a_file.txt"])
def test_a_location_that_is_not_there_is_named(where: str, tmp_path: Path) -> None:
    (tmp_path / "a_file.txt").write_text("no folder")
    with pytest.raises(SourceError, match=where):
        locate(COCO, [str(tmp_path / where)])


@pytest.mark.parametrize("where", ["nowhere", "nowhere.zip"])
def test_a_remote_location_that_is_not_there_is_named(where: str) -> None:
    with pytest.raises(SourceError, match=where):
        locate(COCO, [f"{in_memory()}/{where}"])


def test_a_picture_that_has_gone_since_is_an_image_error(tmp_path: Path) -> None:
    place = put(str(tmp_path), {"train2017/000000000001.jpg": b"one"})
    located = locate(COCO, [place])["coco/1"]
    (tmp_path / "train2017" / "000000000001.jpg").unlink()
    with pytest.raises(ImageError, match="picture unreadable: FileNotFoundError"):
        read_picture(located)


def test_a_picture_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train2017").mkdir()
    with (tmp_path / "train2017" / "000000000001.jpg").open("wb") as file:
        file.truncate(256 * 2**20 + 1)  # a file of holes: it takes no room
    with pytest.raises(ImageError, match="picture file too large: 268,435,457 bytes, at most 268,435,456"):
        read_picture(locate(COCO, [str(tmp_path)])["coco/1"])


def test_a_picture_that_grew_beyond_the_bound_since_is_refused(tmp_path: Path) -> None:
    place = put(str(tmp_path), {"train2017/000000000001.jpg": b"one"})
    located = locate(COCO, [place])["coco/1"]
    with (tmp_path / "train2017" / "000000000001.jpg").open("r+b") as file:
        file.truncate(3 * 256 * 2**20)
    tracemalloc.start()
    with pytest.raises(ImageError, match="picture file too large: over 268,435,456 bytes"):
        read_picture(located)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 2**20, "all of it was read"
