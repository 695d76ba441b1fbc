"""Tests of removals: what a list names goes, only the shards concerned change, and nothing comes back unasked."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from converters._web import web_id
from pipelines.demo.downloads import write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.world import scene
from pipelines.removal import wanted
from pipelines.shard import Built, shard
from pipelines.verify import verify
from schemas.errors import BoxcarError, ConfigError
from schemas.pool import pool_config

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    rows = [{"url": f"http://a.example/{n}.jpg", "caption": f"picture {n}"} for n in range(150)]
    write_slices(folder, rows, lambda number: jpeg(scene(0, number), 0))
    return folder


@pytest.fixture
def build(downloads: Path, tmp_path: Path) -> Callable[..., Built]:
    entry = {"name": "cc3m", "root": str(downloads), "splits": ["train"]}

    def built(name: str, lines: list[str] | None = None) -> Built:
        config: Config = {"pool": "web", "collections": {}, "sources": [entry]}
        if lines is not None:
            (tmp_path / "list.txt").write_text("\n".join(lines))
            config["remove"] = str(tmp_path / "list.txt")
        return shard(pool_config(config, "test"), str(tmp_path / name))

    return built


def column(pool: Path, name: str) -> list[Any]:
    return [
        value
        for path in sorted((pool / "index").iterdir())
        for value in pa.ipc.open_file(path).read_all()[name].to_pylist()
    ]


def test_a_link_an_id_and_a_hash_go_and_only_their_shards_change(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    build("pool")
    before = tree(tmp_path / "pool")
    ids, hashes = column(tmp_path / "pool", "image"), column(tmp_path / "pool", "sha256")
    lines = ["https://A.example/0.jpg", ids[1], hashes[2].upper(), "", "# a comment"]
    built = build("pool", lines)
    assert set(ids[:3]) & set(column(tmp_path / "pool", "image")) == set()
    assert built.manifest.samples == len(ids) - 3
    assert {count.name: count.count for count in built.manifest.ledger[0].filtered}["removed on request"] == 3
    after = tree(tmp_path / "pool")
    changed = {name for name in before if before[name] != after.get(name)}
    assert {name for name in changed if "00000" not in name} == {"pool.json", ".nv-meta/.info.json"}
    assert list(built.changed) == ["receipts/000000.json"] and built.reused == 2
    assert not verify(str(tmp_path / "pool")).problems


def test_the_bytes_are_those_of_a_pool_built_with_the_list(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    lines = ["http://a.example/0.jpg", "http://a.example/60.jpg"]
    build("pool")
    build("pool", lines)
    build("fresh", lines)
    assert tree(tmp_path / "pool") == tree(tmp_path / "fresh")


def test_a_list_that_names_nothing_of_the_pool_changes_nothing_and_says_so(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    build("pool")
    before = tree(tmp_path / "pool")
    built = build("pool", ["http://b.example/0.jpg", "coco/139"])
    assert built.reused == 3 and len(built.idle) == 2 and "coco/139" in built.idle
    assert tree(tmp_path / "pool") == before


def test_lists_in_steps_end_with_the_bytes_of_one_list(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    build("pool")
    sha256 = column(tmp_path / "pool", "sha256")[0]
    build("pool", [sha256])
    both = build("pool", [sha256, "http://a.example/0.jpg", "http://a.example/60.jpg"])
    assert not both.idle
    build("fresh", [sha256, "http://a.example/0.jpg", "http://a.example/60.jpg"])
    assert tree(tmp_path / "pool") == tree(tmp_path / "fresh")


def test_a_rejected_picture_goes_from_the_rejects(tmp_path: Path, tree: TreeOf) -> None:
    rows = [{"url": f"http://a.example/{n}.jpg", "caption": f"picture {n}"} for n in range(20)]
    write_slices(tmp_path / "downloads", rows, lambda n: jpeg(scene(0, n), 0)[: 2000 if n == 5 else None])
    entry = {"name": "cc3m", "root": str(tmp_path / "downloads"), "splits": ["train"], "max_reject": 0.1}
    config: Config = {"pool": "web", "collections": {}, "sources": [entry]}
    shard(pool_config(config, "test"), str(tmp_path / "pool"))
    rejects = tmp_path / "pool" / "rejects" / "000000.jsonl"
    assert web_id("http://a.example/5.jpg") in rejects.read_text()
    (tmp_path / "list.txt").write_text("http://a.example/5.jpg")
    config["remove"] = str(tmp_path / "list.txt")
    built = shard(pool_config(config, "test"), str(tmp_path / "pool"))
    assert rejects.read_text() == "" and not built.idle
    shard(pool_config(config, "test"), str(tmp_path / "fresh"))
    assert tree(tmp_path / "pool") == tree(tmp_path / "fresh")


def test_what_a_rule_left_out_is_no_part_of_the_pool_and_stays_counted_as_it_was(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    build("pool")
    before = tree(tmp_path / "pool")
    failed = "http://a.example/3.jpg"
    assert build("pool", [failed]).idle == [web_id(failed)]
    build("fresh", [failed])
    assert tree(tmp_path / "pool") == before == tree(tmp_path / "fresh")


def test_the_hash_of_what_was_downloaded_names_a_picture_that_was_shrunk(tmp_path: Path) -> None:
    rows = [{"url": f"http://a.example/{n}.jpg", "caption": f"picture {n}"} for n in range(20)]
    write_slices(tmp_path / "downloads", rows, lambda n: jpeg(scene(0, n), 0))
    entry = {"name": "cc3m", "root": str(tmp_path / "downloads"), "splits": ["train"]}
    image = {"max_side": 100, "min_short_side": 50}
    config: Config = {"pool": "web", "collections": {}, "sources": [entry], "image": image}
    shard(pool_config(config, "test"), str(tmp_path / "pool"))
    (tmp_path / "list.txt").write_text(hashlib.sha256(jpeg(scene(0, 0), 0)).hexdigest())
    config["remove"] = str(tmp_path / "list.txt")
    built = shard(pool_config(config, "test"), str(tmp_path / "pool"))
    assert web_id("http://a.example/0.jpg") not in column(tmp_path / "pool", "image") and not built.idle


def test_the_link_of_a_copy_that_was_dropped_takes_the_picture_that_was_kept(tmp_path: Path) -> None:
    rows = [{"url": f"http://a.example/{n}.jpg", "caption": f"picture {n}"} for n in range(20)]
    write_slices(tmp_path / "downloads", rows, lambda n: jpeg(scene(0, n % 19), 0))
    entry = {"name": "cc3m", "root": str(tmp_path / "downloads"), "splits": ["train"]}
    config: Config = {"pool": "web", "collections": {}, "sources": [entry], "dedupe": "exact"}
    shard(pool_config(config, "test"), str(tmp_path / "pool"))
    kept = web_id("http://a.example/0.jpg")
    assert kept in column(tmp_path / "pool", "image")
    (tmp_path / "list.txt").write_text("http://a.example/19.jpg")
    config["remove"] = str(tmp_path / "list.txt")
    shard(pool_config(config, "test"), str(tmp_path / "pool"))
    assert kept not in column(tmp_path / "pool", "image")


def test_what_was_removed_stays_removed_without_a_list(build: Callable[..., Built], tmp_path: Path) -> None:
    build("pool")
    removed = build("pool", ["http://a.example/0.jpg"]).manifest
    assert build("pool").manifest == removed


def test_a_later_list_must_hold_what_earlier_ones_named(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    build("pool", ["http://a.example/0.jpg"])
    before = tree(tmp_path / "pool")
    with pytest.raises(ConfigError, match="1 pictures of shard 0 were removed by an earlier list"):
        build("pool", ["http://a.example/60.jpg"])
    assert tree(tmp_path / "pool") == before
    assert build("pool", ["http://a.example/60.jpg", "http://a.example/0.jpg"]).reused == 2


def test_a_build_broken_off_while_removing_never_ends_with_what_was_removed(
    build: Callable[..., Built], tmp_path: Path
) -> None:
    build("pool", ["http://a.example/0.jpg"])
    (tmp_path / "pool" / "pool.json").unlink()
    with pytest.raises(BoxcarError, match="were removed by an earlier list"):
        build("pool")
    assert build("pool", ["http://a.example/0.jpg"]).reused == 3


def test_a_picture_of_a_gathered_pool_goes_with_all_its_records_and_conversations(
    demo_config: Config, tmp_path: Path, tree: TreeOf
) -> None:
    config = demo_config | {"multitask": {"per_picture": 1}}
    shard(pool_config(config, "test"), str(tmp_path / "pool"))
    image = column(tmp_path / "pool", "image")[0]
    (tmp_path / "list.txt").write_text(image)
    config |= {"remove": str(tmp_path / "list.txt")}
    built = shard(pool_config(config, "test"), str(tmp_path / "pool"))
    assert image not in column(tmp_path / "pool", "image") and len(built.changed) == 1
    shard(pool_config(config, "test"), str(tmp_path / "fresh"))
    assert tree(tmp_path / "pool") == tree(tmp_path / "fresh")
    assert not verify(str(tmp_path / "pool")).problems


@pytest.mark.parametrize("line", ["picture 5", "ftp://a.example/1.jpg", "abcdef", "COCO/12"])
def test_a_line_that_names_no_picture_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"coco/139\n{line}\n")
    with pytest.raises(ConfigError, match=r"list\.txt line 2: "):
        wanted(str(tmp_path / "list.txt"))
