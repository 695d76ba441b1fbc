"""Which pictures a mixture may not show: those of the splits that models are evaluated on, under all their names.

The pictures of a split are known from a pool that holds it whole, or from its annotations (no picture is opened). Then
every picture of any pool that has one of these names gives its other names too, until nothing new comes: a picture of
Visual Genome that GQA's testdev names takes the picture of COCO that is the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain, count
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from converters import find
from manifests import load
from pipelines import engine
from pipelines.convert import MALFORMED
from pipelines.held_annotations import MOST_MALFORMED, annotated
from pipelines.held_names import FREE, NAMES, Held, held_of, keep
from pipelines.progress import progress
from pipelines.record_index import AT_ONCE, Given, Shards, batched
from pipelines.selection import of_part
from schemas.config import validated
from schemas.errors import ConfigError, unknown
from schemas.ledger import Part, Tally
from schemas.mixture import RELEASED, STRICT, HeldOut, HeldSplit

IMAGE_DATA = "image_data.json"  # of Visual Genome, which GQA's questions may lie beside
Labelled = tuple[int, frozenset[tuple[str, str]]]  # a split, and which sources and splits of a pool show its pictures


@cache
def known() -> Mapping[str, HeldSplit]:
    """Every split that can be held out, by name, in the order of manifests/held_out.yaml."""
    where = "held_out"
    return {one.split: one for one in validated(HeldOut, load(where), where).splits}


def asked(held_out: str | Sequence[str]) -> list[HeldSplit]:
    """The splits that a mixture holds out, in the manifest's order; ConfigError with near ones for an unknown name."""
    words = [] if held_out == RELEASED else [held_out] if isinstance(held_out, str) else list(held_out)
    for word in words:
        if word not in (STRICT, *known()):
            raise ConfigError(f"held_out: {unknown('split', word, (STRICT, *known()))}")
    return [one for name, one in known().items() if name in words or (STRICT in words and not one.named)]


class Found(NamedTuple):
    """What a held-out split's pictures are, and where that is known from."""

    split: HeldSplit
    origin: Literal["pool", "annotations", "not concerned"]
    images: int
    digest: str


class Asked(NamedTuple):
    """All that decides what is held out: the splits, every pool given, which parts of each are mixed, annotations."""

    splits: Sequence[HeldSplit]
    pools: Sequence[Given]
    parts: Mapping[str, Sequence[Part]]  # by a pool's location
    roots: Mapping[str, str]
    radius: int | None


@dataclass
class Pictures:
    """Pictures of one split: their ids, all their names, their likenesses."""

    ids: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    likenesses: set[int] = field(default_factory=set)

    def add(self, other: "Pictures") -> None:
        """Add other pictures."""
        self.ids |= other.ids
        self.names |= other.names
        self.likenesses |= other.likenesses


def held_pictures(asked: Asked, scratch: Path, workers: int) -> tuple[Path, list[Found]]:
    """A file with every name that no part may show (see ``pipelines.held_names``), and what was found of each split.

    ConfigError naming the splits whose pictures nothing given tells, though a part shows some of their collection, and
    those that are asked for by likeness and lie in no pool; and where nothing tells what COCO calls pictures of Visual
    Genome that a part shows.
    """
    _insist_aliased(asked)
    seen = _in_pools(asked, workers)
    origins = [_origin(split, asked, seen[label]) for label, split in enumerate(asked.splits)]
    unknown = [split for split, origin in zip(asked.splits, origins, strict=True) if origin is None]
    if unknown:
        _insist_unconcerned(unknown, asked, workers)
    if asked.radius is not None:
        _insist_likened(asked, origins, seen)
    found = [
        Found(split, origin or "not concerned", len(seen[label].ids), _digest(seen[label].ids))
        for label, (split, origin) in enumerate(zip(asked.splits, origins, strict=True))
    ]
    return closed(_held(seen, asked.radius), asked.pools, scratch, workers), found


def _insist_aliased(asked: Asked) -> None:
    # Half of Visual Genome's pictures are COCO's under other ids, other bytes: only image_data.json tells which.
    coco = [split for split in asked.splits if _collection(split.split) == "coco"]
    told = any(Path(file.name).name == IMAGE_DATA for pool in asked.pools for file in pool.manifest.sources)
    for part in () if told or not coco else chain.from_iterable(asked.parts.values()):
        if _collection(part.source) == "vg":
            raise ConfigError(
                f"part {part}: nothing given tells which of its pictures are COCO's, and {coco[0].split} holds some"
                f" out: build its pool with {IMAGE_DATA} beside its questions, or give a pool of vg's regions"
            )


def _collection(name: str) -> str | None:
    return find(name.partition("/")[0]).collection


def _digest(ids: set[str]) -> str:
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def holds(pool: Given, split: HeldSplit) -> set[tuple[str, str]]:
    """The sources and splits of a pool that have the pictures of a held-out split, in one of its forms."""
    wanted = {split.split, *split.same}
    forms = {(entry["name"], entry["split"]): entry["form"] for entry in pool.manifest.config.get("sources", ())}
    there = {(part.source, part.split) for part, written in pool.written.items() if written}
    return {one for one in there if "/".join(one) in wanted and (split.forms is None or forms.get(one) in split.forms)}


def _whole(pool: Given, split: HeldSplit) -> bool:
    # What a rule left out of a pool leaves no trace there: its picture may be missing. A reject is named, but for rows
    # that could not be read.
    there = holds(pool, split)
    return any(
        (tally.source, tally.split) in there and not tally.left_out and _readable(tally)
        for tally in pool.manifest.ledger
    )


def _readable(tally: Tally) -> bool:
    malformed = sum(count.count for count in tally.rejected if count.name == MALFORMED)
    return malformed <= MOST_MALFORMED * tally.candidates


def _origin(split: HeldSplit, asked: Asked, seen: Pictures) -> Literal["pool", "annotations"] | None:
    if any(_whole(pool, split) for pool in asked.pools):
        return "pool"
    told = annotated(split, asked.roots)
    if told is None:
        return None
    seen.ids |= told.ids
    seen.names |= told.names
    return "annotations"


def _in_pools(asked: Asked, workers: int) -> list[Pictures]:
    """The pictures of each split that lie in any of the pools."""
    seen = [Pictures() for _ in asked.splits]
    for pool in asked.pools:
        there = [(label, frozenset(holds(pool, split))) for label, split in enumerate(asked.splits)]
        splits = tuple((label, parts) for label, parts in there if parts)
        tasks = batched(pool.shards()) if splits else ()
        for found in engine.run(partial(_shown, splits), tasks, workers):
            for label, pictures in found:
                seen[label].add(pictures)
    return seen


def _shown(splits: Sequence[Labelled], shards: Shards) -> list[tuple[int, Pictures]]:
    found = [(label, Pictures()) for label, _ in splits]
    for shard in shards:
        index, rejects = shard.rows(), shard.rejects()
        for (_, pictures), (_, parts) in zip(found, splits, strict=True):
            mine = [part in parts for part in zip(index["source"].to_pylist(), index["split"].to_pylist(), strict=True)]
            _add(pictures, index.filter(mine))
            for line in rejects:
                if line.image and (line.source, line.split) in parts:
                    pictures.ids.add(line.image)
                    pictures.names.update((line.image, *line.names))
    return found


def _add(pictures: Pictures, rows: pa.Table) -> None:
    ids = rows["image"].drop_null().to_pylist()
    pictures.ids.update(ids)
    for name in NAMES:
        pictures.names.update(rows[name].drop_null().to_pylist())
    pictures.names.update(alias for aliases in rows["aliases"].to_pylist() for alias in aliases)
    pictures.likenesses.update(rows["likeness"].drop_null().to_pylist())


def _insist_unconcerned(unknown: Sequence[HeldSplit], asked: Asked, workers: int) -> None:
    shown = set[str]()
    for pool in asked.pools:
        if parts := tuple(asked.parts.get(pool.location, ())):
            shown.update(*engine.run(partial(_collections, parts), batched(pool.shards()), workers))
    lacking = [split for split in unknown if _collection(split.split) in shown]
    if not lacking:
        return
    first = lacking[0]
    halves = [pool.name for pool in asked.pools if holds(pool, first)]
    partly = f" (pool {halves[0]} holds it in part: rows of it were left out, or could not be read)" if halves else ""
    more = f", and likewise {', '.join(one.split for one in lacking[1:])}" if lacking[1:] else ""
    root = f"--root {first.split.partition('/')[0]}=DIR with its annotations"
    raise ConfigError(
        f"held-out split {first.split}: nothing given tells its pictures{partly}: give a pool that holds it, or {root},"
        f" or leave it out of held_out{more}"
    )


def _collections(parts: Sequence[Part], shards: Shards) -> set[str]:
    """The collections of the pictures that these parts show, under whatever names."""
    found = set[str]()
    for shard in shards:
        index = shard.rows()
        rows = index.filter(np.logical_or.reduce([of_part(index, part) for part in parts]))
        names = [rows["image"].drop_null(), pc.list_flatten(rows["aliases"])]
        found.update(name.partition("/")[0] for column in names for name in column.to_pylist())
    return found


def _insist_likened(asked: Asked, origins: Sequence[str | None], seen: Sequence[Pictures]) -> None:
    for split, origin, pictures in zip(asked.splits, origins, seen, strict=True):
        if origin != "pool" or not pictures.likenesses:
            why = "its pictures there have no likeness" if origin == "pool" else "no pool given holds the whole of it"
            raise ConfigError(
                f"near_held_out: held-out split {split.split}: {why}: give a pool that holds it with its pictures, or"
                " leave it out of held_out"
            )


def _held(seen: Sequence[Pictures], radius: int | None) -> Held:
    names, alike = dict[str, int](), dict[int, int]()
    for label, pictures in reversed(list(enumerate(seen))):  # so that the first split's labels stay
        names.update(dict.fromkeys(pictures.names, label))
        alike.update(dict.fromkeys(pictures.likenesses, label))
    likenesses = np.array(sorted(alike), np.uint64)
    return Held(names, likenesses, np.array([alike[one] for one in sorted(alike)], np.int16), radius)


def closed(held: Held, pools: Sequence[Given], scratch: Path, workers: int) -> Path:
    """The file of all names that pictures have which have one of these, or are as like one as is asked for."""
    for turn in count():
        path = keep(held, scratch / f"held-{turn}.npz")
        if not held.names:
            return path
        fresh: dict[str, int] = {}
        with progress("following held-out pictures", sum(pool.manifest.shards for pool in pools)) as shown:
            tasks = (some for pool in pools for some in batched(pool.shards()))
            for some in engine.run(partial(_further, path), tasks, workers):
                for name, label in some.items():
                    fresh[name] = min(label, fresh.get(name, FREE))
                shown.step(AT_ONCE)
        if not fresh:
            return path
        held = held._replace(names={**held.names, **fresh})
    raise AssertionError("unreachable")


def _further(path: Path, shards: Shards) -> dict[str, int]:
    held, found = held_of(path), dict[str, int]()
    for shard in shards:
        for name, label in held.further(shard.rows()):
            found[name] = min(label, found.get(name, FREE))
    return found
