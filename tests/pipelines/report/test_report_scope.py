"""Tests of what a report is about: locks, pools of text, remote pools, link rot, and what is not whole."""

import json
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fsspec
import msgspec
import pytest

from pipelines.chosen import source
from pipelines.report.report import report
from schemas.box import codec, self_iou
from schemas.errors import BoxcarError, ConfigError, ShardError
from schemas.ledger import Part
from tests.pipelines.fetch.test_rot import links, put
from tests.pipelines.locks import locked

REFER = {"source": "refcoco", "split": "train", "task": "refer"}
IDENTIFY = {"source": "refcoco", "split": "train", "task": "identify"}


def test_of_a_lock_only_what_may_be_drawn_is_told_as_its_stage_says_it(demo_pool: Path, tmp_path: Path) -> None:
    parts = [REFER, IDENTIFY]
    lock = locked(
        demo_pool, tmp_path / "lock", parts, lambda row: row["sample"] % 2 == 0, render={"codec": "trunc-100"}
    )
    told, shown = report(str(lock))
    chosen = [record for one in source(str(lock)).chosen for record, _ in one.records]
    wanted = Counter(Part(record.source, record.split, record.task) for record in chosen)
    assert {one.part: one.records for one in told.parts} == wanted
    assert (told.kind, told.held_out, told.leaks) == ("lock", [], None)
    boxes = [box for record in chosen for box in record.boxes if record.task == "refer"]
    loss = next(one.loss for one in told.parts if one.task == "refer")
    assert loss is not None
    assert loss.mean == pytest.approx(statistics.mean(self_iou(box, codec("trunc-100")) for box in boxes), abs=1e-6)
    assert all(record.task in ("refer", "identify") for one in shown for record in one.records)


def test_a_lock_tells_what_its_filters_and_held_out_splits_took(
    lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path
) -> None:
    parts = [{"source": "refcoco", "task": "refer", "weight": 1.0}]
    path = lock_of(tmp_path / "a.lock.json", [demo_pool], parts, held_out=["refcoco/val"])
    told = report(str(path))[0]
    lock = json.loads(path.read_bytes())
    assert msgspec.to_builtins(told.held_out) == lock["held_out"]
    assert msgspec.to_builtins(told.parts[0].lost) == lock["parts"][0]["lost"]
    assert told.parts[0].tokens.mean == pytest.approx(lock["parts"][0]["mean_tokens"], abs=1e-4)


def test_link_rot_is_told_of_the_pools_own_sources_only(demo_pool: Path, tmp_path: Path) -> None:
    put(tmp_path / "pictures", 0, links("a.example", 3, 2))
    found = report(str(demo_pool), samples=0, fetched=[str(tmp_path / "pictures")])[0]
    assert (found.rot[0].links, found.rot[0].states["success"]) == (5, 3)
    (tmp_path / "pictures" / "fetch.json").write_text('{"source": "cc3m", "split": "train"}')
    with pytest.raises(ConfigError, match="it was fetched as cc3m, of which demo has no records"):
        report(str(demo_pool), samples=0, fetched=[str(tmp_path / "pictures")])


def test_a_tar_that_is_not_whole_is_an_error(pool_copy: Path) -> None:
    tar = sorted(pool_copy.glob("*.tar"))[1]
    tar.write_bytes(tar.read_bytes()[:600])
    with pytest.raises(BoxcarError, match=tar.name):
        report(str(pool_copy))
    with pytest.raises(ShardError):
        report(str(pool_copy / "nothing"))


def test_a_pool_without_a_split_for_evaluation_says_so(text_pool: Path) -> None:
    told, shown = report(str(text_pool))
    assert (told.leaks, told.pictures, told.maps) == (None, 0, [])
    assert told.text_samples == told.records == len(told.parts) * told.records > 7
    assert all(one.picture == "" and not one.broken for one in shown) and shown


def test_a_remote_pool_is_told_like_a_local_one(demo_pool: Path) -> None:
    fsspec.filesystem("memory").put(str(demo_pool), "/reports/demo", recursive=True)
    assert report("memory://reports/demo", workers=2)[0] == report(str(demo_pool))[0]
