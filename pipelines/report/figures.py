"""The figures of a report: what ``--json`` prints, and all that a page, a card and metadata tell."""

import msgspec

from pipelines.fetch.rot import Rot
from schemas.ledger import Count, Part, Tally
from schemas.lock import HeldOutSplit
from schemas.pool import FileDigest

SCHEMA = "boxcar-report/1"
CELLS = 50  # along either side of a map: two of the hundred bins each


class PoolLine(msgspec.Struct, frozen=True):
    """A pool as its manifest tells of it; ``tars`` are the digests of its shards, in their order."""

    name: str
    digest: str
    codec: str
    shards: int
    samples: int
    records: int
    bytes: int
    tars: list[FileDigest]


class SourceLine(msgspec.Struct, frozen=True):
    """A source as the table of converters tells of it, texts empty where the table does not know it."""

    name: str
    title: str
    licence: str
    citation: str
    homepage: str


class Spread(msgspec.Struct, frozen=True):
    """How numbers are spread: their mean, their median (the lower of two), the greatest, and how many of each range.

    Each of ``ranges`` is the least number of a range and how many numbers lie from there to below the next one.
    """

    mean: float
    median: int
    most: int
    ranges: list[tuple[int, int]]


class Loss(msgspec.Struct, frozen=True):
    """What the codec costs the boxes that were read: self-IoU on average and at worst, and how many were widened."""

    boxes: int
    mean: float
    worst: float
    widened: int


class Tokens(msgspec.Struct, frozen=True):
    """Tokens of the text of a part's records: on average and at most a record, and of all records together."""

    mean: float
    most: int
    total: int


class PartFigures(msgspec.Struct, frozen=True):
    """One part. Up to ``tokens`` its figures are of all its records, from there on of those that were ``read``.

    ``left_out`` and ``lost`` are of a lock: what filters and held-out splits took of the part. ``unsaid`` counts
    records that the lock's stage cannot say. ``phrases`` are what boxes are asked for or belong to, ``answers`` whole
    replies without a box; both are the most frequent of how many ``distinct_`` ones.
    """

    source: str
    split: str
    task: str | None
    use: str
    pool: str
    records: int
    pictures: int
    boxes: int
    left_out: list[Count]
    lost: list[Count]
    turns: Spread
    tokens: Tokens
    read: int
    unsaid: int
    words: Spread | None
    loss: Loss | None
    answers: list[Count]
    distinct_answers: int
    phrases: list[Count]
    distinct_phrases: int

    @property
    def part(self) -> Part:
        """The part this line speaks of."""
        return Part(self.source, self.split, self.task)


class BoxMap(msgspec.Struct, frozen=True):
    """Where the boxes of a task lie and how large they are, of the records that were read.

    ``centres`` has for each row of cells from the top how many centres lie in each cell from the left; ``sizes`` for
    each height from the lowest how many boxes have which width. A cell is ``CELLS``th of the picture wide and high.
    ``classes`` count boxes by the square root of their share of the picture.
    """

    task: str | None
    boxes: int
    centres: list[list[int]]
    sizes: list[list[int]]
    classes: list[Count]


class Duplicates(msgspec.Struct, frozen=True):
    """Pictures that come again: the same bytes, or a likeness within ``radius`` bits of an earlier one's."""

    pictures: int
    exact: int
    near: int
    radius: int


class Leak(msgspec.Struct, frozen=True):
    """Records of a part for training, and their pictures, which a split for evaluation in the same pool shows too."""

    source: str
    split: str
    task: str | None
    shown_by: str
    records: int
    pictures: int


class Shown(msgspec.Struct, frozen=True):
    """A sample that the page shows, and where it lies."""

    pool: str
    tar: str
    sample: int
    stem: str


class Report(msgspec.Struct, frozen=True):
    """All figures of a pool or a lock. ``asked`` is how many records a part were to be read from tars at most, about.

    ``leaks`` is None for a lock, and for a pool without a split for evaluation; ``held_out`` is None for a pool.
    """

    schema: str
    boxcar: str
    kind: str
    name: str
    digest: str
    pools: list[PoolLine]
    records: int
    pictures: int
    text_samples: int
    ledger: list[Tally]
    parts: list[PartFigures]
    asked: int
    tokens: str
    maps: list[BoxMap]
    duplicates: Duplicates
    leaks: list[Leak] | None
    held_out: list[HeldOutSplit] | None
    sources: list[SourceLine]
    rot: list[Rot]
    shown: list[Shown]
