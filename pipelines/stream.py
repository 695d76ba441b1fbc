"""Streaming: a pool of sources whose pictures lie beside their rows, one input to one or more shards.

Two passes, both in worker processes. The first reads the rows of an input, without its pictures where it can, and says
how many there are and what they are about; from that alone the shards are planned, so that the driver holds a few
numbers per input and no list of pictures. Between the passes, pictures that come again are found by hashes on disk
(pipelines.duplicates). The second makes the shards of the candidates that the first has put by (pipelines.candidates);
it holds some hundred of them, and a picture at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipelines import store
from pipelines.candidates import taken
from pipelines.convert import Job
from pipelines.duplicates import dropped, duplicates
from pipelines.engine import Crew
from pipelines.fetch.state import told
from pipelines.hashes import ID_BYTES, MAX_IDS, read_hashes
from pipelines.inputs import Input, at_hand
from pipelines.pack import Prepared
from pipelines.pictures import Located
from pipelines.progress import progress
from pipelines.scan import Scan, Scanned, scan
from pipelines.stage import MISSING, Staged, left_out
from schemas.errors import ConfigError, SourceError
from schemas.ledger import Ledger, Part, Tally
from schemas.pool import Fingerprint, PoolConfig
from schemas.prompt import Wording


@dataclass(frozen=True)
class Streamed:
    """What is in one shard: rows ``first`` to before ``end`` of an input, less those that ``dropped`` names."""

    input: Input
    candidates: Path
    first: int
    end: int
    dropped: Path
    missing: str

    def samples(self, aside: Path) -> Iterator[tuple[list[Staged], Located | None]]:
        """All candidates of a row, and its picture, in the order of the rows."""
        out = dropped(self.dropped)
        with at_hand(self.input, aside) as path:
            for place, row in taken(self.candidates, self.first, self.end):
                located = row.located._replace(path=path + row.located.path) if row.located else None
                why = out.get(place) or (MISSING if located is None else "")
                if row.found:
                    yield [self._ended(one, why) for one in row.found], located

    def _ended(self, staged: Staged, why: str) -> Staged:
        if not why or not staged.record:
            return staged
        image = staged.image.id if staged.image else ""
        return left_out(staged, why, f"{why}: {image}", why != MISSING or self.missing == "filter")


def streamed(config: PoolConfig, jobs: Sequence[Job]) -> bool:
    """Whether the pictures of the pool's sources lie beside their rows; ConfigError where those of some do.

    Also where a key of the config is only for the other kind of pools, or a source has links in place of pictures.
    """
    for job in jobs:
        if job.found.form.links:
            name = job.source.name
            raise ConfigError(f"{name}: {job.found.files[0]} is a list of links: boxcar fetch {name} gets the pictures")
    carried = [job for job in jobs if job.found.form.carried]
    if carried and len(carried) < len(jobs):
        other = next(job for job in jobs if not job.found.form.carried)
        names = f"{carried[0].source.name} (its pictures lie with its rows) and {other.source.name} (in a collection)"
        raise ConfigError(f"sources: {names} cannot be in one pool: make two")
    entries = [entry.name for entry in config.sources if entry.max_records] if carried else []
    only = {"dedupe": config.dedupe and not carried, "multitask": config.multitask and carried, "max_records": entries}
    for key, misplaced in only.items():
        if misplaced:
            kind = "collections of pictures" if carried else "pictures that lie with their rows"
            raise ConfigError(f"{key}: only for sources with {kind}, found {jobs[0].source.name}")
    return bool(carried)


def stream(
    config: PoolConfig, jobs: Sequence[Job], wording: Wording, decided: Mapping[str, Any], scratch: Path, crew: Crew
) -> Prepared:
    """Scan every input of the jobs, find pictures that come again, and plan the shards: one or more an input.

    ConfigError where a folder says that something else was fetched into it, SourceError where there is no row at all.
    """
    _insist_fetched_as_such(config, jobs)
    inputs = [one for job in jobs for one in _inputs(config, job)]
    scans = [
        Scan(one, scratch / f"{n:06d}.hashes", scratch / f"{n:06d}.rows", config.dedupe or "link", wording)
        for n, one in enumerate(inputs)
    ]
    scanned = _scanned(scans, crew)
    gone = duplicates(
        [one.hashes for one in scans], config.dedupe or "link", config.near_radius, scratch / "dropped"
    ).files
    shards = list(_shards(config, scanned))
    begun = sha256(msgspec.json.encode(decided, order="deterministic")).hexdigest()
    gone_digests = [sha256(path.read_bytes()).hexdigest() for path in gone]

    def plan(shard: _Planned) -> str:
        one, told = inputs[shard.input], scanned[shard.input]
        said = (begun, one.source, one.split, one.name, told.bytes, told.digest, gone_digests[shard.input])
        return sha256(msgspec.json.encode([*said, shard.first, shard.end])).hexdigest()

    def content(number: int) -> Streamed:
        shard = shards[number]
        rows = scans[shard.input].candidates
        missing = config.missing_images
        return Streamed(inputs[shard.input], rows, shard.first, shard.end, gone[shard.input], missing)

    if not shards:
        raise SourceError("no rows in any of the inputs: there is nothing to pack")
    return Prepared(
        [plan(shard) for shard in shards],
        content,
        _tallies(jobs, scanned),
        _fingerprints(inputs, scanned),
        [path for job in jobs for path in job.found.unfinished],
        [one.hashes for one in scans] if config.dedupe else [],
    )


def contents_of(named: Sequence[str], hashes: Sequence[Path]) -> set[str]:
    """The sha256 of every picture that a removal list names by one of its ids, one that was dropped as a copy too."""
    ids = {blake2b(name.encode(), digest_size=ID_BYTES).digest() for name in named}
    found: set[str] = set()
    for path in hashes if ids else ():
        for row in read_hashes(path):
            if any(row["ids"][n].tobytes() in ids for n in range(MAX_IDS)):
                found.add(row["content"].tobytes().hex())
    return found


def _insist_fetched_as_such(config: PoolConfig, jobs: Sequence[Job]) -> None:
    for job in jobs:
        root = config.entry(job.source.name, job.split).root
        if (fetched := told(root)) and fetched != (job.source.name, job.split):
            what, asked = f"{fetched[0]} {fetched[1]}", f"{job.source.name} {job.split}"
            raise ConfigError(f"{root}: what lies there was fetched as {what}, found in a pool as {asked}")


class _Planned(NamedTuple):
    input: int
    first: int
    end: int


def _inputs(config: PoolConfig, job: Job) -> Iterator[Input]:
    root = config.entry(job.source.name, job.split).root
    tasks = tuple(variant.name for variant in job.variants)
    for path in job.found.files:
        name = store.relative(path, root)
        yield Input(job.source.name, job.split, job.found.form.name, name, path, tasks, job.options)


def _scanned(scans: Sequence[Scan], crew: Crew) -> list[Scanned]:
    found, rows = dict[str, Scanned](), 0
    with progress("scanning inputs", len(scans)) as shown:
        for one in crew(scan, scans):
            found[one.name] = one
            rows += one.rows
            shown.step(note=f"{rows:,} rows")
    return [found[str(one.hashes)] for one in scans]


def _shards(config: PoolConfig, scanned: Sequence[Scanned]) -> Iterator[_Planned]:
    for number, one in enumerate(scanned):
        bound = config.shard
        count = max(1, -(-one.bytes // bound.max_bytes), -(-one.rows // bound.max_samples))
        for n in range(count if one.rows else 0):
            yield _Planned(number, one.rows * n // count, one.rows * (n + 1) // count)


def _tallies(jobs: Sequence[Job], scanned: Sequence[Scanned]) -> list[Tally]:
    ledger = Ledger()
    for job in jobs:
        for variant in job.variants:
            ledger.open(Part(job.source.name, job.split, variant.task))
    for one in scanned:
        for part, count in one.candidates:
            ledger.written(Part(*part), count=count)
    return ledger.tallies()


def _fingerprints(inputs: Sequence[Input], scanned: Sequence[Scanned]) -> list[Fingerprint]:
    return [
        Fingerprint(one.source, one.split, one.form, one.name, told.bytes, told.digest)
        for one, told in zip(inputs, scanned, strict=True)
    ]
