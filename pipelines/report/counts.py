"""What is counted of a pool, in sums that come out the same in whatever order they are added up."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.loss import EDGES, NAMES
from pipelines.report.figures import CELLS
from schemas.ledger import Part
from schemas.pool import FileDigest

PICKS = 24  # samples of each part that the page may show
IOU_PARTS = 10**12  # self-IoUs are added up as whole numbers of these, so that no sum depends on the order

Grid = npt.NDArray[np.int64]
Pick = tuple[int, int, int, int]  # a hash, and the sample's pool, shard and number


def _grid() -> Grid:
    return np.zeros((CELLS, CELLS), np.int64)


@dataclass
class BoxCounts:
    """Boxes of one task: their centres and their sizes on the grid of maps, and by the size classes of losses."""

    centres: Grid = field(default_factory=_grid)
    sizes: Grid = field(default_factory=_grid)
    classes: Grid = field(default_factory=lambda: np.zeros(len(NAMES), np.int64))

    def count(self, sides: npt.NDArray[np.float64], areas: npt.NDArray[np.float64]) -> None:
        """Count boxes in whose decoded sides are the rows (4, n), and their exact areas."""
        left, top, right, bottom = sides
        across, down = (_cells((low + high) / 2) for low, high in ((left, right), (top, bottom)))
        np.add.at(self.centres, (down, across), 1)
        # A side that ends on an edge belongs to the cell below it: the whole picture to the last one.
        wide, high = (_cells(side - 1e-9) for side in (right - left, bottom - top))
        np.add.at(self.sizes, (high, wide), 1)
        self.classes += np.bincount(np.searchsorted(EDGES, np.sqrt(areas), side="right"), minlength=len(NAMES))

    def add(self, other: "BoxCounts") -> None:
        """Add other counts."""
        self.centres += other.centres
        self.sizes += other.sizes
        self.classes += other.classes


def _cells(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    # Bins are exact hundredths but for their last bit: what lies on an edge belongs to the cell above it.
    return np.clip(np.floor(values * CELLS + 1e-9), 0, CELLS - 1).astype(np.int64)


@dataclass
class PartCounts:
    """One part; ``ious`` are in ``IOU_PARTS``, tokens are estimated of all its records or counted of those read."""

    use: str = ""
    records: int = 0
    pictures: int = 0
    boxes: int = 0
    turns: Counter[int] = field(default_factory=Counter)
    tokens: int = 0
    most_tokens: int = 0
    read: int = 0
    unsaid: int = 0
    words: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    phrases: Counter[str] = field(default_factory=Counter)
    read_boxes: int = 0
    ious: int = 0
    worst: float = 1.0
    widened: int = 0
    picks: list[Pick] = field(default_factory=list)

    def add(self, other: "PartCounts") -> None:
        """Add other counts of the same part."""
        self.use = self.use or other.use
        for name in ("records", "pictures", "boxes", "tokens", "read", "unsaid", "read_boxes", "ious", "widened"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("turns", "words", "answers", "phrases"):
            getattr(self, name).update(getattr(other, name))
        self.most_tokens = max(self.most_tokens, other.most_tokens)
        self.worst = min(self.worst, other.worst)
        self.pick(other.picks)

    def pick(self, picks: Iterable[Pick]) -> None:
        """Keep those of the smallest hashes."""
        self.picks = heapq.nsmallest(PICKS, [*self.picks, *picks])


@dataclass
class Counts:
    """Shards of one pool, or all pools; ``tars`` by pool and shard, names of ``evaluated`` pictures by split."""

    parts: dict[tuple[int, Part], PartCounts] = field(default_factory=dict)
    tasks: dict[str | None, BoxCounts] = field(default_factory=dict)
    pictures: int = 0
    text_samples: int = 0
    tars: dict[tuple[int, int], FileDigest] = field(default_factory=dict)
    evaluated: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def part(self, pool: int, part: Part) -> PartCounts:
        """The counts of a pool's part."""
        return self.parts.setdefault((pool, part), PartCounts())

    def task(self, task: str | None) -> BoxCounts:
        """The counts of a task's boxes."""
        return self.tasks.setdefault(task, BoxCounts())

    def add(self, other: "Counts") -> None:
        """Add other counts."""
        for (pool, part), counts in other.parts.items():
            self.part(pool, part).add(counts)
        for task, boxes in other.tasks.items():
            self.task(task).add(boxes)
        self.pictures += other.pictures
        self.text_samples += other.text_samples
        self.tars.update(other.tars)
        for split, names in other.evaluated.items():
            self.evaluated.setdefault(split, set()).update(names)
