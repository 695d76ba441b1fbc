"""Keeping at most so many records of a part: chosen by hash, the rest counted."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome, job, outcomes
from pipelines.draw import samples
from pipelines.sampling import at_most
from pipelines.shard import shard
from schemas.pool import pool_config
from schemas.prompt import Wording

Config = dict[str, Any]


@pytest.fixture
def found(demo_files: Path) -> list[Outcome]:
    return list(outcomes(job("refcoco", str(demo_files / "refer"), "train"), Wording()))


def kept(found: list[Outcome], most: int | None, seed: int = 0) -> list[Outcome]:
    return list(at_most(most, lambda: iter(found), seed))


def keys(found: list[Outcome]) -> set[str]:
    return {one.key for one in found if one.record}


def test_of_each_task_as_many_are_kept_as_asked_and_the_rest_are_filtered(found: list[Outcome]) -> None:
    left = kept(found, 20)
    assert [one.key for one in left] == [one.key for one in found]
    for task in ("refer", "identify"):
        of_task = [one for one in left if one.part.task == task]
        assert sum(one.record is not None for one in of_task) == 20
        assert {one.reason for one in of_task if one.record is None} == {"beyond max_records"}
        assert all(one.rule for one in of_task if one.record is None)


def test_which_are_kept_depends_on_the_seed_and_not_on_the_order(found: list[Outcome]) -> None:
    assert keys(kept(found, 20)) == keys(kept(found[::-1], 20))
    assert keys(kept(found, 20)) != keys(kept(found, 20, seed=1))


def test_fewer_are_a_part_of_more(found: list[Outcome]) -> None:
    assert keys(kept(found, 5)) < keys(kept(found, 20)) < keys(kept(found, 100))


@pytest.mark.parametrize("most", [None, 10**9])
def test_without_a_bound_or_within_it_nothing_changes(found: list[Outcome], most: int | None) -> None:
    assert kept(found, most) == found


def test_rejects_do_not_count_against_the_bound(found: list[Outcome]) -> None:
    rejected = [one._replace(record=None, reason="empty box") for one in found[:50]]
    left = kept([*rejected, *found[50:]], 30)
    assert sum(one.reason == "empty box" for one in left) == 50
    assert len(keys(left)) == 60


def test_a_pool_keeps_as_many_of_those_whose_picture_is_there(demo_config: Config, tmp_path: Path) -> None:
    demo_config["sources"] = [demo_config["sources"][0] | {"splits": ["train"], "max_records": 7}]
    manifest = shard(pool_config(demo_config, "test"), str(tmp_path / "pool")).manifest
    assert {tally.task: tally.written for tally in manifest.ledger} == {"refer": 7, "identify": 7}
    assert manifest.config["sources"][0]["max_records"] == 7
    assert sum(len(sample.records) for sample, _ in samples(str(tmp_path / "pool"))) == 14
