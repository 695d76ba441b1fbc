"""Filters on columns of the record index."""

from typing import Any

import pyarrow as pa
import pytest

from pipelines.filters import passing
from pipelines.layout import INDEX
from schemas.mixture import Filters

KINDS = {name: INDEX.field(name).type for name in ("min_area", "boxes", "turns", "chars", "scores")}


def table(**columns: list[Any]) -> pa.Table:
    return pa.table({name: pa.array(values, KINDS[name]) for name, values in columns.items()})


def passed(rows: pa.Table, **filters: Any) -> dict[str, list[bool]]:
    return {rule: mask.tolist() for rule, mask in passing(rows, Filters(**filters))}


@pytest.mark.parametrize("column", ["boxes", "turns", "chars"])
def test_bounds_on_counts_pass_themselves(column: str) -> None:
    rows = table(**{column: [1, 2, 3, 4]})
    found = passed(rows, **{f"min_{column}": 2, f"max_{column}": 3})
    assert found == {f"min_{column}": [False, True, True, True], f"max_{column}": [True, True, True, False]}


def test_a_bound_of_nought_is_a_bound() -> None:
    assert passed(table(boxes=[0, 1]), max_boxes=0) == {"max_boxes": [True, False]}


def test_areas_are_of_the_smallest_box_and_records_without_boxes_pass() -> None:
    rows = table(min_area=[0.1, None, 0.3, 0.2])
    assert passed(rows, min_area=0.2, max_area=0.2) == {
        "min_area": [False, True, True, True],
        "max_area": [True, True, False, True],
    }


def test_scores_are_asked_for_by_name_and_a_picture_without_one_does_not_pass() -> None:
    def score(**told: float) -> list[dict[str, Any]]:
        return [{"name": name, "value": value} for name, value in told.items()]

    rows = table(
        scores=[score(similarity=0.3, punsafe=0.9), [], score(punsafe=0.1), score(punsafe=0.2, similarity=0.2)]
    )
    assert passed(rows, min_score={"similarity": 0.25}, max_score={"similarity": 0.5, "punsafe": 0.5}) == {
        "min_score similarity": [True, False, False, False],
        "max_score punsafe": [False, False, True, True],
        "max_score similarity": [True, False, False, True],
    }


def test_of_two_scores_of_one_name_the_first_counts() -> None:
    twice = [{"name": "a", "value": 1.0}, {"name": "a", "value": 2.0}]
    assert passed(table(scores=[twice]), max_score={"a": 1.5}) == {"max_score a": [True]}


def test_no_filters_no_rules() -> None:
    assert passed(table(boxes=[1])) == {}
    assert passed(table(scores=[]), min_score={"a": 1.0}) == {"min_score a": []}
