"""A lock: a mixture resolved against real pools and pinned by digests. The loader feeds exactly what it says.

Beside ``NAME.lock.json`` lies a folder ``NAME.lock/`` with three files a part, all little-endian, which are mapped and
never read whole: which records may be drawn, in the order of the pool.

    <part>.rows     two uint32 a record: its sample's number within its shard, and its place within the sample
    <part>.items    uint64: the first row of each item, and one more for the end; only where items join several records
    <part>.shards   uint64: the first item of each shard of the pool, and one more for the end

An item is what one draw gives: a record, or several of one part that speak of one picture (``per_image``).
"""

from typing import Any, Literal

import msgspec

from schemas.ledger import Count, Part
from schemas.mixture import Unit
from schemas.pool import FileDigest

LOCK_SCHEMA = "boxcar-lock/1"


class PinnedPool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool as the lock found it. ``digest`` is its manifest's, ``location`` where it lay, which pins nothing.

    ``seed``, ``codec`` and ``templates`` (all of them, the mixture's own in place of the pool's) are what it takes to
    word its records anew; ``samples`` are those of each shard.
    """

    name: str
    digest: str
    location: str
    shards: int
    samples: int
    records: int
    seed: int
    codec: str
    templates: dict[str, list[str]]


class LockedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the lock.

    ``pool`` is its place among the lock's pools. ``count`` is how many of every ``block`` draws it gets, so that its
    share of draws is count / block. ``records``, ``images`` and ``items`` may be drawn; of the pool's ``candidates``
    the others went to ``filtered`` (by rule) or ``lost`` (by held-out split). ``draws`` (of items, or in unit batch of
    batches) and ``epochs`` are predicted for the stage's steps. Tokens are of a record's text, without its picture.
    """

    source: str
    split: str
    task: str | None
    pool: int
    weight: float | None
    epochs_wanted: float | None
    batch_size: int | None
    wording: str | None
    count: int
    candidates: int
    records: int
    images: int
    items: int
    filtered: list[Count]
    lost: list[Count]
    draws: float
    epochs: float
    sample_share: float
    image_share: float
    token_share: float
    mean_tokens: float
    max_tokens: int
    rows: FileDigest
    shards: FileDigest
    joined: FileDigest | None

    @property
    def part(self) -> Part:
        """The part this line speaks of."""
        return Part(self.source, self.split, self.task)


class HeldOutSplit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A split whose pictures no part may show: where its ids are from, how many they are, what holding it out cost.

    ``origin`` says pool or annotations, or that no part shows pictures of its collection (``not concerned``).
    ``digest`` is that of its ids, sorted.
    """

    split: str
    origin: Literal["pool", "annotations", "not concerned"]
    images: int
    digest: str
    records: int


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stage's loader feeds. ``digest`` is the sha256 of the lock with digest and locations left empty.

    ``mixture`` is the mixture as it was resolved (its ``roots`` left out: they pin nothing). Draws are numbered from
    0: of items, in unit ``batch`` of batches. ``step`` draws make a step over all ranks. ``tokens`` says what counted
    the tokens: a tokenizer's name and digest, or the estimate. ``pools`` are all that were given, those of parts first:
    the others may tell the pictures of held-out splits.
    """

    schema: str
    digest: str
    boxcar: str
    stage: str
    unit: Unit
    seed: int
    window: int | None
    block: int
    step: int
    steps: int
    mixture: dict[str, Any]
    roots: dict[str, str]
    tokens: str
    pools: list[PinnedPool]
    parts: list[LockedPart]
    held_out: list[HeldOutSplit]
