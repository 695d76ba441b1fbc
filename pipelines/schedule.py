"""Which part each draw of a run is of: arithmetic, and the permutation of one small block.

Of every ``sum(counts)`` draws, a superblock, each part gets its count exactly. A superblock's slots, sorted by part,
are dealt into blocks of about ``BLOCK`` like cards, so that a part's draws in two of its blocks differ by one at most
and its draws before any block have a closed form. Within a block a key decides the order.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.keyed import key, shuffled

BLOCK = 1024
Numbers = npt.NDArray[np.int64]


class Turn(NamedTuple):
    """A draw's part, and how many draws of that part came before it."""

    part: int
    turn: int


@dataclass(frozen=True)
class Schedule:
    """The parts of all draws, by how many of every ``sum(counts)`` draws each gets. Pure: (counts, seed, k) decide."""

    counts: tuple[int, ...]
    seed: int

    def at(self, k: int) -> Turn:
        """The k-th draw's part and turn; of each part, turns go 0, 1, 2, ... with k."""
        superblock, slot = divmod(k, sum(self.counts))
        block, place = _block_of(slot, sum(self.counts))
        parts, turns = _dealt(self.counts, self.seed, superblock, block)
        return Turn(int(parts[place]), superblock * self.counts[parts[place]] + int(turns[place]))

    def before(self, k: int) -> Numbers:
        """How many draws of each part come before the k-th: the turn of the next one."""
        counts = np.array(self.counts, np.int64)
        superblock, slot = divmod(k, sum(self.counts))
        block, place = _block_of(slot, sum(self.counts))
        parts, _ = _dealt(self.counts, self.seed, superblock, block)
        within = np.bincount(parts[:place], minlength=len(counts))
        before: Numbers = superblock * counts + _parts_before(counts, block) + within
        return before

    def draws(self, start: int, stop: int) -> tuple[Numbers, Numbers]:
        """Parts and turns of the draws from ``start`` to before ``stop``, a block at a time."""
        parts, turns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        counts, total = np.array(self.counts), sum(self.counts)
        while start < stop:
            superblock, slot = divmod(start, total)
            block, place = _block_of(slot, total)
            dealt = _dealt(self.counts, self.seed, superblock, block)
            some = slice(place, place + stop - start)
            parts.append(dealt[0][some])
            turns.append(superblock * counts[dealt[0][some]] + dealt[1][some])
            start += len(parts[-1])
        return np.concatenate(parts), np.concatenate(turns)


def _blocks(total: int) -> int:
    return -(-total // BLOCK)


def _block_of(slot: int, total: int) -> tuple[int, int]:
    # Which of a superblock's blocks a slot lies in, and where: the first ones are longer by one.
    short, longer = divmod(total, _blocks(total))
    if slot < longer * (short + 1):
        return divmod(slot, short + 1)
    block, place = divmod(slot - longer * (short + 1), short)
    return longer + block, place


@lru_cache(16)
def _dealt(counts: tuple[int, ...], seed: int, superblock: int, block: int) -> tuple[Numbers, Numbers]:
    """The part of each place of a block, and how many of the superblock's draws of that part come before it."""
    total, ends = sum(counts), np.cumsum(counts, dtype=np.int64)
    blocks = _blocks(total)
    slots = np.arange(block, total, blocks)
    parts = np.searchsorted(ends, slots, side="right")[shuffled(len(slots), key(seed, "block", superblock, block))]
    by_part = np.argsort(parts, kind="stable")
    first = np.searchsorted(parts[by_part], np.arange(len(counts)))
    turns = np.empty(len(slots), np.int64)
    turns[by_part] = np.arange(len(slots)) - first[parts[by_part]]
    return parts, turns + _parts_before(np.array(counts, np.int64), block)[parts]


def _parts_before(counts: Numbers, block: int) -> Numbers:
    # How many draws of each part a superblock's blocks before this one hold.
    ends, blocks = np.cumsum(counts), _blocks(int(counts.sum()))
    before: Numbers = _dealt_before(ends, block, blocks) - _dealt_before(ends - counts, block, blocks)
    return before


def _dealt_before(slots: Numbers, block: int, blocks: int) -> Numbers:
    # How many of so many first slots went to blocks before this one.
    dealt: Numbers = slots // blocks * block + np.minimum(slots % blocks, block)
    return dealt
