"""Tests of building a pool: the same bytes whatever way it is built, each picture once, every candidate somewhere."""

import hashlib
import json
import pickle
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest

from pipelines import engine
from pipelines.draw import samples
from pipelines.shard import Built, shard
from schemas.errors import ConfigError
from schemas.pool import pool_config
from schemas.record import Sample

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]


def build(config: Config, out: Path | str, workers: int = 1) -> Built:
    return shard(pool_config(config, "test"), str(out), workers)


def all_samples(pool: Path) -> list[tuple[Sample, bytes]]:
    return [(sample, picture or b"") for sample, picture in samples(str(pool))]


@pytest.mark.parametrize("workers", [2, 5])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    demo_config: Config, demo_pool: Path, tmp_path: Path, tree: TreeOf, workers: int
) -> None:
    built = build(demo_config, tmp_path / "pool", workers)
    assert built.manifest.shards >= 4
    assert tree(tmp_path / "pool") == tree(demo_pool)


def test_the_bytes_do_not_depend_on_the_order_of_sources_and_splits_in_the_yaml(
    demo_config: Config, demo_pool: Path, tmp_path: Path, tree: TreeOf
) -> None:
    demo_config["sources"].reverse()
    for entry in demo_config["sources"]:
        entry["splits"].reverse()
    build(demo_config, tmp_path / "pool")
    assert tree(tmp_path / "pool") == tree(demo_pool)


def test_the_bytes_do_not_depend_on_where_the_files_and_the_pool_lie(
    demo_config: Config, demo_files: Path, demo_pool: Path, tmp_path: Path, tree: TreeOf
) -> None:
    moved = tmp_path / "a [b], c: #d"
    shutil.copytree(demo_files, moved)
    demo_config["collections"]["coco"] = f"{moved}/coco/"
    for entry in demo_config["sources"]:
        entry["root"] = entry["root"].replace(str(demo_files), str(moved)) + "/"
    build(demo_config, tmp_path / "deep" / "er" / "x[/y]")
    assert tree(tmp_path / "deep" / "er" / "x[/y]") == tree(demo_pool)


def test_the_bytes_do_not_depend_on_whether_pictures_lie_in_folders_or_zips(
    demo_config: Config, demo_files: Path, demo_pool: Path, tmp_path: Path, tree: TreeOf
) -> None:
    (tmp_path / "coco").mkdir()
    with zipfile.ZipFile(tmp_path / "coco" / "train2014.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (demo_files / "coco" / "train2014").iterdir():
            archive.write(path, f"train2014/{path.name}")
    with zipfile.ZipFile(demo_files / "coco" / "val2014.zip") as archive:
        archive.extractall(tmp_path / "coco")
    demo_config["collections"]["coco"] = [str(tmp_path / "coco")]
    build(demo_config, tmp_path / "pool")
    assert tree(tmp_path / "pool") == tree(demo_pool)


def test_the_bytes_do_not_depend_on_the_order_in_which_shards_are_done(
    demo_config: Config, demo_pool: Path, tmp_path: Path, tree: TreeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backwards(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return iter([function(task) for task in reversed(list(tasks))])

    monkeypatch.setattr(engine, "crew", lambda workers: nullcontext(backwards))
    build(demo_config, tmp_path / "pool")
    assert tree(tmp_path / "pool") == tree(demo_pool)


def test_a_pool_in_memory_from_sources_in_memory_has_the_same_bytes(
    demo_config: Config, demo_files: Path, demo_pool: Path, tree: TreeOf
) -> None:
    memory = fsspec.filesystem("memory")
    try:
        memory.put(f"{demo_files}/", "/world/", recursive=True)
        demo_config["collections"]["coco"] = "memory://world/coco"
        for entry in demo_config["sources"]:
            entry["root"] = entry["root"].replace(str(demo_files), "memory://world")
        assert build(demo_config, "memory://pools/demo").out == "memory://pools/demo"
        found = {path.removeprefix("/pools/demo/"): memory.cat_file(path) for path in memory.find("/pools/demo")}
        assert found == tree(demo_pool)
        assert [path.rpartition(".")[2] for path in memory.find("/pools/demo.log")] == ["jsonl"]
        before = memory.created("/pools/demo/pool.json")
        assert build(demo_config, "memory://pools/demo").reused == len(memory.glob("/pools/demo/receipts/*"))
        assert memory.created("/pools/demo/pool.json") == before
    finally:
        memory.rm("/", recursive=True)


@pytest.mark.parametrize("place", ["out", "root", "collection"])
def test_a_place_in_memory_is_refused_for_more_than_one_worker(demo_config: Config, tmp_path: Path, place: str) -> None:
    out: Path | str = tmp_path / "pool"
    if place == "out":
        out = "memory://pools/demo"
    elif place == "root":
        published = f"{demo_config['sources'][2]['root']}/annotations/captions_val2014.json"
        fsspec.filesystem("memory").put_file(published, "/two/captions_val2014.json")
        demo_config["sources"] = [{"name": "coco_caption", "root": "memory://two", "splits": ["val"]}]
    else:
        demo_config["collections"]["coco"] = "memory://coco"
    with pytest.raises(ConfigError, match="one process alone: use 1 worker, found 2"):
        build(demo_config, out, workers=2)
    assert not (tmp_path / "pool").exists()


def test_file_urls_are_paths(
    demo_config: Config, demo_files: Path, demo_pool: Path, tmp_path: Path, tree: TreeOf
) -> None:
    demo_config["collections"]["coco"] = f"file://{demo_files}/coco"
    for entry in demo_config["sources"]:
        entry["root"] = f"file://{entry['root']}"
    build(demo_config, f"file://{tmp_path}/pool", workers=2)
    assert tree(tmp_path / "pool") == tree(demo_pool)


def test_each_picture_is_stored_once_with_all_its_records(demo_files: Path, demo_pool: Path) -> None:
    wanted = Counter[tuple[str, str]]()
    for side in ("train", "val"):
        captions = json.loads((demo_files / "coco" / "annotations" / f"captions_{side}2014.json").read_text())
        wanted.update((f"coco/{entry['image_id']}", "coco_caption") for entry in captions["annotations"])
    for ref in pickle.loads((demo_files / "refer" / "refcoco" / "refs(unc).p").read_bytes()):
        if ref["split"] in ("train", "val"):
            wanted[f"coco/{ref['image_id']}", "refcoco"] += 2 * len(ref["sentences"])
    read = all_samples(demo_pool)
    ids = [sample.image.id for sample, _ in read if sample.image]
    assert len(ids) == len(set(ids)) == 60
    found = Counter((sample.image.id, record.source) for sample, _ in read if sample.image for record in sample.records)
    assert {key: count for key, count in found.items() if key[1] in ("coco_caption", "refcoco")} == wanted


def test_packed_pictures_are_the_bytes_of_the_source_files(demo_files: Path, demo_pool: Path) -> None:
    sources = {path.name[-16:-4]: path.read_bytes() for path in (demo_files / "coco" / "train2014").iterdir()}
    with zipfile.ZipFile(demo_files / "coco" / "val2014.zip") as archive:
        sources |= {name[-16:-4]: archive.read(name) for name in archive.namelist()}
    for sample, picture in all_samples(demo_pool):
        assert sample.image
        assert picture == sources[f"{int(sample.image.id.removeprefix('coco/')):012d}"]
        assert sample.image.sha256 == hashlib.sha256(picture).hexdigest()


def test_the_ledger_sums_to_an_independent_count_of_the_raw_files(demo_files: Path, demo_pool: Path) -> None:
    wanted = Counter[str]()
    for name, split_by in (("refcoco", "unc"), ("refcocog", "umd")):
        for ref in pickle.loads((demo_files / "refer" / name / f"refs({split_by}).p").read_bytes()):
            for task in ("refer", "identify"):
                wanted[f"{name}/{ref['split']}/{task}"] += len(ref["sentences"])
    for side in ("train", "val"):
        folder = demo_files / "coco" / "annotations"
        wanted[f"coco_caption/{side}/caption"] = len(
            json.loads((folder / f"captions_{side}2014.json").read_text())["annotations"]
        )
        regions = json.loads((folder / f"instances_{side}2014.json").read_text())["annotations"]
        wanted[f"coco_instances/{side}/identify"] = len(regions)
        kinds = {(region["image_id"], region["category_id"]) for region in regions}
        wanted[f"coco_instances/{side}/refer"] = wanted[f"coco_instances/{side}/detection"] = len(kinds)
    manifest = json.loads((demo_pool / "pool.json").read_text())
    parts = {f"{line['source']}/{line['split']}/{line['task']}": line for line in manifest["ledger"]}
    assert len(parts) == 14
    for name, line in parts.items():
        assert line["candidates"] == wanted[name]
        ended = line["written"] + sum(count["count"] for count in (*line["rejected"], *line["filtered"]))
        assert line["candidates"] == ended
    assert manifest["records"] == sum(line["written"] for line in parts.values())


def test_no_tar_is_larger_than_the_bound_but_for_the_padding_at_its_end(demo_pool: Path) -> None:
    sizes = [path.stat().st_size for path in demo_pool.glob("*.tar")]
    assert len(sizes) >= 4 and max(sizes) <= 400 * 1024 + 10_240


def test_nothing_in_a_pool_tells_of_places_times_hosts_or_users(
    demo_pool: Path, demo_files: Path, tree: TreeOf
) -> None:
    import getpass
    import socket

    tell_tales = [str(demo_files).encode(), str(demo_pool).encode()]
    tell_tales += [name.encode() for name in (socket.gethostname(), getpass.getuser()) if len(name) > 6]
    for name, data in tree(demo_pool).items():
        assert not [word for word in tell_tales if word in data], name


def test_a_build_leaves_no_scratch_and_its_log_beside_the_pool(demo_pool: Path) -> None:
    assert not (demo_pool / ".build").exists()
    (log,) = Path(f"{demo_pool}.log").glob("*.jsonl")
    events = [msgspec.json.decode(line)["event"] for line in log.read_bytes().splitlines()]
    assert events[:2] == ["begun", "planned"] and events[-1] == "finished"
