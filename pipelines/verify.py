"""Proving a pool: every file re-read; digests, members, records, tokens, pictures, index rows and ledgers checked."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pyarrow as pa

from pipelines import engine, store
from pipelines.check import Problem, Seen, ShardCheck, check_shard, hash_of
from pipelines.duplicates import repeated
from pipelines.layout import BUILD, MANIFEST, names
from pipelines.manifest import arrow_text, read_manifest
from pipelines.plan import whole
from pipelines.progress import progress
from schemas.export import features
from schemas.ledger import Ledger
from schemas.pool import PoolManifest
from schemas.record import SCHEMA

MOST_REPEATS = 1000  # samples that are told of as lying in the pool more than once


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
    with TemporaryDirectory(prefix="boxcar-") as scratch:
        seen = _seen(pool, manifest, Path(scratch), workers)
        problems = [*seen.problems, *_pool_problems(pool, manifest), *_sum_problems(manifest, seen)]
        problems += _repeats(pool, manifest, Path(scratch))
        problems += _equal_pictures(manifest, Path(scratch))
    return Verified(
        pool=manifest.pool,
        shards=manifest.shards,
        samples=seen.samples,
        records=seen.records,
        boxes=seen.boxes,
        problems=sorted(problems, key=lambda problem: (problem.file, problem.what)),
    )


@dataclass
class _Sum:
    """All shards together, added up as they are seen: what is kept of each does not depend on its size."""

    plans: list[str]
    problems: list[Problem] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    samples: int = 0
    records: int = 0
    boxes: int = 0
    bytes: int = 0

    def add(self, one: Seen) -> None:
        self.plans[one.shard] = one.plan
        self.problems += one.problems
        self.samples += one.samples
        self.records += one.records
        self.boxes += one.boxes
        self.bytes += one.bytes
        for tally in one.ledger:
            self.ledger.add(tally)


def _seen(pool: str, manifest: PoolManifest, scratch: Path, workers: int) -> _Sum:
    image = manifest.config.get("image")
    by, likened = manifest.config["codec"], not (isinstance(image, dict) and image.get("check") == "header")
    checks = (
        ShardCheck(pool, manifest.pool, by, likened, shard, receipt, scratch / f"{shard:06d}.stems")
        for shard, receipt in enumerate(manifest.receipts)
    )
    seen = _Sum([""] * manifest.shards)
    with progress("verifying shards", manifest.shards) as shown:
        for one in engine.run(check_shard, checks, workers):
            seen.add(one)
            shown.step(note=f"{len(seen.problems)} problems")
    return seen


def _repeats(pool: str, manifest: PoolManifest, scratch: Path) -> Iterator[Problem]:
    files = sorted(scratch.glob("*.stems"))
    again = set(islice(repeated(files, scratch / "repeated"), MOST_REPEATS))
    counts, called = Counter[bytes](), dict[bytes, str]()
    for path in files if again else ():
        data = path.read_bytes()
        counts.update(one for start in range(0, len(data), 16) if (one := data[start : start + 16]) in again)
        index = store.read(store.join(pool, names(manifest.pool, int(path.stem)).records))
        for stem in pa.ipc.open_file(index).read_all()["stem"].unique().to_pylist():
            called[hash_of(stem)] = stem
    for one, count in counts.items():
        yield Problem(f"{called.get(one, one.hex())}.json", f"the sample lies {count} times in the pool")


def _equal_pictures(manifest: PoolManifest, scratch: Path) -> Iterator[Problem]:
    if manifest.config.get("dedupe") is None:
        return
    again = sum(1 for _ in repeated(sorted(scratch.glob("*.contents")), scratch / "repeated"))
    if again:
        yield Problem(MANIFEST, f"{again} pictures lie in the pool more than once, by the bytes they were made of")


def _pool_problems(pool: str, manifest: PoolManifest) -> Iterator[Problem]:
    expected = {MANIFEST, *(file.name for file in manifest.files)}
    expected |= {name for shard in range(manifest.shards) for name in names(manifest.pool, shard)}
    present = {name for name in store.files(pool) if not name.startswith(f"{BUILD}/")}
    yield from (Problem(name, f"not there, and {MANIFEST} says it is") for name in sorted(expected - present))
    yield from (Problem(name, f"there, and {MANIFEST} does not know it") for name in sorted(present - expected))
    for file in manifest.files:
        if file.name in present and store.digest(store.join(pool, file.name), file.name) != file:
            yield Problem(file.name, "its bytes are not those that were published")


def _sum_problems(manifest: PoolManifest, seen: _Sum) -> Iterator[Problem]:
    if [tally for tally in manifest.ledger if not tally.balanced]:
        yield Problem(MANIFEST, "its ledger does not sum: candidates are not written + rejected + filtered")
    for tally in manifest.ledger:
        seen.ledger.open(tally.part)
    if (manifest.features, manifest.arrow) != (features(), arrow_text()):
        yield Problem(MANIFEST, f"its features are not those of schema {SCHEMA}")
    if seen.problems:  # of shards that are not whole there is no sum
        return
    if seen.ledger.tallies() != manifest.ledger:
        yield Problem(MANIFEST, "its ledger is not the sum of the receipts' ledgers")
    told = (manifest.samples, manifest.records, manifest.bytes)
    if (read := (seen.samples, seen.records, seen.bytes)) != told:
        yield Problem(MANIFEST, f"it tells of {told} samples, records and bytes, the shards hold {read}")
    if whole(seen.plans) != manifest.plan:
        yield Problem(MANIFEST, "its plan is not that of its shards: some are receipts of another build")


if __name__ == "__main__":
    from pipelines.cli import main

    main(["verify", *sys.argv[1:]])
