"""Which pictures of a web pool come twice: told from hash files alone, in bounded memory, the first picture wins.

Every input shard has one hash file (``pipelines.hashes``), which any process may have written. All hashes are spread
over files by key; in each the first row of a key is kept and the others are repeats. First is what comes first by
(input shard, place), so the outcome depends neither on workers nor on how many files there are.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.buckets import KEYED, Buckets, firsts_and_repeats, once_each, pieces, rows_at_once
from pipelines.hashes import DROPPED, ID_BYTES, Numbers, Rows, read_hashes, rows_in, sealed, size, unsealed
from pipelines.neighbours import ALIKE, later_neighbours
from schemas.errors import ConfigError

How = Literal["link", "exact", "near"]

REASONS: dict[How, str] = {
    "link": "same link as an earlier picture",
    "exact": "same bytes as an earlier picture",
    "near": "nearly the same as an earlier picture",
}
MAX_RADIUS = 8
MEMORY = 256 * 2**20
_BARE = np.dtype([("high", "<u8"), ("low", "<u8")])
_Marks = npt.NDArray[np.uint8]  # by number of picture: 0, or 1 + the position of its reason


class Duplicates(NamedTuple):
    """What ``duplicates`` found: a file for each input shard, to be read by ``dropped``, and pictures by reason."""

    files: list[Path]
    counts: dict[str, int]


def duplicates(files: Sequence[Path], how: How, radius: int, scratch: Path, memory: int = MEMORY) -> Duplicates:
    """The pictures to be dropped, from the hash files of all input shards in their order.

    A picture is dropped where any earlier one, itself dropped or not, has one of its ids (``link``); or else the same
    bytes by the first 128 bits of their sha256 (``exact``, which includes ``link``); or else a likeness at most
    ``radius`` bits from its own, 0 to 8 (``near``, which includes ``exact``). So of pictures each near the next only
    the first is kept, and a picture may be dropped for one that is dropped.

    Memory stays below about ``memory`` bytes and the largest hash file, the disk below 100 bytes a picture; besides,
    one byte a picture is mapped from disk. ``scratch`` is for one call at a time: the next removes what this one left.
    ConfigError for a radius out of range, ShardError for a hash file that is not whole.
    """
    if not 0 <= radius <= MAX_RADIUS:
        raise ConfigError(f"radius {radius}: wanted 0 to {MAX_RADIUS} bits")
    scratch = _emptied(scratch / "duplicates")
    rows = sum(rows_in(path) for path in files)
    wanted = list(REASONS)[: list(REASONS).index(how) + 1]
    spread = {one: Buckets(scratch / one, rows * (2 if one == "link" else 1), memory) for one in wanted}
    starts = _spread(files, spread)
    marks = np.memmap(scratch / "marks", np.uint8, "w+", shape=(max(1, starts[-1]),))
    alike = scratch / "alike"
    for code, (one, buckets) in enumerate(spread.items(), 1):
        for bucket in buckets.files():
            for firsts, repeats in firsts_and_repeats(bucket, memory):
                _mark(marks, repeats["number"], code)
                if one == "near" and radius:
                    _append(alike, firsts)
    if alike.exists():
        for numbers in later_neighbours(alike, radius, scratch / "bands", memory):
            _mark(marks, numbers, len(REASONS))
        alike.unlink()
    found = _written(marks, starts, scratch / "dropped")
    (scratch / "marks").unlink()
    return found


def dropped(path: Path) -> dict[int, str]:
    """The places to be dropped of one input shard, ascending, each with its reason; ShardError for a damaged file."""
    reasons = list(REASONS.values())
    return {place: reasons[reason] for place, reason in unsealed(path, DROPPED).tolist()}


def repeated(files: Sequence[Path], scratch: Path, memory: int = MEMORY) -> Iterator[bytes]:
    """Every hash that is there more than once, once each, in no certain order; the files are bare hashes of 16 bytes.

    ``scratch`` is for one call at a time. ShardError where a file cannot be read or has part of a hash.
    """
    buckets = Buckets(_emptied(scratch / "repeated"), sum(map(size, files)) // ID_BYTES, memory)
    for path in files:
        for part in pieces(path, _BARE, rows_at_once(memory) // 4):
            _add(buckets, part["high"], part["low"], np.zeros(len(part), np.uint64))
    for bucket in buckets.files():
        told = np.empty(0, KEYED)
        for _, repeats in firsts_and_repeats(bucket, memory):
            told = once_each(np.concatenate([told, repeats]))
        for high, low in zip(told["high"], told["low"], strict=True):
            yield high.tobytes() + low.tobytes()


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _spread(files: Sequence[Path], spread: dict[How, Buckets]) -> list[int]:
    # Pictures are numbered through all shards: a shard's first number, for all of them, and the number after the last.
    starts = [0]
    for path in files:
        rows = read_hashes(path)
        numbers = rows["place"].astype(np.uint64) + np.uint64(starts[-1])
        starts.append(int(numbers[-1]) + 1 if len(rows) else starts[-1])
        _add_ids(spread["link"], rows["ids"], numbers)
        if "exact" in spread:
            _add(spread["exact"], rows["content"][:, 0], rows["content"][:, 1], numbers)
        if "near" in spread:
            alike = rows["alike"] == 1
            _add(spread["near"], rows["likeness"][alike], np.uint64(0), numbers[alike])
    return starts


def _add_ids(buckets: Buckets, ids: Numbers, numbers: Numbers) -> None:
    # A picture's ids stay side by side, so that rows of one key keep the order of their pictures.
    used: npt.NDArray[np.bool_] = (ids != 0).any(axis=2)
    used[:, 1] &= (ids[:, 0] != ids[:, 1]).any(axis=1)
    _add(buckets, ids[..., 0][used], ids[..., 1][used], np.repeat(numbers, used.sum(axis=1)))


def _add(buckets: Buckets, high: Numbers, low: Numbers | np.uint64, numbers: Numbers) -> None:
    rows = np.empty(len(numbers), KEYED)
    rows["high"], rows["low"], rows["number"] = high, low, numbers
    buckets.add(rows["high"] ^ rows["low"], rows)


def _append(path: Path, firsts: Rows) -> None:
    rows = np.empty(len(firsts), ALIKE)
    rows["likeness"], rows["number"] = firsts["high"], firsts["number"]
    with path.open("ab") as file:
        file.write(rows.tobytes())


def _mark(marks: _Marks, numbers: Numbers, code: int) -> None:
    numbers = np.sort(numbers)
    marks[numbers[marks[numbers] == 0]] = code


def _written(marks: _Marks, starts: list[int], folder: Path) -> Duplicates:
    folder.mkdir()
    files, counts, reasons = [], Counter[str](), list(REASONS.values())
    for index, (start, stop) in enumerate(pairwise(starts)):
        shard = marks[start:stop]
        rows = np.empty(np.count_nonzero(shard), DROPPED)
        rows["place"] = np.flatnonzero(shard)
        rows["reason"] = shard[shard > 0] - 1
        files.append(folder / f"{index:06d}")
        files[-1].write_bytes(sealed(rows))
        for code, count in enumerate(np.bincount(rows["reason"], minlength=len(reasons)).tolist()):
            counts[reasons[code]] += count
    return Duplicates(files, {reason: counts[reason] for reason in reasons if counts[reason]})
