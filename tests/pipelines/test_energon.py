"""Tests of a lock's metadataset for Megatron-Energon; that Energon draws from it so is in test_readers_apart.py."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from pipelines.energon import energon
from schemas.errors import ConfigError, ShardError
from tests.pipelines.locks import Row, index, locked, seal, unsealed

PARTS = [
    {"source": "refcoco", "split": "train", "task": "refer", "count": 3, "batch_size": 2},
    {"source": "coco_instances", "split": "train", "task": "detection", "batch_size": 5},
]


def kept(row: Row) -> bool:
    """A third of the pictures is held out, and so are detections of several boxes, whose pictures stay."""
    return bool(int(row["image"].removeprefix("coco/")) % 3) and (row["task"] != "detection" or row["boxes"] < 2)


@pytest.fixture
def lock(demo_pool: Path, tmp_path: Path) -> Path:
    return locked(demo_pool, tmp_path / "locks", PARTS, kept, unit="batch")


def blend(out: Path) -> list[dict[str, Any]]:
    read = yaml.safe_load((out / "metadataset.yaml").read_text())
    assert (read["__module__"], read["__class__"]) == ("megatron.energon", "MetadatasetV2")
    entries: list[dict[str, Any]] = read["splits"]["train"]["blend"]
    return entries


def test_each_part_is_its_pool_weighed_by_the_samples_that_it_gets(demo_pool: Path, lock: Path, tmp_path: Path) -> None:
    energon(str(lock), str(tmp_path / "out"))
    entries = blend(tmp_path / "out")
    assert [(entry["path"], entry["weight"]) for entry in entries] == [(str(demo_pool), 6), (str(demo_pool), 5)]
    assert [tuple(entry["subflavors"].values()) for entry in entries] == [
        ("refcoco", "train", "refer"),
        ("coco_instances", "train", "detection"),
    ]


def test_a_parts_split_leaves_out_every_sample_none_of_whose_records_may_be_drawn(
    demo_pool: Path, lock: Path, tmp_path: Path
) -> None:
    energon(str(lock), str(tmp_path / "out"))
    shards = index(demo_pool)
    tars = [f"demo-{number:06d}.tar" for number in range(len(shards))]
    for entry in blend(tmp_path / "out"):
        split = json.loads(Path(entry["split_config"]).read_bytes())
        allowed = {
            f"{tar}/{row['stem']}"
            for tar, rows in zip(tars, shards, strict=True)
            for row in rows
            if entry["subflavors"].items() <= row.items() and kept(row)
        }
        every = {f"{tar}/{row['stem']}" for tar, rows in zip(tars, shards, strict=True) for row in rows}
        listed = set(split["split_parts"]["train"])
        assert listed == {name.partition("/")[0] for name in allowed}
        assert set(split["exclude"]) == {name for name in every - allowed if name.partition("/")[0] in listed}


def test_what_the_blend_cannot_say_is_told(demo_pool: Path, lock: Path, tmp_path: Path) -> None:
    splits = energon(str(lock), str(tmp_path / "out"))
    text = (tmp_path / "out" / "metadataset.yaml").read_text()
    rows = [row for shard in index(demo_pool) for row in shard]
    stems = {row["stem"] for row in rows if row["task"] == "detection" and row["split"] == "train" and kept(row)}
    unseen = sum(row["stem"] in stems and row["task"] == "detection" and row["boxes"] > 1 for row in rows)
    assert [split.unseen for split in splits] == [0, unseen] and unseen > 0
    assert f"{unseen:,} more records of these samples are left out by the lock and not by this blend" in text
    assert "# * Order, epochs and resuming are Energon's" in text


def test_a_locks_name_cannot_end_the_comment_that_it_is_told_in(lock: Path, tmp_path: Path) -> None:
    odd = lock.with_name("a\n__module__: os # .lock.json")
    lock.rename(odd)
    lock.with_suffix("").rename(odd.with_suffix(""))
    energon(str(odd), str(tmp_path / "odd"))
    lines = (tmp_path / "odd" / "metadataset.yaml").read_text().splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "__module__: megatron.energon"


def test_a_shard_without_a_record_of_the_part_is_not_listed(demo_pool: Path, tmp_path: Path) -> None:
    first = {row["stem"] for row in index(demo_pool)[0]}
    lock = locked(demo_pool, tmp_path / "locks", PARTS[:1], lambda row: row["stem"] in first, unit="batch")
    energon(str(lock), str(tmp_path / "out"))
    (entry,) = blend(tmp_path / "out")
    split = json.loads(Path(entry["split_config"]).read_bytes())
    assert split["split_parts"] == {"train": ["demo-000000.tar"]}
    assert all(name.startswith("demo-000000.tar/") for name in split["exclude"])


def test_what_cannot_be_a_metadataset_is_refused_and_nothing_left(demo_pool: Path, lock: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wanted a local folder"):
        energon(str(lock), "memory://energon/out")
    with pytest.raises(ConfigError, match="wanted a name that ends in"):
        energon(str(demo_pool), str(tmp_path / "out"))
    read = unsealed(lock)
    seal(lock, replace(read, pools=[replace(read.pools[0], digest="0" * 64), read.pools[1]]))
    with pytest.raises(ShardError, match="the lock was made for 000000000000"):
        energon(str(lock), str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
