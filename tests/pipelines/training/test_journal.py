"""A run's log: what it tells, what a resumed run cuts off, and that a control can follow it while it is written."""

import threading
import time
from pathlib import Path

import pytest

from pipelines.training.journal import LOG, Step, journal, rates, steps
from schemas.errors import ShardError


def step(number: int) -> Step:
    return Step(number, 2.0, None, number / 10, 16, 100, 0.1, 0.01)


def test_a_log_tells_its_steps_and_goes_on_where_it_is_resumed(tmp_path: Path) -> None:
    with journal(tmp_path, 0) as tell:
        for number in range(5):
            tell(step(number))
    assert [one.step for one in steps(tmp_path)] == [0, 1, 2, 3, 4]
    with journal(tmp_path, 3) as tell:
        assert [one.step for one in steps(tmp_path)] == [0, 1, 2]
        tell(step(3))
    assert steps(tmp_path) == [step(number) for number in range(4)]


def test_rates_are_followed_while_they_are_written_and_end_with_the_run(tmp_path: Path) -> None:
    def write() -> None:
        with journal(tmp_path, 0) as tell:
            for number in range(6):
                tell(step(number))
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    while not (tmp_path / LOG).exists():
        time.sleep(0.01)
    assert list(rates(tmp_path, 2, writer.is_alive)) == [0.2, 0.3, 0.4, 0.5]
    writer.join()
    assert list(rates(tmp_path, 5, writer.is_alive)) == [0.5]


def test_a_run_that_died_does_not_say_that_it_ended(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"), journal(tmp_path, 0) as tell:
        tell(step(0))
        raise OSError("gone")
    assert (tmp_path / LOG).read_text().count("\n") == 1
    followed = rates(tmp_path, 0, lambda: False)
    assert next(followed) == 0.0
    with pytest.raises(ShardError, match="ends before the run that it is of"):
        next(followed)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text('{"step": 1}\n')
    with pytest.raises(ShardError, match="not a line of a log"):
        steps(tmp_path)
