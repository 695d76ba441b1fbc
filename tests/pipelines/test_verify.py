"""Tests of verification: whatever is changed in a pool is found, and the file it was changed in is named."""

import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.shard import shard
from pipelines.verify import verify
from schemas.errors import ShardError
from schemas.pool import pool_config

TreeOf = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def little_pool(demo_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of two small shards with captions, boxes and a reject. Read only."""
    root = tmp_path_factory.mktemp("little")
    raw = json.loads((demo_files / "coco" / "annotations" / "instances_val2014.json").read_text())
    raw["annotations"][0]["bbox"][2] = 0
    (root / "instances_val2014.json").write_text(json.dumps(raw))
    captions = "captions_val2014.json"
    shutil.copy(demo_files / "coco" / "annotations" / captions, root / captions)
    config = {
        "pool": "little",
        "collections": {"coco": f"{demo_files}/coco"},
        "sources": [
            {"name": name, "root": str(root), "splits": ["val"], "max_reject": 0.5}
            for name in ("coco_caption", "coco_instances")
        ],
        "shard": {"max_samples": 7},
    }
    manifest = shard(pool_config(config, "test"), str(root / "pool")).manifest
    assert (manifest.shards, sum(tally.rejects for tally in manifest.ledger)) == (2, 2)
    return root / "pool"


@pytest.fixture
def pool(little_pool: Path, tmp_path: Path) -> Path:
    """A copy of the little pool to be damaged."""
    return Path(shutil.copytree(little_pool, tmp_path / "pool"))


def found(pool: Path) -> set[str]:
    """The files in which something is wrong, as a user of the command sees it: pool.json may fail as a whole."""
    try:
        return {problem.file for problem in verify(str(pool)).problems}
    except ShardError as error:
        return {str(error).partition(":")[0]}


def test_a_whole_pool_has_no_problems_and_its_counts_are_told(little_pool: Path, demo_files: Path) -> None:
    seen = verify(str(little_pool))
    folder = demo_files / "coco" / "annotations"
    captions = json.loads((folder / "captions_val2014.json").read_text())["annotations"]
    assert seen.problems == []
    assert (seen.pool, seen.shards, seen.samples) == ("little", 2, 12)
    ledger = json.loads((little_pool / "pool.json").read_bytes())["ledger"]
    assert {line["task"]: line["written"] for line in ledger}["caption"] == len(captions)
    assert seen.records == sum(line["written"] for line in ledger)
    assert seen.boxes > 0


def test_two_workers_see_the_same_as_one(pool: Path) -> None:
    (pool / "little-000001.tar").write_bytes(b"")
    assert verify(str(pool), workers=2) == verify(str(pool), workers=1)


def test_a_pool_is_verified_through_any_url(little_pool: Path) -> None:
    assert verify(f"file://{little_pool}").problems == []
    memory = fsspec.filesystem("memory")
    try:
        memory.put(f"{little_pool}/", "/little/", recursive=True)
        assert verify("memory://little") == verify(str(little_pool))
        memory.rm_file("/little/index/000001.arrow")
        assert {problem.file for problem in verify("memory://little").problems} == {"index/000001.arrow"}
    finally:
        memory.rm("/", recursive=True)


def test_a_tar_cut_at_any_member_is_found(pool: Path) -> None:
    tar = pool / "little-000000.tar"
    whole = tar.read_bytes()
    ends, place = [0], 0
    while whole[place : place + 1] != b"\0":
        size = int(whole[place + 124 : place + 135], 8)
        place += 512 + -(-size // 512) * 512
        ends.append(place)
    assert len(ends) == 15
    for end in (*ends, ends[-1] + 512, ends[-1] + 1024, len(whole) - 1):
        tar.write_bytes(whole[:end])
        assert found(pool) == {"little-000000.tar"}, end
    tar.write_bytes(whole)
    assert found(pool) == set()


def test_a_flipped_byte_anywhere_is_found_and_its_file_is_named(pool: Path, tree: TreeOf) -> None:
    chance = random.Random(5)
    for name, data in tree(pool).items():
        for place in {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(8))} if data else ():
            changed = bytearray(data)
            changed[place] ^= 1 << chance.randrange(8)
            (pool / name).write_bytes(changed)
            assert found(pool) == {name}, (name, place)
        (pool / name).write_bytes(data)
    assert found(pool) == set()


def test_every_single_byte_of_the_manifest_counts(pool: Path) -> None:
    path = pool / "pool.json"
    data = path.read_bytes()
    chance = random.Random(6)
    for place in chance.sample(range(len(data)), 300):
        changed = bytearray(data)
        changed[place] = chance.choice([byte for byte in (0, 32, 48, 57, 65, 128, 255) if byte != data[place]])
        path.write_bytes(changed)
        with pytest.raises(ShardError, match=r"^pool\.json: "):
            verify(str(pool))


def test_any_file_that_is_gone_or_empty_is_named(pool: Path, tree: TreeOf) -> None:
    for name, data in tree(pool).items():
        (pool / name).unlink()
        assert any(name in file for file in found(pool)), name
        (pool / name).write_bytes(b"")
        assert not data or found(pool) == {name}
        (pool / name).write_bytes(data)
    assert found(pool) == set()


@pytest.mark.parametrize(
    "name",
    [
        "little-000002.tar",
        "little-000002.tar.idx",
        "index/000002.arrow",
        "rejects/000002.jsonl",
        "receipts/000002.json",
        "receipts/000000.json.bak",
        ".nv-meta/more.yaml",
        "notes.txt",
        "deep/er/file",
    ],
)
def test_a_file_too_many_is_named(pool: Path, name: str) -> None:
    (pool / name).parent.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in pool.rglob("*") if path.is_file())
    kin = next((path for path in files if path.suffix == Path(name).suffix), pool / "pool.json")
    shutil.copy(kin, pool / name)
    assert found(pool) == {name}


@pytest.mark.parametrize("pattern", ["little-00000{}.tar", "little-00000{}.tar.idx", "index/00000{}.arrow"])
def test_two_swapped_files_are_both_named(pool: Path, pattern: str) -> None:
    first, second = (pool / pattern.format(number) for number in (0, 1))
    first.rename(pool / "aside")
    second.rename(first)
    (pool / "aside").rename(second)
    assert found(pool) == {pattern.format(0), pattern.format(1)}


def test_a_renamed_receipt_is_named_under_both_names(pool: Path) -> None:
    (pool / "receipts" / "000001.json").rename(pool / "receipts" / "000002.json")
    assert found(pool) == {"receipts/000001.json", "receipts/000002.json"}


def test_a_receipt_that_is_another_ones_copy_is_named(pool: Path) -> None:
    shutil.copy(pool / "receipts" / "000000.json", pool / "receipts" / "000001.json")
    assert found(pool) == {"receipts/000001.json"}


def test_offsets_that_are_merely_plausible_are_found(pool: Path) -> None:
    path = pool / "little-000000.tar.idx"
    offsets = list(struct.unpack("<8Q", path.read_bytes()))
    offsets[3] += 512
    path.write_bytes(struct.pack("<8Q", *offsets))
    assert found(pool) == {"little-000000.tar.idx"}


@pytest.mark.parametrize("what", ["nothing", "a file", "an empty folder", "a folder without pool.json"])
def test_what_is_no_pool_is_a_shard_error_of_one_line(tmp_path: Path, demo_pool: Path, what: str) -> None:
    place: Any = tmp_path / "place"
    if what == "a file":
        place.write_text("x")
    elif what != "nothing":
        place.mkdir()
    if what == "a folder without pool.json":
        shutil.copy(demo_pool / "demo-000000.tar", place)
    with pytest.raises(ShardError, match=r"pool\.json") as error:
        verify(str(place))
    assert "\n" not in str(error.value)


def test_scratch_of_a_build_that_is_running_is_no_part_of_the_pool(pool: Path) -> None:
    (pool / ".build" / "123-abc").mkdir(parents=True)
    (pool / ".build" / "123-abc" / "tar").write_text("half")
    assert found(pool) == set()
