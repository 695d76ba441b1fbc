"""What is not as the lock says is refused, by name: pools, shards, files of the lock, and each damaged sample."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines.draws import drawing
from pipelines.load import loader
from pipelines.local import OPEN, Shards, opened
from pipelines.locked import read_lock
from schemas.errors import ConfigError, ShardError
from tests.pipelines.locks import seal, unsealed

Lock = Callable[..., Path]
REFER = {"source": "refcoco", "task": "refer", "weight": 1}


@pytest.fixture
def lock(lock_of: Lock, pool_copy: Path, tmp_path: Path) -> Path:
    """A lock of a pool that may be damaged."""
    return lock_of(tmp_path / "r.lock.json", [pool_copy], [REFER], train={"steps": 40})


def drained(lock: Path) -> None:
    for _ in loader(lock, image_size=4):
        pass


def test_the_lock_is_sound_as_long_as_nothing_is_damaged(lock: Path) -> None:
    drained(lock)


def test_a_missing_pool_is_named(lock: Path, pool_copy: Path) -> None:
    shutil.rmtree(pool_copy)
    with pytest.raises(ShardError, match=rf"pool demo at {pool_copy}: cannot read .*pool\.json"):
        loader(lock)


@pytest.mark.parametrize("file", ["demo-000001.tar", "demo-000001.tar.idx"])
def test_a_missing_shard_is_named(lock: Path, pool_copy: Path, file: str) -> None:
    (pool_copy / file).unlink()
    with pytest.raises(ShardError, match=rf"pool demo at .*: {file}: cannot be read: No such file"):
        loader(lock)


@pytest.mark.parametrize("file", ["demo-000001.tar", "demo-000001.tar.idx"])
def test_a_shard_of_another_size_is_named(lock: Path, pool_copy: Path, file: str) -> None:
    size = (pool_copy / file).stat().st_size
    os.truncate(pool_copy / file, size - 8)
    with pytest.raises(ShardError, match=rf"pool demo at .*: {file}: {size - 8:,} bytes, its receipt says {size:,}"):
        loader(lock)


def test_a_changed_manifest_is_named(lock: Path, pool_copy: Path) -> None:
    manifest = pool_copy / "pool.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"seed": 0', b'"seed": 1'))
    with pytest.raises(ShardError, match=r"pool demo at .*: pool\.json: its digest is not that of its content"):
        loader(lock)


def test_a_pool_built_anew_is_named(
    lock: Path, pool_copy: Path, seal_manifest: Callable[[Path, dict[str, Any]], None]
) -> None:
    manifest = json.loads((pool_copy / "pool.json").read_bytes())
    seal_manifest(pool_copy, manifest | {"versions": {"boxcar": "9"}})
    with pytest.raises(ShardError, match=r"pool demo at .*: its digest is [0-9a-f]{12}, the lock pins [0-9a-f]{12}"):
        loader(lock)


def test_a_changed_receipt_is_named(lock: Path, pool_copy: Path) -> None:
    receipt = pool_copy / "receipts" / "000001.json"
    receipt.write_bytes(receipt.read_bytes().replace(b'"samples": ', b'"samples": 1'))
    with pytest.raises(ShardError, match=r"pool demo at .*: receipts/000001\.json: not the receipt"):
        loader(lock)


def test_a_pool_that_is_not_on_this_machine_is_refused(lock: Path) -> None:
    with pytest.raises(ConfigError, match="pool demo: memory://far is not a folder of this machine"):
        loader(lock, pools={"demo": "memory://far"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"seed": 11', b'"seed": 12', "its digest is not that of its content"),
        (b"boxcar-lock/1", b"boxcar-lock/0", "not a lock of this schema: 'boxcar-lock/0'"),
        (b'"steps"', b'"stops"', "not a lock: Object contains unknown field"),
        (b"{", b"", "not a lock"),
    ],
)
def test_a_changed_lock_is_refused(lock: Path, old: bytes, new: bytes, message: str) -> None:
    lock.write_bytes(lock.read_bytes().replace(old, new, 1))
    with pytest.raises(ShardError, match=message):
        loader(lock)


@pytest.mark.parametrize(
    ("said", "of", "message"),
    [
        ({"step": 0}, None, "step 0"),
        ({"steps": -1}, None, "steps -1"),
        ({"window": 0}, None, "window 0"),
        ({"count": 2**62}, "parts", "counts of parts"),
        ({"parts": []}, None, "0 parts"),
        ({"unit": "batch"}, None, "part refcoco/train/refer: batch_size None"),
        ({"count": -1}, "parts", "part refcoco/train/refer: count -1, items [0-9]+"),
        ({"items": 0}, "parts", "part refcoco/train/refer: count 1, items 0"),
        ({"batch_size": 0}, "parts", "part refcoco/train/refer: batch_size 0"),
        ({"wording": "nope"}, "parts", "part refcoco/train/refer: wording 'nope'"),
        ({"pool": 1}, "parts", "part refcoco/train/refer: pool 1 of 1"),
        ({"source": "../refcoco"}, "parts", r"part '\.\./refcoco/train/refer'"),
        ({"split": "train\n- x: "}, "parts", r"part 'refcoco/train\\n- x: /refer'"),
        ({"task": "../x"}, "parts", r"part 'refcoco/train/\.\./x'"),
        ({"name": "../demo"}, "pools", r"pool '\.\./demo'"),
        ({"templates": {}}, "pools", "pool 'demo': templates"),
        ({"templates": {"refer": ["where is {thing}?"]}}, "pools", "pool 'demo': templates"),
    ],
)
def test_a_lock_edited_to_lead_astray_is_refused_though_its_digest_was_mended(
    lock: Path, said: dict[str, Any], of: str | None, message: str
) -> None:
    found = unsealed(lock)
    if of is not None:
        (one,) = getattr(found, of)
        if isinstance(said.get("templates"), dict) and said["templates"]:
            said = {"templates": one.templates | said["templates"]}
        said = {of: [msgspec.structs.replace(one, **said)]}
    seal(lock, msgspec.structs.replace(found, **said))
    with pytest.raises(ShardError, match=f"^{lock}: {message}: no lock is written so"):
        loader(lock)


@pytest.mark.parametrize("kind", ["rows", "shards"])
def test_a_changed_file_of_the_lock_is_named(lock: Path, kind: str) -> None:
    (file,) = lock.with_suffix("").glob(f"*.{kind}")
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    with pytest.raises(ShardError, match=rf"{file.name}.*sha256"):
        loader(lock)
    file.unlink()
    with pytest.raises(ShardError, match=file.name):
        loader(lock)


def within(pool: Path, wanted: bytes) -> tuple[Path, int]:
    """The first tar that holds these bytes, and where."""
    for path in sorted(pool.glob("*.tar")):
        if (at := path.read_bytes().find(wanted)) >= 0:
            return path, at
    raise AssertionError(wanted)


def overwritten(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def drawn_key(lock: Path) -> tuple[str, str]:
    """The key that is drawn first, and where it is said to be from."""
    fetched = drawing(lock).fetch(0)
    return fetched.records[0].key, fetched.where


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_names_pool_shard_and_key(lock: Path, pool_copy: Path, workers: int) -> None:
    key, where = drawn_key(lock)
    path, at = within(pool_copy, key.encode())
    start = path.read_bytes().rfind(b"\xff\xd8\xff", 0, at)
    overwritten(path, start + 700, bytes(400))
    with pytest.raises(ShardError, match=rf"{where}, record {key}: damaged picture") as error:
        next(iter(loader(lock, workers=workers)))
    assert "pool demo" in str(error.value)
    assert path.name in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"schema":"boxcar/1"', b'"schema":"boxcar/0"', "odd sample: boxcar/0"),
        (b'"records":[', b'"recorbs":[', "unknown field `recorbs`"),
        (
            b'"source":"refcoco"',
            b'"source":"refcocO"',
            "record refcoco/train/.*: not of its part: refcocO/train/refer, wanted",
        ),
        (b'"image":{', b'"image":n', "sample .*: JSON is malformed"),
    ],
)
def test_a_sample_that_says_something_else_is_named(
    lock: Path, pool_copy: Path, old: bytes, new: bytes, message: str
) -> None:
    for path in pool_copy.glob("*.tar"):
        path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ShardError, match=rf"pool demo, shard demo-0.*\.tar, .*{message}"):
        drained(lock)


def test_a_record_that_cannot_be_put_into_words_is_named(lock_of: Lock, pool_copy: Path, tmp_path: Path) -> None:
    path = lock_of(tmp_path / "w.lock.json", [pool_copy], [REFER | {"wording": "vqa"}])
    with pytest.raises(ShardError, match=r"pool demo, shard .*, record refcoco/train/.*/refer: wording does not fit"):
        drained(path)


def test_a_shard_that_changes_while_it_is_read_is_named(lock: Path, pool_copy: Path) -> None:
    feed = iter(loader(lock, image_size=4))
    for path in pool_copy.glob("*.tar"):
        os.truncate(path, path.stat().st_size - 512)
    with pytest.raises(ShardError, match=r"pool demo, demo-0.*\.tar: .* bytes, its receipt says .*: it was changed"):
        next(feed)


@pytest.mark.parametrize("pair", [(0, 2**40), (512, 512), (1024, 0), (100, 2000), (0, 1024)])
def test_offsets_that_lead_astray_are_refused(lock: Path, pool_copy: Path, pair: tuple[int, int]) -> None:
    for path in pool_copy.glob("*.tar.idx"):
        count = path.stat().st_size // 16
        path.write_bytes((struct.pack("<2Q", *pair) * (count + 1))[: path.stat().st_size])
    with pytest.raises(ShardError, match=r"pool demo, demo-0.*\.tar"):
        drained(lock)


def test_rows_that_point_beyond_their_sample_or_shard_are_refused(
    lock_of: Lock, pool_copy: Path, tmp_path: Path
) -> None:
    for at, (row, message) in enumerate([((0, 10**6), "odd sample"), ((10**6, 0), "sample 1000000 is said to lie")]):
        path = lock_of(tmp_path / f"{at}.lock.json", [pool_copy], [REFER])
        draws = drawing(path)
        draws._eligible[0].rows = np.array([row] * len(draws._eligible[0].rows), np.uint32)
        with pytest.raises(ShardError, match=message):
            draws.fetch(0)


def test_no_more_shards_stay_open_than_are_said(lock: Path, pool_copy: Path) -> None:
    (pinned,) = read_lock(lock).pools
    pools = dict.fromkeys(range(2 * OPEN), opened(pinned, str(pool_copy)))
    before = len(list(Path("/proc/self/fd").iterdir()))
    shards = Shards(pools)
    for pool in range(len(pools)):
        shards.read(pool, 0, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) - before == 2 * OPEN
    del shards
    assert len(list(Path("/proc/self/fd").iterdir())) == before
