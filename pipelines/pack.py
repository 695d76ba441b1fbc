"""Packing one planned shard: pictures and staged records to tar, index and receipt. This is what a worker runs."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from converters import find
from pipelines import store
from pipelines.conversations import conversations
from pipelines.images import Stored, stored
from pipelines.layout import names, stem_of
from pipelines.manifest import Listed, listed
from pipelines.pictures import Located, read_picture
from pipelines.publish import RejectLine, Written, publish
from pipelines.removal import REMOVED, removals
from pipelines.resume import finished
from pipelines.stage import Staged, staged_of
from pipelines.tar import TarWriter
from schemas.errors import Filtered, ImageError, RecordError
from schemas.ledger import Tally
from schemas.pool import Fingerprint, ImagePolicy, Multitask
from schemas.prompt import Wording
from schemas.record import SCHEMA, ImageRef

ABOUT_ONE_PX = 1.0


class Content(Protocol):
    """What belongs in one shard; it pickles."""

    def samples(self, aside: Path) -> Iterator[tuple[list[Staged], Located | None]]:
        """All candidates of a picture, and where it lies, picture after picture; ``aside`` is a folder to work in."""


class Prepared(NamedTuple):
    """What is known of a pool before its first shard is packed: of each shard its plan's digest, and its content.

    ``unfinished`` are inputs that were passed over, as their download has not ended.
    """

    plans: Sequence[str]
    content: Callable[[int], Content]
    tallies: list[Tally]
    fingerprints: list[Fingerprint]
    unfinished: Sequence[str] = ()


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to pack one shard, and nothing else; it pickles."""

    pool: str
    plan: str
    shard: int
    out: str
    aside: Path
    content: Content = field(repr=False)
    policy: ImagePolicy = field(repr=False)
    multitask: Multitask | None = field(repr=False)
    wording: Wording = field(repr=False)
    removals: Path | None = None

    def __str__(self) -> str:
        return names(self.pool, self.shard).tar


class Packed(msgspec.Struct, frozen=True):
    """What the driver keeps of a shard, its ledger, and whether it lay there already."""

    shard: Listed
    ledger: list[Tally]
    reused: bool


class _Sample(msgspec.Struct, frozen=True):
    schema: str
    image: ImageRef | None
    records: list[msgspec.Raw]


def pack(task: ShardTask) -> Packed:
    """Build and publish one shard; if its receipt and files are there and agree, that receipt.

    ConfigError where what is there lacks pictures that the list of removals does not name.
    """
    if receipt := finished(task.out, task.pool, task.shard, task.plan, removals(task.removals)):
        return Packed(listed(receipt), receipt.ledger, reused=True)
    aside = task.aside / f"{task.shard:06d}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    with TarWriter(aside / "tar") as tar:
        shard = Written(tar)
        for rows, located in task.content.samples(aside):
            _sample(task, shard, rows, located)
        receipt = publish(shard, task.pool, task.shard, task.plan, task.out, aside)
    shutil.rmtree(aside)
    return Packed(listed(receipt), receipt.ledger, reused=False)


def _sample(task: ShardTask, shard: Written, rows: list[Staged], located: Located | None) -> None:
    for row in rows:
        if not row.record:
            _enter(shard, row, row.reason, row.detail, row.rule)
    with_record = [row for row in rows if row.record]
    try:
        picture = _picture(task, shard, with_record, located) if with_record else None
    except (ImageError, Filtered) as error:
        for row in with_record:
            _enter(shard, row, error.reason, str(error), rule=isinstance(error, Filtered))
        _conversations(task, shard, with_record, [], error)
        return
    kept = [row for row in with_record if _fits(shard, row, picture)]
    made = _conversations(task, shard, with_record, kept, None)
    if kept:
        _add(task, shard, sorted([*kept, *made], key=lambda row: row.key), picture)


def _picture(task: ShardTask, shard: Written, rows: list[Staged], located: Located | None) -> Stored | None:
    asked = removals(task.removals)
    hits = asked.hits(name for row in rows if row.image for name in (row.image.id, *row.image.aliases))
    picture = stored(read_picture(located), task.policy) if located and not hits else None
    if picture and asked:
        hits = asked.hits([store.sha256(picture.data)])
    if hits:
        shard.removed |= hits
        raise Filtered(f"{REMOVED}: {', '.join(sorted(hits))}")
    return picture


def _conversations(
    task: ShardTask, shard: Written, rows: list[Staged], kept: list[Staged], error: ImageError | Filtered | None
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


def _fits(shard: Written, row: Staged, picture: Stored | None) -> bool:
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


def _enter(shard: Written, row: Staged, reason: str, detail: str, rule: bool) -> None:
    if rule:
        shard.ledger.filtered(row.part, reason)
        return
    shard.ledger.rejected(row.part, reason)
    image = row.image.id if row.image else None
    shard.rejects.append(RejectLine(row.key, *row.part, image, reason, detail))


def _add(task: ShardTask, shard: Written, rows: Sequence[Staged], picture: Stored | None) -> None:
    stem = stem_of(rows[0].group)
    image = _image(rows, picture) if picture else None
    sample = _Sample(SCHEMA, image, [msgspec.Raw(row.record) for row in rows])
    pixels = [("jpg", picture.data)] if picture else []
    shard.tar.add(stem, [*pixels, ("json", msgspec.json.encode(sample))])
    for place, row in enumerate(rows):
        shard.index.append(_index_row(shard.samples, stem, image, picture.likeness if picture else None, place, row))
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


def _index_row(
    sample: int, stem: str, image: ImageRef | None, likeness: int | None, place: int, row: Staged
) -> tuple[object, ...]:
    known = (
        (image.id, image.aliases, image.sha256, image.width, image.height, likeness)
        if image
        else (None, [], None, None, None, None)
    )
    measures = (row.boxes, row.min_area if row.boxes else None, row.turns, row.chars)
    use = find(row.source).splits[row.split]
    return (sample, stem, *known, place, row.key, *row.part, use, *measures)
