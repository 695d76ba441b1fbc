"""What a report is about: the pools of it, and of a lock which records of theirs, and how its stage says them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.chosen import is_lock, pinned
from pipelines.eligible import LOCK, Eligible, folder_of, mapped
from pipelines.locked import read_lock
from pipelines.record_index import Given, given
from pipelines.words import Words, rendered, words
from schemas.box import Codec, codec
from schemas.errors import ShardError
from schemas.ledger import Part
from schemas.lock import Lock
from schemas.mixture import mixture
from schemas.record import Record

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scope:
    """Of one pool the number of records that are reported of each part; of a lock which they are and how they are said.

    ``pool`` is its place in the subject. It pickles: of mapped files only the paths.
    """

    pool: int
    codec: Codec
    records: Mapping[Part, int]
    eligible: Mapping[Part, Eligible] = field(default_factory=dict)
    by: Mapping[Part, Words] = field(default_factory=dict)

    def rows(self, index: pa.Table, shard: int) -> Places:
        """Which rows of a shard's record index are reported, ascending."""
        if not self.eligible:
            return np.arange(len(index))
        first = np.flatnonzero(index["place"].to_numpy() == 0)
        found = [one.of_shard(shard).astype(np.int64) for one in self.eligible.values()]
        if any(len(rows) and rows[:, 0].max() >= len(first) for rows in found):
            raise ShardError(f"shard {shard}: the lock has more samples than the record index")
        return np.sort(np.concatenate([first[rows[:, 0]] + rows[:, 1] for rows in found]))

    def said(self, record: Record) -> Record:
        """The record as it is said; RecordError where it cannot be."""
        by = self.by.get(Part(record.source, record.split, record.task))
        return record if by is None else rendered(record, by, epoch=0)


@dataclass(frozen=True)
class Subject:
    """A pool or a lock: its kind, name and digest, its pools and what is reported of each, and the lock itself."""

    kind: str
    name: str
    digest: str
    pools: list[Given]
    scopes: list[Scope]
    lock: Lock | None


def subject(at: str) -> Subject:
    """The lock of a path that ends in ``.lock.json``, or else the pool of that folder; ShardError if it is neither."""
    if not is_lock(at):
        pool = given(at)
        counts = {part: written for part, written in pool.written.items() if written}
        by = codec(pool.manifest.config["codec"])
        return Subject("pool", pool.name, pool.manifest.digest, [pool], [Scope(0, by, counts)], None)
    path = Path(at)
    lock = read_lock(path)
    render = mixture(lock.mixture, str(path)).render
    pools, scopes = list[Given](), list[Scope]()
    for number, manifest in pinned(lock).items():
        pin = lock.pools[number]
        parts = [part for part in lock.parts if part.pool == number]
        scopes.append(
            Scope(
                len(pools),
                codec(render.codec or pin.codec),
                {part.part: part.records for part in parts},
                {part.part: mapped(folder_of(path), part) for part in parts},
                {part.part: words(pin, part, render) for part in parts},
            )
        )
        pools.append(Given(pin.location, manifest))
    return Subject("lock", path.name.removesuffix(LOCK), lock.digest, pools, scopes, lock)
