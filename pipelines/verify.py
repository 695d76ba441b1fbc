"""Proving a pool: every file re-read; digests, members, records, tokens, pictures, index rows and ledgers checked."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from pipelines import engine, store
from pipelines.check import Problem, Seen, ShardCheck, check_shard
from pipelines.layout import BUILD, MANIFEST, is_pool_file, names
from pipelines.manifest import arrow_text, read_manifest
from pipelines.progress import progress
from pipelines.tar import STEM
from schemas.box import CODECS
from schemas.errors import ShardError
from schemas.export import features
from schemas.ledger import Ledger
from schemas.pool import PoolManifest
from schemas.record import SCHEMA


class Verified(msgspec.Struct, frozen=True):
    """What a verification saw: counts of what was read, and every problem found; none means the pool is whole."""

    pool: str
    shards: int
    samples: int
    records: int
    boxes: int
    problems: list[Problem]


def verify(pool: str, workers: int = 1) -> Verified:
    """Re-read the whole pool; ShardError where there is no trustworthy pool.json to check it against."""
    pool = store.absolute(pool)
    manifest = read_manifest(pool)
    _insist_ours(manifest)
    checks = [
        ShardCheck(pool, manifest.pool, manifest.config["codec"], manifest.plan, shard, receipt)
        for shard, receipt in enumerate(manifest.receipts)
    ]
    seen = []
    with progress("verifying shards", len(checks)) as shown:
        for one in engine.run(check_shard, checks, workers):
            seen.append(one)
            shown.step(note=f"{sum(len(shard.problems) for shard in seen)} problems")
    problems = [problem for one in seen for problem in one.problems]
    problems += [*_pool_problems(pool, manifest), *_sum_problems(manifest, seen)]
    return Verified(
        pool=manifest.pool,
        shards=len(seen),
        samples=sum(one.samples for one in seen),
        records=sum(one.records for one in seen),
        boxes=sum(one.boxes for one in seen),
        problems=sorted(problems, key=lambda problem: (problem.file, problem.what)),
    )


def _insist_ours(manifest: PoolManifest) -> None:
    # Before anything is read that it names: a forged manifest may name any file, and a digest is no signature.
    wanted = [names(manifest.pool, shard).receipt for shard in range(len(manifest.receipts))]
    if [file.name for file in manifest.receipts] != wanted or manifest.shards != len(wanted):
        raise ShardError(f"{MANIFEST}: it tells of {manifest.shards} shards and does not list the receipts of as many")
    strange = [file.name for file in manifest.files if not is_pool_file(manifest.pool, file.name)]
    named, by = manifest.config.get("pool"), manifest.config.get("codec")
    if (
        strange
        or manifest.schema != SCHEMA
        or str(by) not in CODECS
        or named != manifest.pool
        or not STEM.fullmatch(named)
    ):
        found = strange or (manifest.schema, manifest.pool, by)
        raise ShardError(f"{MANIFEST}: not a manifest of this schema: {found}, wanted {SCHEMA}")


def _pool_problems(pool: str, manifest: PoolManifest) -> Iterator[Problem]:
    expected = {MANIFEST, *(file.name for file in manifest.files)}
    expected |= {name for shard in range(manifest.shards) for name in names(manifest.pool, shard)}
    present = {name for name in store.files(pool) if not name.startswith(f"{BUILD}/")}
    yield from (Problem(name, f"not there, and {MANIFEST} says it is") for name in sorted(expected - present))
    yield from (Problem(name, f"there, and {MANIFEST} does not know it") for name in sorted(present - expected))
    for file in manifest.files:
        if file.name in present and store.digest(store.join(pool, file.name), file.name) != file:
            yield Problem(file.name, "its bytes are not those that were published")


def _sum_problems(manifest: PoolManifest, seen: Sequence[Seen]) -> Iterator[Problem]:
    if [tally for tally in manifest.ledger if not tally.balanced]:
        yield Problem(MANIFEST, "its ledger does not sum: candidates are not written + rejected + filtered")
    whole = not any(one.problems for one in seen)
    ledger = Ledger(tally for one in seen for tally in one.ledger)
    for tally in manifest.ledger:
        ledger.open(tally.part)
    if whole and ledger.tallies() != manifest.ledger:
        yield Problem(MANIFEST, "its ledger is not the sum of the receipts' ledgers")
    told = (manifest.samples, manifest.records, manifest.bytes)
    read = tuple(sum(counts) for counts in zip(*((one.samples, one.records, one.bytes) for one in seen), strict=True))
    if whole and read != told:
        yield Problem(MANIFEST, f"it tells of {told} samples, records and bytes, the shards hold {read}")
    if (manifest.features, manifest.arrow) != (features(), arrow_text()):
        yield Problem(MANIFEST, f"its features are not those of schema {SCHEMA}")
    for stem, count in Counter(stem for one in seen for stem in one.stems).items():
        if count > 1:
            yield Problem(f"{stem}.json", f"the sample lies {count} times in the pool")


if __name__ == "__main__":
    from pipelines.cli import main

    main(["verify", *sys.argv[1:]])
