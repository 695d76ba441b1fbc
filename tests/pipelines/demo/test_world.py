import io
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.demo.draw import jpeg, picture
from pipelines.demo.world import ID_PRIME, SIZES, Box, Scene, image_id, object_id, outline, scene

SCENES = [scene(5, index) for index in range(300)]


def coloured_extent(drawn: Scene, box: Box) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge of the coloured pixels in the box and three pixels around it."""
    pixels = np.asarray(picture(drawn, 5)).astype(int)
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 25
    left, top = max(0, int(box[0]) - 3), max(0, int(box[1]) - 3)
    ys, xs = np.nonzero(coloured[top : int(box[1] + box[3]) + 4, left : int(box[0] + box[2]) + 4])
    return left + xs.min(), top + ys.min(), left + xs.max() + 1, top + ys.max() + 1


def test_drawn_pixels_reach_all_four_sides_of_the_box_and_not_beyond() -> None:
    for drawn in SCENES[:60]:
        for shape in drawn.shapes:
            x, y, w, h = shape.box
            assert coloured_extent(drawn, shape.box) == pytest.approx((x, y, x + w, y + h), abs=1.0)


def test_nothing_coloured_is_drawn_outside_the_boxes() -> None:
    for drawn in SCENES[:60]:
        pixels = np.asarray(picture(drawn, 5)).astype(int)
        for x, y, w, h in (shape.box for shape in drawn.shapes):
            pixels[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1] = 0
        assert (pixels.max(axis=2) == pixels.min(axis=2)).all()


def test_every_box_lies_inside_its_picture_and_some_touch_an_edge() -> None:
    touching = 0
    for drawn in SCENES:
        for x, y, w, h in (shape.box for shape in drawn.shapes):
            assert x >= 0 and y >= 0 and w > 0 and h > 0
            assert x + w <= drawn.width and y + h <= drawn.height
            touching += x + w == drawn.width or y + h == drawn.height
    assert touching > 10


def test_boxes_of_one_picture_do_not_overlap() -> None:
    for drawn in SCENES:
        for a, b in combinations((shape.box for shape in drawn.shapes), 2):
            apart_x = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0]
            apart_y = a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
            assert apart_x or apart_y


def test_a_size_word_bounds_the_longer_side() -> None:
    for drawn in SCENES:
        for shape in drawn.shapes:
            low, high = SIZES[shape.size]
            share = max(shape.box[2:]) / min(drawn.width, drawn.height)
            assert low - 0.002 <= share <= high + 0.002


def test_the_outline_reaches_all_four_sides_of_the_box() -> None:
    for drawn in SCENES:
        for shape in drawn.shapes:
            xs, ys = zip(*outline(shape), strict=True)
            x, y, w, h = shape.box
            assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((x, y, x + w, y + h))


def test_scenes_hold_one_to_four_shapes_and_mostly_more_than_one() -> None:
    counts = [len(drawn.shapes) for drawn in SCENES]
    assert set(counts) == {1, 2, 3, 4}
    assert counts.count(1) < 0.2 * len(counts)


def test_pictures_are_wide_or_tall_but_never_square() -> None:
    assert all(160 <= side <= 256 for drawn in SCENES for side in (drawn.width, drawn.height))
    assert all(abs(drawn.width - drawn.height) >= 20 for drawn in SCENES)
    assert {drawn.width > drawn.height for drawn in SCENES} == {True, False}


@given(st.integers(), st.integers(0, 10**6))
def test_a_scene_is_a_pure_function_of_seed_and_index(seed: int, index: int) -> None:
    assert scene(seed, index) == scene(seed, index)
    assert scene(seed, index) != scene(seed + 1, index)


def test_equal_arguments_draw_equal_bytes_and_another_seed_draws_others() -> None:
    assert jpeg(SCENES[0], 5) == jpeg(SCENES[0], 5)
    assert jpeg(SCENES[0], 5) != jpeg(SCENES[0], 6)


def test_the_jpeg_has_the_size_the_scene_states() -> None:
    for drawn in SCENES[:10]:
        with Image.open(io.BytesIO(jpeg(drawn, 5))) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (drawn.width, drawn.height))


def test_image_ids_are_distinct_scattered_and_have_at_most_six_digits() -> None:
    ids = [image_id(index) for index in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert all(1 <= number <= 999_999 for number in ids)
    assert all(abs(a - b) > 1 for a, b in pairwise(ids))


@pytest.mark.parametrize("index", [-1, ID_PRIME])
def test_an_index_without_an_id_of_its_own_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"index {index}"):
        image_id(index)


def test_object_ids_are_distinct_over_a_world() -> None:
    ids = [object_id(drawn.index, position) for drawn in SCENES for position in range(len(drawn.shapes))]
    assert len(set(ids)) == len(ids)
