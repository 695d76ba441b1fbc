"""A part's order: every item once per epoch, new in each, and within a window only that window's shards."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.keyed import permuted
from pipelines.order import Order

SHARDS = st.lists(st.integers(0, 40), min_size=1, max_size=14).filter(any)


def order(sizes: list[int], window: int | None = None, seed: int = 0, name: str = "demo/refcoco/train/refer") -> Order:
    return Order(np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64), seed, name, window)


def epoch(one: Order, number: int) -> list[int]:
    spots = [one.at(turn) for turn in range(number * one.items, (number + 1) * one.items)]
    assert {spot.epoch for spot in spots} == {number}
    return [spot.item for spot in spots]


@given(size=st.integers(1, 2000), key=st.integers(0, 2**64 - 1))
def test_a_permutation_of_any_size_takes_each_number_to_another(size: int, key: int) -> None:
    assert sorted(permuted(place, size, key) for place in range(size)) == list(range(size))


@pytest.mark.parametrize("size", [2, 3, 5, 7, 12, 101])
def test_each_number_is_as_likely_as_any_other_at_each_place(size: int) -> None:
    keys = 40 * size
    for place in (0, size // 2, size - 1):
        found = Counter(permuted(place, size, 977 * key) for key in range(keys))
        assert sum((found[number] - 40) ** 2 / 40 for number in range(size)) < size + 4 * (2 * size) ** 0.5


def test_neighbours_are_torn_apart() -> None:
    size = 10_000
    taken = np.array([permuted(place, size, 3) for place in range(size)])
    assert abs(np.corrcoef(np.arange(size), taken)[0, 1]) < 0.05
    assert abs(np.corrcoef(taken[:-1], taken[1:])[0, 1]) < 0.05
    assert np.count_nonzero(np.abs(np.diff(taken)) == 1) < 20  # 2 are expected of chance


def test_a_place_among_a_hundred_billion_needs_no_table() -> None:
    size = 10**11 + 3
    places = [permuted(place, size, 1) for place in range(1000)]
    assert len(set(places)) == 1000
    assert 0 <= min(places) < size / 100
    assert size * 0.99 < max(places) < size


@given(sizes=SHARDS, window=st.none() | st.integers(1, 16), seed=st.integers(0, 99), number=st.integers(0, 5))
def test_every_item_is_drawn_once_per_epoch(sizes: list[int], window: int | None, seed: int, number: int) -> None:
    one = order(sizes, window, seed)
    assert sorted(epoch(one, number)) == list(range(sum(sizes)))


@given(sizes=SHARDS, window=st.integers(1, 5), number=st.integers(0, 3))
def test_no_more_shards_than_the_window_are_open_at_a_time(sizes: list[int], window: int, number: int) -> None:
    one = order(sizes, window)
    shards = (np.searchsorted(one.starts, epoch(one, number), side="right") - 1).tolist()
    left = list(shards)
    held: set[int] = set()
    for shard in shards:
        held.add(shard)
        left.remove(shard)
        assert len(held) <= window
        if not held & set(left):  # the window's items are all drawn: the next one's begin
            held = set()


@pytest.mark.parametrize("window", [None, 2])
def test_epochs_seeds_and_parts_have_orders_of_their_own(window: int | None) -> None:
    sizes = [20, 20, 20]
    first = epoch(order(sizes, window), 0)
    assert first == epoch(order(sizes, window), 0)
    assert first != epoch(order(sizes, window), 1)
    assert first != epoch(order(sizes, window, seed=1), 0)
    assert first != epoch(order(sizes, window, name="demo/refcoco/train/identify"), 0)


def test_shards_come_in_a_new_order_in_each_epoch() -> None:
    one = order([5] * 12, window=1)
    orders = {tuple(item // 5 for item in epoch(one, number)) for number in range(6)}
    assert len(orders) == 6


def test_a_window_is_mixed_anew_in_each_epoch_and_unlike_the_next_window() -> None:
    one = order([9, 9], window=1)
    within = [tuple(item % 9 for item in epoch(one, number)[half : half + 9]) for number in range(4) for half in (0, 9)]
    assert len(set(within)) == 8


def test_turns_may_be_asked_for_in_any_order() -> None:
    sizes, turns = [7, 0, 9, 3], [40, 3, 18, 60, 0, 19, 41, 2]
    one = order(sizes, window=2)
    assert [one.at(turn) for turn in turns] == [order(sizes, window=2).at(turn) for turn in turns]


@given(sizes=SHARDS, window=st.none() | st.integers(1, 5), turn=st.integers(0, 1000))
def test_a_window_is_of_the_turns_that_go_through_its_shards(sizes: list[int], window: int | None, turn: int) -> None:
    one = order(sizes, window)
    stretch = one.stretch(turn)
    assert stretch.begin <= turn < stretch.end
    assert {one.stretch(stretch.begin)[:2], one.stretch(stretch.end - 1)[:2]} == {stretch[:2]}
    items = [one.at(each).item for each in range(stretch.begin, stretch.end)]
    assert {_shard(one, item) for item in items} == set(stretch.shards.tolist())
    assert len(items) == sum(sizes[shard] for shard in stretch.shards)
    assert len(stretch.shards) <= (window or one.shards)


@given(sizes=SHARDS, window=st.none() | st.integers(1, 5), turn=st.integers(0, 200), most=st.integers(1, 30))
def test_shards_are_told_in_the_order_in_which_turns_touch_them(
    sizes: list[int], window: int | None, turn: int, most: int
) -> None:
    one = order(sizes, window)
    last = one.stretch(turn).end
    touched = one.touched(turn, most)
    told = {shard: each for shard, each in touched.items() if each < min(turn + most, last)}
    firsts: dict[int, int] = {}
    for each in range(turn, last):
        firsts.setdefault(_shard(one, one.at(each).item), each)
    assert list(touched)[: len(told)] == list(firsts)[: len(told)]
    assert told == {shard: each for shard, each in firsts.items() if each < turn + most}
    assert set(firsts) <= set(touched)
    assert turn + most < last or touched == firsts


def _shard(one: Order, item: int) -> int:
    return int(np.searchsorted(one.starts, item, side="right")) - 1
