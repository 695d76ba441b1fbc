import math
from collections.abc import Callable

import msgspec
import pytest

from schemas.box import Box, Size, Slack, from_inclusive, from_xywh, from_xyxy, iou, overhang
from schemas.errors import BoxError

BAD_NUMBERS = (math.nan, math.inf, -math.inf)
SQUARE = Size(100, 100)
XYXY = tuple[float, float, float, float]
Constructor = Callable[[XYXY, Size], Box]


def replaced(xyxy: XYXY, place: int, value: float) -> XYXY:
    x1, y1, x2, y2 = (value if index == place else number for index, number in enumerate(xyxy))
    return x1, y1, x2, y2


def test_left_top_width_height_become_fractions_of_the_picture() -> None:
    assert tuple(from_xywh((64, 48, 128, 240), Size(640, 480))) == (0.1, 0.1, 0.3, 0.6)


def test_pixel_edges_become_fractions_of_the_picture() -> None:
    assert tuple(from_xyxy((64, 48, 128, 240), Size(640, 480))) == (0.1, 0.1, 0.2, 0.5)


def test_one_based_inclusive_indices_cover_their_last_pixel() -> None:
    assert tuple(from_inclusive((1, 1, 640, 480), Size(640, 480))) == (0.0, 0.0, 1.0, 1.0)
    assert tuple(from_inclusive((65, 49, 128, 240), Size(640, 480))) == (0.1, 0.1, 0.2, 0.5)


def test_a_single_pixel_is_a_box_where_indices_are_inclusive() -> None:
    assert tuple(from_inclusive((1, 100, 1, 100), SQUARE)) == (0.0, 0.99, 0.01, 1.0)


def test_fractions_are_rounded_to_six_decimals() -> None:
    assert tuple(from_xywh((1, 1, 1, 1), Size(3, 7))) == (0.333333, 0.142857, 0.666667, 0.285714)


@pytest.mark.parametrize(
    ("xyxy", "clipped"),
    [
        ((-2, 10, 50, 90), (0.0, 0.1, 0.5, 0.9)),
        ((10, -2, 50, 90), (0.1, 0.0, 0.5, 0.9)),
        ((10, 10, 102, 90), (0.1, 0.1, 1.0, 0.9)),
        ((10, 10, 50, 102), (0.1, 0.1, 0.5, 1.0)),
    ],
)
def test_an_overhang_of_two_pixels_is_clipped(xyxy: XYXY, clipped: XYXY) -> None:
    assert tuple(from_xyxy(xyxy, SQUARE)) == clipped


@pytest.mark.parametrize("xyxy", [(-2.01, 10, 50, 90), (10, -2.01, 50, 90), (10, 10, 102.01, 90), (10, 10, 50, 102.01)])
def test_a_box_far_outside_its_picture_is_refused(xyxy: XYXY) -> None:
    with pytest.raises(BoxError, match=r"^box overhangs the picture: .* in a 100x100 picture"):
        from_xyxy(xyxy, SQUARE)


def test_one_percent_of_the_side_may_overhang_where_that_is_more_than_two_pixels() -> None:
    assert tuple(from_xyxy((-10, 0, 100, 50), Size(1000, 100))) == (0.0, 0.0, 0.1, 0.5)
    with pytest.raises(BoxError, match="overhangs"):
        from_xyxy((-10.5, 0, 100, 50), Size(1000, 100))


def test_the_tolerance_is_that_of_the_overhung_side() -> None:
    # 10 px would do along the width of 1000, but this is the height of 100.
    with pytest.raises(BoxError, match="overhangs"):
        from_xyxy((0, -10, 100, 50), Size(1000, 100))


def test_a_source_may_state_its_own_tolerance() -> None:
    assert tuple(from_xyxy((-40, 0, 50, 50), SQUARE, Slack(px=50, share=0))) == (0.0, 0.0, 0.5, 0.5)
    with pytest.raises(BoxError, match="overhangs"):
        from_xywh((-1, 0, 50, 50), SQUARE, Slack(px=0, share=0))


def test_a_box_wholly_in_the_tolerated_margin_is_refused() -> None:
    with pytest.raises(BoxError, match="not inside the picture"):
        from_xyxy((-2, 0, -1, 50), SQUARE)


@pytest.mark.parametrize(
    ("xyxy", "beyond"),
    [
        ((-3, 0, 5, 5), 3.0),
        ((0, -4, 5, 5), 4.0),
        ((0, 0, 105, 5), 5.0),
        ((0, 0, 5, 206), 6.0),
        ((0, 0, 100, 200), 0.0),
        ((-1, -2, 101, 200), 2.0),
    ],
)
def test_overhang_is_the_farthest_that_a_side_reaches_out(xyxy: XYXY, beyond: float) -> None:
    assert overhang(xyxy, Size(100, 200)) == beyond


@pytest.mark.parametrize("xywh", [(10, 10, 0, 5), (10, 10, 5, 0), (10, 10, -5, 5), (10, 10, 5, -5)])
def test_a_box_without_width_or_height_is_refused(xywh: XYXY) -> None:
    with pytest.raises(BoxError, match=r"^empty box: "):
        from_xywh(xywh, SQUARE)


def test_a_box_that_rounds_to_nothing_is_refused() -> None:
    with pytest.raises(BoxError, match="not inside the picture"):
        from_xywh((10, 10, 1e-6, 5), SQUARE)


@pytest.mark.parametrize("size", [Size(0, 100), Size(100, 0), Size(-100, 100), Size(100, -1)])
def test_a_picture_without_a_size_is_refused(size: Size) -> None:
    with pytest.raises(BoxError, match=r"^picture has no size: "):
        from_xyxy((0, 0, 1, 1), size)


@pytest.mark.parametrize("make", [from_xyxy, from_xywh, from_inclusive])
@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("place", range(4))
def test_what_is_no_finite_number_is_refused_in_pixels(make: Constructor, value: float, place: int) -> None:
    with pytest.raises(BoxError):
        make(replaced((10, 10, 50, 50), place, value), SQUARE)


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("place", range(4))
def test_what_is_no_finite_number_is_refused_in_fractions(value: float, place: int) -> None:
    with pytest.raises(BoxError):
        Box(*replaced((0.1, 0.1, 0.5, 0.5), place, value))


@pytest.mark.parametrize(
    "xyxy",
    [
        (0.5, 0.1, 0.5, 0.9),
        (0.6, 0.1, 0.5, 0.9),
        (0.1, 0.9, 0.5, 0.9),
        (0.1, 0.95, 0.5, 0.9),
        (-1e-9, 0.1, 0.5, 0.9),
        (0.1, -1e-9, 0.5, 0.9),
        (0.1, 0.1, 1.0000001, 0.9),
        (0.1, 0.1, 0.5, 1.0000001),
    ],
)
def test_empty_inverted_and_outside_fractions_are_refused(xyxy: XYXY) -> None:
    with pytest.raises(BoxError, match="not inside the picture"):
        Box(*xyxy)


def test_a_box_read_from_json_is_proved_too() -> None:
    assert msgspec.json.decode(b"[0,0.25,0.5,1]", type=Box) == Box(0.0, 0.25, 0.5, 1.0)
    with pytest.raises(BoxError, match="not inside the picture"):
        msgspec.json.decode(b"[0.5,0.25,0,1]", type=Box)


def test_a_box_is_a_list_of_four_numbers_in_json() -> None:
    assert msgspec.json.encode(Box(0.0, 0.25, 0.5, 1.0)) == b"[0.0,0.25,0.5,1.0]"


def test_area_is_the_share_of_the_picture() -> None:
    assert Box(0.0, 0.0, 1.0, 1.0).area == 1.0
    assert Box(0.25, 0.5, 0.75, 1.0).area == 0.25


def test_boxes_that_only_touch_share_nothing() -> None:
    assert iou(Box(0.0, 0.0, 0.5, 1.0), Box(0.5, 0.0, 1.0, 1.0)) == 0.0


def test_boxes_apart_in_both_directions_share_nothing() -> None:
    # Two negative overlaps must not multiply to a positive one.
    assert iou(Box(0.0, 0.0, 0.1, 0.1), Box(0.8, 0.8, 0.9, 0.9)) == 0.0


def test_a_box_shares_all_with_itself() -> None:
    assert iou(Box(0.1, 0.2, 0.3, 0.7), Box(0.1, 0.2, 0.3, 0.7)) == 1.0


def test_a_quarter_within_the_whole_is_a_quarter() -> None:
    assert iou(Box(0.0, 0.0, 1.0, 1.0), Box(0.25, 0.25, 0.75, 0.75)) == 0.25
