"""Whether all of a slice is there: its stats, its rows and its pictures tell of each other; and what is passed over."""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters import _downloads
from converters._downloads import entries, finished, pictures
from converters._read import Broken
from converters._web import Entry
from schemas.errors import SourceError


def row(place: int, status: str = "success", **more: Any) -> dict[str, Any]:
    url = f"http://a.example/{place}.jpg"
    return {"url": url, "caption": f"caption {place}", "key": f"{place:09d}", "status": status, **more}


def table(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def sample(place: int, picture: bytes = b"jpeg") -> dict[str, bytes]:
    return {f"{place:09d}.jpg": picture, f"{place:09d}.json": json.dumps(row(place)).encode()}


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5
            archive.addfile(info, io.BytesIO(data))
    return path


def slice_of(tmp_path: Path, files: dict[str, bytes], in_folder: bool) -> str:
    """The path of an input that holds the files, in either layout."""
    if not in_folder:
        return str(tar(tmp_path / "00000.tar", files))
    (tmp_path / "00000").mkdir()
    for name, data in files.items():
        (tmp_path / "00000" / name).write_bytes(data)
    return f"{tmp_path}/00000/"


def entry(place: int, **more: Any) -> Entry:
    return msgspec.convert(row(place, **more), Entry)


def read(path: object) -> list[Entry | Broken]:
    return list(entries(str(path), Entry))


def stats(folder: Path, **told: Any) -> None:
    (folder / "00000_stats.json").write_text(json.dumps(told))


def whole(path: object) -> list[Entry | Broken]:
    return finished(str(path), Entry)


def test_stats_that_tell_of_the_rows_and_pictures_that_are_there_are_agreed_with(tmp_path: Path) -> None:
    table(tmp_path / "00000.parquet", row(0), row(1, "failed_to_download"), row(2), row(3, key=None))
    stats(tmp_path, count=4, successes=3, duration=1.5)
    assert whole(tmp_path / "00000.tar") == read(tmp_path / "00000.tar")
    assert whole(f"{tmp_path}/00000/") == read(f"{tmp_path}/00000/")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"count": 1, "successes": 1}, "found 2 rows: wanted 1, the count in 00000_stats.json"),
        ({"count": 10**9}, "found 2 rows: wanted 1,000,000,000, the count in 00000_stats.json"),
        ({"count": 2, "successes": 2}, "found 1 rows of pictures: wanted 2, the successes in 00000_stats.json"),
        ({"successes": 0.0}, "found 1 rows of pictures: wanted 0.0, the successes in 00000_stats.json"),
    ],
)
def test_a_table_that_its_statistics_speak_against_is_no_input(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    table(tmp_path / "00000.parquet", row(0), row(1, "failed_to_download"))
    stats(tmp_path, **told)
    for path in (f"{tmp_path}/00000.tar", f"{tmp_path}/00000/"):
        with pytest.raises(SourceError, match=re.escape(f"{path}: {said}")):
            whole(path)


def test_rows_that_the_statistics_count_and_the_table_lacks_are_broken_ones(tmp_path: Path) -> None:
    table(tmp_path / "00000.parquet", row(0), row(1, "failed_to_download"))
    stats(tmp_path, count=5, successes=3)
    found = whole(tmp_path / "00000.tar")
    assert len(found) == 5 and not any(isinstance(one, Broken) for one in found[:2])
    assert [one.why for one in found[2:] if isinstance(one, Broken)] == ["lost row: the table has 2 of 5"] * 3


@pytest.mark.parametrize("in_folder", [False, True])
def test_without_a_table_the_pictures_are_counted(tmp_path: Path, in_folder: bool) -> None:
    path = slice_of(tmp_path, sample(0) | sample(1) | {"000000002.jpg": b"x", "000000003.json": b"{}"}, in_folder)
    stats(tmp_path, count=9, successes=3)
    assert len(whole(path)) == 4
    stats(tmp_path, count=9, successes=4)
    with pytest.raises(SourceError, match=re.escape(f"{path}: found 3 pictures: wanted 4, the successes in 00000_st")):
        whole(path)


@pytest.mark.parametrize("told", [{}, {"count": "9"}, {"count": None, "successes": True}, {"successes": [9]}])
def test_stats_of_other_tools_need_not_tell_of_rows(tmp_path: Path, told: dict[str, Any]) -> None:
    table(tmp_path / "00000.parquet", row(0), row(1))
    stats(tmp_path, **told)
    assert len(whole(tmp_path / "00000.tar")) == 2


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"count": ' + b"9" * 9000 + b"}", b"[" * 10**5, b"\xff"])
def test_stats_that_are_none_say_so(tmp_path: Path, data: bytes) -> None:
    table(tmp_path / "00000.parquet", row(0))
    (tmp_path / "00000_stats.json").write_bytes(data)
    with pytest.raises(SourceError, match=r"00000_stats\.json: not the JSON it should be"):
        whole(tmp_path / "00000.tar")


def test_stats_beyond_all_bounds_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_downloads, "_MOST_STATS", 20)
    table(tmp_path / "00000.parquet", row(0))
    stats(tmp_path, count=1, successes=1)
    with pytest.raises(SourceError, match=r"00000_stats\.json: has 28 bytes: wanted the stats of a slice, at most 20"):
        whole(tmp_path / "00000.tar")


def test_a_key_that_stands_twice_is_one_row_and_a_broken_one(tmp_path: Path) -> None:
    table(tmp_path / "00000.parquet", row(2), row(1), row(3, key="000000002"), row(0))
    stats(tmp_path, count=4, successes=4)
    *found, broken = whole(tmp_path / "00000.tar")
    assert found == [entry(0), entry(1), entry(2)]
    assert isinstance(broken, Broken)
    assert broken.why == "repeated key: an earlier row is called '000000002' too"


def test_a_picture_without_any_row_is_a_broken_one(tmp_path: Path) -> None:
    found = read(tar(tmp_path / "00000.tar", {"000000001.jpg": b"x", "000000001.txt": b"said"} | sample(0)))
    assert found[0] == entry(0)
    assert [one.why for one in found if isinstance(one, Broken)] == [
        "picture without a row: no 000000001.json lies beside it, and no parquet"
    ]


@pytest.mark.parametrize("in_folder", [False, True])
def test_what_cannot_be_a_keys_is_passed_over(tmp_path: Path, in_folder: bool) -> None:
    odd = ["Read Me.txt", "._000000000.jpg", ".DS_Store", "caf\u00e9.jpg", "Thumbs.db", "000000000.jpg.tmp", "a b.json"]
    files = dict.fromkeys(odd, b"x") | sample(0, b"zero") | {"000000000.more.json": b"{}"}
    path = slice_of(tmp_path, files, in_folder)
    stats(tmp_path, successes=1)
    assert whole(path) == [entry(0)]
    assert pictures(path).keys() == {"000000000"}


@pytest.mark.parametrize("in_folder", [False, True])
def test_a_row_of_mebibytes_beside_a_picture_is_not_read(tmp_path: Path, in_folder: bool) -> None:
    big = json.dumps(row(1, caption="x" * 2**20)).encode()
    files = sample(0) | sample(1) | {"000000001.json": big}
    first, broken = read(slice_of(tmp_path, files, in_folder))
    assert first == entry(0)
    assert isinstance(broken, Broken)
    assert re.fullmatch(r"over-long row: 000000001\.json has 1,0\d\d,\d{3} bytes, wanted 1,048,576", broken.why)


def test_a_table_of_too_many_rows_or_bytes_is_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "00000.parquet", *(row(place) for place in range(30)))
    monkeypatch.setattr(_downloads, "_MOST_ROWS", 30)
    assert len(read(tmp_path / "00000.tar")) == 30
    monkeypatch.setattr(_downloads, "_MOST_ROWS", 29)
    with pytest.raises(SourceError, match=r"00000\.parquet: has 30 rows: wanted at most 29"):
        read(tmp_path / "00000.tar")
    monkeypatch.undo()
    monkeypatch.setattr(_downloads, "_MOST_TABLE", 1000)
    with pytest.raises(SourceError, match=r"00000\.parquet: its rows have more than 1,000 bytes"):
        read(tmp_path / "00000.tar")


def test_a_table_with_a_column_twice_is_no_input(tmp_path: Path) -> None:
    columns = [pa.array(["http://a.example/0"]), pa.array(["0"]), pa.array(["success"]), pa.array(["1"])]
    pq.write_table(pa.Table.from_arrays(columns, ["url", "key", "status", "key"]), tmp_path / "00000.parquet")
    with pytest.raises(SourceError, match=r"00000\.parquet: 2 columns are called key: wanted one"):
        read(tmp_path / "00000.tar")
