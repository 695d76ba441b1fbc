"""Workers that die, and drivers that do: a lost task is tried again, and no process outlives its driver."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines import engine
from schemas.errors import BoxcarError

HERE = Path(__file__).parent
DRIVE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import engine_tasks
from pipelines import engine

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    for _ in engine.run(engine_tasks.run_for_ever, [engine_tasks.Marked(folder, n) for n in (1, 2, 3)], 3):
        pass
"""


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that workers import: they are given this process's import path."""
    monkeypatch.syspath_prepend(HERE)
    import engine_tasks

    return engine_tasks


def wait_until(what: str, seconds: float, true: Any) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def pids(folder: Path) -> list[int]:
    return [int(path.read_text()) for path in folder.glob("*.pid")]


def insist_gone(found: list[int]) -> None:
    wait_until(f"{found} have ended", 10, lambda: not any(map(running, found)))


def test_a_task_whose_worker_is_killed_once_is_tried_again(tasks: Any, tmp_path: Path) -> None:
    marked = [tasks.Marked(tmp_path, number) for number in range(4)]
    assert sorted(engine.run(tasks.die_at_first, marked, 2)) == [0, 1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["1"], "the task was never killed"


def test_a_task_whose_worker_always_dies_is_named_after_three_times_and_the_others_finish(
    tasks: Any, tmp_path: Path
) -> None:
    found = []
    with pytest.raises(BoxcarError) as caught:
        for result in engine.run(tasks.die_each_time, [tasks.Marked(tmp_path, number) for number in range(5)], 2):
            found.append(result)
    assert sorted(found) == [0, 2, 3, 4]
    assert str(caught.value) == "1 failed: task 1: its process died 3 times (killed, or out of memory?)"
    assert len(list(tmp_path.iterdir())) == 3


def test_closing_the_results_early_ends_the_workers(tasks: Any, tmp_path: Path) -> None:
    results = engine.run(tasks.run_for_ever, [tasks.Marked(tmp_path, number) for number in range(3)], 2)
    assert next(results) == 0
    wait_until("both workers run", 20, lambda: len(pids(tmp_path)) == 3)
    found = pids(tmp_path)
    assert any(map(running, found))
    results.close()  # type: ignore[attr-defined]
    insist_gone(found)


def test_an_error_while_results_are_taken_ends_the_workers(tasks: Any, tmp_path: Path) -> None:
    results = engine.run(tasks.run_for_ever, [tasks.Marked(tmp_path, number) for number in range(2)], 2)
    next(results)
    wait_until("both workers run", 20, lambda: len(pids(tmp_path)) == 2)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    insist_gone(pids(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_driver_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVE, str(HERE), str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        wait_until("three workers run", 30, lambda: len(pids(tmp_path)) == 3)
        found = pids(tmp_path)
        assert all(map(running, found))
    finally:
        os.kill(driver.pid, number)
        driver.wait()
    insist_gone(found)


def test_workers_leave_ctrl_c_to_their_driver(tasks: Any, tmp_path: Path) -> None:
    results = engine.run(tasks.run_for_ever, [tasks.Marked(tmp_path, number) for number in range(2)], 2)
    next(results)
    wait_until("both workers run", 20, lambda: len(pids(tmp_path)) == 2)
    found = pids(tmp_path)
    for pid in found:
        os.kill(pid, signal.SIGINT)
    time.sleep(0.3)
    assert all(map(running, found))
    results.close()  # type: ignore[attr-defined]
    insist_gone(found)
