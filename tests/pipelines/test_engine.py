"""Tasks in worker processes: results, failures that are named, and never more in flight than there are workers."""

import os
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from pipelines import engine
from schemas.errors import BoxcarError, ShardError

HERE = Path(__file__).parent


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that workers import: they are given this process's import path."""
    monkeypatch.syspath_prepend(HERE)
    import engine_tasks

    return engine_tasks


def all_of(results: Iterator[int]) -> tuple[list[int], str]:
    """Every result that comes, and what the error at the end says."""
    found: list[int] = []
    try:
        for result in results:
            found.append(result)
    except BoxcarError as error:
        return found, str(error)
    raise AssertionError("no error")


def test_one_worker_gives_results_in_order_in_this_process(tasks: Any) -> None:
    assert list(engine.run(tasks.double_slowly, range(5), 1)) == [0, 2, 4, 6, 8]
    assert set(engine.run(tasks.process, [1], 1)) == {os.getpid()}


def test_several_workers_give_every_result_once(tasks: Any) -> None:
    assert sorted(engine.run(tasks.double, range(40), 3)) == [2 * number for number in range(40)]


def test_several_workers_are_several_processes_other_than_this(tasks: Any) -> None:
    found = set(engine.run(tasks.process, range(4), 2))
    assert len(found) == 2
    assert os.getpid() not in found


def test_a_crew_runs_one_thing_after_another_in_the_same_processes(tasks: Any) -> None:
    with engine.crew(2) as crew:
        first, second = set(crew(tasks.process, range(4))), set(crew(tasks.process, range(4)))
        assert sorted(crew(tasks.double, range(5))) == [0, 2, 4, 6, 8]
    assert len(first) == 2 and first == second


def test_a_crew_goes_on_after_a_task_that_failed(tasks: Any) -> None:
    with engine.crew(2) as crew:
        found, told = all_of(crew(tasks.fail_on_purpose, range(6)))
        assert (len(found), told) == (5, "1 failed: 2: shard 2: on purpose")
        assert sorted(crew(tasks.double, range(5))) == [0, 2, 4, 6, 8]


def test_results_come_as_they_finish(tasks: Any) -> None:
    found = list(engine.run(tasks.double_slowly, range(4), 2))
    assert sorted(found) == [0, 2, 4, 6]
    assert found[-1] == 0, "the slowest task was given first"


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_tasks_give_no_results(tasks: Any, workers: int) -> None:
    assert list(engine.run(tasks.double, [], workers)) == []


def test_more_workers_than_tasks_are_no_matter(tasks: Any) -> None:
    assert list(engine.run(tasks.double, [21], 4)) == [42]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_fails_on_purpose_is_named_once_the_others_have_finished(tasks: Any, workers: int) -> None:
    found, told = all_of(engine.run(tasks.fail_on_purpose, range(6), workers))
    assert sorted(found) == [0, 1, 3, 4, 5]
    assert told == "1 failed: 2: shard 2: on purpose"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_fails_unforeseen_is_named_once_the_others_have_finished(tasks: Any, workers: int) -> None:
    found, told = all_of(engine.run(tasks.fail_unforeseen, range(6), workers))
    assert sorted(found) == [0, 1, 3, 4, 5]
    assert told == "1 failed: 2: ValueError('nobody thought of it')"


def test_a_task_that_ends_its_worker_is_named_once_the_others_have_finished(tasks: Any) -> None:
    found, told = all_of(engine.run(tasks.end_unforeseen, range(6), 2))
    assert sorted(found) == [0, 1, 3, 4, 5]
    assert told == "1 failed: 2: SystemExit(3)"


def test_every_failed_task_is_named() -> None:
    def fail(number: int) -> int:
        raise ShardError(f"no {number}")

    assert all_of(engine.run(fail, range(3), 1)) == ([], "3 failed: 0: no 0; 1: no 1; 2: no 2")


def test_a_task_that_cannot_be_sent_is_named(tasks: Any) -> None:
    unsendable: Callable[[int], int] = lambda number: number  # noqa: E731
    odd: list[Any] = [1, unsendable, 3]
    found, told = all_of(engine.run(tasks.double, odd, 2))
    assert sorted(found) == [2, 6]
    assert told.startswith("1 failed: ")


def test_stopping_the_driver_is_no_failure_of_a_task() -> None:
    def stop(number: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.run(stop, range(3), 1))


@pytest.mark.parametrize("workers", [1, 3])
def test_tasks_without_end_are_taken_only_as_workers_come_free(tasks: Any, workers: int) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        for number in count():
            taken += 1
            yield number

    results = engine.run(tasks.double, endless(), workers)
    assert taken == 0
    for seen, _ in enumerate(islice(results, 12), start=1):
        assert taken <= seen + workers
    results.close()  # type: ignore[attr-defined]
    assert taken <= 12 + workers


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_making_tasks_is_not_swallowed(tasks: Any, workers: int) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise BoxcarError("no more tasks")

    with pytest.raises(BoxcarError, match=r"^no more tasks$"):
        list(engine.run(tasks.double, broken(), workers))
