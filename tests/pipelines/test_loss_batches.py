"""What a codec costs, counted in batches: the same doubles as counted one by one."""

from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipelines.loss
from pipelines.loss import EDGES, Loss, self_ious
from schemas.box import CODECS, Box, Codec, self_iou

EACH = pytest.mark.parametrize("by", CODECS.values(), ids=list(CODECS))
# Whole bins, ties, and sides so short that they are widened are common in these.
_ends = st.one_of(st.integers(0, 200).map(lambda n: n / 200), st.floats(0, 1), st.floats(0.4, 0.405))
_side = st.lists(_ends, min_size=2, max_size=2, unique=True).map(sorted)
boxes = st.lists(st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), _side, _side), max_size=40)


@EACH
@given(found=boxes)
def test_the_overlaps_of_many_boxes_are_those_of_each_to_the_last_bit(by: Codec, found: list[Box]) -> None:
    areas, ious = self_ious(found, by)
    assert areas.tolist() == [box.area for box in found]
    assert ious.tolist() == [self_iou(box, by) for box in found]


@EACH
@given(found=boxes, most=st.integers(1, 9), by_sides=st.booleans())
def test_sums_do_not_depend_on_where_a_batch_ends(by: Codec, found: list[Box], most: int, by_sides: bool) -> None:
    loss, sums, counts = Loss(by), [0.0] * 7, [0] * 7
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipelines.loss, "_BATCH", most)
        for box in found:
            if by_sides:
                loss.add_sides(np.array([[*box]]))
            else:
                loss.add([box])
            size = bisect_right(EDGES, box.area**0.5)
            sums[size], counts[size] = sums[size] + self_iou(box, by), counts[size] + 1
    rows = {str(row["size"]): row for row in loss.report()}
    wanted = {name: (n, round(s / n, 4)) for name, n, s in zip(pipelines.loss.NAMES, counts, sums, strict=True) if n}
    assert {name: (row["boxes"], row["self_iou"]) for name, row in rows.items() if name != "all"} == wanted
    assert [int(n) for n in loss._boxes] == counts
    assert [float(iou) for iou in loss._iou] == sums
