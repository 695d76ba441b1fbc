"""Pools that a lock pins, opened for random access: one read a sample, through the shard's index."""

import io
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines import store
from pipelines.layout import names
from pipelines.manifest import read_manifest, read_receipt
from pipelines.tar import BLOCK, MAX_MEMBER_BYTES, Member, members
from schemas.errors import ShardError
from schemas.lock import PinnedPool
from schemas.pool import PoolManifest

OPEN = 64  # shards that a process keeps open, two files each
_PAIR = struct.Struct("<2Q")
_MOST = 2 * (MAX_MEMBER_BYTES + BLOCK)  # bytes of a sample: what its index says is not believed beyond


class Pool(Protocol):
    """A pool whose manifest is the one that the lock pins."""

    @property
    def name(self) -> str:
        """What it is called."""

    def files(self, shard: int) -> "Files":
        """The files of a shard, opened; ShardError where they are not those of its receipt."""


@dataclass(frozen=True, eq=False)
class LocalPool:
    """A pool in a folder of this machine, by the sizes of its shards' tars and indexes in bytes."""

    name: str
    folder: Path
    tars: npt.NDArray[np.int64]
    indexes: npt.NDArray[np.int64]

    def files(self, shard: int) -> "Files":
        """The files of a shard; ShardError where their sizes are other ones now."""
        called = names(self.name, shard)
        sizes = int(self.tars[shard]), int(self.indexes[shard])
        return Files(self.folder / called.tar, self.folder / called.offsets, sizes)


class Files:
    """The tar and the index of a shard, open for as long as somebody speaks of this.

    ``held`` is what is let go of with them. ShardError where one cannot be read, or has not the size it should have.
    """

    def __init__(self, tar: Path, index: Path, sizes: tuple[int, int], held: object = None) -> None:
        self.handles, self.held = list[int](), held
        for path, told in zip((tar, index), sizes, strict=True):
            try:
                self.handles.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                raise ShardError(f"{path.name}: cannot be read: {error.strerror}") from error
            if (found := os.fstat(self.handles[-1]).st_size) != told:
                raise ShardError(f"{path.name}: {found:,} bytes, its receipt says {told:,}: it was changed meanwhile")
        self.tar, self.index = self.handles
        self.size = sizes[0]

    def __del__(self) -> None:
        for handle in self.handles:
            os.close(handle)


def opened(pinned: PinnedPool, location: str) -> LocalPool:
    """The pool in that folder, once its manifest is the pinned one and every shard has its receipt's sizes.

    ShardError, naming the pool and what differs, where they are not.
    """
    try:
        return _opened(pinned, store.local(store.absolute(location)))
    except ShardError as error:
        raise ShardError(f"pool {pinned.name} at {location}: {error}") from error


def _opened(pinned: PinnedPool, folder: Path) -> LocalPool:
    manifest = read_manifest(str(folder))
    insist_pinned(manifest, pinned)
    sizes = []
    for shard, listed in enumerate(manifest.receipts):
        told = {file.name: file.bytes for file in read_receipt(str(folder), listed).files}
        called = names(pinned.name, shard)
        for name in (called.tar, called.offsets):
            _insist_size(folder / name, told.get(name))
            sizes.append(told[name])
    return LocalPool(pinned.name, folder, *np.array(sizes, np.int64).reshape(-1, 2).T)


def insist_pinned(manifest: PoolManifest, pinned: PinnedPool) -> None:
    """ShardError unless the manifest is the one that the lock pins."""
    if manifest.digest != pinned.digest:
        raise ShardError(f"its digest is {manifest.digest[:12]}, the lock pins {pinned.digest[:12]}: it was built anew")


def _insist_size(path: Path, told: int | None) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise ShardError(f"{path.name}: cannot be read: {error.strerror}") from error
    if found != told:
        raise ShardError(f"{path.name}: {found:,} bytes, its receipt says {told or 0:,}")


class Shards:
    """Samples by pool, shard and number; so many shards stay open as ``OPEN`` says. Pickled, it holds no open file."""

    def __init__(self, pools: Mapping[int, Pool]) -> None:
        self.pools = pools
        self._files: OrderedDict[tuple[int, int], Files] = OrderedDict()

    def __reduce__(self) -> tuple[Callable[..., "Shards"], tuple[Mapping[int, Pool]]]:
        return Shards, (self.pools,)

    def read(self, pool: int, shard: int, sample: int) -> list[Member]:
        """The members of one sample; ShardError, naming the tar, where they are not as ``TarWriter`` wrote them."""
        files, name = self._opened(pool, shard), names(self.pools[pool].name, shard).tar
        pair = os.pread(files.index, _PAIR.size, 8 * sample)
        begin, end = _PAIR.unpack(pair) if len(pair) == _PAIR.size else (0, 0)
        if not begin < end <= min(files.size, begin + _MOST):
            raise ShardError(f"{name}: sample {sample} is said to lie from {begin} to {end} of {files.size} bytes")
        data = os.pread(files.tar, end - begin, begin)
        return list(within(data, f"{name} from {begin}"))

    def keep(self, pools: Container[int], shards: Container[tuple[int, int]]) -> None:
        """Close what is open of these pools but for these shards, each by its pool and number."""
        for key in [key for key in self._files if key[0] in pools and key not in shards]:
            del self._files[key]

    def _opened(self, pool: int, shard: int) -> Files:
        files = self._files.get((pool, shard))
        if files is None:
            while len(self._files) >= OPEN:
                self._files.popitem(last=False)
            files = self._files[pool, shard] = self.pools[pool].files(shard)
        self._files.move_to_end((pool, shard))
        return files


def within(data: bytes, name: str) -> Iterator[Member]:
    """The members of a piece of a tar that begins and ends with one; ShardError, with that name, for anything odd."""
    file = io.BytesIO(data)
    for member in members(file, name):
        yield member
        if file.tell() == len(data):
            return
