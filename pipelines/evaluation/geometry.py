"""Whether what a model points at is where it should be but for a rule: swapped axes, a stretched or shifted picture.

Accuracy alone cannot say so: boxes of the padded square still overlap the true ones by half where a picture is nearly
square, and a model that learned x for y is right along the diagonal.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.evaluation.rec import Pixels, Pointed

NEAR = 0.25  # overlap from which on an answer is taken to mean the right thing
FEWEST = 30  # such answers without which nothing is said


class Geometry(NamedTuple):
    """How told boxes lie to true ones, over ``answers`` that could be parsed and ``near`` that overlap.

    ``along`` is the correlation of told and true centres, mean of the axes, ``across`` that of x with y. ``slope`` is
    by how much true centres move where told ones move by one, and ``size`` how long told sides are to true ones: along
    the picture's shorter side, then its longer.
    """

    answers: int
    near: int
    along: float
    across: float
    slope: tuple[float, float]
    size: tuple[float, float]


def geometry(answers: Sequence[tuple[Pointed, bool]]) -> Geometry | None:
    """The geometry of these answers, each with whether its picture is taller than wide; None where too few are near."""
    parsed = [(one.told, one.true, tall) for one, tall in answers if one.told is not None]
    near = [(one.told, one.true, tall) for one, tall in answers if one.told is not None and one.overlap > NEAR]
    if len(near) < FEWEST:
        return None
    told, true = [_centre(one) for one, _, _ in parsed], [_centre(one) for _, one, _ in parsed]
    told_x, told_y = zip(*told, strict=True)
    true_x, true_y = zip(*true, strict=True)
    slopes, sizes = zip(*[_of_axis(near, long) for long in (False, True)], strict=True)
    return Geometry(
        answers=len(parsed),
        near=len(near),
        along=(_correlation(told_x, true_x) + _correlation(told_y, true_y)) / 2,
        across=(_correlation(told_x, true_y) + _correlation(told_y, true_x)) / 2,
        slope=(slopes[0], slopes[1]),
        size=(sizes[0], sizes[1]),
    )


def _of_axis(near: Sequence[tuple[Pixels, Pixels, bool]], long: bool) -> tuple[float, float]:
    axes = [int(tall == long) for _, _, tall in near]
    told = [_centre(one)[axis] for (one, _, _), axis in zip(near, axes, strict=True)]
    true = [_centre(one)[axis] for (_, one, _), axis in zip(near, axes, strict=True)]
    sides = [
        (one[2 + axis] - one[axis]) / (other[2 + axis] - other[axis])
        for (one, other, _), axis in zip(near, axes, strict=True)
    ]
    slope = statistics.linear_regression(told, true).slope if len(set(told)) > 1 else 0.0
    return slope, statistics.median(sides)


def _centre(box: Pixels) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    if len(set(one)) < 2 or len(set(other)) < 2:
        return 0.0
    return statistics.correlation(one, other)
