"""Which records of a part may be drawn: three little-endian files beside a lock (see schemas/lock.py), mapped.

All of a part's files are called ``<source>-<split>-<task or chat>-<pool>`` and their kind; a lock lists them by these
names, relative to the folder ``NAME.lock/`` beside ``NAME.lock.json``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from converters._table import CHAT
from pipelines import store
from schemas.errors import ConfigError, ShardError
from schemas.ledger import Part
from schemas.lock import LockedPart
from schemas.pool import FileDigest

ROWS, ITEMS, SHARDS = "rows", "items", "shards"
ROW = np.dtype("<u4")  # two of them a record: the sample's number within its shard, the place within the sample
NUMBER = np.dtype("<u8")
LOCK = ".lock.json"

Numbers = npt.NDArray[np.uint64]


def folder_of(lock: Path) -> Path:
    """The folder that lies beside a lock; ConfigError where the lock is not called ``NAME.lock.json``."""
    if not lock.name.endswith(LOCK) or lock.name == LOCK:
        raise ConfigError(f"{lock}: wanted a name that ends in {LOCK}, such as stage3{LOCK}")
    return lock.with_suffix("")


def stem(part: Part, pool: str) -> str:
    """What a part's files are called, but for their kind."""
    return f"{part.source}-{part.split}-{part.task or CHAT}-{pool}"


class Item(NamedTuple):
    """What one draw gives: a sample of a shard, and which of its records, by their places within it."""

    shard: int
    sample: int
    places: tuple[int, ...]


class Eligible:
    """The records of a part that may be drawn, in the pool's order, as items; nothing of the files is held in memory.

    ``rows`` is (records, 2) of sample and place, ``firsts`` the first item of each shard and the end, ``begins`` the
    first row of each item and the end, or None where each item is one record.
    """

    def __init__(self, rows: Path, shards: Path, joined: Path | None) -> None:
        """Map files whose sizes are known to be right (see ``mapped``)."""
        self._paths = rows, shards, joined
        # As plain arrays, still of the maps: each look into a memmap itself takes several times as long.
        self.rows: npt.NDArray[np.uint32] = np.asarray(np.memmap(rows, ROW, "r")).reshape(-1, 2)
        self.firsts: Numbers = np.asarray(np.memmap(shards, NUMBER, "r"))
        self.begins: Numbers | None = np.asarray(np.memmap(joined, NUMBER, "r")) if joined else None

    def __reduce__(self) -> tuple[Callable[..., "Eligible"], tuple[Path, Path, Path | None]]:
        # Mapped anew in another process: a memory map would be pickled as its content.
        return Eligible, self._paths

    @property
    def items(self) -> int:
        """How many items there are."""
        return int(self.firsts[-1])

    @property
    def shards(self) -> int:
        """How many shards the pool has."""
        return len(self.firsts) - 1

    def item(self, number: int) -> Item:
        """The item of that number, from 0; IndexError where there is none."""
        if not 0 <= number < self.items:
            raise IndexError(f"item {number} of {self.items}")
        # Of the array's own type: any other number would have the whole array converted, to floats at that.
        shard = int(self.firsts.searchsorted(NUMBER.type(number), side="right")) - 1
        begin, end = (number, number + 1) if self.begins is None else map(int, self.begins[number : number + 2])
        rows = self.rows[begin:end]
        return Item(shard, int(rows[0, 0]), tuple(rows[:, 1].tolist()))

    def of_shard(self, shard: int) -> npt.NDArray[np.uint32]:
        """The rows of one shard: (records, 2) of sample and place."""
        begin, end = (int(one) for one in self.firsts[shard : shard + 2])
        if self.begins is not None:
            begin, end = int(self.begins[begin]), int(self.begins[end])
        return self.rows[begin:end]


def mapped(folder: Path, part: LockedPart, *, digests: bool = True) -> Eligible:
    """A lock's files of a part, once their sizes and, read from end to end, their digests are those that it says.

    ShardError naming the file that is missing, changed, or at odds with the counts of the lock.
    """
    files = [file for file in (part.rows, part.shards, part.joined) if file]
    for file in files:
        _insist(folder / _bare(file), file, digests)
    joined = folder / part.joined.name if part.joined else None
    found = Eligible(folder / part.rows.name, folder / part.shards.name, joined)
    _insist_agreed(found, part)
    return found


def _bare(file: FileDigest) -> str:
    if Path(file.name).name != file.name or file.name in ("", ".", ".."):
        raise ShardError(f"{file.name!r}: not the name of a lock's file")
    return file.name


def _insist(path: Path, file: FileDigest, digests: bool) -> None:
    if not path.is_file():
        raise ShardError(f"{path}: not there, and the lock says it is")
    size = path.stat().st_size
    if size != file.bytes or not size or size % NUMBER.itemsize:
        raise ShardError(f"{path}: {size:,} bytes, the lock says {file.bytes:,}")
    if digests and store.digest(str(path), file.name) != file:
        raise ShardError(f"{path}: its sha256 is not the lock's: a byte was changed")


def _insist_agreed(found: Eligible, part: LockedPart) -> None:
    begins, rows = found.begins, len(found.rows)
    ends = (found.items, 0, rows) if begins is None else (len(begins) - 1, int(begins[0]), int(begins[-1]))
    held = (rows, int(found.firsts[0]), found.items, *ends)
    if held != (part.records, 0, part.items, part.items, 0, part.records):
        told = f"the files hold {rows:,} records, {found.items:,} items"
        raise ShardError(f"{part.rows.name}: {told}, the lock says {part.records:,} and {part.items:,}")
