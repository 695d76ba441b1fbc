"""What a codec costs, against the same figures computed with exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.loss import Loss
from schemas.box import CODECS, Box

Exact = tuple[Fraction, Fraction, Fraction, Fraction]


def overlap(a: Exact, b: Exact) -> Fraction:
    def area(box: Exact) -> Fraction:
        return max(box[2] - box[0], Fraction(0)) * max(box[3] - box[1], Fraction(0))

    shared = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    return shared / (area(a) + area(b) - shared)


def cost(box: tuple[float, ...], rounding: str) -> Fraction:
    """The box's overlap with itself after encoding, for boxes whose sides are more than a bin wide."""
    bins = [round(Fraction(side) * 100) if rounding == "nearest" else int(Fraction(side) * 100) for side in box]
    return overlap(Box4(*map(Fraction, box)), Box4(*(Fraction(one, 100) for one in bins)))


def Box4(*sides: Fraction) -> Exact:
    return sides[0], sides[1], sides[2], sides[3]


def report(boxes: list[tuple[float, float, float, float]], codec: str) -> list[tuple[object, ...]]:
    loss = Loss(CODECS[codec])
    loss.add(Box(*box) for box in boxes)
    return [(row["size"], row["boxes"], row["self_iou"]) for row in loss.report()]


def test_no_boxes_give_no_report() -> None:
    assert report([], "round-100") == []


def test_a_box_on_the_bins_costs_nothing() -> None:
    whole = [(0.0, 0.0, 1.0, 1.0), (0.25, 0.5, 0.75, 1.0)]
    assert report(whole, "round-100") == [("30-60 %", 1, 1.0), (">= 60 %", 1, 1.0), ("all", 2, 1.0)]


def test_the_figures_of_a_few_boxes_worked_out_by_hand() -> None:
    # 0.104..0.304 by 0.104..0.304 becomes 0.10..0.30: 0.196 squared is shared, of 0.04 + 0.04 less that.
    shared = 0.196**2
    one = round(shared / (0.08 - shared), 4)
    assert report([(0.104, 0.104, 0.304, 0.304)], "round-100") == [("15-30 %", 1, one), ("all", 1, one)]
    # 0.109..0.309 becomes 0.11..0.31 when rounded, 0.10..0.30 when cut.
    near, cut = 0.199**2, 0.191**2
    assert report([(0.109, 0.109, 0.309, 0.309)], "round-100")[0][2] == round(near / (0.08 - near), 4)
    assert report([(0.109, 0.109, 0.309, 0.309)], "trunc-100")[0][2] == round(cut / (0.08 - cut), 4)


@pytest.mark.parametrize(
    ("side", "size"),
    [
        (0.009, "< 1 %"),
        (0.02, "1-3 %"),
        (0.05, "3-7 %"),
        (0.1, "7-15 %"),
        (0.2, "15-30 %"),
        (0.5, "30-60 %"),
        (0.6, ">= 60 %"),
        (0.9, ">= 60 %"),
    ],
)
def test_a_boxs_size_is_the_root_of_its_share_of_the_picture(side: float, size: str) -> None:
    assert [row[0] for row in report([(0.0, 0.0, side, side)], "round-100")] == [size, "all"]
    wide = (0.0, 0.0, min(1.0, side * 2), side**2 / min(1.0, side * 2))
    assert [row[0] for row in report([wide], "round-100")] == [size, "all"]


SIDES = st.tuples(st.integers(0, 600_000), st.integers(20_000, 400_000))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=20), st.sampled_from(["round-100", "trunc-100"]))
def test_the_mean_over_all_is_that_of_exact_fractions(
    pairs: list[tuple[tuple[int, int], tuple[int, int]]], codec: str
) -> None:
    boxes = [(x / 1_000_000, y / 1_000_000, (x + w) / 1_000_000, (y + h) / 1_000_000) for (x, w), (y, h) in pairs]
    rounding = CODECS[codec].rounding
    # Where a product with 100 lies within a rounding of a half or a whole, floats and fractions may part.
    boxes = [box for box in boxes if not any(abs((side * 100 % 0.5) - 0.25) > 0.2499999 for side in box)]
    if not boxes:
        return
    wanted = float(sum(cost(box, rounding) for box in boxes) / len(boxes))
    rows = report(boxes, codec)
    assert rows[-1][:2] == ("all", len(boxes))
    assert rows[-1][2] == pytest.approx(wanted, abs=0.00011)
    assert sum(int(str(row[1])) for row in rows[:-1]) == len(boxes)


def test_rounding_costs_less_than_cutting_on_many_boxes() -> None:
    boxes = [(x / 97, y / 89, x / 97 + 0.21, y / 89 + 0.17) for x in range(60) for y in range(60)]
    near, cut = (report(boxes, codec)[-1][2] for codec in ("round-100", "trunc-100"))
    assert isinstance(near, float)
    assert isinstance(cut, float)
    assert near > cut + 0.01
