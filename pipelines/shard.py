"""Building a pool: read the sources, put every candidate aside, plan, pack the shards, publish the manifest last."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from converters import collection
from converters._read import exists
from converters.multitask import SOURCE as MULTITASK
from pipelines import engine, store
from pipelines.convert import Job, job
from pipelines.layout import BUILD, MANIFEST, is_pool_file, names
from pipelines.limits import bounds, candidates_of, insist_within
from pipelines.log import Tell, build_log
from pipelines.manifest import build_versions, decides, manifest_of, publish_manifest, read_manifest, read_receipt
from pipelines.pack import Packed, ShardTask, of_plan, pack
from pipelines.pictures import Located, locate, sizes
from pipelines.plan import Planned, plan, plan_digest
from pipelines.progress import progress
from pipelines.stage import Staging, stage
from pipelines.wording import worded
from pipelines.workspace import workspace
from schemas.errors import ConfigError, ShardError, unknown
from schemas.ledger import Ledger, Tally
from schemas.pool import Fingerprint, PoolConfig, PoolManifest
from schemas.prompt import Wording

Pictures = dict[str, Located]


class Built(NamedTuple):
    """A finished build: the pool's manifest, where it lies, and how many of its shards lay there already."""

    manifest: PoolManifest
    out: str
    reused: int


class _Build(NamedTuple):
    """What is known before the first shard is packed."""

    config: PoolConfig
    out: str
    jobs: tuple[Job, ...]
    pictures: Pictures
    fingerprints: list[Fingerprint]
    limits: Mapping[tuple[str, str], float]
    wording: Wording


def shard(config: PoolConfig, out: str, workers: int = 1, max_reject: float | None = None) -> Built:
    """Build the pool of a config at ``out``, or finish a build that was broken off; the same bytes either way.

    ``max_reject`` overrides the sources' own bounds. Raises RejectsError above them, ConfigError where another pool or
    anything else lies at ``out``, SourceError where a source or a collection is not there.
    """
    out = store.absolute(out)
    jobs = _jobs(config)
    _insist_known_splits(config)
    wording = worded(config.seed, config.codec, config.templates)
    _insist_reachable(config, out, workers)
    _insist_ours(config.pool, out)
    pictures = _pictures(config, jobs)
    fingerprints = [fingerprint for one in jobs for fingerprint in _fingerprints(config, one)]
    build = _Build(config, out, jobs, pictures, fingerprints, bounds(config, max_reject), wording)
    with build_log(out) as tell, workspace(out) as scratch:
        tell("begun", pool=config.pool, workers=workers, versions=build_versions())
        built = _built(build, scratch, workers, tell)
        tell("finished", shards=built.manifest.shards, reused=built.reused, digest=built.manifest.digest)
    return built


def _built(build: _Build, scratch: Path, workers: int, tell: Tell) -> Built:
    staging = _staged(build, scratch)
    staged = staging.tallies()
    insist_within(build.limits, candidates_of(staged), staged, staging.examples)
    shards = plan(staging.weights, build.pictures, build.config.shard, build.config.seed)
    decided = decides(build.config, build.jobs, build.wording)
    digest = plan_digest(shards, build.pictures, {"config": decided, "versions": build_versions()}, staging.digest())
    tell("planned", plan=digest, shards=len(shards), samples=len(staging.weights))
    if manifest := _already(build.out, digest):
        return Built(manifest, build.out, manifest.shards)
    _remove_surplus(build, len(shards), digest)
    tasks = _tasks(build, shards, digest, scratch)
    packed = _packed(build, tasks, len(shards), staged, workers, tell)
    receipts = [one.receipt for one in packed]
    manifest = manifest_of(decided, digest, build.fingerprints, receipts, staged)
    publish_manifest(manifest, receipts, build.out, scratch)
    return Built(manifest, build.out, sum(one.reused for one in packed))


def _insist_known_splits(config: PoolConfig) -> None:
    for split in config.multitask.splits if config.multitask else ():
        if split not in MULTITASK.splits:
            raise ConfigError(f"multitask: {unknown('split', split, MULTITASK.splits)}")


def _jobs(config: PoolConfig) -> tuple[Job, ...]:
    # Sorted, so that the order in which a person lists sources decides nothing.
    jobs = (
        job(entry.name, entry.root, split, entry.form, entry.tasks, entry.options, entry.max_records)
        for entry in config.sources
        for split in entry.splits
    )
    return tuple(sorted(jobs, key=lambda one: (one.source.name, one.split)))


def _pictures(config: PoolConfig, jobs: Iterable[Job]) -> Pictures:
    for name in config.collections:
        collection(name)
    found: Pictures = {}
    for name in sorted({one.source.collection for one in jobs if one.source.collection}):
        if not config.locations(name):
            raise ConfigError(f"collections: {name} is not given, and sources of this pool speak of its pictures")
        found.update(locate(collection(name), config.locations(name)))
    return found


def _fingerprints(config: PoolConfig, one: Job) -> Iterator[Fingerprint]:
    root = next(entry.root for entry in config.sources if entry.name == one.source.name and one.split in entry.splits)
    for path in one.found.files:
        name = path.removeprefix(root.rstrip("/")).lstrip("/")
        digest = store.digest(path, name)
        yield Fingerprint(one.source.name, one.split, one.found.form.name, name, digest.bytes, digest.sha256)


def _insist_reachable(config: PoolConfig, out: str, workers: int) -> None:
    for place in (out, *config.places()):
        if workers > 1 and store.in_process(place):
            raise ConfigError(f"{place} lives in one process alone: use 1 worker, found {workers}")


def _insist_ours(pool: str, out: str) -> None:
    if exists(out):
        raise ConfigError(f"{out} is a file: wanted a folder for the pool")
    foreign = sorted(name for name in store.files(out) if not _ours(pool, name))
    if foreign:
        raise ConfigError(f"{out} holds what is no part of pool {pool!r}: {foreign[0]}; choose another --out")


def _ours(pool: str, name: str) -> bool:
    return name.startswith(f"{BUILD}/") or is_pool_file(pool, name)


def _staged(build: _Build, scratch: Path) -> Staging:
    staging = Staging(scratch / "buckets", build.config.seed, multitask=build.config.multitask)
    size = sizes(build.pictures)
    with progress("candidates read", None) as shown:
        for one in build.jobs:
            stage(staging, one, build.wording, build.pictures, build.config.missing_images, size, shown)
    return staging


def _already(out: str, plan: str) -> PoolManifest | None:
    if not exists(store.join(out, MANIFEST)):
        return None
    manifest = read_manifest(out)
    if manifest.plan != plan:
        raise ConfigError(
            f"{out} holds a finished pool of another config, other sources or other versions"
            f" (plan {manifest.plan[:12]}, this is {plan[:12]}): choose another --out or remove that one"
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


def _remove_surplus(build: _Build, shards: int, plan: str) -> None:
    # An unfinished build of another plan may have left shards that this plan does not have, and receipts that would
    # not fit the shards that are about to take their places; no reader has seen them. Receipts go first.
    expected = {name for index in range(shards) for name in names(build.config.pool, index)}
    present = store.files(build.out) - {MANIFEST}
    for name in sorted(present, key=lambda name: (not name.startswith("receipts/"), name)):
        if not is_pool_file(build.config.pool, name) or name.startswith(".nv-meta/"):
            continue
        if name not in expected or (name.startswith("receipts/") and not of_plan(build.out, name, plan)):
            store.remove(store.join(build.out, name))


def _tasks(build: _Build, shards: Sequence[Planned], plan: str, scratch: Path) -> Iterator[ShardTask]:
    for planned in shards:
        yield ShardTask(
            pool=build.config.pool,
            plan=plan,
            planned=planned,
            out=build.out,
            aside=scratch,
            buckets=scratch / "buckets",
            pictures={group: build.pictures[group] for group in planned.groups if group in build.pictures},
            policy=build.config.image,
            multitask=build.config.multitask,
            wording=build.wording,
        )


def _packed(
    build: _Build, tasks: Iterable[ShardTask], total: int, staged: Sequence[Tally], workers: int, tell: Tell
) -> list[Packed]:
    candidates, ledger, packed = candidates_of(staged), Ledger(), []
    with progress("packing shards", total) as shown:
        for one in engine.run(pack, tasks, workers):
            packed.append(one)
            for tally in one.receipt.ledger:
                ledger.add(tally)
            insist_within(build.limits, candidates, ledger.tallies(), {})
            tell("shard", shard=one.receipt.shard, samples=one.receipt.samples, reused=one.reused)
            shown.step(note=f"{sum(tally.rejects for tally in ledger.tallies()):,} rejected")
    return sorted(packed, key=lambda one: one.receipt.shard)


if __name__ == "__main__":
    from pipelines.cli import main

    main(["shard", *sys.argv[1:]])
