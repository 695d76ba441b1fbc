"""Building a pool: prepare what goes in, pack the shards, publish the manifest last.

Sources that share collections of pictures are gathered (pipelines.gather), sources whose pictures lie beside their
rows stream through (pipelines.stream); from there on a pool is a pool.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from converters.multitask import SOURCE as MULTITASK
from pipelines import engine, removal, store
from pipelines.convert import Job, job
from pipelines.gather import gather
from pipelines.layout import MANIFEST
from pipelines.limits import bounds, candidates_of, insist_within
from pipelines.log import Tell, build_log
from pipelines.manifest import (
    Listed,
    build_versions,
    decides,
    manifest_of,
    publish_manifest,
    read_receipt,
)
from pipelines.pack import Packed, Prepared, ShardTask, pack, packed
from pipelines.plan import whole
from pipelines.progress import progress
from pipelines.resume import already, insist_ours, remove_surplus
from pipelines.stream import contents_of, stream, streamed
from pipelines.wording import worded
from pipelines.workspace import workspace
from schemas.errors import ConfigError, unknown
from schemas.ledger import Ledger
from schemas.pool import PoolConfig, PoolManifest
from schemas.prompt import Wording


class Built(NamedTuple):
    """A finished build: the pool's manifest, where it lies, and how many of its shards lay there already.

    ``changed`` are the receipts of shards that were rebuilt without removed pictures: their sha256 before and after.
    ``unfinished`` are inputs that were passed over, as their download has not ended; ``idle`` what a list of removals
    names and the pool never held.
    """

    manifest: PoolManifest
    out: str
    reused: int
    changed: Mapping[str, tuple[str, str]] = {}
    unfinished: Sequence[str] = ()
    idle: Sequence[str] = ()


@dataclass
class _All:
    """What the driver keeps of the shards that are done."""

    shards: list[Listed] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    removed: list[list[str]] = field(default_factory=list)
    reused: int = 0

    def add(self, one: Packed) -> None:
        self.shards.append(one.shard)
        self.removed += one.removed
        self.reused += one.reused
        for tally in one.ledger:
            self.ledger.add(tally)


class _Build(NamedTuple):
    """What is known before anything is read."""

    config: PoolConfig
    out: str
    jobs: tuple[Job, ...]
    limits: Mapping[tuple[str, str], float]
    wording: Wording
    decided: Mapping[str, Any]
    crew: engine.Crew


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
    insist_ours(config.pool, out)
    decided = decides(config, jobs, wording)
    limits = bounds(config, max_reject)
    with build_log(out) as tell, workspace(out) as scratch, engine.crew(workers) as crew:
        tell("begun", pool=config.pool, workers=workers, versions=build_versions())
        built = _built(_Build(config, out, jobs, limits, wording, decided, crew), scratch, tell)
        tell("finished", shards=built.manifest.shards, reused=built.reused, digest=built.manifest.digest)
    return built


def _built(build: _Build, scratch: Path, tell: Tell) -> Built:
    listed = removal.wanted(build.config.remove) if build.config.remove else []
    prepared = _prepared(build, scratch)
    named = sorted({*listed, *contents_of(listed, prepared.hashes)})
    plan = whole(prepared.plans)
    tell("planned", plan=plan, shards=len(prepared.plans), unfinished=prepared.unfinished)
    before = already(build.out, plan)
    kept = _kept(build.out, before, removal.Removals(named)) if before and named else {}
    if before and (not named or len(kept) == before.shards):
        removed = [one.removed for one in kept.values()]
        return Built(before, build.out, before.shards, {}, prepared.unfinished, removal.idle(listed, chain(*removed)))
    if before:
        store.remove(store.join(build.out, MANIFEST))
    remove_surplus(build.out, build.config.pool, prepared.plans)
    path = removal.keep(named, scratch / "removals") if named else None
    tasks = (task for task in _tasks(build, prepared, path, scratch) if task.shard not in kept)
    every = _packed(build, prepared, tasks, list(kept.values()), tell)
    manifest = manifest_of(build.decided, plan, prepared.fingerprints, every.shards, every.ledger, prepared.tallies)
    publish_manifest(manifest, every.shards, build.out, scratch)
    changed = removal.changed(before, manifest) if before else {}
    idle = removal.idle(listed, every.removed)
    return Built(manifest, build.out, every.reused, changed, prepared.unfinished, idle)


def _prepared(build: _Build, scratch: Path) -> Prepared:
    decided = {"config": build.decided, "versions": build_versions()}
    if streamed(build.config, build.jobs):
        return stream(build.config, build.jobs, build.wording, decided, scratch, build.crew)
    return gather(build.config, build.jobs, build.wording, build.limits, decided, scratch)


def _kept(out: str, before: PoolManifest, asked: removal.Removals) -> dict[int, Packed]:
    """The shards of a finished pool that hold nothing of what is asked to go."""
    kept = {}
    for shard, receipt in enumerate(read_receipt(out, one) for one in before.receipts):
        if not removal.outdated(out, receipt, asked):
            kept[shard] = packed(receipt, reused=True)
    return kept


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


def _insist_reachable(config: PoolConfig, out: str, workers: int) -> None:
    for place in (out, *config.places()):
        if workers > 1 and store.in_process(place):
            raise ConfigError(f"{place} lives in one process alone: use 1 worker, found {workers}")


def _tasks(build: _Build, prepared: Prepared, removals: Path | None, scratch: Path) -> Iterator[ShardTask]:
    for shard, plan in enumerate(prepared.plans):
        yield ShardTask(
            pool=build.config.pool,
            plan=plan,
            shard=shard,
            out=build.out,
            aside=scratch,
            content=prepared.content(shard),
            policy=build.config.image,
            multitask=build.config.multitask,
            wording=build.wording,
            removals=removals,
        )


def _packed(build: _Build, prepared: Prepared, tasks: Iterable[ShardTask], kept: Sequence[Packed], tell: Tell) -> _All:
    """All shards in order, and their ledgers' sum; RejectsError as soon as too much was rejected."""
    candidates, every = candidates_of(prepared.tallies), _All()
    with progress("packing shards", len(prepared.plans)) as shown:
        for one in chain(kept, build.crew(pack, tasks)):
            every.add(one)
            insist_within(build.limits, candidates, every.ledger.tallies(), {})
            tell("shard", shard=one.shard.shard, samples=one.shard.samples, reused=one.reused)
            shown.step(note=f"{sum(tally.rejects for tally in every.ledger.tallies()):,} rejected")
    every.shards.sort(key=lambda shard: shard.shard)
    return every


if __name__ == "__main__":
    from pipelines.cli import main

    main(["shard", *sys.argv[1:]])
