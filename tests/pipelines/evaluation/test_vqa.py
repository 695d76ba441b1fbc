"""Short answers are worth what the challenge's evaluation gives them."""

import pytest

from pipelines.evaluation.vqa import accuracy, normalised
from schemas.record import Answer


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("The Dog.", "dog"),
        ("two", "2"),
        ("none", "0"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("its", "its"),
        ("an apple, a pear", "apple pear"),
        ("1,000", "1000"),
        ("3.5", "3.5"),
        ("black-and-white", "black and white"),
        ("yes!", "yes"),
        ("a\nb", "b"),
        ("", ""),
    ],
)
def test_answers_are_compared_without_what_does_not_matter(answer: str, plain: str) -> None:
    assert normalised(answer) == plain


@pytest.mark.parametrize(("same", "worth"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_an_answer_is_worth_what_the_others_gave_for_it(same: int, worth: float) -> None:
    given = [Answer("red", same), Answer("blue", 10 - same)]
    assert accuracy("Red.", given) == pytest.approx(worth)


def test_different_spellings_of_one_answer_count_together() -> None:
    assert accuracy("2", [Answer("two", 2), Answer("2", 2), Answer("3", 6)]) == 1.0


def test_a_question_with_one_answer_is_right_or_wrong() -> None:
    assert accuracy("Yes", [Answer("yes", 1)]) == 1.0
    assert accuracy("no", [Answer("yes", 1)]) == 0.0
    assert accuracy("no", []) == 0.0
