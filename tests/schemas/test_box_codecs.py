from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.box import CODECS, DEFAULT_CODEC, Box, Codec, codec, decode, encode, iou, self_iou, widened
from schemas.errors import BoxError, ConfigError

MILLION = 10**6
EACH = pytest.mark.parametrize("by", CODECS.values(), ids=list(CODECS))

_millionths = st.lists(st.integers(0, MILLION), min_size=2, max_size=2, unique=True).map(sorted)
_any_float = st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted)
# Short sides are what widening is about; a uniform draw would hardly ever make one.
_short = st.tuples(st.integers(0, MILLION - 12_000), st.integers(1, 12_000)).map(lambda at: [at[0], at[0] + at[1]])
_side = st.one_of(
    _millionths.map(lambda ends: [end / MILLION for end in ends]),
    _short.map(lambda ends: [end / MILLION for end in ends]),
    _any_float,
)
boxes = st.tuples(_side, _side).map(lambda sides: Box(sides[0][0], sides[1][0], sides[0][1], sides[1][1]))


def raw_bins(box: Box, by: Codec) -> list[int]:
    """The four bins before any widening, computed by numpy."""
    scaled = np.array(tuple(box), dtype=np.float64) * 100
    rounded = np.rint(scaled) if by.name == "round-100" else np.trunc(scaled)
    return [int(value) for value in rounded]


def cells(box: Box, per_side: int) -> set[tuple[int, int]]:
    """The cells of a grid that the box covers; its edges lie on the grid."""
    x1, y1, x2, y2 = (round(value * per_side) for value in box)
    return set(product(range(x1, x2), range(y1, y2)))


@pytest.mark.parametrize(
    ("by", "bins"),
    [("round-100", (12, 30, 45, 88)), ("trunc-100", (12, 29, 44, 88))],
)
def test_the_designs_example_is_encoded(by: str, bins: tuple[int, int, int, int]) -> None:
    assert encode(Box(0.1203, 0.2991, 0.4466, 0.8812), codec(by)) == bins


@EACH
def test_every_six_decimal_value_gets_the_bin_that_numpy_computes(by: Codec) -> None:
    values = np.arange(MILLION + 1) / MILLION
    expected = np.rint(values * 100) if by.name == "round-100" else np.trunc(values * 100)
    assert [by.bin(value) for value in values.tolist()] == expected.astype(int).tolist()


def test_ties_go_to_even_and_truncation_is_that_of_doubles() -> None:
    assert [CODECS["round-100"].bin(value) for value in (0.005, 0.015, 0.025, 0.995)] == [0, 2, 2, 100]
    # 0.29 * 100 is 28.999999999999996 in doubles, and so it is for the released recipe.
    assert [CODECS["trunc-100"].bin(value) for value in (0.29, 0.3, 0.999999, 1.0)] == [28, 30, 99, 100]


@EACH
@given(box=boxes)
@example(box=Box(0.0, 0.0, 5e-324, 5e-324))
@example(box=Box(0.9999999999999999, 0.9999999999999999, 1.0, 1.0))
@example(box=Box(0.005, 0.005, 0.005001, 0.015))
def test_no_box_comes_out_inverted_empty_or_outside(by: Codec, box: Box) -> None:
    x1, y1, x2, y2 = encode(box, by)
    assert 0 <= x1 < x2 <= 100
    assert 0 <= y1 < y2 <= 100


@given(box=boxes)
def test_rounding_moves_no_edge_by_more_than_half_a_bin(box: Box) -> None:
    by = CODECS["round-100"]
    if not widened(box, by):
        moved = [abs(a - b) for a, b in zip(box, decode(encode(box, by)), strict=True)]
        assert max(moved) <= 0.005 + 1e-12


@given(box=boxes)
def test_truncation_moves_edges_down_by_less_than_a_bin(box: Box) -> None:
    by = CODECS["trunc-100"]
    if not widened(box, by):
        moved = [a - b for a, b in zip(box, decode(encode(box, by)), strict=True)]
        assert min(moved) >= -1e-12
        assert max(moved) < 0.01 + 1e-12


@EACH
@given(box=boxes)
def test_a_side_is_widened_outward_to_exactly_one_bin(by: Codec, box: Box) -> None:
    raw, bins = raw_bins(box, by), encode(box, by)
    for low, high in ((0, 2), (1, 3)):
        if raw[low] != raw[high]:
            assert (bins[low], bins[high]) == (raw[low], raw[high])
        else:
            assert (bins[low], bins[high]) in ((raw[low] - 1, raw[low]), (raw[low], raw[low] + 1))


@EACH
@given(box=boxes)
def test_a_widened_side_covers_as_much_of_the_box_as_one_bin_can(by: Codec, box: Box) -> None:
    raw, bins, exact = raw_bins(box, by), encode(box, by), [100 * value for value in box]
    for low, high in ((0, 2), (1, 3)):
        if raw[low] == raw[high]:
            first = [start for start in (raw[low] - 1, raw[low]) if 0 <= start < 100]
            covered = {start: min(exact[high], start + 1) - max(exact[low], start) for start in first}
            assert covered[bins[low]] >= max(covered.values()) - 1e-9


@EACH
@given(box=boxes)
def test_widening_is_told(by: Codec, box: Box) -> None:
    raw = raw_bins(box, by)
    assert widened(box, by) == (raw[0] == raw[2] or raw[1] == raw[3])


@EACH
@pytest.mark.parametrize("ends", [(0.0, 0.001), (0.999, 1.0), (0.5, 0.5001)])
def test_a_side_at_the_pictures_edge_is_widened_within_the_picture(by: Codec, ends: tuple[float, float]) -> None:
    low, high = ends
    x1, y1, x2, y2 = encode(Box(low, 0.0, high, 1.0), by)
    assert (x2 - x1, y1, y2) == (1, 0, 100)
    assert x1 in {0.0: (0,), 0.999: (99,), 0.5: (50,)}[low]


def test_bins_survive_decoding_and_encoding_whatever_they_are() -> None:
    for x1, x2 in ((a, b) for a in range(101) for b in range(a + 1, 101)):
        assert encode(decode((x1, 0, x2, 100)), CODECS["round-100"]) == (x1, 0, x2, 100)


@pytest.mark.parametrize("bins", [(5, 5, 5, 9), (9, 5, 5, 9), (5, 9, 9, 5), (0, 0, 101, 9), (-1, 0, 9, 9)])
def test_bins_that_name_no_box_are_refused(bins: tuple[int, int, int, int]) -> None:
    with pytest.raises(BoxError, match="not inside the picture"):
        decode(bins)


_grid = st.lists(st.integers(0, 20), min_size=2, max_size=2, unique=True).map(sorted)
grid_boxes = st.tuples(_grid, _grid).map(lambda at: Box(at[0][0] / 20, at[1][0] / 20, at[0][1] / 20, at[1][1] / 20))


@given(a=grid_boxes, b=grid_boxes)
def test_iou_is_what_counting_cells_gives(a: Box, b: Box) -> None:
    ours, theirs = cells(a, 20), cells(b, 20)
    assert iou(a, b) == pytest.approx(len(ours & theirs) / len(ours | theirs), abs=1e-12)


@EACH
@pytest.mark.parametrize(
    "xyxy",
    [(0.104, 0.206, 0.307, 0.409), (0.0, 0.0, 1.0, 1.0), (0.5, 0.5, 0.502, 0.503), (0.996, 0.001, 0.999, 0.996)],
)
def test_self_iou_is_what_counting_cells_gives(by: Codec, xyxy: tuple[float, float, float, float]) -> None:
    box = Box(*xyxy)
    mine, left = cells(box, 1000), cells(Box(*(number / 100 for number in encode(box, by))), 1000)
    assert self_iou(box, by) == pytest.approx(len(mine & left) / len(mine | left), abs=1e-9)


@EACH
@given(box=boxes)
def test_self_iou_is_a_share(by: Codec, box: Box) -> None:
    assert 0.0 <= self_iou(box, by) <= 1.0


def test_the_default_codec_is_the_nearest_one() -> None:
    assert DEFAULT_CODEC == "round-100"


@pytest.mark.parametrize(("name", "offered"), [("round100", "round-100"), ("trunc", "trunc-100"), ("xyz", "known:")])
def test_an_unknown_codec_offers_near_names(name: str, offered: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown codec '{name}'; .*{offered}"):
        codec(name)
