"""A lock file, read and proven."""

from pathlib import Path

import msgspec

from pipelines import store
from pipelines.manifest import UNREADABLE
from schemas.errors import ShardError
from schemas.lock import LOCK_SCHEMA, Lock
from schemas.mixture import Mixture, mixture


def bare(lock: Lock) -> Lock:
    """The lock without its digest and without where things lay, which pins nothing."""
    pools = [msgspec.structs.replace(pool, location="") for pool in lock.pools]
    return msgspec.structs.replace(lock, digest="", pools=pools, roots={})


def lock_digest(lock: Lock) -> str:
    """The sha256 of the bare lock."""
    return store.sha256(store.canonical(bare(lock)))


def read_lock(path: Path) -> Lock:
    """The lock of a file; ShardError where there is none, or a byte of it is not what was written."""
    data = store.read(str(path))
    try:
        lock = msgspec.json.decode(data, type=Lock)
    except UNREADABLE as error:
        raise ShardError(f"{path}: not a lock: {error}") from error
    if lock.schema != LOCK_SCHEMA:
        raise ShardError(f"{path}: not a lock of this schema: {lock.schema!r}, wanted {LOCK_SCHEMA}")
    if lock_digest(lock) != lock.digest or store.canonical(lock) != data:
        raise ShardError(f"{path}: its digest is not that of its content: it was changed after it was written")
    if any(not 0 <= part.pool < len(lock.pools) for part in lock.parts):
        raise ShardError(f"{path}: a part of it is of a pool that it does not list")
    return lock


def recorded(lock: Lock) -> Mixture:
    """The mixture that a lock is of; its template pools and roots stand apart. ConfigError where it is none."""
    return mixture({**lock.mixture, "templates": None, "roots": {}}, f"mixture of the lock of stage {lock.stage}")
