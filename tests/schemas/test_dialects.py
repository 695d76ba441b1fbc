"""Tests of each dialect's grid: numbers computed by hand, and how far an edge may move."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.box import Box, Size
from schemas.dialects import DIALECTS, gridded, insist_dialect, number_pattern, read, spelled, ungridded
from schemas.errors import BoxError, ConfigError

EACH = pytest.mark.parametrize("name", DIALECTS)

# The step of each grid, as a share of the frame's side; an edge moves by half of it at most.
STEP = {"shikra": 1 / 1000, "kosmos-2": 1 / 32, "qwen-vl": 1 / 999, "llava-1.5": 1 / 100}
PADDED = ("shikra", "llava-1.5")

sizes = st.one_of(
    st.builds(Size, st.integers(8, 2000), st.integers(8, 2000)),
    st.sampled_from([Size(8, 8), Size(8, 2000), Size(2000, 8), Size(301, 1000), Size(640, 480), Size(1, 3000)]),
)
_millionths = st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True).map(sorted)
_short = st.tuples(st.integers(0, 10**6 - 40_000), st.integers(1, 40_000)).map(lambda at: [at[0], at[0] + at[1]])
_side = st.one_of(_millionths, _short).map(lambda ends: [end / 10**6 for end in ends])
boxes = st.tuples(_side, _side).map(lambda sides: Box(sides[0][0], sides[1][0], sides[0][1], sides[1][1]))


def bounds(name: str, size: Size) -> tuple[float, float]:
    """A step along x and along y, as shares of the picture."""
    longer = max(size)
    padded = name in PADDED
    return STEP[name] * longer / size.width if padded else STEP[name], (
        STEP[name] * longer / size.height if padded else STEP[name]
    )


@EACH
@given(box=boxes, size=sizes)
@example(box=Box(0.0, 0.0, 1e-6, 1e-6), size=Size(8, 8))
@example(box=Box(0.999999, 0.999999, 1.0, 1.0), size=Size(640, 480))
@example(box=Box(0.0, 0.0, 1.0, 1.0), size=Size(1, 3000))
def test_an_edge_moves_by_half_a_step_at_most_and_by_a_step_where_a_side_is_short(
    name: str, box: Box, size: Size
) -> None:
    back = ungridded(gridded(box, size, DIALECTS[name]), size, DIALECTS[name])
    for step, (low, high), (low_back, high_back) in zip(
        bounds(name, size),
        ((box.x1, box.x2), (box.y1, box.y2)),
        ((back.x1, back.x2), (back.y1, back.y2)),
        strict=True,
    ):
        moved = max(abs(low - low_back), abs(high - high_back))
        assert moved <= step + 1e-9
        if min(box.x2 - box.x1, box.y2 - box.y1) > 2 * max(bounds(name, size)):
            assert moved <= step / 2 + 1e-9


@EACH
@given(box=boxes, size=sizes)
def test_what_is_spelled_is_read_back_to_the_same_numbers(name: str, box: Box, size: Size) -> None:
    row = DIALECTS[name]
    bins = gridded(box, size, row)
    found = re.fullmatch(re.escape(row.box).replace(r"\{\}", f"({number_pattern(row)})"), spelled(bins, row))
    assert found and read(found.groups(), row) == bins


@EACH
def test_numbers_are_spelled_in_exactly_one_way(name: str) -> None:
    row = DIALECTS[name]
    top = {"shikra": "1.000", "kosmos-2": "1023", "qwen-vl": "999", "llava-1.5": "1.00"}[name]
    beyond = {"shikra": "1.001", "kosmos-2": "1024", "qwen-vl": "1000", "llava-1.5": "1.01"}[name]
    assert re.fullmatch(number_pattern(row), top)
    for odd in (beyond, "01", "1", ".5", "-0.10", "0.1", "00.10", "\uff11") if name != "qwen-vl" else (beyond, "01"):
        assert re.fullmatch(number_pattern(row), odd) is None, odd


@pytest.mark.parametrize(
    ("name", "size", "box", "text"),
    [
        # 640 x 480 on a square of 640: 80 rows of white above, so y becomes (y * 480 + 80) / 640.
        ("shikra", Size(640, 480), Box(0.25, 0.5, 0.75, 0.9375), "0.250,0.500,0.750,0.828"),
        ("shikra", Size(640, 480), Box(0.0, 0.0, 1.0, 1.0), "0.000,0.125,1.000,0.875"),
        # 301 x 1000: 349 columns to the left, (1000 - 301) // 2.
        ("shikra", Size(301, 1000), Box(0.0, 0.0, 1.0, 0.5), "0.349,0.000,0.650,0.500"),
        # The first cell holds (8.0, 16.0) of 32, the last ends at (24.0, 30.0): 16 * 32 + 8, 29 * 32 + 23.
        ("kosmos-2", Size(640, 480), Box(0.25, 0.5, 0.75, 0.9375), "<patch_index_0520><patch_index_0951>"),
        ("kosmos-2", Size(640, 480), Box(0.0, 0.0, 1.0, 1.0), "<patch_index_0000><patch_index_1023>"),
        # 249.75, 499.5 (a tie, to even), 749.25, 936.5625 of 999.
        ("qwen-vl", Size(640, 480), Box(0.25, 0.5, 0.75, 0.9375), "<box>(250,500),(749,937)</box>"),
        ("qwen-vl", Size(640, 480), Box(0.0, 0.0, 1.0, 1.0), "<box>(0,0),(999,999)</box>"),
        ("llava-1.5", Size(640, 480), Box(0.25, 0.5, 0.75, 0.9375), "[0.25, 0.50, 0.75, 0.83]"),
        # 0.125 and 0.875 are exact in binary: ties, to even.
        ("llava-1.5", Size(640, 480), Box(0.0, 0.0, 1.0, 1.0), "[0.00, 0.12, 1.00, 0.88]"),
    ],
)
def test_boxes_are_spelled_as_was_computed_by_hand(name: str, size: Size, box: Box, text: str) -> None:
    assert spelled(gridded(box, size, DIALECTS[name]), DIALECTS[name]) == text


@given(value=st.integers(0, 999_999).map(lambda millionths: millionths / 10**6))
def test_decimals_are_those_of_python_formatting(value: float) -> None:
    box = Box(value, 0.0, 1.0, 1.0)
    for name, digits in (("shikra", 3), ("llava-1.5", 2)):
        if f"{value:.{digits}f}" != f"{1:.{digits}f}":
            assert spelled(gridded(box, Size(9, 9), DIALECTS[name]), DIALECTS[name]).split(",")[0].strip("[") == (
                f"{value:.{digits}f}"
            )


@pytest.mark.parametrize("bins", [(5, 5, 5, 9), (9, 5, 5, 9)])
@pytest.mark.parametrize("name", ["shikra", "qwen-vl", "llava-1.5"])
def test_numbers_that_name_no_box_are_refused(name: str, bins: tuple[int, int, int, int]) -> None:
    with pytest.raises(BoxError, match="not inside the picture"):
        ungridded(bins, Size(640, 480), DIALECTS[name])


def test_the_white_around_a_padded_picture_is_no_part_of_it() -> None:
    assert ungridded((0, 0, 1000, 1000), Size(640, 480), DIALECTS["shikra"]) == Box(0.0, 0.0, 1.0, 1.0)


def test_kosmos_2s_own_processor_gives_the_same_cells_and_the_same_boxes() -> None:
    theirs = pytest.importorskip("transformers.models.kosmos2.processing_kosmos2")
    row, size = DIALECTS["kosmos-2"], Size(1, 1)

    @given(box=boxes)
    def agree(box: Box) -> None:
        bins = gridded(box, size, row)
        cells = theirs.coordinate_to_patch_index(tuple(box), 32)
        back = theirs.patch_index_to_coordinate(*cells, 32)
        assert spelled(bins, row) == "".join(f"<patch_index_{cell:04d}>" for cell in cells)
        assert tuple(ungridded(bins, size, row)) == pytest.approx(back, abs=1e-12)

    agree()


def test_an_unknown_dialect_is_answered_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="unknown dialect 'qwen'; did you mean qwen-vl"):
        insist_dialect("qwen")


def test_the_rows_reserved_strings_do_not_begin_inside_each_other() -> None:
    for row in DIALECTS.values():
        for one in row.reserved:
            inside = [other for other in row.reserved for at in range(1, len(one) - 1) if one.startswith(other, at)]
            assert inside == [] and ("<" in one or "[" in one)
        assert all(a != b for a, b in pairwise(sorted(row.reserved)))
