"""Tests of removals: what a list names goes, only the shards concerned change, and nothing comes back unasked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

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


def test_a_list_that_names_nothing_of_the_pool_changes_nothing(
    build: Callable[..., Built], tmp_path: Path, tree: TreeOf
) -> None:
    build("pool")
    before = tree(tmp_path / "pool")
    assert build("pool", ["http://b.example/0.jpg", "coco/139"]).reused == 3
    assert tree(tmp_path / "pool") == before


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
