"""Neighbours among 64-bit hashes, against a comparison of all pairs: every radius, in memory, over disk, in crowds."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.neighbours import ALIKE, later_neighbours, nearest_label

Hashes = npt.NDArray[np.uint64]

LITTLE, MUCH = 64 * 256, 2**28  # bytes: 64 hashes at once, or all


def planted(rng: np.random.Generator) -> Hashes:
    """Random hashes, half of them up to ten bits from another."""
    hashes = rng.integers(0, 2**64, 1_200, np.uint64)
    for number in range(600, 1_200):
        bits = rng.choice(64, rng.integers(0, 11), replace=False)
        hashes[number] = hashes[number - 600] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    return hashes


def crowded(rng: np.random.Generator) -> Hashes:
    """Hashes of which only 20 of the bits differ, so that very many share a key."""
    return rng.integers(0, 2**10, 700, np.uint64) << np.uint64(54) | rng.integers(0, 2**10, 700, np.uint64)


def lopsided(rng: np.random.Generator) -> Hashes:
    """Hashes whose bits are mostly nought."""
    return np.packbits(rng.random((700, 64)) < 0.12, axis=1).view("<u8").ravel()


def asked(path: Path, hashes: Hashes, radius: int, memory: int) -> set[int]:
    rows = np.empty(len(hashes), ALIKE)
    rows["likeness"], rows["number"] = hashes, np.random.default_rng(1).permutation(len(hashes)) * 3
    rows = np.random.default_rng(2).permutation(rows)
    path.write_bytes(rows.tobytes())
    found = {int(n) for part in later_neighbours(path, radius, path.parent / "bands", memory) for n in part}
    apart = np.bitwise_count(rows["likeness"][:, None] ^ rows["likeness"])
    earlier = rows["number"][:, None] > rows["number"]
    assert found == set(rows["number"][((apart <= radius) & earlier).any(axis=1)].tolist())
    return found


@pytest.mark.parametrize("memory", [LITTLE, MUCH])
@pytest.mark.parametrize("make", [planted, crowded, lopsided])
@pytest.mark.parametrize("radius", range(1, 9))
def test_all_that_have_an_earlier_neighbour_are_found_and_no_others(
    tmp_path: Path, radius: int, make: Callable[[np.random.Generator], Hashes], memory: int
) -> None:
    hashes = np.unique(make(np.random.default_rng(radius)))
    assert 0 < len(asked(tmp_path / "alike", hashes, radius, memory)) < len(hashes)


@pytest.mark.parametrize("memory", [LITTLE, MUCH])
def test_a_crowd_of_hashes_that_share_every_key_is_compared_in_blocks(tmp_path: Path, memory: int) -> None:
    crowd = np.arange(2_000, dtype=np.uint64)  # they differ in eleven bits, all in one or two bands
    assert len(asked(tmp_path / "alike", crowd, 1, memory)) > 1_500


def test_one_hash_has_no_neighbour(tmp_path: Path) -> None:
    assert asked(tmp_path / "alike", np.array([7], np.uint64), 4, MUCH) == set()


def test_memory_is_bounded_for_a_crowd_too(tmp_path: Path) -> None:
    rows = np.empty(4_000, ALIKE)
    rows["likeness"], rows["number"] = np.arange(4_000), np.arange(4_000)
    (tmp_path / "alike").write_bytes(rows.tobytes())
    memory = 2**19
    tracemalloc.start()
    try:
        found = {int(n) for part in later_neighbours(tmp_path / "alike", 2, tmp_path / "bands", memory) for n in part}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 3_999
    assert peak < memory + 3 * 2**20  # of which the set of what was found, and what Python enlarges meanwhile


@pytest.mark.parametrize("at_once", [7, 2**20])
@pytest.mark.parametrize("make", [planted, crowded, lopsided])
@pytest.mark.parametrize("radius", range(9))
def test_the_smallest_label_of_a_near_one_is_found(
    radius: int, make: Callable[[np.random.Generator], Hashes], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.neighbours.AT_ONCE", at_once)
    rng = np.random.default_rng(radius)
    hashes = rng.permutation(make(rng))
    against, labels = hashes[:200], rng.integers(0, 9, 200).astype(np.int16)
    near = np.bitwise_count(hashes[:, None] ^ against) <= radius
    wanted = np.where(near, labels, 99).min(axis=1)
    found = nearest_label(hashes, against, labels, radius, 99)
    assert found.tolist() == wanted.tolist() and np.count_nonzero(found < 99) > 0


def test_nothing_is_near_to_none() -> None:
    one, labels = np.arange(3, dtype=np.uint64), np.zeros(0, np.int16)
    assert nearest_label(one, one[:0], labels, 4, 99).tolist() == [99] * 3
    assert nearest_label(one[:0], one, np.zeros(3, np.int16), 4, 99).tolist() == []
