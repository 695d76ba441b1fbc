"""Stopping and going on: the sequence is that of the unbroken run, on any number of ranks and workers."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.load import loader
from pipelines.schedule import Schedule
from pipelines.steps import Steps

Lock = Callable[..., Path]
Said = tuple[tuple[str, ...], int, tuple[str, ...]]  # a sequence's keys, epoch, and first questions

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, on purpose

RANKS, WORKERS = (1, 2, 3, 4, 8), (0, 1, 2, 5)
STEPS = 200
PARTS: list[dict[str, Any]] = [
    {"source": "refcoco", "task": "refer", "weight": 5, "batch_size": 2},
    {"source": "coco_caption", "task": "caption", "weight": 3, "batch_size": 3},
    {"source": "unnatural", "task": None, "weight": 2, "batch_size": 1},
]


def unsized(unit: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in part.items() if unit == "batch" or k != "batch_size"} for part in PARTS]


@pytest.fixture(scope="module", params=["sample", "batch"])
def lock(
    request: pytest.FixtureRequest, lock_of: Lock, demo_pool: Path, text_pool: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    """200 steps of 8 draws, in which the smallest part goes through several epochs."""
    path = tmp_path_factory.mktemp("locks") / f"{request.param}.lock.json"
    train = {"steps": STEPS, "batches" if request.param == "batch" else "global_batch": 8}
    return lock_of(path, [demo_pool, text_pool], unsized(request.param), unit=request.param, train=train, window=2)


def said(batch: Any) -> list[Said]:
    first = [tuple(record.messages[0].content for record in records) for records in batch.records]
    return list(zip(batch.keys, batch.epochs, first, strict=True))


def run(lock: Path, start: int, stop: int, ranks: int, workers: int) -> Iterator[list[Said]]:
    """What each step from ``start`` to before ``stop`` holds, ranks one after another."""
    feeds = [iter(loader(lock, rank, ranks, start, workers, image_size=4)) for rank in range(ranks)]
    for step in range(start, stop):
        held: list[Said] = []
        for feed in feeds:
            while True:
                batch = next(feed)
                held += said(batch)
                if batch.next == step + 1:
                    break
                assert batch.next == step
        yield held


@pytest.fixture(scope="module")
def unbroken(lock: Path) -> list[list[Said]]:
    return list(run(lock, 0, STEPS, 1, 0))


def covering(seed: int, count: int) -> list[tuple[int, int, int]]:
    """So many (start, ranks, workers) in which each number of ranks and of workers occurs, few workers altogether."""
    grid = [(ranks, workers) for ranks in RANKS for workers in WORKERS if ranks * workers <= 5]
    generator = random.Random(seed)
    return [(generator.randrange(STEPS - 2), *grid[at % len(grid)]) for at in range(count)]


def test_a_run_stopped_at_fifty_random_steps_goes_on_as_if_it_had_not_been(
    lock: Path, unbroken: list[list[Said]]
) -> None:
    assert len({epoch for step in unbroken for _, epoch, _ in step}) > 2
    for number, (start, ranks, workers) in enumerate(covering(7, 50)):
        some = workers if number < 12 else 0  # worker processes are slow to start: with each number of them a few times
        assert list(run(lock, start, start + 2, ranks, some)) == unbroken[start : start + 2], (start, ranks, some)


@pytest.mark.heavy
@pytest.mark.parametrize(("ranks", "workers"), list(itertools.product(RANKS, WORKERS)))
def test_any_ranks_and_workers_go_on_from_fifty_random_steps(
    lock: Path, unbroken: list[list[Said]], ranks: int, workers: int
) -> None:
    generator = random.Random(100 * ranks + workers)
    starts = [generator.randrange(STEPS) for _ in range(50 if workers == 0 else 3)]
    for start in starts:
        stop = min(start + 3, STEPS)
        assert list(run(lock, start, stop, ranks, workers)) == unbroken[start:stop], start


def test_workers_that_share_nothing_with_this_process_feed_the_same(lock: Path, unbroken: list[list[Said]]) -> None:
    context = {"sample": "spawn", "batch": "forkserver"}[lock.name.partition(".")[0]]
    feed = loader(lock, start=5, workers=1, image_size=4, multiprocessing_context=context)
    batches = itertools.takewhile(lambda batch: batch.next <= 6, iter(feed))
    assert [one for batch in batches for one in said(batch)][: len(unbroken[5])] == unbroken[5]


def test_a_worker_computes_with_one_thread() -> None:
    told = torch.utils.data.DataLoader(_Threads(), num_workers=1)
    assert [int(one) for one in told] == [1]


class _Threads(torch.utils.data.Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> int:
        return torch.get_num_threads()


@given(step=st.integers(1, 40), ranks=st.integers(1, 40), start=st.integers(0, 3), sizes=st.none() | st.just((2, 3, 1)))
def test_ranks_share_a_step_without_gap_or_overlap(
    step: int, ranks: int, start: int, sizes: Sequence[int] | None
) -> None:
    ranks = min(ranks, step)
    schedule = Schedule((3, 2, 1), 0)
    shares = [list(Steps(schedule, sizes, step, 5, start, ranks, rank)) for rank in range(ranks)]
    whole = list(Steps(schedule, sizes, step, 5, start, 1, 0))
    for rank, share in enumerate(shares):
        assert len(share) == len(Steps(schedule, sizes, step, 5, start, ranks, rank))
    each = [len(share) // (5 - start) for share in shares]
    together = [
        index
        for at in range(5 - start)
        for share, many in zip(shares, each, strict=True)
        for batch in share[at * many : (at + 1) * many]
        for index in batch
    ]
    assert together == [index for batch in whole for index in batch]
    draws = [len({k for batch in share for k, _ in batch}) for share in shares]
    assert max(draws) - min(draws) <= 5 - start
