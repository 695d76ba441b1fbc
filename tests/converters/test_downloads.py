"""What img2dataset leaves of a slice: every row in the order of keys, and where each picture lies."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters._downloads import entries, pictures
from converters._read import Broken
from converters._table import Piece
from converters._web import Entry
from schemas.errors import SourceError

URL = "http://a.example"


class Scored(Entry, frozen=True, kw_only=True):
    similarity: float | None = None
    chunks: list[list[float]] | None = None


def row(place: int, status: str = "success", **more: Any) -> dict[str, Any]:
    loaded = status == "success"
    return {
        "similarity": 0.25,
        "chunks": [[0.0, 3.0, 0.5]],
        "caption": f"caption {place}",
        "url": f"{URL}/{place}.jpg",
        "key": f"{place:09d}",
        "status": status,
        "error_message": None if loaded else "HTTP Error 404: Not Found",
        "width": 40 if loaded else None,
        "height": 30 if loaded else None,
        "original_width": 80 if loaded else None,
        "original_height": 60 if loaded else None,
        "exif": "{}",
        "sha256": "0" * 64,
        **more,
    }


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5
            archive.addfile(info, io.BytesIO(data))
    return path


def sample(place: int, picture: bytes = b"jpeg", extension: str = "jpg", **more: Any) -> dict[str, bytes]:
    told = json.dumps(row(place, **more), indent=4).encode()
    return {f"{place:09d}.{extension}": picture, f"{place:09d}.json": told, f"{place:09d}.txt": b"caption"}


def table(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def entry(place: int, **more: Any) -> Scored:
    return msgspec.convert(row(place, **more), Scored)


def read(path: Path, slash: str = "") -> list[Scored | Broken]:
    return list(entries(f"{path}{slash}", Scored))


def test_every_row_of_the_table_comes_in_the_order_of_keys_failures_too(tmp_path: Path) -> None:
    table(tmp_path / "00000.parquet", row(2), row(0), row(1, "failed_to_download"))
    wanted = [entry(0), entry(1, status="failed_to_download"), entry(2)]
    assert read(tar(tmp_path / "00000.tar", {})) == wanted
    assert read(tmp_path / "00000", "/") == wanted
    assert wanted[0].chunks == [[0.0, 3.0, 0.5]]
    assert wanted[1].error_message == "HTTP Error 404: Not Found"


def test_a_table_without_our_own_columns_or_with_others_is_read(tmp_path: Path) -> None:
    few = {"url": f"{URL}/0.jpg", "key": "000000000", "status": "success", "sha256": "x", "other": 3}
    table(tmp_path / "00000.parquet", few)
    assert read(tmp_path / "00000.tar") == [Scored(url=few["url"], key="000000000")]  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ["url", "key", "status"])
def test_a_table_that_img2dataset_did_not_write_says_what_it_lacks(tmp_path: Path, column: str) -> None:
    table(tmp_path / "00000.parquet", {name: value for name, value in row(0).items() if name != column})
    with pytest.raises(SourceError, match=rf"00000\.parquet: has no column {column}: wanted what img2dataset writes"):
        read(tmp_path / "00000.tar")


def test_a_row_of_another_type_is_broken_and_costs_no_other(tmp_path: Path) -> None:
    rows = [row(place, key=key) for place, key in enumerate(["000000000", None, "000000002"])]
    table(tmp_path / "00000.parquet", *rows)
    first, second, broken = read(tmp_path / "00000.tar")
    assert (first, second) == (entry(0), entry(2))
    assert isinstance(broken, Broken)
    assert broken.index == 1


@pytest.mark.parametrize("data", [b"", b"PAR1PAR1", b"<html>" * 50])
def test_a_table_that_is_none_says_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "00000.parquet").write_bytes(data)
    with pytest.raises(SourceError, match=r"00000\.parquet: not a readable parquet"):
        read(tmp_path / "00000.tar")


def test_without_a_table_the_rows_beside_the_pictures_are_read(tmp_path: Path) -> None:
    members = sample(2) | sample(0) | {"000000001.json": b"{", "000000003.json": b"[]", "000000004.json": b'{"url": 3}'}
    path = tar(tmp_path / "00000.tar", members)
    first, second, *broken = read(path)
    assert (first, second) == (entry(0), entry(2))
    assert [type(one) for one in broken] == [Broken] * 3


def test_the_file_that_a_row_lies_in_says_its_key(tmp_path: Path) -> None:
    path = tar(tmp_path / "00000.tar", {"000000007.json": json.dumps(row(1)).encode()})
    assert read(path) == [entry(1, key="000000007")]


def test_pictures_lie_where_their_bytes_are_whatever_they_are_called(tmp_path: Path) -> None:
    members = sample(3, b"three") | sample(1, b"one!", "png") | sample(2, b"", "webp")
    path = tar(tmp_path / "00000.tar", members)
    found, data = pictures(str(path)), path.read_bytes()
    assert {key: data[piece.offset : piece.offset + piece.bytes] for key, piece in found.items()} == {
        "000000003": b"three", "000000001": b"one!", "000000002": b"",
    }  # fmt: skip
    assert {piece.path for piece in found.values()} == {str(path)}


def test_folders_hold_pictures_and_rows_as_tars_do(tmp_path: Path) -> None:
    folder = tmp_path / "00000"
    (folder / "000000009.jpg").mkdir(parents=True)
    for name, data in (sample(1, b"one!") | sample(0, b"zero", "png")).items():
        (folder / name).write_bytes(data)
    assert read(folder, "/") == [entry(0), entry(1)]
    assert pictures(f"{folder}/") == {
        "000000000": Piece(f"{folder}/000000000.png", 0, 4),
        "000000001": Piece(f"{folder}/000000001.jpg", 0, 4),
    }


def test_two_pictures_of_one_key_are_no_input(tmp_path: Path) -> None:
    path = tar(tmp_path / "00000.tar", sample(1) | {"000000001.png": b"x"})
    with pytest.raises(SourceError, match=r"00000\.tar: two pictures are called 000000001: wanted one a key"):
        pictures(str(path))


def test_a_tar_cut_short_gives_no_pictures(tmp_path: Path) -> None:
    path = tar(tmp_path / "00000.tar", sample(0, bytes(3000)) | sample(1))
    path.write_bytes(path.read_bytes()[:2500])
    with pytest.raises(SourceError, match=r"00000\.tar: cut short"):
        pictures(str(path))
