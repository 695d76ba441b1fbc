"""A command line run in this process: what it printed where, and the code that it ended with."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from pipelines.cli import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def running(capsys: pytest.CaptureFixture[str], *verb: str) -> Run:
    """A function that runs a command line that begins with these words."""

    def run(*words: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main([*verb, *map(str, words)])
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, *capsys.readouterr())

    return run
