"""Proving a pool: every file re-read; digests, members, records, tokens, pictures, index rows and ledgers checked."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import fsspec
import msgspec
import pyarrow as pa

from converters import find
from pipelines import engine, store
from pipelines.images import checked
from pipelines.layout import BUILD, INDEX, MANIFEST, names, stem_of
from pipelines.manifest import read_manifest, read_receipt
from pipelines.pack import RejectLine
from pipelines.progress import progress
from pipelines.tar import Member, members, read_index
from schemas.box import codec
from schemas.errors import RecordError, ShardError
from schemas.ledger import Ledger, Tally
from schemas.pool import FileDigest, PoolManifest, Receipt
from schemas.record import SCHEMA, ImageRef, Record, Sample, lint


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: the file, relative to the pool, and what about it."""

    file: str
    what: str


class Verified(msgspec.Struct, frozen=True):
    """What a verification saw: counts of what was read, and every problem found; none means the pool is whole."""

    pool: str
    shards: int
    samples: int
    records: int
    boxes: int
    problems: list[Problem]


@dataclass(frozen=True)
class _ShardCheck:
    pool: str
    name: str
    codec: str
    plan: str
    shard: int
    receipt: FileDigest

    def __str__(self) -> str:
        return self.receipt.name


class _Seen(msgspec.Struct, frozen=True):
    samples: int
    records: int
    boxes: int
    stems: list[str]
    ledger: list[Tally]
    problems: list[Problem]


def verify(pool: str, workers: int = 1) -> Verified:
    """Re-read the whole pool; ShardError where there is no trustworthy pool.json to check it against."""
    pool = store.absolute(pool)
    manifest = read_manifest(pool)
    checks = [
        _ShardCheck(pool, manifest.pool, manifest.config["codec"], manifest.plan, shard, receipt)
        for shard, receipt in enumerate(manifest.receipts)
    ]
    seen = []
    with progress("verifying shards", len(checks)) as shown:
        for one in engine.run(_check_shard, checks, workers):
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


def _pool_problems(pool: str, manifest: PoolManifest) -> Iterator[Problem]:
    expected = {MANIFEST, *(file.name for file in manifest.files)}
    expected |= {name for shard in range(manifest.shards) for name in names(manifest.pool, shard)}
    present = {name for name in store.files(pool) if not name.startswith(f"{BUILD}/")}
    yield from (Problem(name, f"not there, and {MANIFEST} says it is") for name in sorted(expected - present))
    yield from (Problem(name, f"there, and {MANIFEST} does not know it") for name in sorted(present - expected))
    for file in manifest.files:
        if file.name in present and store.digest(store.join(pool, file.name), file.name) != file:
            yield Problem(file.name, "its bytes are not those that were published")


def _sum_problems(manifest: PoolManifest, seen: Sequence[_Seen]) -> Iterator[Problem]:
    if [tally for tally in manifest.ledger if not tally.balanced]:
        yield Problem(MANIFEST, "its ledger does not sum: candidates are not written + rejected + filtered")
    whole = not any(one.problems for one in seen)
    ledger = Ledger(tally for one in seen for tally in one.ledger)
    for tally in manifest.ledger:
        ledger.open(tally.part)
    if whole and ledger.tallies() != manifest.ledger:
        yield Problem(MANIFEST, "its ledger is not the sum of the receipts' ledgers")
    if whole and sum(one.records for one in seen) != manifest.records:
        yield Problem(MANIFEST, f"it tells of {manifest.records:,} records, the shards hold others")
    for stem, count in Counter(stem for one in seen for stem in one.stems).items():
        if count > 1:
            yield Problem(f"{stem}.json", f"the sample lies {count} times in the pool")


def _check_shard(check: _ShardCheck) -> _Seen:
    try:
        receipt = read_receipt(check.pool, check.receipt)
    except ShardError as error:
        return _Seen(0, 0, 0, [], [], [Problem(check.receipt.name, _without(str(error), check.receipt.name))])
    problems = list(_file_problems(check, receipt))
    if problems:
        return _Seen(0, 0, 0, [], [], problems)
    return _content(check, receipt)


def _file_problems(check: _ShardCheck, receipt: Receipt) -> Iterator[Problem]:
    wanted = [file.name for file in receipt.files]
    if (receipt.pool, receipt.plan, receipt.shard) != (check.name, check.plan, check.shard):
        yield Problem(check.receipt.name, "it is the receipt of another shard, pool or plan")
    if wanted != list(names(check.name, check.shard)[:4]):
        yield Problem(check.receipt.name, f"it lists {wanted}")
    for file in receipt.files:
        yield from _digest_problems(check.pool, file)


def _digest_problems(pool: str, file: FileDigest) -> Iterator[Problem]:
    try:
        found = store.digest(store.join(pool, file.name), file.name)
    except OSError as error:
        yield Problem(file.name, f"cannot be read: {type(error).__name__}")
        return
    if found.bytes != file.bytes:
        yield Problem(file.name, f"{found.bytes:,} bytes, its receipt says {file.bytes:,}")
    elif found.sha256 != file.sha256:
        yield Problem(file.name, "its sha256 is not the receipt's: a byte was changed")


class _Content:
    """The content of one shard as it is read: counts, what the index should say, and what is wrong."""

    def __init__(self, check: _ShardCheck) -> None:
        self.tar = names(check.name, check.shard).tar
        self.by = codec(check.codec)
        self.offsets: list[int] = []
        self.stems: list[str] = []
        self.index: list[tuple[object, ...]] = []
        self.written: Counter[tuple[str, str, str | None]] = Counter()
        self.boxes = 0
        self.problems: list[Problem] = []

    def sample(self, parts: Sequence[Member]) -> None:
        stem, by_extension = parts[0].stem, {part.extension: part.data for part in parts}
        self.offsets.append(parts[0].offset)
        self.stems.append(stem)
        try:
            sample = msgspec.json.decode(by_extension.get("json", b""), type=Sample)
            self._sample(stem, sample, by_extension, len(parts))
        except (msgspec.DecodeError, RecordError, ShardError) as error:
            self.problems.append(Problem(self.tar, f"sample {stem}: {error}"))

    def _sample(self, stem: str, sample: Sample, parts: dict[str, bytes], count: int) -> None:
        if sample.schema != SCHEMA or not sample.records or count != len(parts):
            raise ShardError(f"schema {sample.schema!r}, {len(sample.records)} records, {count} members")
        _insist_picture(stem, sample, parts)
        for place, record in enumerate(sample.records):
            lint(record, self.by)
            self.boxes += len(record.boxes)
            self.written[record.source, record.split, record.task] += 1
            self.index.append(
                (len(self.stems) - 1, stem, *_image_columns(sample.image), place, *_record_columns(record))
            )


def _image_columns(image: ImageRef | None) -> tuple[object, ...]:
    return (image.id, image.aliases, image.sha256, image.width, image.height) if image else (None, [], None, None, None)


def _record_columns(record: Record) -> tuple[object, ...]:
    smallest = round(min(box.area for box in record.boxes), 9) if record.boxes else None
    chars = sum(len(turn.content) for turn in record.messages)
    use = find(record.source).splits[record.split]
    part = (record.source, record.split, record.task, use)
    return (record.key, *part, len(record.boxes), smallest, len(record.messages) // 2, chars)


def _insist_picture(stem: str, sample: Sample, parts: dict[str, bytes]) -> None:
    wanted = {"json"} if sample.image is None else {"jpg", "json"}
    if parts.keys() != wanted:
        raise ShardError(f"members {sorted(parts)}, wanted {sorted(wanted)}")
    if stem != stem_of(sample.image.id if sample.image else sample.records[0].key):
        raise ShardError("its stem is not that of its image id")
    if sample.image is None:
        return
    size = checked(parts["jpg"])
    if store.sha256(parts["jpg"]) != sample.image.sha256 or size != (sample.image.width, sample.image.height):
        raise ShardError("the picture is not the one that the JSON speaks of: sha256 or size differ")


def _content(check: _ShardCheck, receipt: Receipt) -> _Seen:
    content = _Content(check)
    files = names(check.name, check.shard)
    try:
        with fsspec.open(store.join(check.pool, files.tar), "rb") as file:
            for _, sample in groupby(members(file, files.tar), key=lambda member: member.stem):
                content.sample(list(sample))
    except ShardError as error:
        content.problems.append(Problem(files.tar, _without(str(error), files.tar)))
    content.problems += _agreement(check, receipt, content)
    return _Seen(len(content.stems), len(content.index), content.boxes, content.stems, receipt.ledger, content.problems)


def _agreement(check: _ShardCheck, receipt: Receipt, content: _Content) -> Iterator[Problem]:
    files = names(check.name, check.shard)
    offsets = read_index(store.read(store.join(check.pool, files.offsets)), files.offsets)
    if list(offsets[:-1]) != content.offsets:
        yield Problem(files.offsets, "its offsets are not where the samples begin")
    if (receipt.samples, receipt.records) != (len(content.stems), len(content.index)):
        yield Problem(check.receipt.name, f"it tells of {receipt.samples} samples and {receipt.records} records")
    table = pa.ipc.open_file(store.read(store.join(check.pool, files.records))).read_all()
    if (
        table.schema != INDEX
        or list(zip(*(column.to_pylist() for column in table.columns), strict=True)) != content.index
    ):
        yield Problem(files.records, "its rows are not the tar's records")
    yield from _ledger_problems(check, receipt, content)


def _ledger_problems(check: _ShardCheck, receipt: Receipt, content: _Content) -> Iterator[Problem]:
    files = names(check.name, check.shard)
    lines = store.read(store.join(check.pool, files.rejects)).splitlines()
    rejects = [msgspec.json.decode(line, type=RejectLine) for line in lines]
    rejected = Counter((line.source, line.split, line.task, line.reason) for line in rejects)
    told = {(*tally.part, count.name): count.count for tally in receipt.ledger for count in tally.rejected}
    if rejected != Counter(told):
        yield Problem(files.rejects, "its lines are not the rejects that the receipt counts")
    written = {tuple(tally.part): tally.written for tally in receipt.ledger if tally.written}
    if written != dict(content.written) or not all(tally.balanced for tally in receipt.ledger):
        yield Problem(check.receipt.name, "its ledger does not agree with the records, or does not sum")


def _without(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")


if __name__ == "__main__":
    from pipelines.cli import main

    main(["verify", *sys.argv[1:]])
