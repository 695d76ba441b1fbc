"""Tests of what a build does with what already lies in its folder, and of configs that cannot be built."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import store
from pipelines.shard import Built, shard
from pipelines.verify import verify
from schemas.errors import BoxcarError, ConfigError, ShardError, SourceError
from schemas.pool import pool_config

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def config(demo_files: Path) -> Config:
    """A pool of captions alone, in three shards: quick to build."""
    return {
        "pool": "little",
        "collections": {"coco": f"{demo_files}/coco"},
        "sources": [{"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["val"]}],
        "shard": {"max_samples": 4},
    }


def build(config: Config, out: Path, workers: int = 1) -> Built:
    return shard(pool_config(config, "test"), str(out), workers)


def test_a_finished_pool_is_not_built_again(
    config: Config, tmp_path: Path, tree: TreeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(config, tmp_path / "pool")
    before = tree(tmp_path / "pool")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "pool").rglob("*") if path.is_file()}
    monkeypatch.setattr("pipelines.shard.pack", None)
    again = build(config, tmp_path / "pool")
    assert again.manifest == first.manifest and (first.reused, again.reused) == (0, 3)
    assert tree(tmp_path / "pool") == before
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("codec", "trunc-100"),
        ("missing_images", "filter"),
        ("image", {"max_side": 32}),
        ("image", {"min_short_side": 447}),
        ("image", {"stretch": 32}),
        ("image", {"quality": 91}),
        ("shard", {"max_samples": 5}),
        ("shard", {"max_samples": 4, "max_bytes": "511MiB"}),
        ("sources.0.splits", ["val", "train"]),
    ],
)
def test_a_finished_pool_of_another_config_is_refused_and_left_as_it_is(
    config: Config, tmp_path: Path, tree: TreeOf, key: str, value: Any
) -> None:
    build(config, tmp_path / "pool")
    before = tree(tmp_path / "pool")
    if key == "sources.0.splits":
        config["sources"][0]["splits"] = value
    else:
        config[key] = value
    with pytest.raises(ConfigError, match="finished pool of another config"):
        build(config, tmp_path / "pool")
    assert tree(tmp_path / "pool") == before


@pytest.mark.parametrize(("key", "value"), [("tasks", ["refer"]), ("options", {"text": "raw"}), ("form", "google")])
def test_a_pool_of_other_tasks_options_or_forms_is_another_plan(
    config: Config, demo_files: Path, tmp_path: Path, key: str, value: Any
) -> None:
    root = tmp_path / "refer"
    (root / "refcoco").mkdir(parents=True)
    for name, copy in (("refs(unc).p", "refs(unc).p"), ("refs(unc).p", "refs(google).p"), ("instances.json",) * 2):
        (root / "refcoco" / copy).write_bytes((demo_files / "refer" / "refcoco" / name).read_bytes())
    config["sources"] = [{"name": "refcoco", "root": str(root), "splits": ["val"]}]
    plan = build(config, tmp_path / "first").manifest.plan
    config["sources"][0][key] = value
    manifest = build(config, tmp_path / "second").manifest
    assert manifest.plan != plan and manifest.config["sources"][0][key] == value


def test_the_plan_does_not_change_with_what_decides_no_bytes(config: Config, demo_files: Path, tmp_path: Path) -> None:
    plan = build(config, tmp_path / "pool").manifest.plan
    config["collections"]["coco"] = [str(demo_files / "coco"), str(demo_files / "coco" / "val2014.zip")]
    config["sources"][0] |= {"root": f"{demo_files}/coco/", "max_reject": 0.5, "form": 2014, "tasks": ["caption"]}
    config["codec"], config["seed"], config["image"] = "round-100", 0, {}
    assert build(config, tmp_path / "elsewhere", workers=2).manifest.plan == plan


def test_a_changed_sentence_or_picture_size_is_another_plan(config: Config, demo_files: Path, tmp_path: Path) -> None:
    import shutil

    coco = shutil.copytree(demo_files / "coco", tmp_path / "coco")
    config["collections"]["coco"], config["sources"][0]["root"] = str(coco), str(coco)
    config["sources"][0]["splits"] = ["train"]
    plans = [build(config, tmp_path / "first").manifest.plan]
    picture = sorted((coco / "train2014").iterdir())[3]
    picture.write_bytes(picture.read_bytes() + b"\0")  # what follows a JPEG's end is no part of it
    plans.append(build(config, tmp_path / "second").manifest.plan)
    path = coco / "annotations" / "captions_train2014.json"
    raw = json.loads(path.read_text())
    raw["annotations"][0]["caption"] += " indeed"
    path.write_text(json.dumps(raw))
    plans.append(build(config, tmp_path / "third").manifest.plan)
    assert len(set(plans)) == 3


@pytest.mark.parametrize(
    "name", ["notes.txt", "other-000000.tar", "index/readme", "receipts/000000.json.bak", ".hidden"]
)
def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(
    config: Config, tmp_path: Path, tree: TreeOf, name: str
) -> None:
    (tmp_path / "pool" / name).parent.mkdir(parents=True)
    (tmp_path / "pool" / name).write_text("mine")
    with pytest.raises(ConfigError) as error:
        build(config, tmp_path / "pool")
    assert name in str(error.value) and "choose another --out" in str(error.value)
    assert tree(tmp_path / "pool") == {name: b"mine"}


def test_a_file_where_the_pool_should_be_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        build(config, tmp_path / "pool")
    assert (tmp_path / "pool").read_text() == "mine"


def test_an_unfinished_build_of_another_plan_is_replaced(
    config: Config, tmp_path: Path, tree: TreeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = tmp_path / "clean"
    build(config, clean)

    def never(*arguments: Any) -> None:
        raise OSError("pulled out")

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.shard.publish_manifest", never)
        with pytest.raises(OSError, match="pulled out"):
            build({**config, "seed": 9, "shard": {"max_samples": 2}}, tmp_path / "pool")
    left = {name for name in tree(tmp_path / "pool") if name.endswith(".tar")}
    assert len(left) == 6
    build(config, tmp_path / "pool")
    assert tree(tmp_path / "pool") == tree(clean)


def test_a_shard_of_another_plan_never_lies_beside_a_receipt_that_it_does_not_fit(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.shard.publish_manifest", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build({**config, "seed": 9}, tmp_path / "pool")
    publish, seen = store.publish, []

    def watched(aside: Path, url: str) -> None:
        publish(aside, url)
        for path in (tmp_path / "pool" / "receipts").glob("*.json"):
            receipt = json.loads(path.read_bytes())
            for file in receipt["files"]:
                found = store.digest(str(tmp_path / "pool" / file["name"]), file["name"])
                seen.append((found.sha256, file["sha256"]))

    monkeypatch.setattr(store, "publish", watched)
    build(config, tmp_path / "pool")
    assert seen and all(found == told for found, told in seen)


@pytest.mark.parametrize("damage", ["cut", "gone", "receipt of another", "no receipt", "receipt cut", "files unnamed"])
def test_a_shard_that_disagrees_with_its_receipt_is_built_again(
    config: Config, tmp_path: Path, tree: TreeOf, damage: str
) -> None:
    pool = tmp_path / "pool"
    build(config, pool)
    before = tree(pool)
    (pool / "pool.json").unlink()
    tar, receipt = pool / "little-000001.tar", pool / "receipts" / "000001.json"
    if damage == "cut":
        tar.write_bytes(tar.read_bytes()[:-10_240])
    elif damage == "gone":
        (pool / "index" / "000001.arrow").unlink()
    elif damage == "receipt of another":
        receipt.write_bytes((pool / "receipts" / "000000.json").read_bytes())
    elif damage == "no receipt":
        receipt.unlink()
    elif damage == "receipt cut":
        receipt.write_bytes(receipt.read_bytes()[:100])
    else:
        receipt.write_text(json.dumps({**json.loads(receipt.read_bytes()), "files": []}))
        tar.write_bytes(b"")
    assert build(config, pool).reused == 2
    assert tree(pool) == before
    assert verify(str(pool)).problems == []


def test_a_source_that_is_listed_twice_is_refused(config: Config) -> None:
    config["sources"].append({**config["sources"][0], "root": "/elsewhere"})
    with pytest.raises(ConfigError, match="coco_caption split val is listed twice"):
        pool_config(config, "test")


def test_a_collection_that_is_not_given_not_known_or_not_there_is_named(config: Config, tmp_path: Path) -> None:
    for collections, kind, message in (
        ({}, ConfigError, "coco is not given"),
        ({"coco": []}, ConfigError, "coco is not given"),
        ({"coco": config["collections"]["coco"], "coca": "/x"}, ConfigError, "unknown collection 'coca'"),
        ({"coco": str(tmp_path / "nowhere")}, SourceError, f"no such folder of pictures: {tmp_path}/nowhere"),
    ):
        with pytest.raises(kind, match=message):
            build({**config, "collections": collections}, tmp_path / "pool")
        assert not (tmp_path / "pool").exists()


def test_a_source_without_records_leaves_nothing_behind(config: Config, tmp_path: Path) -> None:
    (tmp_path / "captions_val2014.json").write_text('{"images": [], "annotations": []}')
    config["sources"][0]["root"] = str(tmp_path)
    with pytest.raises(BoxcarError, match="nothing to pack"):
        build(config, tmp_path / "pool")
    assert not (tmp_path / "pool").exists()


def test_every_source_file_is_named_by_its_content_in_the_manifest(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    import hashlib

    (fingerprint,) = build(config, tmp_path / "pool").manifest.sources
    data = (demo_files / "coco" / "annotations" / "captions_val2014.json").read_bytes()
    assert fingerprint.name == "annotations/captions_val2014.json"
    assert (fingerprint.bytes, fingerprint.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_project_with_a_build_folder_of_its_own_is_refused_untouched(
    config: Config, tmp_path: Path, tree: TreeOf
) -> None:
    for name in (".build/debug/main.o", ".build/123-x/data", "main.swift"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text("mine")
    before = tree(tmp_path / "project")
    with pytest.raises(ConfigError, match=r"main\.swift"):
        build(config, tmp_path / "project")
    assert tree(tmp_path / "project") == before


def test_the_manifest_holds_the_config_that_decides_bytes_and_no_more(config: Config, tmp_path: Path) -> None:
    config |= {"seed": 3, "codec": "trunc-100", "missing_images": "filter", "image": {"max_side": 500}}
    assert build(config, tmp_path / "pool").manifest.config == {
        "pool": "little",
        "collections": ["coco"],
        "sources": [
            {
                "name": "coco_caption",
                "split": "val",
                "form": "2014",
                "tasks": ["caption"],
                "options": {},
                "max_records": None,
            }
        ],
        "multitask": None,
        "templates": {},
        "missing_images": "filter",
        "dedupe": None,
        "near_radius": 4,
        "image": {"check": "strict", "max_side": 500, "min_short_side": 448, "stretch": None, "quality": 90},
        "shard": {"max_bytes": 512 * 2**20, "max_samples": 4},
        "codec": "trunc-100",
        "seed": 3,
    }


@pytest.mark.parametrize("name", ["little-000001.tar", "index/000000.arrow", "receipts/000002.json"])
def test_a_finished_pool_of_which_something_is_gone_is_not_called_done(
    config: Config, tmp_path: Path, tree: TreeOf, name: str
) -> None:
    out = tmp_path / "pool"
    build(config, out)
    whole = tree(out)
    (out / name).unlink()
    with pytest.raises(ShardError, match=f"{name} is gone in a finished pool; remove its pool.json"):
        build(config, out)
    (out / "pool.json").unlink()
    assert build(config, out).reused == 2
    assert tree(out) == whole
