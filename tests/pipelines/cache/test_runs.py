"""Several training runs on one machine share a cache, and one that is killed does the others no harm."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.load import loader

FORK = multiprocessing.get_context("fork")


def run(lock: Path, start: int, workers: int, cached: dict[str, Any], told: Any) -> None:
    for batch in loader(lock, start=start, workers=workers, **cached):
        told.put((batch.next, batch.keys))


def test_runs_at_different_places_share_a_small_cache_while_one_of_them_is_killed(
    windowed: Callable[[int | None], Path], cached: dict[str, Any], pool: Path, far: Any
) -> None:
    shard = max(path.stat().st_size for path in pool.glob("*.tar"))
    small = cached | {"cache_bytes": 10 * shard}
    far.delay = 0.02
    some = [(0, 2), (12, 2), (5, 0)]
    told = [FORK.Queue() for _ in some]  # one each: who is killed may hold its queue's lock
    runs = [
        FORK.Process(target=run, args=(windowed(1), *one, small, queue)) for one, queue in zip(some, told, strict=True)
    ]
    for one in runs:
        one.start()
    told[2].get(timeout=60)
    assert runs[2].pid
    os.kill(runs[2].pid, signal.SIGKILL)
    whole = {batch.next: batch.keys for batch in loader(windowed(1), image_size=8)}
    for (start, _), one, queue in zip(some[:2], runs, told, strict=False):
        assert dict(queue.get(timeout=60) for _ in range(30 - start)) == {
            step: keys for step, keys in whole.items() if step > start
        }
        one.join()
        assert one.exitcode == 0
    assert sum(path.stat().st_size for path in small["cache"].rglob("*") if path.is_file()) <= 10 * shard
