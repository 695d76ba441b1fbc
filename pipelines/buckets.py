"""More rows than fit in memory: spread over files by a hash of their key, each small enough to be sorted at once."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.hashes import Numbers, Rows
from schemas.errors import ShardError

KEYED = np.dtype([("high", "<u8"), ("low", "<u8"), ("number", "<u8")])  # a key of 128 bits, and whose it is
ROW_MEMORY = 256  # bytes that a row may take while rows are sorted or compared: all copies on the way
_ODD = np.uint64(0x9E3779B97F4A7C15)  # what is multiplied by it is spread evenly by its upper half, small numbers too
_HALF = np.uint64(32)


def rows_at_once(memory: int) -> int:
    """How many rows may be held in that many bytes of memory."""
    return max(4, memory // ROW_MEMORY)


class Buckets:
    """Rows spread over files of a new folder: those of one key are in one file, in the order in which they came."""

    def __init__(self, folder: Path, rows: int, memory: int) -> None:
        """For at most that many rows, to be read within ``memory`` bytes a file."""
        folder.mkdir(parents=True)
        self._folder = folder
        self._count = np.uint64(min(2**16, 1 + 2 * rows // rows_at_once(memory)))  # so that uneven ones fit mostly
        self._room = memory // 24  # waiting rows are copied twice to be written, and three may be filled side by side
        self._waiting: list[tuple[Numbers, Rows]] = []
        self._bytes = 0

    def add(self, keys: Numbers, rows: Rows) -> None:
        """Add rows; ``keys`` are one number each, equal for rows that must be in one file."""
        if not len(rows):
            return
        self._waiting.append((keys, rows))
        self._bytes += keys.nbytes + rows.nbytes
        if self._bytes >= self._room:
            self._write()

    def files(self) -> Iterator[Path]:
        """The files one by one, once all rows were added; each is removed when the next is asked for."""
        self._write()
        for path in sorted(self._folder.iterdir()):
            yield path
            path.unlink()
        self._folder.rmdir()

    def _write(self) -> None:
        if not self._waiting:
            return
        keys = np.concatenate([part for part, _ in self._waiting])
        rows = np.concatenate([part for _, part in self._waiting])
        self._waiting, self._bytes = [], 0
        where = ((keys * _ODD >> _HALF) * self._count >> _HALF).astype(np.uint16)
        order = np.argsort(where, kind="stable")
        where, rows = where[order], rows[order]
        edges = np.flatnonzero(where[1:] != where[:-1]) + 1
        for start, stop in pairwise([0, *edges.tolist(), len(rows)]):
            with (self._folder / f"{where[start]:05d}").open("ab") as file:
                file.write(rows[start:stop].tobytes())


def pieces(path: Path, dtype: np.dtype[np.void], rows: int) -> Iterator[Rows]:
    """The rows of a file that has nothing else, that many at a time; ShardError where the last one is cut."""
    try:
        over = path.stat().st_size % dtype.itemsize
        if over:
            raise ShardError(f"{path}: {over} bytes after its last row of {dtype.itemsize}")
        with path.open("rb") as file:
            while len(part := np.fromfile(file, dtype, rows)):
                yield part
    except OSError as error:
        raise ShardError(f"cannot read {path}: {error}") from error


def firsts_and_repeats(path: Path, memory: int) -> Iterator[tuple[Rows, Rows]]:
    """Piece by piece: the ``KEYED`` rows whose key comes for the first time in the file, and those whose came before.

    Memory grows with the different keys of the file, not with how often they come.
    """
    seen = np.empty(0, KEYED)
    for part in pieces(path, KEYED, rows_at_once(memory)):
        rows = np.concatenate([seen, part])
        order, first = _runs(rows)
        fresh = order[first]
        yield rows[fresh[fresh >= len(seen)]], rows[order[~first]]
        seen = rows[fresh]


def once_each(rows: Rows) -> Rows:
    """The first of the ``KEYED`` rows of every key, sorted by key."""
    order, first = _runs(rows)
    return rows[order[first]]


def _runs(rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    # The order by key, in which equal keys stay as they came, and whether each row begins a key.
    order = np.lexsort((rows["low"], rows["high"]))
    high, low = rows["high"][order], rows["low"][order]
    first = np.ones(len(rows), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return order, first
