"""Pools that are not on this machine: the manifest is proven at once, a shard when it is fetched into the cache."""

import hashlib
import os
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from converters._read import filesystem
from pipelines import store
from pipelines.cache import INDEX, LOCK, PART, RECEIPT, Cache, Hold, NoRoomError, beside
from pipelines.layout import MANIFEST, names
from pipelines.local import Files, insist_pinned
from pipelines.manifest import manifest_in, receipt_in
from schemas.errors import ConfigError, ShardError
from schemas.lock import PinnedPool
from schemas.pool import FileDigest, Receipt

TRIES = 5  # of each file, before it is an error
WAIT = 0.5  # seconds before the second try, and twice as many before each next one
PATIENCE = 600.0  # seconds in which somebody should have left a window behind, and made room for another
_LOOK = 0.02  # seconds between two looks for room, or for a lock that several want at once
_ONCE = 8 * 2**20  # bytes asked for at once
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)

T = TypeVar("T")


class Held(NamedTuple):
    """A shard that lies in the cache, whole, as long as it is held; the bytes of its tar and of its index."""

    hold: Hold
    sizes: tuple[int, int]


@dataclass(frozen=True, eq=False)
class RemotePool:
    """A pool elsewhere: the digest of each shard's receipt in order, and the bytes of all its files together."""

    name: str
    url: str
    digest: str
    receipts: tuple[FileDigest, ...]
    bytes: int
    cache: Cache

    @property
    def mean(self) -> float:
        """The bytes of a shard, on average."""
        return self.bytes / len(self.receipts)

    def place(self, shard: int) -> Path:
        """Where the tar of a shard lies in the cache, if it does."""
        return self.cache.place(self.digest, names(self.name, shard).tar)

    def files(self, shard: int) -> Files:
        """The files of a shard, fetched where they are not yet in the cache, which keeps them while they are open.

        ShardError, naming its tar, where it is not what its receipt says or cannot be had; ConfigError where it is
        larger than the cache may be.
        """
        held = self.held(shard)
        assert held
        tar = self.place(shard)
        return Files(tar, beside(tar, INDEX), held.sizes, held.hold)

    def held(self, shard: int, spare: AbstractSet[Path] = frozenset(), *, wait: bool = True) -> Held | None:
        """The shard in the cache; without ``wait`` None while another fetches it, NoRoomError where room is missing."""
        tar = self.place(shard)
        try:
            tar.parent.mkdir(parents=True, exist_ok=True)
            lock = Hold(beside(tar, LOCK))
            try:
                sizes = self._sizes(shard, tar, lock, spare, wait)
            except BaseException:
                lock.release()  # at once: what was raised holds on to it as long as it is spoken of
                raise
        except OSError as error:  # of the cache's folder: what goes wrong elsewhere is told as a ShardError
            raise ShardError(f"{tar.name}: cannot be kept in {self.cache.folder}: {_plainly(error)}") from None
        return Held(lock, sizes) if sizes else None

    def _sizes(self, shard: int, tar: Path, lock: Hold, spare: AbstractSet[Path], wait: bool) -> tuple[int, int] | None:
        while lock.taken(alone=False, wait=wait):
            if sizes := self._kept(shard, tar):
                lock.used()
                return sizes
            # Not waited for: who fetched it meanwhile may hold it, shared, for as long as a window lasts.
            if lock.taken(alone=True, wait=False):
                if not self._kept(shard, tar):
                    self._fetch(shard, tar, spare, wait)
            elif wait:
                time.sleep(_LOOK)
            else:
                break
        return None

    def _kept(self, shard: int, tar: Path) -> tuple[int, int] | None:
        try:
            receipt = receipt_in(beside(tar, RECEIPT).read_bytes(), self.receipts[shard])
            both = self._two(receipt, shard)
            found = tar.stat().st_size, beside(tar, INDEX).stat().st_size
        except (FileNotFoundError, ShardError):
            return None
        return found if found == (both[0].bytes, both[1].bytes) else None

    def _two(self, receipt: Receipt, shard: int) -> tuple[FileDigest, FileDigest]:
        called, told = names(self.name, shard), {file.name: file for file in receipt.files}
        if called.tar not in told or called.offsets not in told:
            raise ShardError(f"{called.receipt}: does not speak of {called.tar} and its index")
        return told[called.tar], told[called.offsets]

    def _fetch(self, shard: int, tar: Path, spare: AbstractSet[Path], wait: bool) -> None:
        listed = self.receipts[shard]
        proof = _proof(store.join(self.url, listed.name), listed)
        both = self._two(receipt_in(proof, listed), shard)
        parts = [beside(tar, f"{ending}{PART}") for ending in ("", INDEX, RECEIPT)]
        sizes = dict(zip(parts, (both[0].bytes, both[1].bytes, len(proof)), strict=True))
        self.cache.insist_fits(sum(sizes.values()), f"pool {self.name}, {tar.name}")
        self._reserve(sizes, spare, wait, tar.name)
        try:
            for part, told in zip(parts, both, strict=False):
                _copy(store.join(self.url, told.name), part, told)
            store.write_aside(parts[-1], proof)
            self.cache.name(parts)
        finally:
            self.cache.drop(parts)

    def _reserve(self, sizes: dict[Path, int], spare: AbstractSet[Path], wait: bool, name: str) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.cache.reserve(sizes, spare)
            except NoRoomError:
                if not wait:
                    raise
                if time.monotonic() > until:
                    raise ConfigError(f"pool {self.name}, {name}: no room in {self.cache.folder} for {PATIENCE:.0f} s, "
                                      f"all of its {self.cache.budget:,} bytes are in use: raise cache_bytes, or make "
                                      "window smaller") from None  # fmt: skip
                time.sleep(_LOOK)


def opened(pinned: PinnedPool, url: str, cache: Cache) -> RemotePool:
    """The pool at that URL, once its manifest is the pinned one.

    ConfigError where other processes could not reach it; ShardError, naming the pool, where it cannot be read or is
    another one.
    """
    where = f"pool {pinned.name} at {store.shown(url)}"
    if store.in_process(url):
        raise ConfigError(f"{where}: lives in one process alone")
    try:
        manifest = manifest_in(fetched(store.join(url, MANIFEST), MANIFEST))
        insist_pinned(manifest, pinned)
    except ShardError as error:
        raise ShardError(f"{where}: {error}") from None
    return RemotePool(pinned.name, url, manifest.digest, tuple(manifest.receipts), manifest.bytes, cache)


def fetched(url: str, name: str) -> bytes:
    """All bytes of a small file; ShardError, calling it by that name, where it cannot be had."""

    def whole() -> bytes:
        with _reading(url) as file:
            data: bytes = file.read()
        return data

    return _tried(whole, name)


@lru_cache(64)
def _proof(url: str, listed: FileDigest) -> bytes:
    # Kept: where there is no room for a shard, it is looked for again and again.
    return fetched(url, listed.name)


def _copy(url: str, path: Path, told: FileDigest) -> None:
    """Fetch a file over the one that was made for it; ShardError where it is not the one that was told of."""
    with path.open("r+b") as part:
        size, sha = _tried(lambda: _once(url, part, told), told.name)
        os.fsync(part.fileno())
    if (size, sha) != (told.bytes, told.sha256):
        raise ShardError(f"{told.name}: not what its receipt says: its sha256 or size differs where it is fetched from")


def _once(url: str, part: BinaryIO, told: FileDigest) -> tuple[int, str]:
    # Written over what was reserved, never beyond it: a byte more than it is told to have is noticed, and not written.
    sha, size = hashlib.sha256(), 0
    part.seek(0)
    with _reading(url) as file:
        while size <= told.bytes and (chunk := file.read(store.CHUNK)):
            size += len(chunk)
            sha.update(chunk)
            if size <= told.bytes:
                _write(part, chunk, told.name)
    return size, sha.hexdigest()


def _write(part: BinaryIO, chunk: bytes, name: str) -> None:
    try:
        part.write(chunk)
    except OSError as error:  # a full disk does not pass as what goes wrong on the way does
        raise ShardError(f"{name}: cannot be kept: {_plainly(error)}") from None


def _reading(url: str) -> Any:
    fs, name = filesystem(url)
    return fs.open(name, "rb", block_size=_ONCE)


def _tried(attempt: Callable[[], T], name: str) -> T:
    """What the attempt gives, made so many times as ``TRIES`` says; ShardError, telling why, where none came through.

    Neither it nor what stands behind it tells the URL, which may hold a password.
    """
    for tried in range(1, TRIES + 1):
        try:
            return attempt()
        except ShardError:
            raise
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own, not all of them OSErrors
            why = f"{name}: cannot be fetched: {_plainly(error)}"
            if isinstance(error, _FINAL):
                break
        if tried < TRIES:
            time.sleep(WAIT * 2 ** (tried - 1))
    raise ShardError(why if tried == 1 else f"{why}, tried {tried} times")


def _plainly(error: Exception) -> str:
    # Not in the error's own words, in which a URL may stand.
    number, status = getattr(error, "errno", None), getattr(error, "status", None)
    said = os.strerror(number) if isinstance(number, int) else type(error).__name__
    return f"{said} {status}" if isinstance(status, int) else said
