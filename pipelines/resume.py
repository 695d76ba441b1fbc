"""What an earlier build has left: a finished pool, shards that can be taken as they are, files that have to go."""

from collections.abc import Sequence

import msgspec

from converters._read import exists
from pipelines import store
from pipelines.layout import BUILD, MANIFEST, is_pool_file, names
from pipelines.manifest import UNREADABLE, read_manifest, read_receipt
from pipelines.removal import Removals, outdated
from schemas.errors import ConfigError, ShardError
from schemas.pool import PoolManifest, Receipt


def insist_ours(pool: str, out: str) -> None:
    """ConfigError where anything lies at ``out`` that is no part of a pool of that name."""
    if exists(out):
        raise ConfigError(f"{out} is a file: wanted a folder for the pool")
    foreign = sorted(name for name in store.files(out) if not _ours(pool, name))
    if foreign:
        raise ConfigError(f"{out} holds what is no part of pool {pool!r}: {foreign[0]}; choose another --out")


def _ours(pool: str, name: str) -> bool:
    return name.startswith(f"{BUILD}/") or is_pool_file(pool, name)


def already(out: str, plan: str) -> PoolManifest | None:
    """The manifest of a pool of this plan that is already there, all of it; None where there is none yet.

    ConfigError where a pool of another plan is there, ShardError where files of this one are gone.
    """
    if not exists(store.join(out, MANIFEST)):
        return None
    manifest = read_manifest(out)
    if manifest.plan != plan:
        raise ConfigError(
            f"{out} holds a finished pool of another config, other sources or other versions"
            f" (plan {manifest.plan[:12]}, this is {plan[:12]}): choose another --out, or remove its {MANIFEST}"
            " and run again to build this one there, of what still fits"
        )
    _insist_all_there(out, manifest)
    return manifest


def _insist_all_there(out: str, manifest: PoolManifest) -> None:
    # By size only: to read a finished pool again is what verify is for.
    found = store.sizes(out)
    for listed in manifest.receipts:
        for file in (listed, *(read_receipt(out, listed).files if listed.name in found else ())):
            if found.get(file.name) != file.bytes:
                said = f"{file.name} is {'gone' if file.name not in found else 'of another size'}"
                raise ShardError(f"{out}: {said} in a finished pool; remove its {MANIFEST} and run again to rebuild it")


def remove_surplus(out: str, pool: str, plans: Sequence[str]) -> None:
    """Remove what an unfinished build of another plan has left."""
    # An unfinished build of another plan may have left shards that this plan does not have, and receipts that would
    # not fit the shards that are about to take their places; no reader has seen them. Receipts go first.
    expected = {name: plan for index, plan in enumerate(plans) for name in names(pool, index)}
    present = store.files(out) - {MANIFEST}
    for name in sorted(present, key=lambda name: (not name.startswith("receipts/"), name)):
        if not is_pool_file(pool, name) or name.startswith(".nv-meta/"):
            continue
        if name not in expected or (name.startswith("receipts/") and not of_plan(out, name, expected[name])):
            store.remove(store.join(out, name))


def finished(out: str, pool: str, index: int, plan: str, asked: Removals) -> Receipt | None:
    """The receipt of a shard that is already there, whole, of this plan and without what is asked to go.

    None where it has to be built.
    """
    written = names(pool, index)
    receipt = of_plan(out, written.receipt, plan)
    if receipt is None or (receipt.shard, [file.name for file in receipt.files]) != (index, list(written[:4])):
        return None
    try:
        whole = all(store.digest(store.join(out, file.name), file.name) == file for file in receipt.files)
    except OSError:
        return None
    return receipt if whole and not outdated(out, receipt, asked) else None


def of_plan(out: str, name: str, plan: str) -> Receipt | None:
    """The receipt of that name, if it is there, can be read, and is of this plan."""
    url = store.join(out, name)
    try:
        receipt = msgspec.json.decode(store.read(url), type=Receipt) if exists(url) else None
    except (*UNREADABLE, ShardError):
        return None
    return receipt if receipt and receipt.plan == plan else None
