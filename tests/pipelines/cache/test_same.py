"""Through the cache a lock's draws are the same as from a disk, and each shard is read elsewhere once at most."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.load import loader

Windowed = Callable[[int | None], Path]


def said(batches: Any) -> list[Any]:
    return [(batch.keys, batch.epochs, batch.records, batch.images.sum(dim=(1, 2, 3)).tolist()) for batch in batches]


@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_draws_are_the_same_as_from_a_disk(
    windowed: Windowed, far: Any, cached: dict[str, Any], window: int | None, workers: int
) -> None:
    lock = windowed(window)
    assert said(loader(lock, workers=workers, **cached)) == said(loader(lock, image_size=8))
    assert set(far.read.values()) == {1}


def test_batches_of_one_part_are_the_same_too(
    lock_of: Callable[..., Path], pool: Path, cached: dict[str, Any], tmp_path: Path
) -> None:
    parts = [
        {"source": source, "task": task, "weight": 1, "batch_size": size}
        for source, task, size in (("refcoco", "refer", 7), ("coco_caption", "caption", 4))
    ]
    said_of = {"unit": "batch", "window": 1, "train": {"steps": 12, "batches": 2}}
    lock = lock_of(tmp_path / "b.lock.json", [pool], parts, **said_of)
    assert said(loader(lock, workers=1, **cached)) == said(loader(lock, image_size=8))


def test_a_second_run_finds_what_the_first_one_left(windowed: Windowed, far: Any, cached: dict[str, Any]) -> None:
    first = said(loader(windowed(2), **cached))
    read = far.tars()
    assert said(loader(windowed(2), **cached)) == first
    assert far.tars() == read


def test_workers_that_share_nothing_with_this_process_feed_the_same(windowed: Windowed, cached: dict[str, Any]) -> None:
    batches = iter(loader(windowed(2), workers=1, multiprocessing_context="spawn", **cached))
    assert said([next(batches)]) == said([next(iter(loader(windowed(2), image_size=8)))])


def test_no_shard_is_fetched_that_no_window_up_to_the_next_one_has(
    windowed: Windowed, far: Any, cached: dict[str, Any]
) -> None:
    draws = loader(windowed(1), **cached).dataset.draws
    near = set[int]()
    for k in range(40):
        draws.fetch(k)
        for order, turn in zip(draws._orders, draws.schedule.before(k), strict=True):
            now = order.stretch(int(turn))
            near |= {*now.shards.tolist(), *order.stretch(now.end).shards.tolist()}
        found = {int(name[5:11]) for name in far.tars()}
        assert found <= near, k
    assert len(near) < draws.lock.pools[0].shards
