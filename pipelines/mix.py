"""``boxcar mix``: a mixture and pools to a lock that pins what a loader feeds, and a proof of such a lock from scratch.

A lock ``NAME.lock.json`` is written last, in one step, after the files of its folder ``NAME.lock/``. Its bytes do not
depend on the order in which pools are given, or on workers. Where pools and annotations lay is in it, but not in its
digest.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from pipelines import store
from pipelines.command import cores
from pipelines.eligible import Eligible, folder_of
from pipelines.manifest import UNREADABLE
from pipelines.placed import opened
from pipelines.record_index import Given
from pipelines.resolve import Order, digest_of, resolve, sealed
from pipelines.token_count import Measured, described, measured
from pipelines.wording import own_pools
from schemas.errors import ConfigError, ShardError
from schemas.ledger import Part
from schemas.lock import LOCK_SCHEMA, Lock
from schemas.mixture import Mixture

MANY = 64  # shards from which on worker processes are worth their start


def mix(
    mixture: Mixture,
    pools: Sequence[str],
    out: Path,
    *,
    roots: Mapping[str, str],
    tokenizer: str | None = None,
    allow_eval: bool = False,
    workers: int | None = None,
) -> Lock:
    """Resolve a mixture against these pools, and write the lock and its folder; one that lies there is replaced.

    ``roots``, by source, say where annotations of held-out splits lie, beside the mixture's own. Tokens are an estimate
    without a tokenizer. ConfigError where the mixture cannot be met, SourceError or RejectsError where annotations
    cannot be read, ShardError where a pool is damaged.
    """
    files = folder_of(out)
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: its folder is not there")
    found = opened(pools)
    order = Order(
        mixture=mixture,
        pools=found,
        roots={**mixture.roots, **roots},
        own=own_pools(mixture.templates) if mixture.templates else {},
        measure=_by(tokenizer),
        tokens=described(tokenizer),
        allow_eval=allow_eval,
        workers=workers or _workers(found),
    )
    with TemporaryDirectory(prefix=f".{files.name}-", dir=out.parent) as name:
        aside = Path(name)
        (aside / "files").mkdir()
        lock = sealed(resolve(order, aside / "files", aside))
        _publish(lock, aside, files, out)
    return lock


def _workers(pools: Sequence[Given]) -> int:
    few = sum(pool.manifest.shards for pool in pools) < MANY
    return 1 if few or any(store.in_process(pool.location) for pool in pools) else cores()


def _by(tokenizer: str | None) -> Any:
    def measure(pool: Given, part: Part, eligible: Eligible) -> Measured:
        return measured(pool.location, pool.manifest, part, eligible, tokenizer)

    return measure


def _publish(lock: Lock, aside: Path, files: Path, out: Path) -> None:
    out.unlink(missing_ok=True)  # so that no lock ever lies beside files of another
    shutil.rmtree(files, ignore_errors=True)
    (aside / "files").replace(files)
    store.write_aside(aside / "lock", store.canonical(lock))
    store.publish(aside / "lock", str(out))


def read_lock(path: Path) -> Lock:
    """The lock of a file; ShardError where it is none, or a byte of it is not what was written."""
    data = store.read(str(path))
    try:
        lock = msgspec.json.decode(data, type=Lock)
    except UNREADABLE as error:
        raise ShardError(f"{path}: not a lock: {error}") from error
    if lock.schema != LOCK_SCHEMA:
        raise ShardError(f"{path}: a lock of schema {lock.schema!r}, wanted {LOCK_SCHEMA}")
    if digest_of(lock) != lock.digest or store.canonical(lock) != data:
        raise ShardError(f"{path}: its digest is not that of its content: it was changed after it was written")
    return lock
