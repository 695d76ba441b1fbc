"""Order out of numbers alone: keys, and permutations that a key decides.

Nothing here is numpy's or Python's own generator, whose streams may change between versions: what a key decides is
decided for good.
"""

import hashlib
from math import isqrt

import numpy as np
import numpy.typing as npt

_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15
_ROUNDS = 8


def key(*named: int | str) -> int:
    """64 bits that these names and numbers decide, in this order."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(map(str, named)).encode(), digest_size=8).digest(), "big")


def mixed(word: int) -> int:
    """64 bits made of 64 by the last half of splitmix64: a bijection in which every bit hangs on all bits.

    Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014; the constants are its authors' later ones.
    """
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)


def shuffled(count: int, by: int) -> npt.NDArray[np.int64]:
    """The numbers below ``count`` in the order of their hashes: a table, for counts that are small."""
    words = np.arange(count, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(by)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # mixed(), for all of them at once
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(words ^ (words >> np.uint64(31)))


def permuted(place: int, size: int, by: int) -> int:
    """Where a permutation of the numbers below ``size`` takes ``place``, without a table of any size.

    A Feistel network on a grid of rows and columns that holds ``size`` numbers and hardly more (Black, Rogaway, 2002):
    what falls on one of the cells left over is taken through it again.
    """
    rows = isqrt(size - 1) + 1
    columns = -(-size // rows)
    while (place := _crossed(place, rows, columns, by)) >= size:
        pass
    return place


def _crossed(place: int, rows: int, columns: int, by: int) -> int:
    row, column = divmod(place, columns)
    for each in range(0, _ROUNDS, 2):
        row = (row + mixed((by + each * _STEP + column) & _MASK)) % rows
        column = (column + mixed((by + (each + 1) * _STEP + row) & _MASK)) % columns
    return row * columns + column
