"""Tests of staging: every candidate comes back from the buckets once, from the range of its picture's hash."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import stage as staging_module
from pipelines.convert import Outcome, job, outcomes
from pipelines.progress import Lines
from pipelines.stage import MISSING, Staging, order_of, stage, staged
from schemas.ledger import Part
from schemas.prompt import Wording
from schemas.record import image_ref

ALL = 2**64
PART = Part("refcoco", "val", "refer")


def rejected(image: str, key: str, reason: str = "empty box") -> Outcome:
    return Outcome(PART, key, image_ref(image, None) if image else None, None, reason, f"{reason}: it is", rule=False)


@pytest.fixture(scope="module")
def demo_outcomes(demo_files: Path) -> list[Outcome]:
    return list(outcomes(job("refcoco", str(demo_files / "refer"), "val"), Wording()))


@given(cuts=st.lists(st.integers(1, ALL - 1), unique=True, max_size=6))
@settings(max_examples=40, deadline=None)
def test_ranges_that_cover_all_hashes_give_every_candidate_back_once(
    tmp_path_factory: pytest.TempPathFactory, demo_outcomes: list[Outcome], cuts: list[int]
) -> None:
    staging = Staging(tmp_path_factory.mktemp("buckets"), seed=3)
    for outcome in demo_outcomes:
        staging.add(outcome)
    staging.flush()
    edges = [0, *sorted(cuts), ALL]
    found = [row for low, high in pairwise(edges) for row in staged(staging.folder, low, high)]
    assert sorted(row.key for row in found) == sorted(outcome.key for outcome in demo_outcomes)
    assert [row.order for row in found] == sorted(row.order for row in found)
    assert all(row.order == order_of(3, row.group) for row in found)


def test_what_lies_in_the_buckets_does_not_depend_on_how_often_they_were_flushed(
    tmp_path: Path, demo_outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom, often = Staging(tmp_path / "seldom", seed=0), Staging(tmp_path / "often", seed=0)
    for outcome in demo_outcomes:
        seldom.add(outcome)
    monkeypatch.setattr(staging_module, "_FLUSH_BYTES", 500)
    for outcome in demo_outcomes:
        often.add(outcome)
    seldom.flush()
    often.flush()
    assert list(staged(seldom.folder, 0, ALL)) == list(staged(often.folder, 0, ALL))


def test_only_records_weigh_and_a_picture_weighs_what_its_records_do(
    tmp_path: Path, demo_outcomes: list[Outcome]
) -> None:
    staging = Staging(tmp_path, seed=0)
    for outcome in [*demo_outcomes, rejected("coco/999999999", "k")]:
        staging.add(outcome)
    staging.flush()
    weights: dict[str, int] = {}
    for row in staged(tmp_path, 0, ALL):
        if row.record:
            weights[row.group] = weights.get(row.group, 0) + len(row.record) + 1
    assert staging.weights == weights
    assert "coco/999999999" not in staging.weights


def test_the_digest_changes_with_every_candidate_and_its_content(tmp_path: Path, demo_outcomes: list[Outcome]) -> None:
    digests = set()
    for number, listed in enumerate(
        (
            demo_outcomes,
            demo_outcomes[:-1],
            [*demo_outcomes, rejected("coco/1", "k")],
            [*demo_outcomes, rejected("coco/1", "k", "another reason")],
            [*demo_outcomes, rejected("coco/2", "k")],
        )
    ):
        staging = Staging(tmp_path / str(number), seed=0)
        for outcome in listed:
            staging.add(outcome)
        digests.add(staging.digest())
    assert len(digests) == 5


def test_candidates_without_a_picture_are_spread_by_their_keys(tmp_path: Path) -> None:
    staging = Staging(tmp_path, seed=0)
    for number in range(10):
        staging.add(rejected("", f"refcoco/val/row{number}/refer"))
    staging.flush()
    rows = list(staged(tmp_path, 0, ALL))
    assert len({row.order for row in rows}) == 10
    assert all(row.image is None and row.group == row.key for row in rows)


@pytest.mark.parametrize(("policy", "rule"), [("reject", False), ("filter", True)])
def test_a_record_whose_picture_is_absent_is_rejected_or_filtered_as_the_pool_says(
    tmp_path: Path, demo_files: Path, policy: str, rule: bool
) -> None:
    staging = Staging(tmp_path, seed=0)
    stage(
        staging,
        job("refcoco", str(demo_files / "refer"), "val"),
        Wording(),
        {},
        policy,
        lambda image: None,
        Lines("read", None),
    )
    staging.flush()
    rows = list(staged(tmp_path, 0, ALL))
    assert rows and all((row.record, row.reason, row.rule) == (b"", MISSING, rule) for row in rows)
    assert staging.weights == {}
    counted = [tally.filtered if rule else tally.rejected for tally in staging.ledger.tallies()]
    assert [[count.name for count in counts] for counts in counted] == [["picture missing"]] * 2


def test_an_example_of_each_reason_is_kept(tmp_path: Path) -> None:
    staging = Staging(tmp_path, seed=0)
    staging.add(rejected("coco/1", "a"))
    staging.add(Outcome(PART, "b", image_ref("coco/2", None), None, "empty box", "empty box: a later one"))
    assert staging.examples == {("refcoco", "val", "empty box"): "empty box: it is"}


def test_a_row_that_was_rejected_for_itself_stays_so_where_its_picture_is_absent_too(tmp_path: Path) -> None:
    entries = [{"id": 1, "image_id": 9, "caption": " \n"}, {"id": 2, "image_id": 9, "caption": "fine"}]
    file = {"images": [{"id": 9}], "annotations": entries}
    (tmp_path / "captions_val2014.json").write_text(json.dumps(file))
    staging = Staging(tmp_path / "buckets", seed=0)
    stage(
        staging,
        job("coco_caption", str(tmp_path), "val"),
        Wording(),
        {},
        "filter",
        lambda image: None,
        Lines("read", None),
    )
    staging.flush()
    rows = {row.key: (row.reason, row.rule) for row in staged(staging.folder, 0, ALL)}
    assert rows == {
        "coco_caption/val/1/caption": ("empty caption", False),
        "coco_caption/val/2/caption": (MISSING, True),
    }
