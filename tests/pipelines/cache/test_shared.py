"""Processes share the cache by locks that end with them: one fetches, others wait for that shard alone."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines import remote
from pipelines.cache import Cache, Hold
from pipelines.locked import read_lock
from pipelines.remote import RemotePool

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def fine(windowed: Any, far: Any, tmp_path: Path) -> RemotePool:
    """The pool elsewhere, of which the cache has nothing yet."""
    (pinned,) = read_lock(windowed(1)).pools
    return remote.opened(pinned, far.url, Cache(tmp_path / "cache", 2**30))


def held(fine: RemotePool, shard: int, wait: bool, told: Any) -> None:
    told.put(fine.held(shard, wait=wait) is not None)


def test_one_of_several_processes_fetches_and_the_others_wait_for_that_shard(fine: RemotePool, far: Any) -> None:
    name, told = "fine-000001.tar", FORK.Queue()
    far.stuck[name] = threading.Event()
    some = [FORK.Process(target=held, args=(fine, 1, True, told)) for _ in range(4)]
    for one in some:
        one.start()
    assert far.half_way.wait(20)
    assert fine.held(1, wait=False) is None
    assert fine.held(2, wait=False)
    assert told.empty()
    far.stuck[name].set()
    assert [told.get(timeout=20) for _ in some] == [True] * 4
    for one in some:
        one.join()
    assert far.tars() == {name: 1, "fine-000002.tar": 1}


def test_what_another_fetched_and_goes_on_holding_is_not_waited_for(fine: RemotePool, far: Any, pool: Path) -> None:
    tar = fine.place(1)
    tar.parent.mkdir(parents=True)
    other, told = Hold(tar.with_name(f"{tar.name}.lock")), FORK.Queue()
    assert other.taken(alone=False)
    one = FORK.Process(target=held, args=(fine, 1, True, told))
    one.start()
    time.sleep(1.0)  # it found nothing, and cannot fetch as another looks at the shard too
    assert told.empty()
    for name, kept in (("fine-000001.tar", ""), ("fine-000001.tar.idx", ".idx"), ("receipts/000001.json", ".json")):
        shutil.copyfile(pool / name, f"{tar}{kept}")
    assert told.get(timeout=20)
    one.join()
    assert not far.tars()


def test_a_killed_process_leaves_nothing_that_is_believed_and_no_lock(fine: RemotePool, far: Any, pool: Path) -> None:
    name = "fine-000001.tar"
    far.stuck[name] = threading.Event()
    one = FORK.Process(target=held, args=(fine, 1, True, FORK.Queue()))
    one.start()
    assert far.half_way.wait(20)
    assert one.pid
    os.kill(one.pid, signal.SIGKILL)
    one.join()
    far.stuck.pop(name).set()
    tar = fine.place(1)
    assert tar.with_name(f"{name}.part").stat().st_size == (pool / name).stat().st_size
    assert not tar.exists()
    assert fine.held(1, wait=False)
    assert tar.read_bytes() == (pool / name).read_bytes()
    assert not tar.with_name(f"{name}.part").exists()
    assert far.tars()[name] == 2


def test_what_a_killed_process_left_makes_room(fine: RemotePool, far: Any, tmp_path: Path) -> None:
    for number in range(2):
        part = fine.place(90 + number).with_name(f"fine-{90 + number:06d}.tar.part")
        part.parent.mkdir(exist_ok=True, parents=True)
        part.write_bytes(bytes(2**19))
        part.with_name(part.name.replace(".part", ".lock")).touch()
    cache = Cache(tmp_path / "cache", 2**20)
    cache.reserve({tmp_path / "cache" / fine.digest / "fine-000099.tar.part": 2**19 + 1})
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) == 2**19 + 1


def test_a_damaged_file_of_the_cache_is_fetched_anew(fine: RemotePool, far: Any, pool: Path) -> None:
    assert fine.held(1)
    for ending in ("", ".idx", ".json"):
        path = fine.place(1).with_name(f"fine-000001.tar{ending}")
        os.truncate(path, path.stat().st_size - 1)
        assert fine.held(1)
        assert fine.place(1).read_bytes() == (pool / "fine-000001.tar").read_bytes()
    assert far.tars() == {"fine-000001.tar": 4}


def test_a_lock_that_a_forked_process_inherited_ends_where_it_was_taken(tmp_path: Path) -> None:
    lock = Hold(tmp_path / "lock")
    assert lock.taken(alone=True)
    go = FORK.Event()
    child = FORK.Process(target=go.wait, args=(20,))
    child.start()
    assert not Hold(tmp_path / "lock").taken(alone=False, wait=False)
    lock.release()
    assert Hold(tmp_path / "lock").taken(alone=True, wait=False)
    go.set()
    child.join()


def let_go(lock: Hold) -> None:
    lock.release()


def test_a_forked_process_cannot_let_go_of_what_it_inherited(tmp_path: Path) -> None:
    lock = Hold(tmp_path / "lock")
    assert lock.taken(alone=False)
    child = FORK.Process(target=let_go, args=(lock,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not Hold(tmp_path / "lock").taken(alone=True, wait=False)
    assert Hold(tmp_path / "lock").taken(alone=False, wait=False)
