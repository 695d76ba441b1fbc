"""A list is cut by position alone: however it comes in batches, and however often, the slices are the same."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.fetch.slices import Slice, put_aside, slices, stretched, taken_up
from schemas.errors import SourceError

SIZES = [[25], [1] * 25, [10, 10, 5], [9, 2, 14], [0, 3, 0, 22, 0], [24, 1]]


@pytest.fixture(autouse=True)
def ten_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.fetch.slices.ROWS", 10)


def batches(sizes: list[int], taken: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    first = 0
    for size in sizes:
        if taken is not None:
            taken.append(size)
        urls = [f"http://a.example/{number}" for number in range(first, first + size)]
        yield pa.RecordBatch.from_pydict({"url": pa.array(urls, pa.string()), "caption": pa.array(urls, pa.string())})
        first += size


def numbers(found: list[Slice]) -> dict[int, list[int]]:
    return {one.number: [int(url.rpartition("/")[2]) for url in one.rows["url"].to_pylist()] for one in found}


@pytest.mark.parametrize("sizes", SIZES)
def test_slices_are_the_same_however_the_list_comes(sizes: list[int]) -> None:
    expected = {0: list(range(10)), 1: list(range(10, 20)), 2: list(range(20, 25))}
    assert numbers(list(slices(batches(sizes)))) == expected


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("limit", [1, 10, 11, 25, 26])
def test_a_limit_ends_the_list_there(sizes: list[int], limit: int) -> None:
    found = numbers(list(slices(batches(sizes), limit)))
    assert [number for there in found.values() for number in there] == list(range(min(limit, 25)))


def test_an_empty_list_has_no_slices() -> None:
    assert list(slices(batches([0, 0]))) == []


def test_nothing_is_read_beyond_the_slice_that_is_asked_for() -> None:
    taken: list[int] = []
    found = slices(batches([6] * 100, taken))
    next(found)
    assert taken == [6, 6]
    taken.clear()
    assert len(list(slices(batches([6] * 100, taken), 12))) == 2
    assert taken == [6, 6]


def test_a_column_that_only_some_files_have_is_empty_elsewhere() -> None:
    first = pa.RecordBatch.from_pydict({"url": ["a"], "caption": ["b"]})
    second = pa.RecordBatch.from_pydict({"url": ["c"], "caption": ["d"], "noun_chunks": [[[0.0, 5.0, 0.1]]]})
    ((_, rows),) = slices([first, second])
    assert rows["noun_chunks"].to_pylist() == [None, [[0.0, 5.0, 0.1]]]


def test_columns_that_do_not_fit_together_are_named() -> None:
    first = pa.RecordBatch.from_pydict({"url": ["a"], "score": [0.5]})
    second = pa.RecordBatch.from_pydict({"url": ["b"], "score": ["high"]})
    with pytest.raises(SourceError, match=r"links from 0 on: columns do not fit together: .*score"):
        list(slices([first, second]))


def test_what_is_put_aside_is_taken_up_as_it_was(tmp_path: Path) -> None:
    rows = pa.table(
        {"url": ["ä", None], "chunks": pa.array([[[1.0, float("nan")]], None], pa.list_(pa.list_(pa.float64())))}
    )
    put_aside(rows, tmp_path / "links")
    taken = taken_up(tmp_path / "links")
    assert taken.schema == rows.schema
    assert str(taken.to_pylist()) == str(rows.to_pylist())


def test_a_limit_is_stretched_to_what_its_last_slice_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.fetch.slices.ROWS", 4)
    lengths = {0: 4, 1: 3}
    limits = [stretched(limit, lambda number: lengths.get(number, 0)) for limit in range(1, 11)]
    assert limits == [4, 4, 4, 4, 7, 7, 7, 8, 9, 10]
