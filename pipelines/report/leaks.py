"""Which pictures of a pool's training parts its own splits for evaluation show too, under any of their names."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from pipelines import engine
from pipelines.held_names import FREE, Held, held_of
from pipelines.held_out import closed
from pipelines.record_index import Given, Shards, batched
from pipelines.report.counts import Counts
from pipelines.report.figures import Leak
from pipelines.selection import of_part
from schemas.ledger import Part

_Found = Counter[tuple[Part, int, str]]


def leaks(pool: Given, counts: Counts, scratch: Path, workers: int) -> list[Leak] | None:
    """Records and pictures of each part for training that each split for evaluation shows; None without such a split.

    A record counts for the first split, by name, that shows its picture.
    """
    if not counts.evaluated:
        return None
    splits = sorted(counts.evaluated)
    names = {name: label for label in reversed(range(len(splits))) for name in counts.evaluated[splits[label]]}
    held = Held(names, np.zeros(0, np.uint64), np.zeros(0, np.int16), None)
    path = closed(held, [pool], scratch, workers)
    trained = tuple(part for (_, part), one in counts.parts.items() if one.use == "train")
    found: _Found = Counter()
    for some in engine.run(partial(_shared, path, trained), batched(pool.shards()), workers):
        found.update(some)
    told = []
    for part, label in sorted({key[:2] for key in found}, key=str):
        records, pictures = (found[part, label, what] for what in ("records", "pictures"))
        told.append(Leak(*part, "/".join(splits[label]), records, pictures))
    return told


def _shared(path: Path, trained: tuple[Part, ...], shards: Shards) -> _Found:
    found: _Found = Counter()
    for shard in shards:
        index = shard.rows()
        labels = held_of(path).labels(index)
        samples = index["sample"].to_numpy()
        for part in trained:
            mine = of_part(index, part) & (labels != FREE)
            for label in np.unique(labels[mine]).tolist():
                rows = mine & (labels == label)
                found[part, label, "records"] += int(np.count_nonzero(rows))
                found[part, label, "pictures"] += len(np.unique(samples[rows]))
    return found
