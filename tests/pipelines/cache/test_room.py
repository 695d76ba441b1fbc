"""The cache has no more bytes than it may have, and never removes what a process holds."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import ahead, remote
from pipelines.cache import Cache, NoRoomError
from pipelines.load import loader
from pipelines.locked import read_lock
from pipelines.remote import RemotePool
from schemas.errors import ConfigError

Windowed = Callable[[int | None], Path]


def measured(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return size


@pytest.fixture
def pool_of(windowed: Windowed, far: Any, tmp_path: Path) -> Callable[[int], RemotePool]:
    """A function: the pool elsewhere, with a cache of so many bytes."""
    (pinned,) = read_lock(windowed(1)).pools
    return lambda budget: remote.opened(pinned, far.url, Cache(tmp_path / "cache", budget))


def of_shards(pool: Path, *shards: int) -> int:
    """The bytes that these shards take in the cache."""
    each = (f"fine-{n:06d}.tar" for n in shards)
    return sum((pool / name).stat().st_size + (pool / f"{name}.idx").stat().st_size for name in each) + sum(
        (pool / f"receipts/{n:06d}.json").stat().st_size for n in shards
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_the_folder_never_has_more_bytes_than_it_may_have(
    windowed: Windowed, cached: dict[str, Any], pool: Path, workers: int, far: Any
) -> None:
    budget = 4 * max(of_shards(pool, n) for n in range(len(list(pool.glob("*.tar")))))
    most, ended = [0], threading.Event()
    cached["cache"].mkdir()

    def watch() -> None:
        while not ended.is_set():
            most.append(measured(cached["cache"]))

    watching = threading.Thread(target=watch)
    watching.start()
    keys = [batch.keys for batch in loader(windowed(1), workers=workers, **cached | {"cache_bytes": budget})]
    ended.set()
    watching.join()
    assert keys == [batch.keys for batch in loader(windowed(1), image_size=8)]
    assert budget / 2 < max(most) <= budget
    assert sum(far.tars().values()) > len(far.tars())  # passed over again in a later epoch


def test_what_was_not_asked_for_the_longest_goes_first_and_nothing_held_does(
    pool_of: Callable[[int], RemotePool], pool: Path
) -> None:
    fine = pool_of(of_shards(pool, 0, 1, 2, 3) + 10)
    kept = fine.held(0)
    for shard, used in ((1, 300), (2, 100), (3, 200)):
        assert fine.held(shard)
        os.utime(fine.place(shard).with_name(f"fine-{shard:06d}.tar.lock"), (used, used))
    assert kept
    assert fine.held(0)
    os.utime(fine.place(0).with_name("fine-000000.tar.lock"), (0, 0))
    for shard, gone in ((4, 2), (5, 3), (6, 1)):
        assert fine.held(shard)
        assert not fine.place(gone).exists()
        assert fine.place(0).exists()
        assert measured(fine.cache.folder) <= fine.cache.budget


def test_what_is_fetched_ahead_takes_no_room_from_what_comes_sooner(
    pool_of: Callable[[int], RemotePool], pool: Path
) -> None:
    fine = pool_of(of_shards(pool, 0) + max(of_shards(pool, 1), of_shards(pool, 2)))
    assert fine.held(0)
    assert fine.held(1)
    with pytest.raises(NoRoomError):
        fine.held(2, {fine.place(0), fine.place(1)}, wait=False)
    assert fine.held(2, {fine.place(0)}, wait=False)
    assert fine.place(0).exists()
    assert not fine.place(1).exists()


def test_room_that_nobody_makes_is_an_error_after_a_while(
    pool_of: Callable[[int], RemotePool], pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.3)
    fine = pool_of(of_shards(pool, 0) + 10)
    kept = fine.held(0)
    assert kept
    with pytest.raises(ConfigError, match=r"pool fine, fine-000001\.tar: no room in .*: raise cache_bytes"):
        fine.held(1)
    kept.hold.release()
    assert fine.held(1)


def test_a_shard_larger_than_the_cache_is_refused_before_it_is_fetched(
    pool_of: Callable[[int], RemotePool], pool: Path, far: Any
) -> None:
    fine = pool_of(of_shards(pool, 1) - 1)
    with pytest.raises(ConfigError, match=rf"pool fine, fine-000001\.tar: {of_shards(pool, 1):,} bytes, the cache may"):
        fine.held(1)
    assert not far.tars()


@pytest.mark.parametrize(
    ("window", "said", "message"),
    [
        (1, {"cache_bytes": "10KiB"}, r"two windows of 1 shards of each part are about [\d,]+ bytes, cache_bytes is"),
        (None, {"cache_bytes": "100KiB"}, "no window, cache_bytes is 102,400: set window in the mixture"),
        (1, {"cache_bytes": None}, "the loader: cache_bytes: "),
        (1, {"cache_bytes": "2 parsecs"}, "the loader: cache_bytes: .*unknown unit 'parsecs'"),
        (1, {"cache": None}, "the loader: cache: "),
        (1, {"cache": "memory://cache"}, "cache memory://cache: wanted a folder of this machine"),
        (1, {"cache": None, "cache_bytes": None}, "http://.* is not a folder of this machine: wanted cache"),
        (1, {"pools": {"fine": "memory://fine"}}, "pool fine at memory://fine: lives in one process alone"),
    ],
)
def test_a_cache_that_cannot_do_is_refused_before_anything_is_fetched(
    windowed: Windowed, cached: dict[str, Any], far: Any, window: int | None, said: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        loader(windowed(window), **cached | said)
    assert not far.tars()


def test_windows_that_take_more_files_than_a_process_may_open_are_refused(
    windowed: Windowed, cached: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead.resource, "getrlimit", lambda _: (300, 300))
    with pytest.raises(ConfigError, match=r"windows of 1 shards of each part take 330 open files, .* have 300: raise"):
        loader(windowed(1), **cached)
