"""Tests of candidates put by: what one pass makes of an input's rows is what the other packs, all of it or nothing."""

from pathlib import Path

import msgspec
import pytest

from pipelines.candidates import Candidates, put_by, taken
from pipelines.pictures import Located
from pipelines.stage import Staged
from schemas.errors import ShardError
from schemas.record import ImageRef

ROWS = 1_203  # in blocks of 500


def row(number: int) -> Candidates:
    image = ImageRef(f"web/{number}", [], 640, 480, None, None, [])
    one = Staged(
        number, image.id, f"s/train/{number}", "s", "train", "caption", image, b"{}", "", "", False, ("a note",),
        0, 0.5, 1, 7,
    )  # fmt: skip
    located = Located("", None, 10, 512 * number) if number % 3 else None
    return Candidates([one, msgspec.structs.replace(one, task=None)][: number % 4], located)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    put_by(tmp_path / "rows", map(row, range(ROWS)))
    return tmp_path / "rows"


@pytest.mark.parametrize(
    ("first", "end"), [(0, ROWS), (0, 1), (499, 501), (500, 1000), (501, 502), (1002, ROWS), (7, 7)]
)
def test_any_run_of_rows_is_read_as_it_was_put_by_with_its_places(path: Path, first: int, end: int) -> None:
    assert list(taken(path, first, end)) == [(place, row(place)) for place in range(first, end)]


def test_of_no_rows_none_are_read(tmp_path: Path) -> None:
    put_by(tmp_path / "rows", ())
    assert list(taken(tmp_path / "rows", 0, 0)) == []


def test_rows_that_are_not_there_are_an_error_and_never_fewer(path: Path) -> None:
    with pytest.raises(ShardError, match=r"ends at row 1,203: wanted 1,204"):
        list(taken(path, 0, ROWS + 1))
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ShardError):
            list(taken(path, 0, ROWS))


def test_a_block_that_was_changed_is_an_error(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in (40, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ShardError, match="not as it was written"):
            list(taken(path, 0, ROWS))
