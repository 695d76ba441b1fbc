"""Streaming: a pool of sources whose pictures lie beside their rows, one input to one or more shards.

Two passes, both in worker processes. The first reads the rows of an input, without its pictures where it can, and says
how many there are and what they are about; from that alone the shards are planned, so that the driver holds a few
numbers per input and no list of pictures. Between the passes, pictures that come again are found by hashes on disk
(pipelines.duplicates). The second makes the shards; it holds the rows of one input, and a picture at a time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from converters._table import Carried, Row, Variant
from pipelines import engine, store
from pipelines.convert import Job, Outcome, ended
from pipelines.duplicates import How, dropped, duplicates
from pipelines.fetch.state import told
from pipelines.hashes import ID_BYTES, MAX_IDS, PictureHashes, read_hashes, write_hashes
from pipelines.images import likeness_of
from pipelines.inputs import Input, at_hand, picture_of
from pipelines.pack import Prepared
from pipelines.pictures import Located, read_picture
from pipelines.progress import progress
from pipelines.stage import MISSING, Staged, staged_of
from schemas.errors import ConfigError, ImageError, SourceError
from schemas.ledger import Ledger, Part, Tally
from schemas.pool import Fingerprint, PoolConfig
from schemas.prompt import Wording


class Scanned(msgspec.Struct, frozen=True):
    """What the first pass tells of an input: its rows, the bytes of its pictures, a digest of what is known of both.

    ``name`` is that of the file of its pictures' hashes; ``candidates`` are counted per part.
    """

    name: str
    rows: int
    bytes: int
    digest: str
    candidates: list[tuple[Part, int]]


@dataclass(frozen=True)
class Scan:
    """One input to be scanned, what for, and where the hashes of its pictures go; it pickles."""

    input: Input
    hashes: Path
    dedupe: How
    wording: Wording = field(repr=False)

    def __str__(self) -> str:
        return str(self.input)


@dataclass(frozen=True)
class Streamed:
    """What is in one shard: rows ``first`` to before ``end`` of an input, less those that ``dropped`` names."""

    input: Input
    first: int
    end: int
    dropped: Path
    missing: str
    wording: Wording = field(repr=False)

    def samples(self, aside: Path) -> Iterator[tuple[list[Staged], Located | None]]:
        """All candidates of a row, and its picture, in the order of the rows."""
        out, keys = dropped(self.dropped), set[str]()
        with at_hand(self.input, aside) as pictures:
            for place, row in enumerate(self.input.rows()):
                if not self.first <= place < self.end:
                    continue
                located = picture_of(row, pictures)
                why = out.get(place) or (MISSING if located is None else "")
                found = [self._ended(one, why) for one in _outcomes(row, self.input.variants(), self.wording, keys)]
                if found:
                    yield [staged_of(one, self.wording.seed) for one in found], located

    def _ended(self, outcome: Outcome, why: str) -> Outcome:
        if not why or outcome.record is None:
            return outcome
        rule, image = why != MISSING or self.missing == "filter", outcome.image.id if outcome.image else ""
        return outcome._replace(record=None, reason=why, detail=f"{why}: {image}", rule=rule, notes=())


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
    config: PoolConfig, jobs: Sequence[Job], wording: Wording, decided: Mapping[str, Any], scratch: Path, workers: int
) -> Prepared:
    """Scan every input of the jobs, find pictures that come again, and plan the shards: one or more an input.

    ConfigError where a folder says that something else was fetched into it, SourceError where there is no row at all.
    """
    _insist_fetched_as_such(config, jobs)
    inputs = [one for job in jobs for one in _inputs(config, job)]
    scans = [Scan(one, scratch / f"{n:06d}.hashes", config.dedupe or "link", wording) for n, one in enumerate(inputs)]
    scanned = _scanned(scans, workers)
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
        return Streamed(inputs[shard.input], shard.first, shard.end, gone[shard.input], config.missing_images, wording)

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


def _scanned(scans: Sequence[Scan], workers: int) -> list[Scanned]:
    found, rows = dict[str, Scanned](), 0
    with progress("scanning inputs", len(scans)) as shown:
        for one in engine.run(scan, scans, workers):
            found[one.name] = one
            rows += one.rows
            shown.step(note=f"{rows:,} rows")
    return [found[str(one.hashes)] for one in scans]


def scan(task: Scan) -> Scanned:
    """The first pass over an input: what its rows say, and the hashes of its pictures written to a file.

    Only a picture that is there and of which a record comes keeps others of its link out.
    """
    said, candidates, keys, rows, size = sha256(), Counter[Part](), set[str](), 0, 0

    def hashed() -> Iterator[PictureHashes]:
        nonlocal rows, size
        with at_hand(task.input, task.hashes.parent) as pictures:
            for place, row in enumerate(task.input.rows()):
                located = picture_of(row, pictures)
                said.update(msgspec.msgpack.encode((row, located.bytes if located else None)))
                rows, size = rows + 1, size + (located.bytes if located else 0)
                found = list(_outcomes(row, task.input.variants(), task.wording, keys))
                candidates.update(one.part for one in found)
                if located and isinstance(row, Carried) and any(one.record for one in found):
                    yield _hashes(place, row, located, task.dedupe)

    digest = write_hashes(task.hashes, hashed())
    said.update(digest.sha256.encode())
    counted = sorted(candidates.items(), key=lambda item: str(item[0]))
    return Scanned(str(task.hashes), rows, size, said.hexdigest(), counted)


def _hashes(place: int, row: Carried, located: Located, dedupe: str) -> PictureHashes:
    ids = [row.image.id, *row.image.aliases][:MAX_IDS]
    named = tuple(blake2b(id.encode(), digest_size=ID_BYTES).digest() for id in ids)
    content, alike = named[0] * 2, None  # of a picture that is not read: its own
    if dedupe != "link":
        try:
            data = read_picture(located)
            content = sha256(data).digest()
            alike = likeness_of(data) if dedupe == "near" else None
        except ImageError:
            alike = None
    return PictureHashes(place, named, content, alike)


def _outcomes(row: Row, variants: Sequence[Variant], wording: Wording, keys: set[str]) -> Iterator[Outcome]:
    for variant in variants:
        yield from ended(row, variant, wording, keys)


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
