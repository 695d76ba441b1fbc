"""Samples without a picture: alone in a pool, and beside samples with one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.draw import samples
from pipelines.shard import shard
from pipelines.verify import verify
from schemas.pool import PoolManifest, pool_config

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]


def unnatural(files: Path) -> Config:
    return {"name": "unnatural", "root": f"{files}/unnatural", "splits": ["train"], "form": "core"}


@pytest.fixture
def text_config(demo_files: Path) -> Config:
    return {"pool": "text", "collections": {}, "sources": [unnatural(demo_files)], "shard": {"max_samples": 7}}


@pytest.fixture
def mixed_config(demo_files: Path, demo_config: Config) -> Config:
    """Captions of pictures, and text alone."""
    captions = {"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["val"]}
    return demo_config | {"sources": [unnatural(demo_files), captions], "shard": {"max_samples": 6}}


def build(config: Config, out: Path, workers: int = 1) -> PoolManifest:
    return shard(pool_config(config, "test"), str(out), workers=workers).manifest


def test_a_pool_of_text_has_a_sample_a_record_and_no_picture(text_config: Config, tmp_path: Path) -> None:
    manifest = build(text_config, tmp_path / "pool")
    read = list(samples(str(tmp_path / "pool")))
    assert len(read) == manifest.samples == manifest.records > 10
    assert all(sample.image is None and picture is None and len(sample.records) == 1 for sample, picture in read)
    assert {sample.records[0].task for sample, _ in read} == {None}
    assert verify(str(tmp_path / "pool"), 1).problems == []


@pytest.mark.parametrize("which", ["text_config", "mixed_config"])
def test_any_number_of_workers_makes_the_same_bytes(
    which: str, request: pytest.FixtureRequest, tmp_path: Path, tree: TreeOf
) -> None:
    config = request.getfixturevalue(which)
    build(config, tmp_path / "one")
    build(config, tmp_path / "four", workers=4)
    assert tree(tmp_path / "one") == tree(tmp_path / "four")


def test_text_and_pictures_lie_in_one_pool(mixed_config: Config, tmp_path: Path) -> None:
    build(mixed_config, tmp_path / "pool")
    kinds = {(sample.image is None, picture is None) for sample, picture in samples(str(tmp_path / "pool"))}
    assert kinds == {(True, True), (False, False)}
    assert verify(str(tmp_path / "pool"), 1).problems == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_other_readers_take_samples_with_and_without_a_picture(
    mixed_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets
    import webdataset

    manifest = build(mixed_config, tmp_path / "pool")
    urls = [str(path) for path in sorted((tmp_path / "pool").glob("*.tar"))]
    plain = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len(plain) == manifest.samples and {"jpg" in one for one in plain} == {True, False}
    rows = datasets.load_dataset(
        "webdataset",
        data_files=urls,
        split="train",
        features=datasets.Features.from_dict(manifest.features),
        cache_dir=str(tmp_path / "cache"),
    )
    assert [row["json"] for row in rows] == [json.loads(one["json"]) for one in plain]
    assert [row["jpg"] is None for row in rows] == ["jpg" not in one for one in plain]


def test_a_tar_whose_text_sample_was_given_a_picture_is_found_out(text_config: Config, tmp_path: Path) -> None:
    build(text_config, tmp_path / "pool")
    path = tmp_path / "pool" / "text-000000.tar"
    path.write_bytes(path.read_bytes().replace(b".json\0", b".jpg\0\0", 1))
    assert verify(str(tmp_path / "pool"), 1).problems
