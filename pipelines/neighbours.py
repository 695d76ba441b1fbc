"""Which of many 64-bit hashes have another one within a few bits: exact, in bounded memory, comparing few pairs.

The 64 bits are cut into bands. Two hashes that differ in at most ``radius`` bits agree in all but ``radius`` bands at
least, so every such pair shares a key made of some choice of the other bands. For each choice the hashes are sorted by
that key and only those that share it are compared. There are as many bands as make keys of about as many bits as the
number of hashes has: less, and too many share a key; more, and there are too many choices.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import combinations, islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.buckets import Buckets, pieces, rows_at_once
from pipelines.hashes import Numbers, Rows

ALIKE = np.dtype([("likeness", "<u8"), ("number", "<u8")])
AT_ONCE = 2**20  # pairs that are compared together where few hashes are looked for among many
LONG = 32  # hashes of one key up to which shifted comparisons of all keys at once are faster than a table for each key
_SORTING = 8  # what sorting a hash costs, in comparisons of two
_UNEVEN = 4  # how many more than by chance share a key, as bits of pictures are not evenly drawn

Places = npt.NDArray[np.int64]
Band = tuple[int, int]  # its lowest bit and how many it has


class _Search(NamedTuple):
    bands: list[Band]
    radius: int
    folder: Path
    memory: int


def later_neighbours(path: Path, radius: int, folder: Path, memory: int) -> Iterator[Numbers]:
    """The numbers of the hashes that differ in 1 to ``radius`` bits from a hash of a smaller number, some repeatedly.

    ``path`` holds bare ``ALIKE`` rows, all likenesses different; ``folder`` is for files of about its size and does not
    exist yet. Memory stays below about ``memory`` bytes, whatever the hashes are.
    """
    bands = _bands(path.stat().st_size // ALIKE.itemsize, radius)
    yield from _found(_Search(bands, radius, folder, memory), path, (), len(bands) - radius)


def nearest_label(
    hashes: Numbers, against: Numbers, labels: npt.NDArray[np.int16], radius: int, none: int
) -> npt.NDArray[np.int16]:
    """Of each hash the smallest label of those ``against`` that differ from it in at most ``radius`` bits, else none.

    ``labels`` are those of ``against``. Two hashes that near agree in at least one of ``radius`` + 1 bands.
    """
    found = np.full(len(hashes), none, np.int16)
    edges = [64 * band // (radius + 1) for band in range(radius + 2)]
    for low, high in pairwise(edges):
        keys, others = (_keys(some, [(low, high - low)]) for some in (hashes, against))
        order = np.argsort(others, kind="stable")
        first, last = (np.searchsorted(others[order], keys, side) for side in ("left", "right"))
        for one, other in _paired(first, last):
            other = order[other]
            close = np.bitwise_count(hashes[one] ^ against[other]) <= radius
            np.minimum.at(found, one[close], labels[other[close]])
    return found


def _paired(first: Places, last: Places) -> Iterator[tuple[Places, Places]]:
    """Each number with every place from its first to its last, not more than ``AT_ONCE`` pairs together but one's."""
    counts = last - first
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start] - counts[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + AT_ONCE, "right")))
        some = np.arange(start, stop)
        one = np.repeat(some, counts[some])
        yield one, np.arange(len(one)) - np.repeat(ends[some] - counts[some] - before, counts[some]) + first[one]
        start = stop


def _bands(hashes: int, radius: int) -> list[Band]:
    def cost(count: int) -> float:
        sharing: float = _UNEVEN * hashes / 2.0 ** (64 * (count - radius) // count)
        return math.comb(count, radius) * hashes * (_SORTING + sharing)

    count = min(range(radius + 1, 2 * radius + 9), key=cost)
    edges = [64 * band // count for band in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(edges)]


def _found(search: _Search, path: Path, chosen: tuple[int, ...], left: int) -> Iterator[Numbers]:
    # ``chosen`` are the bands by which the file was cut out; of those after them, ``left`` more make up a key.
    room = rows_at_once(search.memory)
    rows = path.stat().st_size // ALIKE.itemsize
    after = range(chosen[-1] + 1 if chosen else 0, len(search.bands))
    if rows <= room:
        choices = ((*chosen, *more) for more in combinations(after, left))
        yield from _in_memory(search, np.fromfile(path, ALIKE), choices)
    elif not left:
        for index, some in enumerate(pieces(path, ALIKE, room // 2)):
            for others in islice(pieces(path, ALIKE, room // 2), index, None):
                yield from _all_pairs(some, others, search.radius, room)
    else:
        for band in after[: len(after) - left + 1]:
            buckets = Buckets(search.folder / "-".join(map(str, (*chosen, band))), rows, search.memory)
            for part in pieces(path, ALIKE, max(1, room // 8)):
                buckets.add(_keys(part["likeness"], [search.bands[band]]), part)
            for file in buckets.files():
                yield from _found(search, file, (*chosen, band), left - 1)


def _keys(likeness: Numbers, bands: Iterable[Band]) -> Numbers:
    keys = np.zeros_like(likeness)
    for low, bits in bands:
        keys = keys << np.uint64(bits) | likeness >> np.uint64(low) & np.uint64(2**bits - 1)
    return keys


def _in_memory(search: _Search, rows: Rows, choices: Iterable[tuple[int, ...]]) -> Iterator[Numbers]:
    likeness, number = rows["likeness"].copy(), rows["number"].copy()
    positions = np.arange(len(rows), dtype=np.uint64)
    bits = np.uint64(len(rows).bit_length())
    for chosen in choices:
        # Key and position in one number sort fast. Were a key too long its highest bits would fall off: more share it.
        packed = _keys(likeness, (search.bands[band] for band in chosen)) << bits | positions
        packed.sort()
        order = packed & (np.uint64(1) << bits) - np.uint64(1)
        sharing = np.empty(len(rows), ALIKE)
        sharing["likeness"], sharing["number"] = likeness[order], number[order]
        yield from _sharing(packed >> bits, sharing, search)


def _sharing(keys: Numbers, rows: Rows, search: _Search) -> Iterator[Numbers]:
    # The rows are sorted by their keys. Each is compared with the next of its key, then with the one after, and so on.
    likeness, number = rows["likeness"], rows["number"]
    at = np.flatnonzero(keys[1:] == keys[:-1])
    for step in range(1, LONG):
        near = at[np.bitwise_count(likeness[at] ^ likeness[at + step]) <= search.radius]
        if near.size:
            yield np.maximum(number[near], number[near + step])
        at = at[at + step + 1 < len(keys)]
        at = at[keys[at] == keys[at + step + 1]]
        if not at.size:
            return
    for key in np.unique(keys[at]):
        same = rows[slice(*np.searchsorted(keys, [key, key + np.uint64(1)]))]
        yield from _all_pairs(same, same, search.radius, rows_at_once(search.memory))


def _all_pairs(some: Rows, others: Rows, radius: int, room: int) -> Iterator[Numbers]:
    at_once = max(1, 2 * room // len(others))
    for start in range(0, len(some), at_once):
        part, against = some[start : start + at_once], others[start:] if others is some else others
        apart = np.bitwise_count(part["likeness"][:, None] ^ against["likeness"])
        one, other = np.nonzero((apart <= radius) & (apart > 0))
        if one.size:
            yield np.maximum(part["number"][one], against["number"][other])
