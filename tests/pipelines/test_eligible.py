"""The files of eligible records: what they map to, and in which words damage is told."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines import store
from pipelines.eligible import Eligible, Item, folder_of, mapped, stem
from schemas.errors import ConfigError, ShardError
from schemas.ledger import Part
from schemas.lock import LockedPart
from schemas.pool import FileDigest

# Shards of 2, 0, 3 and 0 rows; where they are joined, the third and fourth row are one item.
ROWS = [(0, 1), (4, 0), (2, 0), (2, 3), (7, 1)]
FIRSTS, JOINED_FIRSTS, BEGINS = [0, 2, 2, 5, 5], [0, 2, 2, 4, 4], [0, 1, 2, 4, 5]


def write(path: Path, numbers: Any, kind: str) -> FileDigest:
    path.write_bytes(np.array(numbers, kind).tobytes())
    return store.digest(str(path), path.name)


@pytest.fixture
def files(tmp_path: Path, locked: Callable[..., LockedPart]) -> Callable[[bool], LockedPart]:
    def make(joined: bool) -> LockedPart:
        items = 4 if joined else 5
        return msgspec.structs.replace(
            locked("refcoco", "refer"),
            records=5,
            items=items,
            rows=write(tmp_path / "a.rows", ROWS, "<u4"),
            shards=write(tmp_path / "a.shards", JOINED_FIRSTS if joined else FIRSTS, "<u8"),
            joined=write(tmp_path / "a.items", BEGINS, "<u8") if joined else None,
        )

    return make


Files = Callable[[bool], LockedPart]


def test_an_item_is_found_in_its_shard_though_others_are_empty(tmp_path: Path, files: Files) -> None:
    found = mapped(tmp_path, files(False))
    assert (found.items, found.shards) == (5, 4)
    assert [found.item(number) for number in range(5)] == [
        Item(0, 0, (1,)),
        Item(0, 4, (0,)),
        Item(2, 2, (0,)),
        Item(2, 2, (3,)),
        Item(2, 7, (1,)),
    ]
    assert [found.of_shard(shard).tolist() for shard in range(4)] == [
        [[0, 1], [4, 0]],
        [],
        [[2, 0], [2, 3], [7, 1]],
        [],
    ]


def test_joined_records_are_one_item_with_all_their_places(tmp_path: Path, files: Files) -> None:
    found = mapped(tmp_path, files(True))
    assert found.items == 4
    assert [found.item(number) for number in (1, 2, 3)] == [Item(0, 4, (0,)), Item(2, 2, (0, 3)), Item(2, 7, (1,))]
    assert [len(found.of_shard(shard)) for shard in range(4)] == [2, 0, 3, 0]


@pytest.mark.parametrize("number", [-1, 5])
def test_there_is_no_item_beyond_the_last(tmp_path: Path, files: Files, number: int) -> None:
    with pytest.raises(IndexError, match=f"item {number} of 5"):
        mapped(tmp_path, files(False)).item(number)


def test_files_are_mapped_anew_in_another_process_and_never_sent_there(tmp_path: Path, files: Files) -> None:
    sent = pickle.dumps(mapped(tmp_path, files(True)))
    assert np.array(ROWS, "<u4").tobytes() not in sent
    again: Eligible = pickle.loads(sent)
    assert again.item(2) == Item(2, 2, (0, 3))


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("name", ["a.rows", "a.shards", "a.items"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data + bytes(8), r"a\.\w+: \d+ bytes, the lock says \d+$"),
        (lambda data: data[:-1], r"a\.\w+: \d+ bytes, the lock says \d+$"),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], r"a\.\w+: its sha256 is not the lock's: a byte was changed$"),
    ],
)
def test_a_changed_file_is_named(
    tmp_path: Path, files: Files, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    part = files(True)
    damage(tmp_path / name, change)
    with pytest.raises(ShardError, match=message):
        mapped(tmp_path, part)


def test_a_missing_file_is_named(tmp_path: Path, files: Files) -> None:
    part = files(False)
    (tmp_path / "a.shards").unlink()
    with pytest.raises(ShardError, match=r"a\.shards: not there, and the lock says it is$"):
        mapped(tmp_path, part)


@pytest.mark.parametrize("name", ["../a.rows", "", "..", "/etc/passwd"])
def test_a_lock_names_no_file_outside_its_folder(tmp_path: Path, files: Files, name: str) -> None:
    part = files(False)
    part = msgspec.structs.replace(part, rows=msgspec.structs.replace(part.rows, name=name))
    with pytest.raises(ShardError, match="not the name of a lock's file"):
        mapped(tmp_path, part)


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("field", ["records", "items"])
def test_counts_that_are_not_the_files_are_told(tmp_path: Path, files: Files, joined: bool, field: str) -> None:
    part = msgspec.structs.replace(files(joined), **{field: 9})
    with pytest.raises(ShardError, match=r"a\.rows: the files hold 5 records, [45] items, the lock says "):
        mapped(tmp_path, part)


@pytest.mark.parametrize("firsts", [[1, 2, 2, 5, 5], [0, 2, 2, 5, 4]])
def test_shards_whose_items_are_not_all_the_rows_are_told(tmp_path: Path, files: Files, firsts: list[int]) -> None:
    part = msgspec.structs.replace(files(False), shards=write(tmp_path / "a.shards", firsts, "<u8"))
    with pytest.raises(ShardError, match=r"a\.rows: the files hold 5 records"):
        mapped(tmp_path, part)


def test_a_lock_is_called_name_lock_json_and_its_folder_name_lock() -> None:
    assert folder_of(Path("out/stage3.lock.json")) == Path("out/stage3.lock")
    for name in ("stage3.json", "stage3", ".lock.json"):
        with pytest.raises(ConfigError, match=r"wanted a name that ends in \.lock\.json, such as stage3\.lock\.json"):
            folder_of(Path(name))


def test_files_are_called_after_their_part_and_pool() -> None:
    assert stem(Part("refcoco", "train", "refer"), "coco") == "refcoco-train-refer-coco"
    assert stem(Part("llava_detail", "train", None), "coco") == "llava_detail-train-chat-coco"
