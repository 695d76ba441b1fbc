"""What the engine's tests have workers do. A module of its own: worker processes import it by name."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from schemas.errors import BoxcarError


class Marked(NamedTuple):
    """A task that leaves marks in a folder."""

    folder: Path
    number: int

    def __str__(self) -> str:
        return f"task {self.number}"


def double(number: int) -> int:
    return 2 * number


def double_slowly(number: int) -> int:
    time.sleep(0.4 if number == 0 else 0.01)
    return 2 * number


def process(number: int) -> int:
    del number
    time.sleep(0.2)
    return os.getpid()


def fail_on_purpose(number: int) -> int:
    if number == 2:
        raise BoxcarError("shard 2: on purpose")
    return number


def fail_unforeseen(number: int) -> int:
    if number == 2:
        raise ValueError("nobody thought of it")
    return number


def end_unforeseen(number: int) -> int:
    if number == 2:
        raise SystemExit(3)
    return number


def die_at_first(task: Marked) -> int:
    """Killed the first time; the second time it finds its mark."""
    mark = task.folder / str(task.number)
    if task.number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def die_each_time(task: Marked) -> int:
    """Task 1 is killed whenever it runs; each time leaves a mark."""
    if task.number == 1:
        (task.folder / f"{time.time_ns()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def run_for_ever(task: Marked) -> int:
    """Says under which process id it runs; task 0 is done at once, the others never."""
    (task.folder / f"{task.number}.tmp").write_text(str(os.getpid()))
    (task.folder / f"{task.number}.tmp").rename(task.folder / f"{task.number}.pid")
    while task.number:
        time.sleep(0.05)
    return task.number
