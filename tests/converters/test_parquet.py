"""Parquet files read in bounded memory: every type comes as it is there, and what would fill memory is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters import _parquet
from converters._parquet import batches
from schemas.errors import SourceError

COLUMNS = {
    "text": pa.array(["a", "b", None, "a"]),
    "long": pa.array(["a", "b", None, "a"], pa.large_string()),
    "bytes": pa.array([b"\xff", b"", None, b"\xff"]),
    "coded": pa.array(["a", "b", None, "a"]).dictionary_encode(),
    "several": pa.array([["a", "b"], [], None, ["a"]]),
    "more": pa.array([{"said": "a"}, None, {"said": None}, {"said": "a"}]),
    "boxes": pa.array([[[0.0, 1.0]], [], None, [[0.0, 1.0]]]),
    "number": pa.array([1, None, 2**40, 1]),
    "score": pa.array([0.5, None, float("inf"), 0.5]),
    "sure": pa.array([True, None, False, True]),
}


def parquet(path: Path, columns: dict[str, pa.Array], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def read(path: Path, rows: int = 100, most: int | None = None) -> pa.Table:
    return pa.Table.from_batches(batches(str(path), list, rows, most))


def repeated(value: Any, rows: int) -> pa.Array:
    """That value again and again, which a file holds once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"row_group_size": 3}, {"store_schema": False}])
def test_columns_come_as_they_are_there(tmp_path: Path, rows: int, options: dict[str, Any]) -> None:
    path = parquet(tmp_path / "a.parquet", COLUMNS, **options)
    plain, found = pq.read_table(path), read(path, rows)
    assert found.schema.types == plain.schema.types
    assert found.to_pylist() == plain.to_pylist()


def test_only_what_is_chosen_is_read_and_in_batches_of_so_many_rows(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", COLUMNS)
    asked = list[str]()

    def chosen(names: Any) -> list[str]:
        asked.extend(names)
        return ["text", "boxes"]

    found = list(batches(str(path), chosen, 3))
    assert asked == list(COLUMNS)
    assert [(batch.num_rows, batch.schema.names) for batch in found] == [(3, ["text", "boxes"]), (1, ["text", "boxes"])]


def test_more_rows_than_are_wanted_are_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", COLUMNS)
    assert read(path, most=4).num_rows == 4
    with pytest.raises(SourceError, match=r"a\.parquet: has 4 rows: wanted at most 3"):
        read(path, most=3)


@pytest.mark.parametrize("bound", ["_MOST_GROUP", "_MOST_VALUES"])
def test_a_row_group_that_says_that_it_is_large_is_refused_unless_that_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    columns = {"text": COLUMNS["text"], "boxes": pa.array([[[float(n) for n in range(200)]]] * 4)}
    path = parquet(tmp_path / "a.parquet", columns, use_dictionary=False)
    monkeypatch.setattr(_parquet, bound, 700)
    with pytest.raises(SourceError, match=r"row group 0 has [0-9,]+ bytes, 800 values of boxes\.list\.element\.list"):
        read(path)
    assert sum(batch.num_rows for batch in batches(str(path), lambda names: ["text"], 2)) == 4


def test_row_groups_each_within_bounds_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "a.parquet", {"number": pa.array(range(1000))}, row_group_size=100)
    monkeypatch.setattr(_parquet, "_MOST_VALUES", 100)
    assert read(path).num_rows == 1000


@pytest.mark.parametrize("wrapped", ["plain", "list", "struct"])
def test_text_is_measured_as_it_will_be_and_not_as_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapped: str
) -> None:
    text = repeated("x" * 1000, 400)
    if wrapped == "list":
        text = pa.ListArray.from_arrays(pa.array(range(401), pa.int32()), text)
    if wrapped == "struct":
        text = pa.StructArray.from_arrays([text], ["said"])
    path = parquet(tmp_path / "a.parquet", {"text": text}, store_schema=wrapped != "plain")
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(_parquet, "_MOST_BATCH", 100_000)
    assert read(path, 100).num_rows == 400
    with pytest.raises(SourceError, match=r"a\.parquet: 101 of its rows have 101,000 bytes: wanted at most 100,000"):
        read(path, 101)


def test_numbers_are_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = pa.array([[0.5] * 1000] * 100)
    path = parquet(tmp_path / "a.parquet", {"boxes": boxes})
    monkeypatch.setattr(_parquet, "_MOST_BATCH", 100_000)
    with pytest.raises(SourceError, match=r"13 of its rows have 10[0-9],[0-9]{3} bytes"):
        read(path, 13)
    assert read(path, 12).num_rows == 100


BOMB = """
import resource, sys
from converters._parquet import batches
from schemas.errors import SourceError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for batch in batches(sys.argv[1], list, 10_000):
        pass
except SourceError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


def test_a_file_of_kilobytes_never_becomes_gigabytes(tmp_path: Path) -> None:
    text = repeated("x" * 10_000_000, 100_000)
    path = parquet(tmp_path / "a.parquet", {"text": text}, compression="zstd", store_schema=False)
    assert path.stat().st_size < 10_000
    said = subprocess.run([sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True).stdout
    grown, _, why = said.partition(" ")
    assert "10,000 of its rows have 100,000,000,000 bytes: wanted at most 268,435,456" in why
    assert int(grown) < 300_000  # kibibytes


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 9, b"<html>" * 99])
def test_what_is_no_parquet_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.parquet: not a readable parquet"):
        read(tmp_path / "a.parquet")
