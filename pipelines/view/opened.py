"""A pool opened for looking at it: the record index shard by shard, and single samples out of the middle of a tar.

Nothing is proven here beyond the manifest: that is what ``boxcar verify`` is for. What cannot be read is a ShardError,
a shard or sample there is not a ConfigError.
"""

import io
import os
from functools import lru_cache
from pathlib import Path

import msgspec
import pyarrow as pa

from converters._read import filesystem
from pipelines import store
from pipelines.layout import INDEX, names
from pipelines.local import within
from pipelines.manifest import UNREADABLE
from pipelines.record_index import Given
from pipelines.tar import BLOCK, MAX_MEMBER_BYTES, Member, padded, read_index
from schemas.errors import ConfigError, ShardError
from schemas.pool import RejectLine

TABLES, OFFSETS, REJECTS, TARS = 32, 32, 8, 16  # shards of which each is kept
_MOST = 2 * (MAX_MEMBER_BYTES + BLOCK)
_SIZE = slice(124, 135)


class Opened:
    """A pool, local or remote; safe to read from several threads."""

    def __init__(self, given: Given) -> None:
        """``given`` is the pool as ``pipelines.record_index.given`` finds it."""
        self.given = given
        self.shards = given.manifest.shards
        self._fs, self._root = filesystem(given.location)
        self.is_local = store.is_local(given.location)
        self._tar = lru_cache(TARS)(self._opened_tar)
        self.rows = lru_cache(TABLES)(self._rows)
        self.rejects = lru_cache(REJECTS)(self._rejects)
        self._offsets = lru_cache(OFFSETS)(self._read_offsets)

    def members(self, shard: int, sample: int) -> list[Member]:
        """The files of a sample, its picture first where it has one."""
        begin, end, name = self._place(shard, sample)
        return list(within(self._bytes(shard, begin, end), f"{name} from {begin}"))

    def text(self, shard: int, sample: int) -> bytes:
        """The ``.json`` file of a sample, its picture passed over unread."""
        begin, end, name = self._place(shard, sample)
        header = self._bytes(shard, begin, begin + BLOCK)
        if not header[:100].rstrip(b"\0").endswith(b".json"):
            octal = header[_SIZE]
            if len(octal) != _SIZE.stop - _SIZE.start or octal.strip(b"01234567"):
                raise ShardError(f"{name}: no tar header at {begin}")
            begin += BLOCK + padded(int(octal, 8))
        found = [one.data for one in within(self._bytes(shard, begin, end), name) if one.extension == "json"]
        if not found:
            raise ShardError(f"{name}: sample {sample} has no .json")
        return found[0]

    def _place(self, shard: int, sample: int) -> tuple[int, int, str]:
        self._insist(shard)
        name, offsets = names(self.given.name, shard).tar, self._offsets(shard)
        if not 0 <= sample < len(offsets) - 1:
            raise ConfigError(f"{name}: no sample {sample}: it has {len(offsets) - 1}")
        begin, end = offsets[sample : sample + 2]
        if not begin < end <= begin + _MOST:
            raise ShardError(f"{name}: sample {sample} is said to lie from {begin} to {end}")
        return begin, end, name

    def _insist(self, shard: int) -> None:
        if not 0 <= shard < self.shards:
            raise ConfigError(f"no shard {shard}: the pool has {self.shards}")

    def _url(self, name: str) -> str:
        return store.join(self.given.location, name)

    def _read_offsets(self, shard: int) -> tuple[int, ...]:
        name = names(self.given.name, shard).offsets
        return read_index(store.read(self._url(name)), name)

    def _bytes(self, shard: int, begin: int, end: int) -> bytes:
        name = names(self.given.name, shard).tar
        try:
            if self.is_local:
                return os.pread(self._tar(name).handle, end - begin, begin)
            data: bytes = self._fs.cat_file(store.join(self._root, name), start=begin, end=end)
        except (OSError, ValueError) as error:
            raise ShardError(f"cannot read {name}: {error or type(error).__name__}") from error
        return data

    def _opened_tar(self, name: str) -> "_File":
        return _File(Path(self._root) / name)

    def _rows(self, shard: int) -> pa.Table:
        """The record index of a shard, its pages mapped where it lies on this machine."""
        self._insist(shard)
        name = names(self.given.name, shard).records
        url = self._url(name)
        try:
            source = _mapped(store.local(url)) if self.is_local else store.read(url)
            table = pa.ipc.open_file(source).read_all()
        except (OSError, pa.ArrowException) as error:
            raise ShardError(f"{name}: cannot be read: {error}") from error
        if table.schema != INDEX:
            raise ShardError(f"{name}: not the columns of this version: build the pool anew")
        return table

    def _rejects(self, shard: int) -> list[RejectLine]:
        """The candidates of a shard that became no record."""
        self._insist(shard)
        name = names(self.given.name, shard).rejects
        try:
            lines = io.BytesIO(store.read(self._url(name)))
            return [msgspec.json.decode(line, type=RejectLine) for line in lines]
        except UNREADABLE as error:
            raise ShardError(f"{name}: not a list of rejects: {error}") from error


class _File:
    # Closed when nothing speaks of it any more: a reader in another thread may outlast its place in the cache.
    def __init__(self, path: Path) -> None:
        self.handle = -1
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)


def _mapped(path: Path) -> pa.MemoryMappedFile:
    return pa.memory_map(str(path))
