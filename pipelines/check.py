"""Reading one shard over: its receipt, files, members, records, tokens, pictures and index, one against the other."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from converters import find
from pipelines import store
from pipelines.images import checked
from pipelines.layout import INDEX, names, stem_of
from pipelines.manifest import UNREADABLE, read_receipt
from pipelines.tar import BLOCK, Member, members, padded, read_index
from schemas.box import codec
from schemas.errors import BoxcarError, ShardError
from schemas.ledger import Tally
from schemas.pool import FileDigest, Receipt, RejectLine
from schemas.record import SCHEMA, ImageRef, Record, Sample, lint

RECORD = INDEX.names.index("record") - 1  # without source_sha256


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: the file, relative to the pool, and what about it."""

    file: str
    what: str


@dataclass(frozen=True)
class ShardCheck:
    """One shard to be read over, and the receipt that the manifest lists for it; it pickles.

    ``likened`` says that its index tells the likeness of pictures. Hashes of its samples' stems are written to
    ``stems``, 16 bytes each, those of its sources' pictures beside it, to ``contents``.
    """

    pool: str
    name: str
    codec: str
    likened: bool
    shard: int
    receipt: FileDigest
    stems: Path

    @property
    def contents(self) -> Path:
        """Where the hashes of the sources' pictures go."""
        return self.stems.with_suffix(".contents")

    def __str__(self) -> str:
        return self.receipt.name


class Seen(msgspec.Struct, frozen=True):
    """What one shard was seen to hold, and what is wrong with it."""

    shard: int
    problems: list[Problem]
    plan: str = ""
    samples: int = 0
    records: int = 0
    boxes: int = 0
    bytes: int = 0
    ledger: list[Tally] = []


def check_shard(check: ShardCheck) -> Seen:
    """Read a shard over; whatever is wrong with it is told, never raised."""
    try:
        receipt = read_receipt(check.pool, check.receipt)
    except ShardError as error:
        return Seen(check.shard, [Problem(check.receipt.name, _without(str(error), check.receipt.name))])
    problems = list(_file_problems(check, receipt))
    return Seen(check.shard, problems, receipt.plan) if problems else _content(check, receipt)


def hash_of(stem: str) -> bytes:
    """What of a stem is written to be found again in another shard."""
    return blake2b(stem.encode(), digest_size=16).digest()


def _file_problems(check: ShardCheck, receipt: Receipt) -> Iterator[Problem]:
    wanted = [file.name for file in receipt.files]
    if (receipt.pool, receipt.shard) != (check.name, check.shard):
        yield Problem(check.receipt.name, "it is the receipt of another shard or pool")
    if wanted != list(names(check.name, check.shard)[:4]):
        yield Problem(check.receipt.name, f"it lists {wanted}")
        return
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

    def __init__(self, check: ShardCheck) -> None:
        self.tar = names(check.name, check.shard).tar
        self.by = codec(check.codec)
        self.likened = check.likened
        self.offsets: list[int] = []
        self.end = 0
        self.stems: list[str] = []
        self.index: list[tuple[object, ...]] = []
        self.written: Counter[tuple[str, str, str | None]] = Counter()
        self.boxes = 0
        self.problems: list[Problem] = []

    def sample(self, parts: Sequence[Member]) -> None:
        stem, by_extension = parts[0].stem, {part.extension: part.data for part in parts}
        self.offsets.append(parts[0].offset)
        self.end = parts[-1].offset + BLOCK + padded(len(parts[-1].data))
        self.stems.append(stem)
        try:
            sample = msgspec.json.decode(by_extension.get("json", b""), type=Sample)
            self._sample(stem, sample, by_extension, len(parts))
        except (*UNREADABLE, BoxcarError) as error:
            self.problems.append(Problem(self.tar, f"sample {stem}: {error}"))

    def _sample(self, stem: str, sample: Sample, parts: dict[str, bytes], count: int) -> None:
        if sample.schema != SCHEMA or not sample.records or count != len(parts):
            raise ShardError(f"schema {sample.schema!r}, {len(sample.records)} records, {count} members")
        likeness = _insist_picture(stem, sample, parts)
        for place, record in enumerate(sample.records):
            lint(record, self.by)
            self.boxes += len(record.boxes)
            self.written[record.source, record.split, record.task] += 1
            self.index.append(
                (
                    len(self.stems) - 1,
                    stem,
                    *_image_columns(sample.image, likeness if self.likened else None),
                    place,
                    *_record_columns(record),
                )
            )


def _image_columns(image: ImageRef | None, likeness: int | None) -> tuple[object, ...]:
    """What the record index says of a picture, but for the sha256 of what it was made of."""
    if image is None:
        return (None, [], None, None, None, None, [])
    scores = msgspec.to_builtins(image.scores)
    return (image.id, image.aliases, image.sha256, image.width, image.height, likeness, scores)


def _record_columns(record: Record) -> tuple[object, ...]:
    smallest = round(min(box.area for box in record.boxes), 9) if record.boxes else None
    chars = sum(len(turn.content) for turn in record.messages)
    use = find(record.source).splits.get(record.split)
    part = (record.source, record.split, record.task, use)
    return (record.key, *part, len(record.boxes), smallest, len(record.messages) // 2, chars)


def _insist_picture(stem: str, sample: Sample, parts: dict[str, bytes]) -> int | None:
    """The likeness of the sample's picture, which is the one that the sample speaks of."""
    wanted = {"json"} if sample.image is None else {"jpg", "json"}
    if parts.keys() != wanted:
        raise ShardError(f"members {sorted(parts)}, wanted {sorted(wanted)}")
    if stem != stem_of(sample.image.id if sample.image else sample.records[0].key):
        raise ShardError("its stem is not that of its image id")
    if sample.image is None:
        return None
    size, likeness = checked(parts["jpg"])
    if store.sha256(parts["jpg"]) != sample.image.sha256 or size != (sample.image.width, sample.image.height):
        raise ShardError("the picture is not the one that the JSON speaks of: sha256 or size differ")
    return likeness


def _content(check: ShardCheck, receipt: Receipt) -> Seen:
    content = _Content(check)
    files = names(check.name, check.shard)
    try:
        with fsspec.open(store.join(check.pool, files.tar), "rb") as file:
            for _, sample in groupby(members(file, files.tar), key=lambda member: member.stem):
                content.sample(list(sample))
    except ShardError as error:
        content.problems.append(Problem(files.tar, _without(str(error), files.tar)))
    content.problems += _agreement(check, receipt, content)
    check.stems.write_bytes(b"".join(map(hash_of, content.stems)))
    return Seen(
        check.shard,
        content.problems,
        plan=receipt.plan,
        samples=len(content.stems),
        records=len(content.index),
        boxes=content.boxes,
        bytes=sum(file.bytes for file in receipt.files),
        ledger=receipt.ledger,
    )


def _agreement(check: ShardCheck, receipt: Receipt, content: _Content) -> Iterator[Problem]:
    files = names(check.name, check.shard)
    if _offsets(check, files.offsets) != [*content.offsets, content.end]:
        yield Problem(files.offsets, "its offsets are not where the samples begin and end")
    if twice := [key for key, count in Counter(row[RECORD] for row in content.index).items() if count > 1]:
        yield Problem(files.tar, f"records of one key: {twice[0]} and {len(twice) - 1} more")
    if (receipt.samples, receipt.records) != (len(content.stems), len(content.index)):
        yield Problem(check.receipt.name, f"it tells of {receipt.samples} samples and {receipt.records} records")
    rows, sources = _index(check, files.records) or (None, [])
    if rows != content.index:
        yield Problem(files.records, "its rows are not the tar's records")
    check.contents.write_bytes(b"".join(hash_of(source) for source in sources))
    yield from _ledger_problems(check, receipt, content)


def _offsets(check: ShardCheck, name: str) -> list[int] | None:
    try:
        return list(read_index(store.read(store.join(check.pool, name)), name))
    except ShardError:
        return None


def _index(check: ShardCheck, name: str) -> tuple[list[tuple[object, ...]], list[str]] | None:
    """The rows of the record index but for what the tar cannot tell, and that: the sha256s of sources' pictures."""
    try:
        table = pa.ipc.open_file(store.read(store.join(check.pool, name))).read_all()
    except (pa.ArrowException, OSError, ValueError, ShardError):
        return None
    if table.schema != INDEX:
        return None
    sources = pc.drop_null(table.filter(pc.equal(table["place"], 0))["source_sha256"])
    columns = table.drop_columns("source_sha256").columns
    return list(zip(*(column.to_pylist() for column in columns), strict=True)), sources.to_pylist()


def _rejects(check: ShardCheck, name: str) -> list[RejectLine] | None:
    try:
        lines = store.read(store.join(check.pool, name)).splitlines()
        return [msgspec.json.decode(line, type=RejectLine) for line in lines]
    except (*UNREADABLE, ShardError):
        return None


def _ledger_problems(check: ShardCheck, receipt: Receipt, content: _Content) -> Iterator[Problem]:
    files = names(check.name, check.shard)
    rejects = _rejects(check, files.rejects)
    rejected = Counter((line.source, line.split, line.task, line.reason) for line in rejects or [])
    told = {(*tally.part, count.name): count.count for tally in receipt.ledger for count in tally.rejected}
    if rejects is None or rejected != Counter(told):
        yield Problem(files.rejects, "its lines are not the rejects that the receipt counts")
    written = {tuple(tally.part): tally.written for tally in receipt.ledger if tally.written}
    if written != dict(content.written) or not all(tally.balanced for tally in receipt.ledger):
        yield Problem(check.receipt.name, "its ledger does not agree with the records, or does not sum")


def _without(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")
