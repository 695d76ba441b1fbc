"""Staging: every candidate of a pool's sources, put aside by the hash of its picture, so that shards can be planned.

A pool groups all records of a picture whatever source they come from. So sources are read one after another and each
candidate is written to one of ``BUCKETS`` files by the hash of its picture's id; a shard is a range of hashes, and the
task that packs it reads the few buckets of its range. Memory holds one source's annotations and a number per picture.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from converters.multitask import SOURCE as MULTITASK
from pipelines.convert import Job, Outcome, SizeOf, count, followed, outcomes
from pipelines.pictures import Located, in_folder
from pipelines.progress import Progress
from pipelines.sampling import at_most
from schemas.errors import ImageError
from schemas.ledger import Ledger, Part, Tally
from schemas.pool import Multitask
from schemas.prompt import Wording
from schemas.record import ImageRef

BUCKETS = 256
HASHES = 2**64
_FLUSH_BYTES = 32 * 2**20

MISSING = "picture missing"


class Staged(msgspec.Struct, frozen=True, array_like=True):
    """One candidate put aside: where it belongs, and its record as JSON, or else why there is none."""

    order: int
    group: str
    key: str
    source: str
    split: str
    task: str | None
    image: ImageRef | None
    record: bytes
    reason: str
    detail: str
    rule: bool
    notes: tuple[str, ...]
    boxes: int
    min_area: float
    turns: int
    chars: int

    @property
    def part(self) -> Part:
        """The part that it counts in."""
        return Part(self.source, self.split, self.task)


@dataclass
class Staging:
    """A folder of buckets being filled; what each picture's records weigh, the ledger, an example of each reason.

    ``pictured`` are the pictures and splits of which conversations are to be made.
    """

    folder: Path
    seed: int
    ledger: Ledger = field(default_factory=Ledger)
    weights: dict[str, int] = field(default_factory=dict)
    examples: dict[tuple[str, str, str], str] = field(default_factory=dict)
    multitask: Multitask | None = None
    pictured: set[tuple[str, str]] = field(default_factory=set)
    _buffers: dict[int, list[Staged]] = field(default_factory=dict)
    _sha: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _held: int = 0

    def add(self, outcome: Outcome) -> None:
        """Put one outcome aside and count it."""
        count(self.ledger, outcome)
        if outcome.record is None:
            self.examples.setdefault((*outcome.part[:2], outcome.reason), outcome.detail)
        staged = staged_of(outcome, self.seed)
        self._buffers.setdefault(staged.order * BUCKETS // HASHES, []).append(staged)
        self._held += 300 + len(staged.record)
        if staged.record:
            self._weigh(staged)
        if self._held > _FLUSH_BYTES:
            self.flush()

    def tallies(self) -> list[Tally]:
        """What was read, and the conversations that packing will be asked for."""
        told = self.ledger.tallies()
        for split, pictures in sorted(Counter(split for _, split in self.pictured).items()):
            count = pictures * (self.multitask.per_picture if self.multitask else 0)
            told.append(Tally(MULTITASK.name, split, None, count, count, [], [], []))
        return told

    def _weigh(self, staged: Staged) -> None:
        weight = len(staged.record) + 1
        if self.multitask and staged.image and staged.split in self.multitask.splits:
            self.pictured.add((staged.group, staged.split))
            weight *= 1 + self.multitask.per_picture  # a conversation repeats some of it
        self.weights[staged.group] = self.weights.get(staged.group, 0) + weight

    def flush(self) -> None:
        """Write what is held in memory to the buckets."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for bucket, rows in sorted(self._buffers.items()):
            data = msgspec.msgpack.encode(rows)
            self._sha.update(data)
            with _bucket(self.folder, bucket).open("ab") as file:
                file.write(len(data).to_bytes(8, "little") + data)
        self._buffers.clear()
        self._held = 0

    def digest(self) -> str:
        """The sha256 of everything put aside so far, in the order of the sources' files."""
        self.flush()
        return self._sha.hexdigest()


def stage(
    staging: Staging,
    job: Job,
    wording: Wording,
    pictures: MutableMapping[str, Located],
    missing: str,
    size: SizeOf,
    shown: Progress,
) -> None:
    """Put every candidate of a job aside; a record whose picture is not among ``pictures`` is rejected or filtered.

    Where several folders hold a picture, the one that an annotation names becomes the one in ``pictures``.
    """
    for variant in job.variants:
        staging.ledger.open(Part(job.source.name, job.split, variant.task))

    def seen() -> Iterator[Outcome]:
        return (_if_present(outcome, pictures, missing) for outcome in outcomes(job, wording, size))

    for outcome in followed(at_most(job.max_records, seen, wording.seed), shown, f"{job.source.name} {job.split}"):
        if outcome.folder and outcome.image and (meant := in_folder(outcome.folder, outcome.image.id)) in pictures:
            pictures[outcome.image.id] = pictures[meant]
        staging.add(outcome)


def staged(folder: Path, low: int, high: int) -> Iterator[Staged]:
    """All candidates whose hash lies in [low, high), sorted by (hash, picture, key), a bucket at a time in memory."""
    for bucket in range(low * BUCKETS // HASHES, (high - 1) * BUCKETS // HASHES + 1):
        found = [row for row in _rows(_bucket(folder, bucket)) if low <= row.order < high]
        yield from sorted(found, key=lambda row: (row.order, row.group, row.key))


def order_of(seed: int, group: str) -> int:
    """Where a picture stands in a pool: blake2b of seed and image id, as an unsigned 64-bit number."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{group}".encode(), digest_size=8).digest(), "big")


def _if_present(outcome: Outcome, pictures: Mapping[str, Located], missing: str) -> Outcome:
    if outcome.record is None or outcome.image is None or outcome.image.id in pictures:
        return outcome
    error = ImageError(f"{MISSING}: {outcome.image.id} is in none of the collection's folders")
    return outcome._replace(record=None, reason=error.reason, detail=str(error), rule=missing == "filter", notes=())


def staged_of(outcome: Outcome, seed: int) -> Staged:
    """The outcome as it is put aside."""
    group = outcome.image.id if outcome.image else outcome.key
    record = outcome.record
    return Staged(
        order=order_of(seed, group),
        group=group,
        key=outcome.key,
        source=outcome.part.source,
        split=outcome.part.split,
        task=outcome.part.task,
        image=outcome.image,
        record=msgspec.json.encode(record) if record else b"",
        reason=outcome.reason,
        detail=outcome.detail,
        rule=outcome.rule,
        notes=outcome.notes,
        boxes=len(record.boxes) if record else 0,
        min_area=min((round(box.area, 9) for box in record.boxes), default=0.0) if record else 0.0,
        turns=len(record.messages) // 2 if record else 0,
        chars=sum(len(turn.content) for turn in record.messages) if record else 0,
    )


def left_out(staged: Staged, reason: str, detail: str, rule: bool) -> Staged:
    """What was put aside with a record, without it, for this reason."""
    none = {"record": b"", "notes": (), "boxes": 0, "min_area": 0.0, "turns": 0, "chars": 0}
    return msgspec.structs.replace(staged, reason=reason, detail=detail, rule=rule, **none)


def _bucket(folder: Path, bucket: int) -> Path:
    return folder / f"{bucket:03d}"


def _rows(path: Path) -> Iterator[Staged]:
    if not path.exists():
        return
    with path.open("rb") as file:
        while length := file.read(8):
            yield from msgspec.msgpack.decode(file.read(int.from_bytes(length, "little")), type=list[Staged])
