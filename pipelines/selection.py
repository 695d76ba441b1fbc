"""Choosing the records of a mixture's parts from a pool's record index, shard by shard, and writing which they are.

Every record of a part is counted once: held out (lost to the first split that names its picture), left out by the first
filter that it does not pass or by ``max_records``, or taken. Memory holds the index of one shard, counters, and where a
part says ``max_records``, that many hashes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import engine
from pipelines.eligible import ITEMS, NUMBER, ROW, ROWS, SHARDS
from pipelines.filters import Mask, passing
from pipelines.held_names import FREE, held_of
from pipelines.progress import progress
from pipelines.record_index import AT_ONCE, Given, ShardOf, Shards, batched
from schemas.errors import ShardError
from schemas.ledger import Part
from schemas.mixture import Filters

MOST = "max_records"

Places = npt.NDArray[np.int64]
Hash = tuple[int, int]
HASH = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a part: which records, and how many of a picture's make one item; ``stem`` names its files."""

    stem: str
    part: Part
    filters: Filters
    most: int | None
    seed: int
    per_image: int | Literal["all"]
    largest: Hash | None = None


@dataclass(frozen=True)
class Chunk:
    """Some shards of a pool and what is wanted of them; it pickles."""

    shards: Shards
    wanted: tuple[Wanted, ...] = field(repr=False)
    held: Path = field(repr=False)
    folder: Path = field(repr=False)

    def __str__(self) -> str:
        return str(self.shards)

    def file(self, wanted: Wanted, kind: str) -> Path:
        """Where what is chosen of a part goes until all shards are done."""
        return self.folder / f"{wanted.stem}.{kind}.{self.shards[0].number:09d}"


@dataclass
class Chosen:
    """What became of a part's candidates: counts, by label of a held-out split and by rule."""

    candidates: int = 0
    records: int = 0
    images: int = 0
    items: int = 0
    lost: Counter[int] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Chosen") -> None:
        """Add what became of other candidates."""
        for name in ("candidates", "records", "images", "items"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lost.update(other.lost)
        self.filtered.update(other.filtered)


def choose(
    pool: Given, wanted: Sequence[Wanted], held: Path, folder: Path, scratch: Path, workers: int
) -> list[Chosen]:
    """Write the files of these parts to ``folder`` and tell what became of their candidates.

    ``held`` is a file of ``pipelines.held_names``. ShardError where a part's counts do not sum to its candidates.
    """
    limits = _largest(_chunks(pool, wanted, held, scratch), workers)
    wanted = [replace(one, largest=limits.get(one.stem)) for one in wanted]
    chunks = _chunks(pool, wanted, held, scratch)
    total = [Chosen() for _ in wanted]
    with progress(f"choosing records of {pool.name}", pool.manifest.shards) as shown:
        for some in engine.run(_choose, chunks, workers):
            for one, more in zip(total, some, strict=True):
                one.add(more)
            shown.step(AT_ONCE)
    for part, said in zip(wanted, total, strict=True):
        _insist_whole(pool, part, said)
        _gather(part, chunks, folder)
    return total


def _chunks(pool: Given, wanted: Sequence[Wanted], held: Path, folder: Path) -> list[Chunk]:
    return [Chunk(some, tuple(wanted), held, folder) for some in batched(pool.shards())]


def _insist_whole(pool: Given, wanted: Wanted, said: Chosen) -> None:
    written = pool.written.get(wanted.part, 0)
    ended = said.records + said.filtered.total() + said.lost.total()
    if not written == said.candidates == ended:
        told = f"its ledger says {written:,}, its index holds {said.candidates:,}, of which {ended:,} were counted"
        raise ShardError(f"{pool.location}: records of {wanted.part}: {told}")


def _choose(chunk: Chunk) -> list[Chosen]:
    said = [Chosen() for _ in chunk.wanted]
    rows: list[list[npt.NDArray[np.uint32]]] = [[] for _ in chunk.wanted]
    for shard in chunk.shards:
        for place, (wanted, left) in enumerate(_left(shard, chunk, said)):
            kept = _fewest(left, wanted, said[place])
            said[place].records += len(kept)
            said[place].images += len(pc.unique(kept.filter(pc.is_valid(kept["image"]))["sample"]))
            rows[place].append(np.stack([kept[name].to_numpy() for name in ("sample", "place")], 1).astype(ROW))
    for wanted, found, one in zip(chunk.wanted, rows, said, strict=True):
        one.items = _write(chunk, wanted, found)
    return said


def _left(shard: ShardOf, chunk: Chunk, said: Sequence[Chosen]) -> Iterator[tuple[Wanted, pa.Table]]:
    """The rows of each part that are neither held out nor filtered; the others are counted."""
    index = shard.rows()
    labels = held_of(chunk.held).labels(index)
    for wanted, one in zip(chunk.wanted, said, strict=True):
        mine = of_part(index, wanted.part)
        rows, label = index.filter(mine), labels[mine]
        one.candidates += len(rows)
        one.lost.update(label[label != FREE].tolist())
        rows = rows.filter(label == FREE)
        open = np.ones(len(rows), bool)
        for rule, passes in passing(rows, wanted.filters):
            one.filtered[rule] += int(np.count_nonzero(open & ~passes))
            open &= passes
        yield wanted, rows.filter(open)


def of_part(index: pa.Table, part: Part) -> Mask:
    """Which rows of a record index are that part's."""
    task = pc.is_null(index["task"]) if part.task is None else pc.equal(index["task"], part.task)
    named = pc.and_(pc.equal(index["source"], part.source), pc.equal(index["split"], part.split))
    mine: Mask = pc.fill_null(pc.and_(named, task), False).to_numpy()
    return mine


def _fewest(rows: pa.Table, wanted: Wanted, said: Chosen) -> pa.Table:
    if wanted.largest is None:
        return rows
    hashes = _hashes(rows, wanted)
    high, low = wanted.largest
    few = (hashes["high"] < high) | (hashes["high"] == high) & (hashes["low"] <= low)
    said.filtered[MOST] += int(np.count_nonzero(~few))
    return rows.filter(few)


def _hashes(rows: pa.Table, wanted: Wanted) -> npt.NDArray[np.void]:
    keys = rows["record"].to_pylist()
    digests = (hashlib.blake2b(f"{wanted.seed}/{key}".encode(), digest_size=16).digest() for key in keys)
    return np.frombuffer(b"".join(digests), HASH)


def _largest(chunks: Sequence[Chunk], workers: int) -> dict[str, Hash]:
    """The largest hash of a record that is kept, of each part that says how many at most and has more."""
    few = [replace(one, wanted=tuple(part for part in one.wanted if part.most)) for one in chunks]
    smallest: dict[str, npt.NDArray[np.void]] = {}
    if not few or not few[0].wanted:
        return {}
    for some in engine.run(_smallest, few, workers):
        for wanted, found in zip(few[0].wanted, some, strict=True):
            both = np.concatenate([smallest.get(wanted.stem, found[:0]), found])
            smallest[wanted.stem] = np.sort(both, order=["high", "low"])[: wanted.most]
    full = {one.stem: smallest[one.stem] for one in few[0].wanted if len(smallest[one.stem]) == one.most}
    return {stem: (int(found["high"][-1]), int(found["low"][-1])) for stem, found in full.items()}


def _smallest(chunk: Chunk) -> list[npt.NDArray[np.void]]:
    found = [np.empty(0, HASH) for _ in chunk.wanted]
    said = [Chosen() for _ in chunk.wanted]
    for shard in chunk.shards:
        for place, (wanted, left) in enumerate(_left(shard, chunk, said)):
            both = np.concatenate([found[place], _hashes(left, wanted)])
            found[place] = np.sort(both, order=["high", "low"])[: wanted.most]
    return found


def _write(chunk: Chunk, wanted: Wanted, found: Sequence[npt.NDArray[np.uint32]]) -> int:
    """Put aside the rows of a part, the first row of each item, and how many items each shard has; items in all."""
    orders, begins = zip(*[_items(rows[:, 0], wanted.per_image) for rows in found], strict=True)
    before = np.cumsum([0, *map(len, found)])
    np.concatenate([rows[order] for rows, order in zip(found, orders, strict=True)]).tofile(chunk.file(wanted, ROWS))
    np.array([len(some) for some in begins], NUMBER).tofile(chunk.file(wanted, SHARDS))
    within = np.concatenate([some + first for some, first in zip(begins, before[:-1], strict=True)])
    within.astype(NUMBER).tofile(chunk.file(wanted, ITEMS))
    return len(within)


def _items(samples: npt.NDArray[np.uint32], per_image: int | Literal["all"]) -> tuple[Places, Places]:
    """The order of the rows in which those of an item follow each other, and the first row of each item in it.

    A picture's rows make as few items as ``per_image`` allows, dealt to them in turn: neighbours often speak of one and
    the same thing, as the sentences of one RefCOCO object do, and an item that holds several teaches more.
    """
    rows = np.arange(len(samples))
    _, first, count = np.unique(samples, return_index=True, return_counts=True)
    items = np.ones_like(count) if per_image == "all" else -(-count // per_image)
    within, many = rows - np.repeat(first, count), np.repeat(items, count)
    order = np.lexsort((within, within % many, samples))
    item = (within % many)[order]
    fresh = np.ones(len(samples), bool)
    fresh[1:] = (samples[1:] != samples[:-1]) | (item[1:] != item[:-1])
    return order, np.flatnonzero(fresh)


def _gather(wanted: Wanted, chunks: Sequence[Chunk], folder: Path) -> None:
    """Put together what was put aside of a part."""
    counts = np.concatenate([np.fromfile(chunk.file(wanted, SHARDS), NUMBER) for chunk in chunks])
    with (folder / f"{wanted.stem}.{SHARDS}").open("wb") as file:
        np.concatenate([[0], np.cumsum(counts)]).astype(NUMBER).tofile(file)
    before = 0
    with (folder / f"{wanted.stem}.{ROWS}").open("wb") as file, (folder / f"{wanted.stem}.{ITEMS}").open("wb") as items:
        for chunk in chunks:
            some = np.fromfile(chunk.file(wanted, ROWS), ROW)
            some.tofile(file)
            (np.fromfile(chunk.file(wanted, ITEMS), NUMBER) + np.uint64(before)).tofile(items)
            before += len(some) // 2
            for kind in (ROWS, ITEMS, SHARDS):
                chunk.file(wanted, kind).unlink()
        np.array([before], NUMBER).tofile(items)
    if wanted.per_image == 1:
        (folder / f"{wanted.stem}.{ITEMS}").unlink()
