"""The schedule of draws: exact counts, turns in order, even spread, and nothing but (counts, seed, k) in it."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.keyed import mixed, permuted, shuffled
from pipelines.schedule import Schedule

COUNTS = st.lists(st.integers(1, 900), min_size=1, max_size=12).map(tuple)


@given(counts=COUNTS, seed=st.integers(0, 2**40), first=st.integers(0, 3), more=st.integers(1, 2))
def test_every_superblock_holds_the_counts_and_turns_go_up_by_one(
    counts: tuple[int, ...], seed: int, first: int, more: int
) -> None:
    total = sum(counts)
    parts, turns = Schedule(counts, seed).draws(first * total, (first + more) * total)
    for part, count in enumerate(counts):
        wanted = np.arange(first * count, (first + more) * count)
        assert turns[parts == part].tolist() == wanted.tolist()


@given(counts=COUNTS, seed=st.integers(0, 9), k=st.integers(0, 40_000), length=st.integers(0, 300))
def test_one_draw_and_many_are_the_same_draws(counts: tuple[int, ...], seed: int, k: int, length: int) -> None:
    schedule = Schedule(counts, seed)
    parts, turns = schedule.draws(k, k + length)
    assert [tuple(schedule.at(at)) for at in range(k, k + length)] == list(
        zip(parts.tolist(), turns.tolist(), strict=True)
    )


@given(counts=st.lists(st.integers(1, 5000), min_size=2, max_size=9).map(tuple))
def test_a_part_is_spread_evenly_over_the_blocks_of_a_superblock(counts: tuple[int, ...]) -> None:
    total = sum(counts)
    blocks = -(-total // 1024)
    ends = np.cumsum([total // blocks + (block < total % blocks) for block in range(blocks)])
    parts, _ = Schedule(counts, 3).draws(0, total)
    for part in range(len(counts)):
        each = [int(np.count_nonzero(block == part)) for block in np.split(parts, ends[:-1])]
        assert max(each) - min(each) <= 1


def test_two_hundred_thousand_draws_agree_with_the_shares() -> None:
    counts = (50, 30, 10, 40, 20, 80, 80, 80, 80, 10, 30, 25, 25, 25, 10, 10, 10, 15, 8, 12, 50, 30)
    parts, _ = Schedule(counts, 42).draws(1_234_567, 1_434_567)
    expected = 200_000 * np.array(counts) / sum(counts)
    squares = (np.bincount(parts, minlength=len(counts)) - expected) ** 2 / expected
    assert squares.sum() < 38.9  # the 99th percentile of chi-squared with 21 degrees of freedom
    assert squares.sum() < 1  # what even dealing gives: far less than chance would


def test_neighbouring_draws_are_independent_of_each_other() -> None:
    counts = (3, 2, 1)
    parts, _ = Schedule(tuple(100 * count for count in counts), 5).draws(0, 200_000)
    pairs = Counter(zip(parts[:-1].tolist(), parts[1:].tolist(), strict=True))
    expected = {(a, b): 199_999 * counts[a] * counts[b] / 36 for a in range(3) for b in range(3)}
    assert sum((pairs[pair] - wanted) ** 2 / wanted for pair, wanted in expected.items()) < 26.1  # 8 degrees, 0.1 %


def test_another_seed_and_another_superblock_are_another_order() -> None:
    counts = (30, 20, 10)
    first, second = (Schedule(counts, 1).draws(at, at + 60)[0].tolist() for at in (0, 60))
    assert first != second
    assert first != Schedule(counts, 2).draws(0, 60)[0].tolist()


def test_an_order_once_published_stays_as_it_is() -> None:
    # A change of these numbers is a change of order: every run that resumes would go on with other draws.
    parts, turns = Schedule((5, 3, 2), 42).draws(1_000_003, 1_000_013)
    assert parts.tolist() == [1, 2, 0, 1, 1, 2, 0, 0, 1, 0]
    assert turns[:5].tolist() == [300000, 200000, 500003, 300001, 300002]
    assert [permuted(place, 11, 7) for place in range(11)] == [10, 6, 0, 9, 1, 7, 4, 5, 3, 8, 2]
    assert shuffled(8, 7).tolist() == [2, 0, 6, 1, 5, 7, 4, 3]


def test_the_hash_is_splitmix64() -> None:
    # The first numbers of the published generator seeded with 1234567, which is its hash of multiples of the step.
    step = 0x9E3779B97F4A7C15
    drawn = [mixed((1234567 + at * step) % 2**64) for at in (1, 2, 3)]
    assert drawn == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
@pytest.mark.parametrize("by", [0, 12345678901234567890, 2**64 - 1])
def test_numbers_are_shuffled_by_their_hashes(count: int, by: int) -> None:
    step = 0x9E3779B97F4A7C15
    assert shuffled(count, by).tolist() == sorted(range(count), key=lambda at: mixed((by + at * step) % 2**64))


@pytest.mark.parametrize("state", [1, 2])
def test_global_generators_decide_nothing_and_are_left_alone(state: int) -> None:
    random.seed(state)
    before = random.getstate()
    assert Schedule((4, 6), 1).at(123_456) == (1, 74073)
    assert random.getstate() == before


@pytest.mark.parametrize("counts", [(1,), (3, 2, 1), (70, 75), (16000, 300, 84)])
def test_a_draw_knows_how_many_of_each_part_came_before_it(counts: tuple[int, ...]) -> None:
    schedule = Schedule(counts, 5)
    parts, _ = schedule.draws(0, 3000)
    for k in (0, 1, 2, 145, 146, 1023, 1025, 2999):
        assert schedule.before(k).tolist() == np.bincount(parts[:k], minlength=len(counts)).tolist()
    far = 7 * sum(counts) + 1
    assert schedule.before(far)[schedule.at(far).part] == schedule.at(far).turn
