"""Which records of which samples: all of a pool, or of a lock every one that may be drawn, once, as its stage says it.

Pools are read shard by shard from end to end; what a lock allows of a shard is looked up in its mapped files.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import fsspec
import msgspec

from pipelines import store
from pipelines.eligible import LOCK, Eligible, folder_of, mapped
from pipelines.layout import names
from pipelines.locked import read_lock, recorded
from pipelines.manifest import read_manifest, read_receipt
from pipelines.tar import members
from pipelines.words import Words, rendered, words
from schemas.errors import RecordError, ShardError
from schemas.ledger import Part
from schemas.lock import Lock, PinnedPool
from schemas.pool import PoolManifest
from schemas.record import Record, Sample


class Chosen(NamedTuple):
    """A sample and the records of it that are wanted, each as it is said, or why it cannot be.

    ``name`` is the picture's in the tar, ``picture`` its bytes; both None where there is none.
    """

    pool: str
    tar: str
    name: str | None
    picture: bytes | None
    sample: Sample
    records: list[tuple[Record, Record | RecordError]]


class Source(NamedTuple):
    """A pool or a lock: its name and digest, how many samples reading it passes, and what it gives."""

    kind: str
    name: str
    digest: str
    samples: int
    chosen: Iterator[Chosen]


def source(at: str) -> Source:
    """The lock of a path that ends in ``.lock.json``, or else the pool of that folder; ShardError if it is neither."""
    if is_lock(at):
        path = Path(at)
        lock = read_lock(path)
        manifests = pinned(lock)
        samples = sum(manifest.samples for manifest in manifests.values())
        return Source("lock", path.name.removesuffix(LOCK), lock.digest, samples, _of_lock(lock, path, manifests))
    manifest = read_manifest(at)
    return Source("pool", manifest.pool, manifest.digest, manifest.samples, _of_pool(at, manifest))


def is_lock(at: str) -> bool:
    """Whether the path is a lock's, by its name."""
    return at.endswith(LOCK)


def pinned(lock: Lock) -> dict[int, PoolManifest]:
    """The manifests of the pools that parts of a lock are of, by the pools' places in it.

    ShardError where one is gone, or is not what it was when it was locked.
    """
    return {number: _pinned(lock.pools[number]) for number in sorted({part.pool for part in lock.parts})}


def _pinned(pool: PinnedPool) -> PoolManifest:
    manifest = read_manifest(pool.location)
    if manifest.digest != pool.digest:
        where = f"pool {pool.name} at {pool.location}"
        raise ShardError(f"{where}: its digest is {manifest.digest[:12]}, the lock was made for {pool.digest[:12]}")
    return manifest


def _of_pool(at: str, manifest: PoolManifest) -> Iterator[Chosen]:
    for shard in range(manifest.shards):
        for one in _samples(at, manifest, shard):
            yield one._replace(records=[(record, record) for record in one.sample.records])


def _of_lock(lock: Lock, path: Path, manifests: Mapping[int, PoolManifest]) -> Iterator[Chosen]:
    render = recorded(lock).render
    for number, manifest in manifests.items():
        pool = lock.pools[number]
        parts = [part for part in lock.parts if part.pool == number]
        by = {part.part: words(pool, part, render) for part in parts}
        found = [mapped(folder_of(path), part) for part in parts]
        for shard in range(manifest.shards):
            yield from _of_shard(pool.location, manifest, shard, found, by)


def _of_shard(
    at: str, manifest: PoolManifest, shard: int, found: Sequence[Eligible], by: Mapping[Part, Words]
) -> Iterator[Chosen]:
    wanted: dict[int, list[int]] = {}
    for eligible in found:
        for sample, place in eligible.of_shard(shard).tolist():
            wanted.setdefault(sample, []).append(place)
    for number, one in enumerate(_samples(at, manifest, shard) if wanted else ()):
        places = sorted(wanted.pop(number, ()))
        if places and places[-1] >= len(one.sample.records):
            raise ShardError(
                f"{one.tar}: sample {number} has no record {places[-1]}, and the lock says it may be drawn"
            )
        yield one._replace(records=[_said(one.sample.records[place], by) for place in places])
    if wanted:
        raise ShardError(f"{names(manifest.pool, shard).tar}: it has no sample {min(wanted)}, and the lock says it has")


def _said(record: Record, by: Mapping[Part, Words]) -> tuple[Record, Record | RecordError]:
    part = Part(record.source, record.split, record.task)
    if part not in by:
        raise ShardError(f"{record.key}: of {part}, which the lock lists no records of")
    try:
        return record, rendered(record, by[part], epoch=0)
    except RecordError as error:
        return record, error


def _samples(at: str, manifest: PoolManifest, shard: int) -> Iterator[Chosen]:
    tar = names(manifest.pool, shard).tar
    name: str | None = None
    picture: bytes | None = None
    count = 0
    with fsspec.open(store.join(at, tar), "rb") as file:
        for member in members(file, tar):
            if member.extension != "json":
                name, picture = f"{member.stem}.{member.extension}", member.data
                continue
            sample = msgspec.json.decode(member.data, type=Sample)
            yield Chosen(manifest.pool, tar, name, picture, sample, [])
            name, picture, count = None, None, count + 1
    if count != (wanted := read_receipt(at, manifest.receipts[shard]).samples):
        raise ShardError(f"{tar}: {count:,} samples, its receipt says {wanted:,}")
