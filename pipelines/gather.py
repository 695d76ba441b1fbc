"""Gathering: a pool of sources that share collections of pictures, all records of a picture in one sample.

The sources are read one after another and put aside by the hash of their pictures (pipelines.stage); a shard is a
range of hashes. The driver holds a number per picture.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from converters import collection
from pipelines import store
from pipelines.convert import Job
from pipelines.limits import candidates_of, insist_within
from pipelines.pack import Prepared
from pipelines.pictures import Located, locate, sizes
from pipelines.plan import Planned, plan, plan_digests
from pipelines.progress import progress
from pipelines.stage import Staged, Staging, stage, staged
from schemas.errors import ConfigError
from schemas.pool import Fingerprint, PoolConfig
from schemas.prompt import Wording


@dataclass(frozen=True)
class Gathered:
    """What is in one shard: the staged candidates of a range of hashes, and where their pictures lie; it pickles."""

    buckets: Path
    planned: Planned
    pictures: Mapping[str, Located] = field(repr=False)

    def samples(self, aside: Path) -> Iterator[tuple[list[Staged], Located | None]]:
        """All candidates of a picture with the picture, in the order of the shard."""
        rows = staged(self.buckets, self.planned.low, self.planned.high)
        for (_, group), found in groupby(rows, key=lambda row: (row.order, row.group)):
            yield list(found), self.pictures.get(group)


def gather(
    config: PoolConfig,
    jobs: Iterable[Job],
    wording: Wording,
    limits: Mapping[tuple[str, str], float],
    decided: Mapping[str, Any],
    scratch: Path,
) -> Prepared:
    """Read all sources of the jobs, and plan their shards.

    Raises RejectsError where more is rejected than allowed, SourceError where no record came of them.
    """
    jobs = tuple(jobs)
    pictures = located(config, jobs)
    fingerprints = [fingerprint for one in jobs for fingerprint in _fingerprints(config, one)]
    staging = Staging(scratch / "buckets", config.seed, multitask=config.multitask)
    size = sizes(pictures)
    with progress("candidates read", None) as shown:
        for one in jobs:
            stage(staging, one, wording, pictures, config.missing_images, size, shown)
    tallies = staging.tallies()
    insist_within(limits, candidates_of(tallies), tallies, staging.examples)
    shards = plan(staging.weights, pictures, config.shard, config.seed)
    plans = plan_digests(shards, pictures, decided, staging.digest())

    def content(shard: int) -> Gathered:
        within = {group: pictures[group] for group in shards[shard].groups if group in pictures}
        return Gathered(scratch / "buckets", shards[shard], within)

    return Prepared(plans, content, tallies, fingerprints)


def located(config: PoolConfig, jobs: Iterable[Job]) -> dict[str, Located]:
    """Every picture of the collections that the jobs speak of; ConfigError where one of them is not given."""
    for name in config.collections:
        collection(name)
    found: dict[str, Located] = {}
    for name in sorted({one.source.collection for one in jobs if one.source.collection}):
        if not config.locations(name):
            raise ConfigError(f"collections: {name} is not given, and sources of this pool speak of its pictures")
        found.update(locate(collection(name), config.locations(name)))
    return found


def _fingerprints(config: PoolConfig, one: Job) -> Iterator[Fingerprint]:
    root = config.entry(one.source.name, one.split).root
    for path in one.found.files:
        name = store.relative(path, root)
        digest = store.digest(path, name)
        yield Fingerprint(one.source.name, one.split, one.found.form.name, name, digest.bytes, digest.sha256)
