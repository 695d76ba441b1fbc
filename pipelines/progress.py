"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere; always on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

LINE_SECONDS = 5.0


class Progress(Protocol):
    """Takes steps of one piece of work; ``note`` is shown beside it (rejects so far, for one)."""

    def step(self, count: int = 1, note: str = "") -> None:
        """Count some steps as done."""


class Lines:
    """Prints a line now and then: done, rate, time left."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total, self._done = what, total, 0
        self._begun = self._told = time.monotonic()

    def step(self, count: int = 1, note: str = "") -> None:
        """Count some steps; print a line if the last one is a while ago."""
        self._done += count
        if time.monotonic() - self._told >= LINE_SECONDS:
            self._told = time.monotonic()
            print(self._line(note), file=sys.stderr, flush=True)  # noqa: T201

    def _line(self, note: str) -> str:
        rate = self._done / (self._told - self._begun)
        of = f" of {self._total:,}" if self._total else ""
        left = f", {(self._total - self._done) / rate:,.0f} s left" if self._total and rate else ""
        return f"{self._what}: {self._done:,}{of}, {rate:,.1f}/s{left}{', ' + note if note else ''}"


class _Bar:
    def __init__(self, what: str, total: int | None) -> None:
        from rich import progress
        from rich.console import Console
        from rich.text import Text

        class Done(progress.ProgressColumn):
            def render(self, task: progress.Task) -> Text:
                of = f" of {task.total:,.0f}" if task.total else ""
                return Text(f"{task.completed:,.0f}{of}{f', {task.speed:,.1f}/s' if task.speed else ''}")

        columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), Done())
        more = (progress.TextColumn("{task.fields[note]}"), progress.TimeRemainingColumn(compact=True))
        self._shown = progress.Progress(*columns, *more, console=Console(stderr=True), transient=True)
        self._task = self._shown.add_task(what, total=total, note="")

    def __enter__(self) -> "_Bar":
        self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.stop()

    def step(self, count: int = 1, note: str = "") -> None:
        self._shown.update(self._task, advance=count, note=note)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Progress]:
    """Progress to be stepped while a piece of work of that many steps (None: unknown) is done."""
    if not sys.stderr.isatty():
        yield Lines(what, total)
        return
    with _Bar(what, total) as bar:
        yield bar
