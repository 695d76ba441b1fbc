"""Hash files: what is written is read again, and what is not whole is refused."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from pipelines.hashes import (
    DROPPED,
    HEADER,
    PICTURES,
    PictureHashes,
    read_hashes,
    rows_in,
    sealed,
    unsealed,
    write_hashes,
)
from schemas.errors import ShardError

ONE, TWO = b"one".ljust(16, b"."), b"two".ljust(16, b".")
CONTENT = bytes(range(32))
ROWS = [
    PictureHashes(0, (ONE,), CONTENT, 2**64 - 1),
    PictureHashes(7, (ONE, TWO), CONTENT[::-1], None),
    PictureHashes(2**32 - 1, (), CONTENT, 0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_hashes(tmp_path / "000000.hashes", ROWS)
    return tmp_path / "000000.hashes"


def test_every_hash_is_read_as_it_was_written(path: Path) -> None:
    rows = read_hashes(path)
    assert rows["place"].tolist() == [0, 7, 2**32 - 1]
    assert [bytes(content) for content in rows["content"]] == [CONTENT, CONTENT[::-1], CONTENT]
    assert [bytes(ids) for ids in rows["ids"]] == [ONE + bytes(16), ONE + TWO, bytes(32)]
    assert rows["likeness"].tolist() == [2**64 - 1, 0, 0]
    assert rows["alike"].tolist() == [1, 0, 1]


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    digest = write_hashes(tmp_path / "x.hashes", iter(ROWS))
    data = (tmp_path / "x.hashes").read_bytes()
    assert (digest.name, digest.bytes, digest.sha256) == ("x.hashes", len(data), sha256(data).hexdigest())


@pytest.mark.parametrize("rows", [[], ROWS])
def test_rows_are_counted_by_size_alone(tmp_path: Path, rows: list[PictureHashes]) -> None:
    write_hashes(tmp_path / "x", rows)
    assert rows_in(tmp_path / "x") == len(rows) == len(read_hashes(tmp_path / "x"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[:-1], "rows want"),
        (lambda data: data[: -PICTURES.itemsize], "rows want"),
        (lambda data: data + b"\0" * PICTURES.itemsize, "rows want"),
        (lambda data: data[: HEADER.size - 1], "wanted a header of 48"),
        (lambda data: b"", "0 bytes, wanted a header"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "have not the sha256"),
        (lambda data: data[: HEADER.size] + bytes(len(data) - HEADER.size), "have not the sha256"),
        (lambda data: b"boxhash2" + data[8:], "begins with b'boxhash2', wanted b'boxhash1'"),
        (lambda data: data[:8] + b"\xff" * 8 + data[16:], "rows want"),
        (lambda data: sealed(np.zeros(2, DROPPED)), "begins with b'boxdrop1'"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(path: Path, damage: Callable[[bytes], bytes], says: str) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ShardError, match=says) as refused:
        read_hashes(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for ask in (read_hashes, rows_in):
        with pytest.raises(ShardError, match="cannot read"):
            ask(tmp_path / "nowhere")
    with pytest.raises(ShardError, match="cannot read"):
        unsealed(tmp_path / "nowhere", DROPPED)


@pytest.mark.parametrize("places", [(3, 3), (3, 2), (0, 2**32 - 1, 1)])
def test_places_that_do_not_ascend_are_neither_written_nor_read(tmp_path: Path, places: tuple[int, ...]) -> None:
    with pytest.raises(ShardError, match=f"place {places[-1]} after place {places[-2]}"):
        write_hashes(tmp_path / "x", [ROWS[0]._replace(place=place) for place in places])
    assert not (tmp_path / "x").exists()
    rows = np.zeros(len(places), PICTURES)
    rows["place"] = places
    (tmp_path / "x").write_bytes(sealed(rows))
    with pytest.raises(ShardError, match="wanted ascending places"):
        read_hashes(tmp_path / "x")


@pytest.mark.parametrize(
    "wrong", [{"ids": (ONE, TWO, ONE)}, {"ids": (ONE[:15],)}, {"ids": (ONE, TWO + b".")}, {"content": CONTENT[:31]}]
)
def test_a_hash_of_another_width_is_not_cut_but_refused(tmp_path: Path, wrong: dict[str, bytes]) -> None:
    with pytest.raises(ShardError, match=r"hashes of place 7: .* wanted at most 2 ids of 16 bytes and content of 32"):
        write_hashes(tmp_path / "x", [ROWS[1]._replace(**wrong)])
