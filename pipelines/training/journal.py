"""The log of a run: a line of JSON per step, from which the verdict, the curve and the control are made."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from schemas.errors import ShardError

LOG = "log.jsonl"
_PATIENCE = 0.05  # seconds between looks at a log that another process writes


class Step(msgspec.Struct, frozen=True):
    """One step over all ranks: mean losses over trained and over box tokens, AdamW's rate, what it was made of.

    ``seconds`` it took, of which ``waited`` for data: reading, decoding, tokenising. ``box_loss`` is None where
    no token is of a box.
    """

    step: int
    loss: float
    box_loss: float | None
    rate: float
    sequences: int
    tokens: int
    seconds: float
    waited: float


class _Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="event"):
    """The last line of a run that came to its end."""


@contextmanager
def journal(folder: Path, start: int) -> Iterator[Callable[[Step], None]]:
    """A function that writes a step to the folder's log, of which later steps than ``start`` are cut off first.

    Where all goes well the log says at last that the run has ended.
    """
    path = folder / LOG
    kept = [one for one in steps(folder) if one.step < start] if path.exists() else []
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in kept))
    with path.open("ab", buffering=0) as file:
        yield lambda one: _write(cast(BinaryIO, file), one)
        _write(cast(BinaryIO, file), _Ended())


def _write(file: BinaryIO, one: Step | _Ended) -> None:
    file.write(msgspec.json.encode(one) + b"\n")


def steps(folder: Path) -> list[Step]:
    """The steps that a run's log tells of; ShardError where it is no such log."""
    found = []
    for line in (folder / LOG).read_bytes().splitlines():
        told = _read(line, folder)
        if isinstance(told, Step):
            found.append(told)
    return found


def rates(folder: Path, start: int, alive: Callable[[], bool]) -> Iterator[float]:
    """The rates of a run's steps from ``start`` on, each as soon as its log tells it; they end when that run does.

    ShardError where it was not ended and is not ``alive`` either.
    """
    with (folder / LOG).open("rb") as file:
        kept = b""
        while True:
            kept += file.readline()
            if not kept.endswith(b"\n"):
                if not alive():
                    raise ShardError(f"{folder / LOG}: ends before the run that it is of")
                time.sleep(_PATIENCE)
                continue
            told, kept = _read(kept, folder), b""
            if isinstance(told, _Ended):
                return
            if told.step >= start:
                yield told.rate


def _read(line: bytes, folder: Path) -> Step | _Ended:
    try:
        told = msgspec.json.decode(line)
        return msgspec.convert(told, _Ended) if "event" in told else msgspec.convert(told, Step)
    except (ValueError, TypeError) as error:
        raise ShardError(f"{folder / LOG}: not a line of a log: {line[:60]!r}") from error
