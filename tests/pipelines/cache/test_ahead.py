"""Shards are fetched before they are asked for, in the order in which they will be."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import remote
from pipelines.ahead import Feeding, coming
from pipelines.cache import Cache
from pipelines.draws import Draws, drawing

Windowed = Callable[[int | None], Path]


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Which thread fetched which tar, in order."""
    done: list[tuple[str, str]] = []
    copy = remote._copy

    def noted(url: str, path: Path, told: Any) -> None:
        if told.name.endswith(".tar"):
            done.append((threading.current_thread().name, told.name))
        copy(url, path, told)

    monkeypatch.setattr(remote, "_copy", noted)
    return done


def planned(draws: Draws, k: int) -> list[str]:
    parts = [Feeding(number, 0, order, 1) for number, order in enumerate(draws._orders)]
    return [f"fine-{shard:06d}.tar" for _, shard in coming(draws.schedule, parts, k)]


def asked(draws: Draws, k: int) -> str:
    """The tar that a draw asks for."""
    part, turn = draws.schedule.at(k)
    return f"fine-{draws._eligible[part].item(draws._orders[part].at(turn).item).shard:06d}.tar"


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("window", [1, 3])
def test_after_the_first_draw_none_waits_for_a_shard(
    windowed: Windowed, far: Any, tmp_path: Path, fetches: list[tuple[str, str]], window: int
) -> None:
    draws = drawing(windowed(window), {"fine": far.url}, Cache(tmp_path / "cache", 2**30))
    for k in range(200):
        draws.fetch(k)
        known = draws._ahead._known
        wait_until(lambda: {*planned(draws, known.k)} <= {tar for _, tar in fetches})  # noqa: B023 - called at once
    waited = [tar for thread, tar in fetches if thread == "MainThread"]
    assert waited in ([], [asked(draws, 0)])
    assert len(fetches) == len(set(fetches)) > 2 * window


def test_the_first_draw_waits_for_its_own_shard_alone(windowed: Windowed, far: Any, tmp_path: Path) -> None:
    draws = drawing(windowed(3), {"fine": far.url}, Cache(tmp_path / "cache", 2**30))
    first = asked(draws, 0)
    far.stuck |= {path.name: threading.Event() for path in far.folder.glob("*.tar") if path.name != first}
    assert draws.fetch(0).records
    for event in far.stuck.values():
        event.set()


@pytest.mark.parametrize("window", [1, 3, None])
def test_what_comes_is_told_in_the_order_in_which_draws_ask_for_it(windowed: Windowed, window: int | None) -> None:
    draws = drawing(windowed(window))
    for k in (0, 57, 300):
        firsts = list(dict.fromkeys(asked(draws, each) for each in range(k, k + 400)))
        plan = planned(draws, k)
        assert plan[0] in firsts[:2]
        ranks = [firsts.index(tar) for tar in plan if tar in firsts]
        assert len(ranks) >= 2
        # It is told from each part's pace, which holds within a few draws.
        assert all(abs(rank - place) <= 3 for place, rank in enumerate(sorted(ranks, key=ranks.index)[:6]))


def test_the_thread_fetches_in_that_order(
    windowed: Windowed, far: Any, tmp_path: Path, fetches: list[tuple[str, str]]
) -> None:
    draws = drawing(windowed(3), {"fine": far.url}, Cache(tmp_path / "cache", 2**30))
    draws.fetch(0)
    plan = planned(draws, 0)
    wait_until(lambda: len(fetches) == len(plan))
    ahead = [tar for thread, tar in fetches if thread == "boxcar-ahead"]
    assert ahead == [tar for tar in plan if tar in ahead]
    assert len(ahead) >= len(plan) - 1


def test_a_window_that_was_left_is_held_no_longer(windowed: Windowed, far: Any, tmp_path: Path) -> None:
    draws = drawing(windowed(1), {"fine": far.url}, Cache(tmp_path / "cache", 2**30))
    seen = set[int]()
    for k in range(120):
        draws.fetch(k)
        current = {shard for _, shard in draws._ahead.current}
        seen |= current
        assert len(current) <= 2
        assert {shard for _, shard in draws._shards._files} <= current
        assert {shard for _, shard in draws._ahead._known.held} <= current
    assert len(seen) > 4
