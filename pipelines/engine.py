"""Running planned tasks: bounded in flight, in worker processes of this machine, results as they come.

Each worker runs one task at a time in a process of its own, so that a process that dies (killed, out of memory) takes
only its own task with it; that task is tried again, and named once it has died ``ATTEMPTS`` times. A task's own error
is not tried again. Either way the other tasks finish first. Workers end when their driver does, however it ends.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Protocol, TypeVar

from schemas.errors import BoxcarError

ATTEMPTS = 3

Task = TypeVar("Task")
Result = TypeVar("Result")


class Crew(Protocol):
    """Runs tasks as ``run`` does, always in the same workers."""

    def __call__(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The results of the tasks, in the order they finish."""


def run(function: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """The results of the tasks, in the order they finish; with one worker in this process, in the order given.

    ``function`` and tasks must pickle. Raises BoxcarError naming the failed tasks after all others have finished.
    """
    with crew(workers) as running:
        yield from running(function, tasks)


@contextmanager
def crew(workers: int) -> Iterator[Crew]:
    """Workers that are there for several runs, one after another: to start a process takes as long as a small task."""
    if workers == 1:
        yield _inline
        return
    context = multiprocessing.get_context("spawn")
    alive, driver = context.Pipe(duplex=False)
    slots = [_Slot(context, alive) for _ in range(workers)]
    try:
        yield lambda function, tasks: _scheduled(function, iter(tasks), slots)
    finally:
        driver.close()  # ends the workers, in the middle of whatever they do where the driver has had enough
        for slot in slots:
            slot.end()
        alive.close()


def _inline(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    failed: list[str] = []
    for task in tasks:
        try:
            result = function(task)
        except Exception as error:  # noqa: BLE001 - as of a worker process: named after the others have finished
            failed.append(_why(task, error))
        else:
            yield result
    _raise(failed)


class _Slot:
    """One worker process, started anew after it has died."""

    def __init__(self, context: SpawnContext, alive: "Connection[None, None]") -> None:
        self._context, self._alive = context, alive
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, initializer=_follow, initargs=(self._alive,))

    def submit(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        # A worker that is being started inherits the blocked signal until it has said that it ignores it.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(_worked, function, task)
        except BrokenProcessPool:
            self._pool = self._started()
            return self._pool.submit(_worked, function, task)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def end(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _worked(function: Callable[[Task], Result], task: Task) -> Result:
    if not gc.get_freeze_count():
        gc.freeze()  # what was imported stays, and is not looked through again and again for what could go
    return function(task)


def _scheduled(function: Callable[[Task], Result], tasks: Iterator[Task], slots: list[_Slot]) -> Iterator[Result]:
    running: dict[Future[Result], tuple[_Slot, Task, int]] = {}
    failed: list[str] = []

    def start(slot: _Slot, task: Task, attempt: int) -> None:
        running[slot.submit(function, task)] = slot, task, attempt

    for slot, task in zip(slots, tasks, strict=False):
        start(slot, task, 1)
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            slot, task, attempt = running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool) and attempt < ATTEMPTS:
                start(slot, task, attempt + 1)
                continue
            for following in _next(tasks):
                start(slot, following, 1)
            if error is None:
                yield future.result()
            else:
                failed.append(_why(task, error))
    _raise(failed)


def _raise(failed: list[str]) -> None:
    if failed:
        raise BoxcarError(f"{len(failed)} failed: {'; '.join(failed)}")


def _next(tasks: Iterator[Task]) -> Iterator[Task]:
    for task in tasks:
        yield task
        return


def _why(task: object, error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return f"{task}: its process died {ATTEMPTS} times (killed, or out of memory?)"
    return f"{task}: {error if isinstance(error, BoxcarError) else repr(error)}"


def _follow(alive: "Connection[None, None]") -> None:
    # Ctrl-C reaches the whole process group: the driver decides. The pipe ends when the driver closes it or is gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def watch() -> None:
        alive.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
