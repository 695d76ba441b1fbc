"""In which order the items of a part are drawn: each once per epoch, computed, never stored.

Without a window an epoch is a permutation of all items. With one, the shards that hold items are put in an order that
is new in each epoch and cut in windows of so many; the items of a window are permuted among themselves. So only a
window's shards are read for as long as its items last, and what is kept in memory is a few numbers a shard.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.keyed import key, permuted, shuffled

Starts = npt.NDArray[np.unsignedinteger]  # of each shard its first item, and one more for the end
_KEPT = 2  # tables of so many epochs: draws come in order, but of those at an epoch's end some are asked for late


class Spot(NamedTuple):
    """The item that a turn draws, and how often the part was gone through before."""

    epoch: int
    item: int


class _Table(NamedTuple):
    shards: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]  # where each of the shards begins in the epoch, and one more for the end


class Stretch(NamedTuple):
    """The turns from ``begin`` to before ``end`` go through one window, of these shards in no order that counts."""

    begin: int
    end: int
    shards: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Order:
    """A part's order: ``name`` is what the part is called in keys, ``window`` is in shards, None for all of them."""

    starts: Starts
    seed: int
    name: str
    window: int | None
    _tables: dict[int, _Table] = field(default_factory=dict, init=False, repr=False)

    @property
    def items(self) -> int:
        """How many items the part has."""
        return int(self.starts[-1])

    @property
    def shards(self) -> int:
        """How many shards hold items of the part."""
        return int(np.count_nonzero(np.diff(self.starts)))

    def at(self, turn: int) -> Spot:
        """The item of a turn: within each run of ``items`` turns from 0 on, an epoch, every item once."""
        epoch, place = divmod(turn, self.items)
        if self.window is None:
            return Spot(epoch, permuted(place, self.items, key(self.seed, self.name, epoch)))
        return Spot(epoch, self._within(self.window, epoch, place))

    def stretch(self, turn: int) -> Stretch:
        """The window that a turn lies in; without windows, the epoch."""
        epoch, place = divmod(turn, self.items)
        shards, places = self._table(epoch)
        window = self.window or len(shards)
        at = _holding(places, place) // window * window
        end = min(at + window, len(shards))
        begun = epoch * self.items
        return Stretch(begun + int(places[at]), begun + int(places[end]), shards[at:end])

    def touched(self, turn: int, most: int) -> dict[int, int]:
        """Each shard that the turns from this one to the end of its window read, with the first that does, in order.

        No more than ``most`` turns are looked at: shards that none of those reads come after them.
        """
        stretch, found = self.stretch(turn), dict[int, int]()
        last = min(turn + most, stretch.end)
        for each in range(turn, last):
            if len(found) == len(stretch.shards):
                break
            found.setdefault(_holding(self.starts, self.at(each).item), each)
        if last < stretch.end:
            for shard in stretch.shards.tolist():
                found.setdefault(shard, last)
        return found

    def _within(self, window: int, epoch: int, place: int) -> int:
        shards, places = self._table(epoch)
        at = _holding(places, place) // window
        first, end = int(places[at * window]), int(places[min((at + 1) * window, len(shards))])
        there = first + permuted(place - first, end - first, key(self.seed, self.name, epoch, at))
        shard = _holding(places, there)
        return int(self.starts[shards[shard]]) + there - int(places[shard])

    def _table(self, epoch: int) -> _Table:
        if epoch not in self._tables:
            while len(self._tables) >= _KEPT:
                self._tables.pop(min(self._tables))
            self._tables[epoch] = self._made(epoch)
        return self._tables[epoch]

    def _made(self, epoch: int) -> _Table:
        counts = np.diff(self.starts.astype(np.int64))
        held = np.flatnonzero(counts)
        shards = held[shuffled(len(held), key(self.seed, self.name, epoch, "shards"))]
        return _Table(shards, np.concatenate([[0], np.cumsum(counts[shards])]))


def _holding(starts: Starts | npt.NDArray[np.int64], place: int) -> int:
    # Of the array's own type: any other number would have the whole array converted.
    return int(starts.searchsorted(starts.dtype.type(place), side="right")) - 1
