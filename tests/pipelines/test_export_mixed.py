"""Tests of exports of a lock that ``mix`` made of several pools: nothing that is held out, and each record once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.draw import samples
from pipelines.energon import energon
from pipelines.export import export
from pipelines.mix import mix
from schemas.lock import Lock
from schemas.mixture import Mixture
from schemas.record import Sample

Pools = dict[str, str]
SPLITS = ["refcoco/val", "refcoco/testA", "refcoco/testB"]


@pytest.fixture
def lock(mix_pools: Pools, staged: Callable[..., Mixture], tmp_path: Path) -> Lock:
    """A lock of parts of three pools, text alone among them, that lies at ``s.lock.json``; a fourth is held out."""
    asked = staged(
        ("coco_caption", "caption"), ("vg", "refer"), ("llava_detail", None), ("unnatural", None), held_out=SPLITS
    )
    return mix(asked, list(mix_pools.values()), tmp_path / "s.lock.json", roots={})


def by_key(pools: Pools) -> dict[str, Sample]:
    return {record.key: sample for pool in pools.values() for sample, _ in samples(pool) for record in sample.records}


def held(pools: Pools) -> set[str]:
    return {sample.image.id for sample, _ in samples(pools["eval"]) if sample.image}


def test_each_record_that_may_be_drawn_is_exported_once_and_none_of_a_held_out_picture(
    mix_pools: Pools, lock: Lock, tmp_path: Path
) -> None:
    told = export(str(tmp_path / "s.lock.json"), str(tmp_path / "out"), "llava", "kosmos-2", images=True)
    rows: list[dict[str, Any]] = json.loads((tmp_path / "out" / "records.json").read_bytes())
    assert len({row["id"] for row in rows}) == len(rows) == sum(part.records for part in lock.parts)
    assert {tally.part: tally.written for tally in told.ledger} == {part.part: part.records for part in lock.parts}
    stored, hidden = by_key(mix_pools), held(mix_pools)
    for row in rows:
        image = stored[row["id"]].image
        assert ("image" in row) == (image is not None)
        assert image is None or not hidden & {image.id, *image.aliases}
    assert {row["image"].split("/")[1] for row in rows if "image" in row} == {"coco", "vg"}
    assert all((tmp_path / "out" / row["image"]).is_file() for row in rows if "image" in row)


def test_held_out_pictures_are_excluded_from_every_split_for_energon(
    mix_pools: Pools, lock: Lock, tmp_path: Path
) -> None:
    splits = energon(str(tmp_path / "s.lock.json"), str(tmp_path / "out"))
    assert [split.part.part for split in splits] == [part.part for part in lock.parts]
    hidden = held(mix_pools)
    blend = yaml.safe_load((tmp_path / "out" / "metadataset.yaml").read_text())["splits"]["train"]["blend"]
    for entry, split in zip(blend, splits, strict=True):
        read = json.loads(Path(entry["split_config"]).read_bytes())
        left_out = {name.partition("/")[2] for name in read["exclude"]}
        images = [sample.image for sample, _ in samples(entry["path"]) if sample.image]
        for image in images:
            if hidden & {image.id, *image.aliases}:
                assert image.id.replace("/", "-") in left_out
        assert split.unseen == 0
