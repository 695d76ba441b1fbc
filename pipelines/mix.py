"""``boxcar mix``: a mixture and pools to a lock that pins what a loader feeds, and a proof of such a lock from scratch.

A lock ``NAME.lock.json`` is written last, in one step, after the files of its folder ``NAME.lock/``. Its bytes do not
depend on the order in which pools are given, or on workers. Where pools and annotations lay is in it, but not in its
digest.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines import store
from pipelines.eligible import ITEMS, ROWS, SHARDS, folder_of
from pipelines.lock_check import as_told, differing, own_of, pinned, shown
from pipelines.locked import read_lock, recorded
from pipelines.placed import opened
from pipelines.resolve import Order, counted_by, resolve, worker_count
from pipelines.token_count import described
from pipelines.wording import own_pools
from schemas.errors import BoxcarError, ConfigError, RejectsError, ShardError, SourceError
from schemas.lock import Lock
from schemas.mixture import Mixture


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
    cannot be read, ShardError where a pool's manifest was changed, BoxcarError naming its shards that are damaged.
    """
    files = folder_of(out)
    _insist_free(out, files)
    found = opened(pools)
    order = Order(
        mixture=mixture,
        pools=found,
        roots={source: store.absolute(root) for source, root in {**mixture.roots, **roots}.items()},
        own=own_pools(mixture.templates) if mixture.templates else {},
        measure=counted_by(tokenizer),
        tokens=described(tokenizer),
        allow_eval=allow_eval,
        workers=workers or worker_count(found),
    )
    with TemporaryDirectory(prefix=f".{files.name}-", dir=out.parent) as name:
        aside = Path(name)
        (aside / "files").mkdir()
        lock = resolve(order, aside / "files", aside).lock
        _publish(lock, aside, files, out)
    return lock


def _insist_free(out: Path, files: Path) -> None:
    # A lock is replaced with its folder; what else is called so is somebody's own.
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: its folder is not there")
    if out.is_dir() or files.is_symlink() or (files.exists() and not files.is_dir()):
        raise ConfigError(f"{out}: wanted a file of that name, and a folder {files.name} beside it")
    kinds = {f".{kind}" for kind in (ROWS, ITEMS, SHARDS)}
    if strange := [path.name for path in files.glob("*") if path.suffix not in kinds or path.is_dir()]:
        raise ConfigError(f"{files}: it would be replaced, and holds {strange[0]}, which is no lock's")


def _publish(lock: Lock, aside: Path, files: Path, out: Path) -> None:
    out.unlink(missing_ok=True)  # so that no lock ever lies beside files of another
    shutil.rmtree(files, ignore_errors=True)
    (aside / "files").replace(files)
    store.write_aside(aside / "lock", store.canonical(lock))
    store.publish(aside / "lock", str(out))


def check(path: Path, pools: Sequence[str], roots: Mapping[str, str], tokenizer: str | None = None) -> list[str]:
    """What is wrong with a lock, in words: it is resolved anew from its pools and annotations, and compared.

    Where no ``pools`` or ``roots`` are given, they are looked for where the lock found them. Of a lock whose tokens a
    tokenizer counted they are taken as told, unless that tokenizer is given. ConfigError or SourceError where
    annotations of a held-out split are not to be had.
    """
    try:
        lock = read_lock(path)
        found = pinned(lock, pools or [pool.location for pool in lock.pools])
    except ShardError as error:
        return [str(error)]
    by = counted_by(tokenizer) if described(tokenizer) == lock.tokens else as_told(lock)
    order = Order(
        mixture=recorded(lock),
        pools=found,
        roots={**lock.roots, **roots},
        own=own_of(lock),
        measure=by,
        tokens=lock.tokens,
        allow_eval=True,
        workers=worker_count(found),
    )
    with TemporaryDirectory(prefix="boxcar-") as name:
        try:
            return _compared(lock, path, order, Path(name))
        except (ConfigError, SourceError, RejectsError):
            raise
        except BoxcarError as error:  # shards that are damaged
            return [str(error)]


def _compared(lock: Lock, path: Path, order: Order, scratch: Path) -> list[str]:
    (scratch / "files").mkdir()
    anew, held = resolve(order, scratch / "files", scratch)
    return [*differing(lock, anew), *shown(lock, folder_of(path), order.pools, held, order.workers)]


if __name__ == "__main__":
    from pipelines.cli import main

    main(["mix", *sys.argv[1:]])
