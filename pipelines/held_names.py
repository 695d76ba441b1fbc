"""The names of held-out pictures and the split that each is held out by: in a file, as worker processes read it.

A picture's names are its id, its aliases, and the sha256 of its bytes as stored and as published. A label is a number:
``n`` for the n-th split that is held out, ``near(n)`` where a picture is nearly the same as one of that split's.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.hashes import Numbers
from pipelines.neighbours import nearest_label

FREE = 2**15 - 1  # the label of a picture that is not held out
NEAR = 2**14  # what a label is greater by where the picture is nearly the same only

Labels = npt.NDArray[np.int16]
NAMES = ("image", "sha256", "source_sha256")


def near(label: int) -> int:
    """The label of pictures that are nearly the same as one of that label."""
    return label + NEAR


def split_of(label: int) -> tuple[int, bool]:
    """Which split a label speaks of, by its place, and whether of a picture that is nearly the same only."""
    return label % NEAR, label >= NEAR


class Held(NamedTuple):
    """Names and their labels; likenesses of held-out pictures, theirs, and how many bits are near (None: unasked)."""

    names: Mapping[str, int]
    likenesses: Numbers
    whose: Labels
    radius: int | None

    def labels(self, index: pa.Table) -> Labels:
        """The label of each row of a shard's record index, ``FREE`` where its picture is not held out."""
        labels = self._of_pictures(index)
        return np.asarray(labels[np.cumsum(index["place"].to_numpy() == 0) - 1])

    def _of_pictures(self, index: pa.Table) -> Labels:
        """The label of each sample of a shard, by its number."""
        pictures = pictures_of(index)
        labels = np.full(len(pictures), FREE, np.int16)
        if self.names:
            for name in NAMES:
                np.minimum(labels, self._named(pictures[name].to_pylist()), out=labels)
            lists = pictures["aliases"].combine_chunks()
            named = self._named(pc.list_flatten(lists).to_pylist())
            np.minimum.at(labels, pc.list_parent_indices(lists).to_numpy(), named)
        if self.radius is not None:
            alike = pictures["likeness"]
            known = pc.is_valid(alike).to_numpy()
            found = nearest_label(alike.drop_null().to_numpy(), self.likenesses, self.whose, self.radius, FREE - NEAR)
            labels[known] = np.minimum(labels[known], found + np.int16(NEAR))
        return labels

    def _named(self, names: list[str | None]) -> Labels:
        label = self.names.get
        return np.fromiter((label(name, FREE) for name in names), np.int16, len(names))  # type: ignore[arg-type]

    def further(self, index: pa.Table) -> Iterator[tuple[str, int]]:
        """Every name of a shard's held-out pictures that has a greater label or none yet, and the picture's label."""
        labels = self._of_pictures(index)
        where = np.flatnonzero(labels != FREE)
        columns = pictures_of(index).select([*NAMES, "aliases"]).take(where).to_pydict()
        for label, aliases, *names in zip(
            labels[where].tolist(), columns.pop("aliases"), *columns.values(), strict=True
        ):
            yield from ((name, label) for name in (*names, *aliases) if name and label < self.names.get(name, FREE))


def pictures_of(index: pa.Table) -> pa.Table:
    """One row of each sample of a shard, in the order of their numbers; of text alone its picture is null."""
    return index.filter(pc.equal(index["place"], 0))


def keep(held: Held, path: Path) -> Path:
    """Write them where workers find them."""
    names = sorted(held.names)
    joined = np.frombuffer(msgspec.json.encode(names), np.uint8)
    labels = np.array([held.names[name] for name in names], np.int16)
    radius = -1 if held.radius is None else held.radius
    np.savez(path, names=joined, labels=labels, likenesses=held.likenesses, whose=held.whose, radius=radius)
    return path


@lru_cache(maxsize=1)
def held_of(path: Path) -> Held:
    """What ``keep`` has written to a path, which never holds anything else after."""
    with np.load(path) as found:
        names = msgspec.json.decode(bytes(found["names"]), type=list[str])
        radius = int(found["radius"])
        labelled = dict(zip(names, found["labels"].tolist(), strict=True))
        return Held(labelled, found["likenesses"], found["whose"], None if radius < 0 else radius)
