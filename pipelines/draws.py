"""The k-th draw of a lock: a pure function of (lock, k), read from its pools and put into words."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipelines import local, remote, store
from pipelines.ahead import Feeding, ahead
from pipelines.cache import Cache
from pipelines.eligible import folder_of, mapped
from pipelines.layout import names
from pipelines.local import Pool, Shards
from pipelines.locked import read_lock, recorded
from pipelines.manifest import UNREADABLE
from pipelines.order import Order
from pipelines.schedule import Schedule
from pipelines.tar import Member
from pipelines.words import rendered, words
from schemas.errors import ConfigError, RecordError, ShardError, unknown
from schemas.ledger import Part
from schemas.lock import Lock, PinnedPool
from schemas.record import SCHEMA, ImageRef, Record


class Fetched(NamedTuple):
    """A draw: its part and that part's epoch, its records as they are said, and its picture's file, None without one.

    ``where`` says for an error's message which pool, shard and sample it is from.
    """

    part: Part
    epoch: int
    records: tuple[Record, ...]
    picture: bytes | None
    where: str


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # A sample of which only those records are decoded that are drawn.
    schema: str
    image: ImageRef | None
    records: list[msgspec.Raw]


_SAMPLE, _RECORD = msgspec.json.Decoder(_Stored), msgspec.json.Decoder(Record)


class Draws:
    """All draws of a lock whose pools and files were checked; it pickles, and then holds no file's content."""

    def __init__(self, lock: Lock, folder: Path, pools: Mapping[int, Pool]) -> None:
        """``folder`` is the one beside the lock, ``pools`` are those of its parts by their number in the lock.

        Of the folder's files no more is looked at again than their sizes. ConfigError where remote pools need more room
        than their cache has.
        """
        self.lock, self._folder, self._pools = lock, folder, pools
        self.schedule = Schedule(tuple(part.count for part in lock.parts), lock.seed)
        self.sizes = [part.batch_size for part in lock.parts]
        self._shards = Shards(pools)
        self._eligible = [mapped(folder, part, digests=False) for part in lock.parts]
        self._orders = [
            Order(items.firsts, lock.seed, f"{lock.pools[part.pool].name}/{part.part}", lock.window)
            for part, items in zip(lock.parts, self._eligible, strict=True)
        ]
        feeding = [
            Feeding(number, part.pool, order, part.batch_size or 1)
            for number, (part, order) in enumerate(zip(lock.parts, self._orders, strict=True))
        ]
        self._ahead = ahead(self.schedule, feeding, pools)
        render = recorded(lock).render
        self._words = [words(lock.pools[part.pool], part, render) for part in lock.parts]

    def __reduce__(self) -> tuple[Callable[..., "Draws"], tuple[Lock, Path, Mapping[int, Pool]]]:
        return Draws, (self.lock, self._folder, self._pools)

    def fetch(self, k: int, place: int = 0) -> Fetched:
        """The k-th draw, in unit ``batch`` what is at that place of the k-th batch.

        ShardError, naming pool, shard and key, where anything about it is not as it was when the lock was made.
        """
        part, turn = self.schedule.at(k)
        locked = self.lock.parts[part]
        turn = turn * (locked.batch_size or 1) + place
        epoch, number = self._orders[part].at(turn)
        if self._ahead and self._ahead.at(k, part, turn):
            self._shards.keep(self._ahead.pools, self._ahead.current)
        item = self._eligible[part].item(number)
        pool = self._pools[locked.pool].name
        try:
            members = self._shards.read(locked.pool, item.shard, item.sample)
        except ShardError as error:
            raise ShardError(f"pool {pool}, {error}") from error
        where = f"pool {pool}, shard {names(pool, item.shard).tar}, sample {members[0].stem}"
        try:
            stored = _picked(members, item.places)
        except (RecordError, *UNREADABLE) as error:
            raise ShardError(f"{where}: {error}") from error
        said = tuple([self._said(record, part, epoch, where) for record in stored])
        picture = members[0].data if len(members) > 1 else None
        return Fetched(locked.part, epoch, said, picture, where)

    def _said(self, record: Record, part: int, epoch: int, where: str) -> Record:
        wanted, found = self.lock.parts[part].part, Part(record.source, record.split, record.task)
        try:
            if found != wanted:
                raise RecordError(f"not of its part: {found}, wanted {wanted}")
            return rendered(record, self._words[part], epoch)
        except RecordError as error:
            raise ShardError(f"{where}, record {record.key}: {error}") from error


def _picked(members: Sequence[Member], places: tuple[int, ...]) -> list[Record]:
    """The records of a sample at these places; RecordError where the sample has other members or fewer records."""
    sample = _SAMPLE.decode(members[-1].data)
    wanted = ["json"] if sample.image is None else ["jpg", "json"]
    if [member.extension for member in members] != wanted or len({member.stem for member in members}) > 1:
        raise RecordError(f"odd members: {[f'{one.stem}.{one.extension}' for one in members]}, wanted {wanted}")
    if sample.schema != SCHEMA or max(places) >= len(sample.records):
        raise RecordError(f"odd sample: {sample.schema}, {len(sample.records)} records, wanted number {max(places)}")
    return [_RECORD.decode(sample.records[place]) for place in places]


def drawing(path: Path, pools: Mapping[str, str] | None = None, cache: Cache | None = None) -> Draws:
    """The draws of a lock file, ``pools`` saying by name where pools lie now, where not as the lock says.

    Of pools that are not on this machine, shards are kept in the cache. All is proven first: the lock, its files, the
    manifest of every pool that it feeds, the sizes of that pool's shards if it is on this machine. ShardError names the
    pool or file that is missing or changed; ConfigError a pool that the lock does not have, or that the cache is
    missing or too small for.
    """
    lock, folder, moved = read_lock(path), folder_of(path), pools or {}
    names = [pool.name for pool in lock.pools]
    for name in moved:
        if name not in names:
            raise ConfigError(unknown("pool", name, names))
    for part in lock.parts:
        mapped(folder, part)
    fed = [(number, lock.pools[number]) for number in sorted({part.pool for part in lock.parts})]
    return Draws(lock, folder, {number: _pool(one, moved.get(one.name, one.location), cache) for number, one in fed})


def _pool(pinned: PinnedPool, location: str, cache: Cache | None) -> Pool:
    if store.is_local(location):
        return local.opened(pinned, location)
    if cache is None:
        raise ConfigError(f"pool {pinned.name}: {store.shown(location)} is not a folder of this machine: wanted cache, "
                          "a folder where its shards are kept, and cache_bytes")  # fmt: skip
    return remote.opened(pinned, location, cache)
