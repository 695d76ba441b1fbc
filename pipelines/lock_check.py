"""What a lock says against what its mixture comes to anew, and against the names of the pictures that it shows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.compute as pc

from pipelines import engine
from pipelines.eligible import Eligible, mapped
from pipelines.held_names import NAMES, held_of, pictures_of
from pipelines.locked import bare
from pipelines.placed import opened
from pipelines.record_index import Given, Shards, batched
from pipelines.resolve import Measure
from pipelines.selection import of_part
from pipelines.token_count import Measured
from schemas.errors import ShardError
from schemas.ledger import Part
from schemas.lock import Lock, LockedPart
from schemas.prompt import replaced


def own_of(lock: Lock) -> Mapping[str, Sequence[str]]:
    """The mixture's own template pools, as a lock holds them; ConfigError where they are none."""
    return replaced(lock.mixture.get("templates") or {}, f"templates of the lock of stage {lock.stage}")


def pinned(lock: Lock, locations: Sequence[str]) -> list[Given]:
    """The lock's pools, found at these places; ShardError naming one that is not among them, or is another now."""
    there = {pool.name: pool for pool in opened(locations)}
    for pool in lock.pools:
        if pool.name not in there:
            raise ShardError(f"pool {pool.name}: the lock is of it, and it is not given; known: {', '.join(there)}")
        if (found := there[pool.name]).manifest.digest != pool.digest:
            changed = f"its digest is {found.manifest.digest}, the lock says {pool.digest}"
            raise ShardError(f"pool {pool.name} at {found.location}: {changed}: it was built anew since")
    return [there[name] for name in sorted(pool.name for pool in lock.pools)]


def as_told(lock: Lock) -> Measure:
    """Counts no tokens: tells those that the lock does."""
    told = {(lock.pools[part.pool].name, part.part): Measured(part.mean_tokens, part.max_tokens) for part in lock.parts}

    def measure(pool: Given, part: Part, eligible: Eligible) -> Measured:
        return told.get((pool.name, part), Measured(1, 1))  # of a part that the lock lacks, which is told of besides

    return measure


def differing(lock: Lock, anew: Lock) -> Iterator[str]:
    """Each place where a lock says something else than the one that its mixture comes to now."""
    was, now = (msgspec.to_builtins(bare(one)) for one in (lock, anew))
    was["boxcar"] = now["boxcar"]  # a later version may prove an earlier one's lock
    yield from _differing("lock", was, now)


def _differing(where: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict) and was.keys() == now.keys():
        for key in was:
            yield from _differing(f"{where}.{key}", was[key], now[key])
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for place, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _differing(f"{where}.{_called(place, one)}", one, other)
    elif was != now:
        yield f"{where}: the lock says {was!r:.80}, its mixture comes to {now!r:.80}"


def _called(place: int, one: Any) -> str:
    if isinstance(one, dict) and {"source", "split", "task", "rows"} <= one.keys():
        return str(Part(one["source"], one["split"], one["task"]))
    return str(place)


def shown(lock: Lock, folder: Path, pools: Sequence[Given], held: Path, workers: int) -> Iterator[str]:
    """What the lock's own files let through that they may not: damage, other parts' records, held-out pictures.

    The names are looked up picture by picture, not by what had chosen the records.
    """
    files: dict[str, list[tuple[LockedPart, Eligible]]] = {}
    for part in lock.parts:
        try:
            files.setdefault(lock.pools[part.pool].name, []).append((part, mapped(folder, part)))
        except ShardError as error:
            yield str(error)
    for pool in pools:
        if mine := files.get(pool.name):
            for some in engine.run(partial(_wrong, held, mine), batched(pool.shards()), workers):
                yield from some


def _wrong(held: Path, files: Sequence[tuple[LockedPart, Eligible]], shards: Shards) -> list[str]:
    said: list[str] = []
    names = held_of(held).names.keys()
    for shard in shards:
        index = shard.rows()
        pictures = pictures_of(index).select([*NAMES, "aliases"]).to_pylist()
        bad = np.array([_named(picture) & names != set() for picture in pictures], bool)
        first = np.flatnonzero(pc.equal(index["place"], 0).to_numpy())
        for part, eligible in files:
            rows = eligible.of_shard(shard.number).astype(np.int64)
            at = np.minimum(first[np.minimum(rows[:, 0], len(first) - 1)] + rows[:, 1], len(index) - 1)
            theirs = np.stack([index[name].to_numpy()[at] for name in ("sample", "place")], 1)
            if (theirs != rows).any() or not of_part(index, part.part)[at].all() or len(np.unique(at)) < len(at):
                said.append(f"{part.rows.name}: its rows of {shard} are not records of {part.part}, each once")
            elif count := int(np.count_nonzero(bad[rows[:, 0]])):
                said.append(f"{part.rows.name}: {count} records of {shard} show a picture that is held out")
    return said


def _named(picture: dict[str, Any]) -> set[str]:
    return {*picture.pop("aliases"), *filter(None, picture.values())}
