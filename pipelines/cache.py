"""Shards of remote pools, kept whole on a local disk within so many bytes, for any number of processes and runs.

    <cache>/room                         locked while room is made
    <cache>/<pool's digest>/<tar>        beside it <tar>.idx and <tar>.json, its receipt: all three proven, or not there
    <cache>/<pool's digest>/<tar>.lock   locked alone by who fetches or removes the shard, shared by who needs it
    <cache>/<pool's digest>/<tar>*.part  being fetched; where nobody holds the lock, left by a process that was killed

Locks are the kernel's (flock): they end with the processes that hold them, however those end. The time of a lock file
is when its shard was asked for last.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines import store
from schemas.config import Config, validated
from schemas.errors import ConfigError
from schemas.pool import ByteSize

LOCK, PART, RECEIPT, INDEX = ".lock", ".part", ".json", ".idx"
_TAR = ".tar"


class NoRoomError(Exception):
    """All that could be removed is needed: nothing is wrong, but it has to be waited for."""


class Hold:
    """A lock on a file of this name, which is made; let go of where it is asked to, or when nobody speaks of it.

    A process forked meanwhile inherits it, and cannot let go of it.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._process = os.getpid()

    def taken(self, *, alone: bool, wait: bool = True) -> bool:
        """Whether it is held now, alone or shared; False, without ``wait``, where others hold it.

        What it held before it does not hold any more where this is False.
        """
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def used(self) -> None:
        """Note that it was asked for now."""
        os.utime(self._handle)

    def release(self) -> None:
        """Let go of it."""
        if self._handle < 0:
            return
        if self._process == os.getpid():  # explicitly: a process that was forked holds the same lock open
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        os.close(self._handle)
        self._handle = -1

    def __del__(self) -> None:
        if "_process" in self.__dict__:
            self.release()


class _Wanted(Config):
    cache: str
    cache_bytes: ByteSize


class _Kept(NamedTuple):
    tar: Path
    bytes: int
    used: float


@dataclass(frozen=True)
class Cache:
    """A folder on a local disk, and how many bytes all files in it may have together."""

    folder: Path
    budget: int

    def place(self, digest: str, tar: str) -> Path:
        """Where the tar of a pool's shard goes."""
        return self.folder / digest / tar

    def insist_fits(self, size: int, what: str) -> None:
        """ConfigError where so many bytes are more than the cache may hold."""
        if size > self.budget:
            raise ConfigError(f"{what}: {size:,} bytes, the cache may hold {self.budget:,}: raise cache_bytes")

    def reserve(self, parts: Mapping[Path, int], spare: AbstractSet[Path] = frozenset()) -> None:
        """Make files of these sizes, once what was not asked for the longest is removed until they fit in.

        Nothing is removed that a process holds or fetches, nor the tars of ``spare``. NoRoomError where all else is
        not enough, and then nothing is made.
        """
        with self._alone():
            kept = list(self._kept())
            size = sum(one.bytes for one in kept) + sum(parts.values())
            for one in sorted(kept, key=lambda one: one.used):
                if size > self.budget and one.tar not in spare:
                    size -= _removed(one)
            if size > self.budget:
                raise NoRoomError
            for path, told in parts.items():
                with path.open("wb") as file:
                    file.truncate(told)

    def name(self, parts: Iterable[Path]) -> None:
        """Give parts the names of what they are parts of, one after another."""
        with self._alone():
            for path in parts:
                path.replace(path.with_name(path.name.removesuffix(PART)))

    def drop(self, parts: Iterable[Path]) -> None:
        """Remove what there is of these parts."""
        with self._alone():
            for path in parts:
                path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Whatever changes what the cache holds goes on in here: who counts it would miss what is renamed meanwhile.
        room = Hold(self.folder / "room")
        room.taken(alone=True)
        try:
            yield
        finally:
            room.release()

    def _kept(self) -> Iterator[_Kept]:
        for folder in filter(Path.is_dir, self.folder.iterdir()):
            files = dict[str, list[os.DirEntry[str]]]()
            with os.scandir(folder) as entries:
                for entry in entries:
                    name, tar, _ = entry.name.partition(_TAR)
                    if tar and not entry.name.endswith(LOCK):
                        files.setdefault(name + tar, []).append(entry)
            for name, some in files.items():
                used = beside(folder / name, LOCK).stat().st_mtime
                yield _Kept(folder / name, sum(entry.stat().st_size for entry in some), used)


def cache_of(cache: str | Path | None, cache_bytes: str | int | None) -> Cache | None:
    """The cache that a user's words speak of, None where they speak of none; ConfigError where one of both is wrong."""
    if cache is None and cache_bytes is None:
        return None
    said = {"cache": None if cache is None else str(cache), "cache_bytes": cache_bytes}
    wanted = validated(_Wanted, said, "the loader")
    if not store.is_local(wanted.cache):
        raise ConfigError(f"cache {store.shown(wanted.cache)}: wanted a folder of this machine")
    return Cache(store.local(wanted.cache).absolute(), wanted.cache_bytes)


def beside(tar: Path, ending: str) -> Path:
    """The file beside a tar whose name goes on like this."""
    return tar.with_name(tar.name + ending)


def _removed(kept: _Kept) -> int:
    """How many bytes were removed: all of the shard's, or none where another holds it."""
    lock = Hold(beside(kept.tar, LOCK))
    try:
        if not lock.taken(alone=True, wait=False):
            return 0
        for ending in (RECEIPT, "", INDEX, *(f"{one}{PART}" for one in ("", INDEX, RECEIPT))):
            beside(kept.tar, ending).unlink(missing_ok=True)
    finally:
        lock.release()
    return kept.bytes
