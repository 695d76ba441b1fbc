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
from pipelines.publish import Written, publish
from pipelines.removal import REMOVED, removals, told
from pipelines.resume import finished
from pipelines.stage import Staged, staged_of
from pipelines.tar import TarWriter
from schemas.errors import Filtered, ImageError, RecordError
from schemas.ledger import Tally
from schemas.pool import Fingerprint, ImagePolicy, Multitask, Receipt, RejectLine
from schemas.prompt import Wording
from schemas.record import SCHEMA, ImageRef

ABOUT_ONE_PX = 1.0


class Content(Protocol):
    """What belongs in one shard; it pickles."""

    def samples(self, aside: Path) -> Iterator[tuple[list[Staged], Located | None]]:
        """All candidates of a picture, and where it lies, picture after picture; ``aside`` is a folder to work in."""


class Prepared(NamedTuple):
    """What is known of a pool before its first shard is packed: of each shard its plan's digest, and its content.

    ``unfinished`` are inputs that were passed over, as their download has not ended; ``hashes`` are the files with the
    hashes of all pictures, where pictures of equal bytes are dropped.
    """

    plans: Sequence[str]
    content: Callable[[int], Content]
    tallies: list[Tally]
    fingerprints: list[Fingerprint]
    unfinished: Sequence[str] = ()
    hashes: Sequence[Path] = ()


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
    removed: list[list[str]]
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
        return packed(receipt, reused=True)
    aside = task.aside / f"{task.shard:06d}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    with TarWriter(aside / "tar") as tar:
        shard = Written(tar)
        for rows, located in task.content.samples(aside):
            _sample(task, shard, rows, located)
        receipt = publish(shard, task.pool, task.shard, task.plan, task.out, aside)
    shutil.rmtree(aside)
    return packed(receipt, reused=False)


def packed(receipt: Receipt, reused: bool) -> Packed:
    """What the driver keeps of a receipt."""
    return Packed(listed(receipt), receipt.ledger, receipt.removed, reused)


class _Seen(NamedTuple):
    """The picture of some rows as it was found: stored or why not, all its names, and its hashes."""

    names: list[str]
    picture: Stored | None = None
    error: ImageError | None = None
    sha256: str | None = None
    source_sha256: str | None = None


def _sample(task: ShardTask, shard: Written, rows: list[Staged], located: Located | None) -> None:
    with_record = [row for row in rows if row.record]
    seen = _seen(task, rows, located if with_record else None)
    if removals(task.removals).hits(seen.names) and any(row.record or not row.rule for row in rows):
        _remove(task, shard, rows, seen)
        return
    for row in rows:
        if not row.record:
            _enter(shard, row, row.reason, row.detail, row.rule, seen)
    if seen.error:
        for row in with_record:
            _enter(shard, row, seen.error.reason, str(seen.error), False, seen)
        _conversations(task, shard, with_record, [], seen)
        return
    kept = [row for row in with_record if _fits(shard, row, seen)]
    made = _conversations(task, shard, with_record, kept, seen)
    if kept:
        _add(task, shard, sorted([*kept, *made], key=lambda row: row.key), seen)


def _seen(task: ShardTask, rows: Sequence[Staged], located: Located | None) -> _Seen:
    names = list(dict.fromkeys(name for row in rows if row.image for name in (row.image.id, *row.image.aliases)))
    if located is None:
        return _Seen(names)
    source = None
    try:
        data = read_picture(located)
        source = store.sha256(data)
        picture = stored(data, task.policy)
    except ImageError as error:
        return _Seen([*names, source] if source else names, None, error, None, source)
    sha256 = source if picture.data is data else store.sha256(picture.data)
    return _Seen([*names, *{source: None, sha256: None}], picture, None, sha256, source)


def _remove(task: ShardTask, shard: Written, rows: Sequence[Staged], seen: _Seen) -> None:
    # What a rule has left out leaves no trace in a pool, and so is no part of it that has to go.
    gone = Filtered(f"{REMOVED}: {seen.names[0]}")
    for row in rows:
        reason = gone.reason if row.record or not row.rule else row.reason
        _enter(shard, row, reason, str(gone), True, seen)
    shard.removed.append(told(seen.names))
    _conversations(task, shard, [row for row in rows if row.record], [], seen, gone)


def _conversations(
    task: ShardTask,
    shard: Written,
    rows: list[Staged],
    kept: list[Staged],
    seen: _Seen,
    gone: Filtered | None = None,
) -> list[Staged]:
    if task.multitask is None or not rows:
        return []
    made = []
    for outcome in conversations(task.multitask, task.wording, rows, kept, gone or seen.error):
        row = staged_of(outcome, task.wording.seed)
        if row.record:
            shard.ledger.written(row.part, row.notes)
            made.append(row)
        else:
            _enter(shard, row, row.reason, row.detail, row.rule, seen)
    return made


def _fits(shard: Written, row: Staged, seen: _Seen) -> bool:
    try:
        note = _insist_same_picture(row, seen.picture) if seen.picture and row.boxes else ()
    except RecordError as error:
        _enter(shard, row, error.reason, str(error), False, seen)
        return False
    shard.ledger.written(row.part, (*row.notes, *note, *(seen.picture.notes if seen.picture else ())))
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


def _enter(shard: Written, row: Staged, reason: str, detail: str, rule: bool, seen: _Seen) -> None:
    if rule:
        shard.ledger.filtered(row.part, reason)
        return
    shard.ledger.rejected(row.part, reason)
    image = row.image.id if row.image else None
    names = [name for name in seen.names if name != image] if image else []
    shard.rejects.append(RejectLine(row.key, *row.part, image, names, reason, detail))


def _add(task: ShardTask, shard: Written, rows: Sequence[Staged], seen: _Seen) -> None:
    stem = stem_of(rows[0].group)
    image = _image(rows, seen)
    sample = _Sample(SCHEMA, image, [msgspec.Raw(row.record) for row in rows])
    pixels = [("jpg", seen.picture.data)] if seen.picture else []
    shard.tar.add(stem, [*pixels, ("json", msgspec.json.encode(sample))])
    known = _known(image, seen)
    for place, row in enumerate(rows):
        measures = (row.boxes, row.min_area if row.boxes else None, row.turns, row.chars)
        use = find(row.source).splits[row.split]
        shard.index.append((shard.samples, stem, *known, place, row.key, *row.part, use, *measures))
    shard.samples += 1


def _image(rows: Sequence[Staged], seen: _Seen) -> ImageRef | None:
    refs = [row.image for row in rows if row.image]
    if seen.picture is None:
        return None
    return ImageRef(
        id=refs[0].id,
        aliases=sorted({alias for ref in refs for alias in ref.aliases}),
        width=seen.picture.size.width,
        height=seen.picture.size.height,
        sha256=seen.sha256,
        license=next((ref.license for ref in refs if ref.license), None),
        scores=next((ref.scores for ref in refs if ref.scores), []),
    )


def _known(image: ImageRef | None, seen: _Seen) -> tuple[object, ...]:
    """What the record index says of a sample's picture, from ``image`` to ``scores``."""
    if image is None or seen.picture is None:
        return (None, [], None, None, None, None, None, [])
    likeness, scores = seen.picture.likeness, msgspec.to_builtins(image.scores)
    return (image.id, image.aliases, image.sha256, seen.source_sha256, image.width, image.height, likeness, scores)
