"""Progress: plain lines now and then, a bar on a terminal, always on standard error."""

import io
import sys
from collections.abc import Callable

import pytest

from pipelines.progress import progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("time.monotonic", found)
    return found


def test_a_line_tells_what_is_done_the_rate_and_the_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("packing shards", 5_000) as shown:
        clock.now += 10
        shown.step(1_000, note="3 rejected")
    told = capsys.readouterr()
    assert told.err == "packing shards: 1,000 of 5,000, 100.0/s, 40 s left, 3 rejected\n"
    assert told.out == ""


def test_such_lines_and_no_others_are_taken_out_of_what_a_command_said(
    clock: Clock, capsys: pytest.CaptureFixture[str], without_progress: Callable[[str], str]
) -> None:
    for total, note in ((5_000, "3 rejected"), (None, ""), (7, "")):
        with progress("packing shards", total) as shown:
            clock.now += 10
            shown.step(5, note)
    told = capsys.readouterr().err
    assert told.count("\n") == 3
    rest = "boxcar: interrupted; run the same command again to go on\nwarning: 5 of 7, all odd\n"
    assert without_progress(told + rest) == rest


def test_lines_come_every_few_seconds_only(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", 1_000) as shown:
        clock.now += 4.9
        shown.step()
        assert capsys.readouterr().err == ""
        clock.now += 0.1
        shown.step()
        assert capsys.readouterr().err == "reading: 2 of 1,000, 0.4/s, 2,495 s left\n"
        clock.now += 4.9
        shown.step()
        assert capsys.readouterr().err == ""


def test_where_the_total_is_unknown_no_time_left_is_told(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", None) as shown:
        clock.now += 8
        shown.step(4)
    assert capsys.readouterr().err == "reading: 4, 0.5/s\n"


def test_steps_of_nothing_are_told_without_a_rate_to_divide_by(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("reading", 9) as shown:
        clock.now += 6
        shown.step(0)
    assert capsys.readouterr().err == "reading: 0 of 9, 0.0/s\n"


def test_a_terminal_is_shown_a_bar_that_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("packing shards", 7) as shown:
        shown.step(3, note="[2 rejected]")
    told = terminal.getvalue()
    assert "packing shards" in told
    assert "3 of 7" in told
    assert capsys.readouterr().out == ""


def test_a_bar_ends_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), progress("packing shards", None) as shown:
        shown.step()
        raise KeyboardInterrupt
    assert terminal.getvalue().rfind("\x1b[?25h") > terminal.getvalue().rfind("\x1b[?25l"), "the cursor stays hidden"
