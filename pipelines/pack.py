"""Packing one planned shard: pictures and staged records to tar, index and receipt. This is what a worker runs.

The order of publishing is what makes a shard whole or absent: tar, offsets, record index and rejects are written aside,
synced, reopened and checked; then each gets its final name; the receipt comes last.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa

from converters import find
from converters._read import exists
from pipelines import store
from pipelines.conversations import conversations
from pipelines.images import Stored, stored
from pipelines.layout import INDEX, names, stem_of
from pipelines.manifest import UNREADABLE
from pipelines.pictures import Located, read_picture
from pipelines.plan import Planned
from pipelines.stage import Staged, staged, staged_of
from pipelines.tar import TarWriter, index_bytes, members
from schemas.errors import ImageError, RecordError, ShardError
from schemas.ledger import Ledger
from schemas.pool import FileDigest, ImagePolicy, Multitask, Receipt
from schemas.prompt import Wording
from schemas.record import SCHEMA, ImageRef

ABOUT_ONE_PX = 1.0


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to pack one shard, and nothing else; it pickles."""

    pool: str
    plan: str
    planned: Planned
    out: str
    aside: Path
    buckets: Path
    pictures: Mapping[str, Located] = field(repr=False)
    policy: ImagePolicy = field(repr=False)
    multitask: Multitask | None = field(repr=False)
    wording: Wording = field(repr=False)

    def __str__(self) -> str:
        return names(self.pool, self.planned.shard).tar


class Packed(msgspec.Struct, frozen=True):
    """A shard's receipt, and whether it lay there already."""

    receipt: Receipt
    reused: bool


class RejectLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of rejects/: which candidate could not become a record, and why in full."""

    key: str
    source: str
    split: str
    task: str | None
    image: str | None
    reason: str
    detail: str


class _Sample(msgspec.Struct, frozen=True):
    schema: str
    image: ImageRef | None
    records: list[msgspec.Raw]


@dataclass
class _Shard:
    """What one shard gathers while its pictures go by."""

    tar: TarWriter
    ledger: Ledger = field(default_factory=Ledger)
    index: list[tuple[object, ...]] = field(default_factory=list)
    rejects: list[RejectLine] = field(default_factory=list)
    samples: int = 0


def pack(task: ShardTask) -> Packed:
    """Build and publish one shard; if its receipt and files are there and agree, that receipt."""
    if receipt := finished(task.out, task.pool, task.planned.shard, task.plan):
        return Packed(receipt, reused=True)
    aside = task.aside / f"{task.planned.shard:06d}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    receipt = _publish(task, aside, _write(task, aside))
    shutil.rmtree(aside)
    return Packed(receipt, reused=False)


def finished(out: str, pool: str, index: int, plan: str) -> Receipt | None:
    """The receipt of a shard that is already there, whole and of this plan; None where it has to be built."""
    written = names(pool, index)
    receipt = of_plan(out, written.receipt, plan)
    if receipt is None or (receipt.shard, [file.name for file in receipt.files]) != (index, list(written[:4])):
        return None
    try:
        whole = all(store.digest(store.join(out, file.name), file.name) == file for file in receipt.files)
    except OSError:
        return None
    return receipt if whole else None


def of_plan(out: str, name: str, plan: str) -> Receipt | None:
    """The receipt of that name, if it is there, can be read, and is of this plan."""
    url = store.join(out, name)
    try:
        receipt = msgspec.json.decode(store.read(url), type=Receipt) if exists(url) else None
    except (*UNREADABLE, ShardError):
        return None
    return receipt if receipt and receipt.plan == plan else None


def _write(task: ShardTask, aside: Path) -> _Shard:
    shard = _Shard(TarWriter(aside / "tar"))
    rows = staged(task.buckets, task.planned.low, task.planned.high)
    for _, group in groupby(rows, key=lambda row: (row.order, row.group)):
        _sample(task, shard, list(group))
    return shard


def _sample(task: ShardTask, shard: _Shard, rows: list[Staged]) -> None:
    for row in rows:
        if not row.record:
            _enter(shard, row, row.reason, row.detail, row.rule)
    with_record = [row for row in rows if row.record]
    located = task.pictures.get(rows[0].group)
    try:
        picture = stored(read_picture(located), task.policy) if located and with_record else None
    except ImageError as error:
        for row in with_record:
            _enter(shard, row, error.reason, str(error), rule=False)
        _conversations(task, shard, with_record, [], error)
        return
    kept = [row for row in with_record if _fits(shard, row, picture)]
    made = _conversations(task, shard, with_record, kept, None)
    if kept:
        _add(task, shard, sorted([*kept, *made], key=lambda row: row.key), picture)


def _conversations(
    task: ShardTask, shard: _Shard, rows: list[Staged], kept: list[Staged], error: ImageError | None
) -> list[Staged]:
    if task.multitask is None or not rows:
        return []
    made = []
    for outcome in conversations(task.multitask, task.wording, rows, kept, error):
        row = staged_of(outcome, task.wording.seed)
        if row.record:
            shard.ledger.written(row.part, row.notes)
            made.append(row)
        else:
            _enter(shard, row, row.reason, row.detail, row.rule)
    return made


def _fits(shard: _Shard, row: Staged, picture: Stored | None) -> bool:
    try:
        note = _insist_same_picture(row, picture) if picture and row.boxes else ()
    except RecordError as error:
        _enter(shard, row, error.reason, str(error), rule=False)
        return False
    shard.ledger.written(row.part, (*row.notes, *note, *(picture.notes if picture else ())))
    return True


def _insist_same_picture(row: Staged, picture: Stored) -> tuple[str, ...]:
    width, height = (row.image.width, row.image.height) if row.image else (None, None)
    if not width or not height or (width, height) == picture.source:
        return ()
    found = picture.source
    if (
        min(abs(width * found.height / height - found.width), abs(height * found.width / width - found.height))
        > ABOUT_ONE_PX
    ):
        stated = f"the annotation speaks of {width}x{height}, the picture is {found.width}x{found.height}"
        raise ImageError(f"picture of another shape: {stated}")
    return ("picture is a scaled copy of the annotated one",)


def _enter(shard: _Shard, row: Staged, reason: str, detail: str, rule: bool) -> None:
    if rule:
        shard.ledger.filtered(row.part, reason)
        return
    shard.ledger.rejected(row.part, reason)
    image = row.image.id if row.image else None
    shard.rejects.append(RejectLine(row.key, *row.part, image, reason, detail))


def _add(task: ShardTask, shard: _Shard, rows: Sequence[Staged], picture: Stored | None) -> None:
    stem = stem_of(rows[0].group)
    image = _image(rows, picture) if picture else None
    sample = _Sample(SCHEMA, image, [msgspec.Raw(row.record) for row in rows])
    pixels = [("jpg", picture.data)] if picture else []
    shard.tar.add(stem, [*pixels, ("json", msgspec.json.encode(sample))])
    for place, row in enumerate(rows):
        shard.index.append(_index_row(shard.samples, stem, image, place, row))
    shard.samples += 1


def _image(rows: Sequence[Staged], picture: Stored) -> ImageRef:
    refs = [row.image for row in rows if row.image]
    return ImageRef(
        id=refs[0].id,
        aliases=sorted({alias for ref in refs for alias in ref.aliases}),
        width=picture.size.width,
        height=picture.size.height,
        sha256=store.sha256(picture.data),
        license=next((ref.license for ref in refs if ref.license), None),
        scores=next((ref.scores for ref in refs if ref.scores), []),
    )


def _index_row(sample: int, stem: str, image: ImageRef | None, place: int, row: Staged) -> tuple[object, ...]:
    known = (
        (image.id, image.aliases, image.sha256, image.width, image.height) if image else (None, [], None, None, None)
    )
    measures = (row.boxes, row.min_area if row.boxes else None, row.turns, row.chars)
    use = find(row.source).splits[row.split]
    return (sample, stem, *known, place, row.key, *row.part, use, *measures)


def _publish(task: ShardTask, aside: Path, shard: _Shard) -> Receipt:
    written = names(task.pool, task.planned.shard)
    digests = {
        written.tar: shard.tar.close(),
        written.offsets: store.write_aside(aside / "idx", index_bytes(shard.tar.offsets)),
        written.records: store.write_aside(aside / "arrow", _arrow(shard.index)),
        written.rejects: store.write_aside(aside / "rejects", _lines(shard.rejects)),
    }
    _insist_reads_back(aside / "tar", digests[written.tar], shard.tar.offsets)
    receipt = _receipt(task, shard, digests)
    for name, digest in digests.items():
        store.publish(aside / digest.name, store.join(task.out, name))
    store.write_aside(aside / "receipt", store.canonical(receipt))
    store.publish(aside / "receipt", store.join(task.out, written.receipt))
    return receipt


def _receipt(task: ShardTask, shard: _Shard, digests: Mapping[str, FileDigest]) -> Receipt:
    return Receipt(
        schema=SCHEMA,
        pool=task.pool,
        shard=task.planned.shard,
        plan=task.plan,
        samples=shard.samples,
        records=len(shard.index),
        files=[FileDigest(name, digest.bytes, digest.sha256) for name, digest in digests.items()],
        ledger=shard.ledger.tallies(),
    )


def _insist_reads_back(path: Path, digest: FileDigest, offsets: Sequence[int]) -> None:
    found = store.digest(str(path), digest.name)
    with path.open("rb") as file:
        samples = groupby(members(file, path.name), key=lambda member: member.stem)
        starts = [next(sample).offset for _, sample in samples]
    if found != digest or starts != list(offsets[:-1]):
        raise ShardError(f"{path}: not on disk as it was written: {found} against {digest}")


def _arrow(rows: Sequence[tuple[object, ...]]) -> bytes:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(INDEX)
    table = pa.table([pa.array(column, kind) for column, kind in zip(columns, INDEX.types, strict=True)], schema=INDEX)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, INDEX) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _lines(rejects: Sequence[RejectLine]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in rejects)
