"""Everything that speaks of COCO's pictures in one pool, and pools of several collections."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipelines.draw import samples
from pipelines.images import size_of
from pipelines.shard import Built, shard
from pipelines.verify import verify
from schemas.pool import pool_config

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]

COCO = {
    "coco_caption": "coco",
    "coco_instances": "coco",
    "refcoco": "refer",
    "refcocoplus": "refer",
    "refcocog": "refer",
    "vqav2": "vqav2",
    "okvqa": "okvqa",
    "aokvqa": "aokvqa",
    "aokvqa_mc": "aokvqa",
    "llava_conversation": "llava",
    "llava_detail": "llava",
    "llava_reason": "llava",
}


def entry(files: Path, name: str, folder: str, **more: Any) -> Config:
    return {"name": name, "root": f"{files}/{folder}", "splits": ["train"], **more}


@pytest.fixture
def coco(demo_files: Path) -> Config:
    return {
        "pool": "coco",
        "collections": {"coco": f"{demo_files}/coco"},
        "sources": [entry(demo_files, name, folder) for name, folder in COCO.items()],
        "multitask": {"per_picture": 2},
        "shard": {"max_bytes": "500KiB"},
    }


def build(config: Config, out: Path, workers: int = 1) -> Built:
    return shard(pool_config(config, "test"), str(out), workers=workers)


def test_all_of_coco_lies_in_one_pool_whatever_the_number_of_workers(
    coco: Config, tmp_path: Path, tree: TreeOf
) -> None:
    built = build(coco, tmp_path / "one")
    build(coco | {"sources": coco["sources"][::-1]}, tmp_path / "four", workers=4)
    assert tree(tmp_path / "one") == tree(tmp_path / "four")
    assert built.manifest.shards > 2
    assert {tally.source for tally in built.manifest.ledger if tally.written} == {*COCO, "multitask"}
    assert all(not tally.rejected for tally in built.manifest.ledger)
    assert verify(str(tmp_path / "one"), 1).problems == []


def test_each_picture_is_stored_once_so_the_whole_is_smaller_than_its_parts(coco: Config, tmp_path: Path) -> None:
    whole = build(coco, tmp_path / "whole").manifest
    ids = [sample.image.id for sample, _ in samples(str(tmp_path / "whole")) if sample.image]
    assert len(ids) == len(set(ids)) == whole.samples
    single = [
        build(coco | {"sources": [one], "multitask": None, "pool": one["name"]}, tmp_path / one["name"]).manifest
        for one in coco["sources"]
    ]
    assert whole.records == sum(one.records for one in single) + sum(
        tally.written for tally in whole.ledger if tally.source == "multitask"
    )
    assert whole.bytes < 0.5 * sum(one.bytes for one in single)
    assert max(one.samples for one in single) == whole.samples


def test_a_pool_may_hold_several_collections_and_text(demo_files: Path, tmp_path: Path) -> None:
    config = {
        "pool": "all",
        "collections": {
            "coco": f"{demo_files}/coco",
            "vg": [f"{demo_files}/vg", f"{demo_files}/gqa"],
            "openimages": f"{demo_files}/textcaps",
        },
        "sources": [
            entry(demo_files, "refcoco", "refer"),
            entry(demo_files, "vg", "vg", max_reject=0.02),
            entry(demo_files, "gqa", "gqa", form="balanced"),
            entry(demo_files, "textcaps", "textcaps"),
            entry(demo_files, "unnatural", "unnatural", form="core", options={"instances": "all"}),
        ],
    }
    build(config, tmp_path / "pool")
    sets = {sample.image.id.split("/")[0] if sample.image else "" for sample, _ in samples(str(tmp_path / "pool"))}
    assert sets == {"coco", "vg", "openimages", ""}
    aliases = [sample.image.aliases for sample, _ in samples(str(tmp_path / "pool")) if sample.image]
    assert any(alias and alias[0].startswith("coco/") for alias in aliases)
    assert verify(str(tmp_path / "pool"), 1).problems == []


def test_where_sources_lie_decides_no_byte_not_even_of_their_rejects(
    demo_files: Path, tmp_path: Path, tree: TreeOf
) -> None:
    trees = []
    for place in ("here", "somewhere/else"):
        root = tmp_path / place
        for folder in ("vg", "flickr30k", "iconqa_data", "ocrvqa", "textcaps", "vqav2", "coco"):
            shutil.copytree(demo_files / folder, root / folder)
        regions = json.loads((root / "vg" / "region_descriptions.json").read_text())
        (root / "vg" / "region_descriptions.json").write_text(json.dumps([*regions, {"id": 1}, 5]))
        min((root / "flickr30k" / "Annotations").iterdir()).unlink()
        max((root / "flickr30k" / "Sentences").iterdir()).write_text("no five lines")
        (min((root / "iconqa_data" / "iconqa" / "train" / "choose_txt").iterdir()) / "data.json").unlink()
        config = {
            "pool": "places",
            "collections": {
                "coco": f"{root}/coco",
                "vg": f"{root}/vg",
                "flickr30k": f"{root}/flickr30k",
                "iconqa": f"{root}/iconqa_data/iconqa",
                "ocrvqa": f"{root}/ocrvqa",
                "openimages": f"{root}/textcaps",
            },
            "sources": [
                entry(root, "vg", "vg", max_reject=1),
                entry(root, "flickr30k_phrase", "flickr30k", form="folders", max_reject=1),
                entry(root, "flickr30k_caption", "flickr30k", form="zip", max_reject=1),
                entry(root, "iconqa", "iconqa_data", form="published", max_reject=1),
                entry(root, "ocrvqa", "ocrvqa", max_reject=1),
                entry(root, "textcaps", "textcaps"),
                entry(root, "vqav2", "vqav2"),
            ],
        }
        built = build(config, tmp_path / place / "pool").manifest
        assert {tally.source for tally in built.ledger if tally.rejected} >= {"vg", "flickr30k_phrase", "iconqa"}
        trees.append(tree(tmp_path / place / "pool"))
    assert trees[0] == trees[1]


@pytest.mark.parametrize(("folder", "other"), [("VG_100K", "VG_100K_2"), ("VG_100K_2", "VG_100K")])
def test_the_folder_in_a_pictures_url_says_which_of_two_files_is_meant(
    demo_files: Path, tmp_path: Path, folder: str, other: str
) -> None:
    first, second = sorted((demo_files / "coco" / "train2014").iterdir())[:2]
    region = {"region_id": 1, "image_id": 7, "phrase": "a shape", "x": 10, "y": 10, "width": 50, "height": 50}
    for name, path in ((folder, first), (other, second)):
        (tmp_path / "vg" / name).mkdir(parents=True)
        (tmp_path / "vg" / name / "7.jpg").write_bytes(path.read_bytes())
    width, height = size_of(first.read_bytes())
    listed = {"image_id": 7, "width": width, "height": height, "coco_id": None, "flickr_id": None}
    url = f"https://images.example.org/rak248/{folder}/7.jpg"
    (tmp_path / "vg" / "image_data.json").write_text(json.dumps([listed | {"url": url}]))
    (tmp_path / "vg" / "region_descriptions.json").write_text(json.dumps([{"id": 7, "regions": [region]}]))
    config = {
        "pool": "vg",
        "collections": {"vg": f"{tmp_path}/vg"},
        "sources": [{"name": "vg", "root": f"{tmp_path}/vg", "splits": ["train"]}],
    }
    build(config, tmp_path / "pool")
    ((sample, picture),) = samples(str(tmp_path / "pool"))
    assert picture == first.read_bytes()
    assert sample.image and sample.image.sha256 == sha256(first.read_bytes()).hexdigest()
