"""A lock file, read and proven."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pipelines import store
from pipelines.manifest import UNREADABLE
from pipelines.shares import BLOCK
from pipelines.tar import STEM
from schemas.errors import ConfigError, ShardError
from schemas.lock import LOCK_SCHEMA, Lock, LockedPart
from schemas.mixture import Mixture, mixture
from schemas.prompt import SLOTS, replaced
from schemas.text import TASKS


def bare(lock: Lock) -> Lock:
    """The lock without its digest and without where things lay, which pins nothing."""
    pools = [msgspec.structs.replace(pool, location="") for pool in lock.pools]
    return msgspec.structs.replace(lock, digest="", pools=pools, roots={})


def lock_digest(lock: Lock) -> str:
    """The sha256 of the bare lock."""
    return store.sha256(store.canonical(bare(lock)))


def read_lock(path: Path) -> Lock:
    """The lock of a file; ShardError where there is none, a byte of it is not what was written, or it is not sound.

    Sound is what a lock may be whose digest was mended: no name in it leads out of a folder, no number astray.
    """
    data = store.read(str(path))
    try:
        lock = msgspec.json.decode(data, type=Lock)
    except UNREADABLE as error:
        raise ShardError(f"{path}: not a lock: {error}") from error
    if lock.schema != LOCK_SCHEMA:
        raise ShardError(f"{path}: not a lock of this schema: {lock.schema!r}, wanted {LOCK_SCHEMA}")
    if lock_digest(lock) != lock.digest or store.canonical(lock) != data:
        raise ShardError(f"{path}: its digest is not that of its content: it was changed after it was written")
    for what, sound in _rules(lock):
        if not sound:
            raise ShardError(f"{path}: {what}: no lock is written so, it was edited")
    return lock


def _rules(lock: Lock) -> Iterator[tuple[str, bool]]:
    yield f"{len(lock.parts)} parts", bool(lock.parts)
    for what, number in (("step", lock.step), ("steps", lock.steps), ("window", lock.window)):
        yield f"{what} {number}", number is None or number > 0
    yield "counts of parts", sum(part.count for part in lock.parts) <= BLOCK
    for pool in lock.pools:
        yield f"pool {pool.name!r}", STEM.fullmatch(pool.name) is not None
        yield f"pool {pool.name!r}: templates", _are_sound(pool.templates)
    for part in lock.parts:
        yield f"part {str(part.part)!r}", _is_named(part)
        yield f"part {part.part}: pool {part.pool} of {len(lock.pools)}", 0 <= part.pool < len(lock.pools)
        yield f"part {part.part}: count {part.count}, items {part.items}", min(part.count, part.items) > 0
        yield f"part {part.part}: batch_size {part.batch_size}", _is_batched(part, lock)
        yield f"part {part.part}: wording {part.wording!r}", part.wording is None or part.wording in SLOTS


def _are_sound(pools: Mapping[str, Sequence[str]]) -> bool:
    try:
        return pools.keys() == SLOTS.keys() == replaced(pools, "").keys()
    except ConfigError:
        return False


def _is_named(part: LockedPart) -> bool:
    # Files are called after source and split, as after pools.
    return all(map(STEM.fullmatch, (part.source, part.split))) and (part.task is None or part.task in TASKS)


def _is_batched(part: LockedPart, lock: Lock) -> bool:
    return part.batch_size is None if lock.unit != "batch" else part.batch_size is not None and part.batch_size > 0


def recorded(lock: Lock) -> Mixture:
    """The mixture that a lock is of; its template pools and roots stand apart. ConfigError where it is none."""
    return mixture({**lock.mixture, "templates": None, "roots": {}}, f"mixture of the lock of stage {lock.stage}")
