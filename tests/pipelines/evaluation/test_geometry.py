"""Boxes that are wrong by a rule are told apart from boxes that are wrong by chance."""

import random
from collections.abc import Callable

import pytest

from pipelines.evaluation.geometry import geometry
from pipelines.evaluation.rec import Pixels, Pointed, Truth, pointed

Spoil = Callable[[Pixels, float, float], Pixels]


def padded(box: Pixels, width: float, height: float) -> Pixels:
    """The box in a picture that was padded to a square, in shares of the square."""
    side = max(width, height)
    left, top = (side - width) / 2, (side - height) / 2
    x1, y1, x2, y2 = box
    return (
        (x1 * width + left) / side, (y1 * height + top) / side, (x2 * width + left) / side, (y2 * height + top) / side
    )  # fmt: skip


def answers(spoil: Spoil) -> list[tuple[Pointed, bool]]:
    """300 answers in pictures of 3:4 and 4:3, a bin or two off, then spoilt."""
    dice, told = random.Random(5), []
    for _ in range(300):
        width, height = dice.choice([(300, 400), (400, 300)])
        x, y, w, h = dice.uniform(0, 0.7), dice.uniform(0, 0.7), dice.uniform(0.15, 0.3), dice.uniform(0.15, 0.3)
        box = (x, y, x + w, y + h)
        true = Truth((x * width, y * height, (x + w) * width, (y + h) * height), width, height)
        said = [round(100 * value + dice.gauss(0, 1.5)) for value in spoil(box, width, height)]
        text = "".join(f"<{min(max(one, 0), 100)}>" for one in said)
        told.append((pointed(f"{{{text}}}", true), height > width))
    return told


def test_right_boxes_lie_right() -> None:
    found = geometry(answers(lambda box, width, height: box))
    assert found is not None and found.answers == found.near == 300
    assert found.along > 0.98 > 0.3 > abs(found.across)
    assert all(one == pytest.approx(1, abs=0.03) for one in (*found.slope, *found.size))


def test_swapped_axes_agree_crosswise() -> None:
    found = geometry(answers(lambda box, width, height: (box[1], box[0], box[3], box[2])))
    assert found is not None
    assert found.across > 0.95 > 0.3 > abs(found.along)


def test_boxes_of_the_padded_square_are_short_along_the_shorter_side_alone() -> None:
    found = geometry(answers(padded))
    assert found is not None
    assert found.size == (pytest.approx(0.75, abs=0.03), pytest.approx(1, abs=0.03))
    assert found.slope[0] > 1.2 and found.slope[1] == pytest.approx(1, abs=0.03)


def test_too_few_answers_near_the_truth_say_nothing() -> None:
    assert geometry(answers(lambda box, width, height: box)[:29]) is None
    assert geometry([]) is None
