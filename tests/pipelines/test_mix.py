"""Mixtures resolved to locks: nothing leaks under any name, everything is counted, equal input is equal bytes."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest
from PIL import Image

from pipelines.demo.downloads import write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.world import scene
from pipelines.draw import samples
from pipelines.eligible import folder_of, mapped
from pipelines.images import size_of
from pipelines.locked import read_lock
from pipelines.mix import mix
from pipelines.record_index import given
from pipelines.shard import shard
from schemas.errors import ConfigError, ShardError
from schemas.lock import Lock, LockedPart
from schemas.mixture import Mixture
from schemas.pool import pool_config
from schemas.prompt import templates

Pools = dict[str, str]
Staged = Callable[..., Mixture]
TreeOf = Callable[[Path], dict[str, bytes]]
SPLITS = ["refcoco/val", "refcoco/testA", "refcoco/testB"]


def mixed(mixture: Mixture, pools: Pools | list[str], folder: Path, **more: Any) -> Lock:
    places = list(pools.values()) if isinstance(pools, dict) else pools
    return mix(mixture, places, folder / "s.lock.json", **{"roots": {}, **more})


def counts(told: list[Any]) -> dict[str, int]:
    return {one.name: one.count for one in told}


def shown(lock: Lock, folder: Path, part: LockedPart) -> Iterator[dict[str, Any]]:
    """The row of the record index of every record of a part that may be drawn."""
    found = mapped(folder_of(folder / "s.lock.json"), part)
    for one in given(lock.pools[part.pool].location).shards():
        rows = {(row["sample"], row["place"]): row for row in one.rows().to_pylist()}
        yield from (rows[sample, place] for sample, place in found.of_shard(one.number).tolist())


def held_ids(pools: Pools, *splits: str) -> list[str]:
    rows = [row for one in given(pools["eval"]).shards() for row in one.rows().to_pylist()]
    return sorted({row["image"] for row in rows if not splits or row["split"] in splits})


def test_no_picture_of_a_held_out_split_is_left_and_each_part_tells_what_it_lost(
    mix_pools: Pools, staged: Staged, tmp_path: Path
) -> None:
    asked = staged(("coco_caption", "caption"), ("vg", "refer"), ("llava_detail", None), held_out=SPLITS)
    lock = mixed(asked, mix_pools, tmp_path)
    held = set(held_ids(mix_pools))
    for part in lock.parts:
        rows = list(shown(lock, tmp_path, part))
        assert rows and not any(held & {row["image"], *row["aliases"]} for row in rows)
        assert {(row["source"], row["split"], row["task"]) for row in rows} == {tuple(part.part)}
        assert "refcoco/val" in counts(part.lost) and counts(part.lost).keys() <= set(SPLITS)
        assert part.candidates == part.records + sum(counts(part.lost).values())
        assert len(rows) == part.records and len({row["image"] for row in rows}) == part.images
    costs = {one.split: (one.origin, one.images, one.records) for one in lock.held_out}
    for split in SPLITS:
        lost = sum(counts(part.lost).get(split, 0) for part in lock.parts)
        assert costs[split] == ("pool", len(held_ids(mix_pools, split.partition("/")[2])), lost)


def test_the_captions_that_a_split_costs_are_those_of_its_pictures(
    mix_pools: Pools, staged: Staged, tmp_path: Path
) -> None:
    (part,) = mixed(staged(("coco_caption", "caption"), held_out=["refcoco/val"]), mix_pools, tmp_path).parts
    held = set(held_ids(mix_pools, "val"))
    seen = [sample for sample, _ in samples(mix_pools["coco"]) if sample.image and sample.image.id in held]
    assert counts(part.lost) == {"refcoco/val": sum(one.source == "coco_caption" for s in seen for one in s.records)}


def test_released_holds_nothing_out(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    lock = mixed(staged(("coco_caption", "caption"), held_out="released"), mix_pools, tmp_path)
    assert lock.held_out == [] and lock.parts[0].lost == [] and lock.parts[0].records == lock.parts[0].candidates


def test_a_picture_under_its_name_of_2017_is_lost(
    mix_pools: Pools, staged: Staged, demo_files: Path, tmp_path: Path
) -> None:
    held = int(held_ids(mix_pools, "val")[0].removeprefix("coco/"))
    files = sorted((demo_files / "coco" / "train2014").iterdir())
    free = next(number for path in files if f"coco/{(number := int(path.stem[-12:]))}" not in set(held_ids(mix_pools)))
    (tmp_path / "coco" / "train2017").mkdir(parents=True)
    told: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for number in (held, free):
        source = demo_files / "coco" / "train2014" / f"COCO_train2014_{number:012d}.jpg"
        shutil.copy(source, tmp_path / "coco" / "train2017" / f"{number:012d}.jpg")
        width, height = size_of(source.read_bytes())
        told["images"].append({"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height})
        told["annotations"].append({"id": number, "image_id": number, "caption": "a shape"})
    (tmp_path / "coco" / "captions_train2017.json").write_text(json.dumps(told))
    entry = {"name": "coco_caption", "root": f"{tmp_path}/coco", "splits": ["train"], "form": "2017"}
    config = {"pool": "late", "collections": {"coco": f"{tmp_path}/coco"}, "sources": [entry]}
    shard(pool_config(config, "test"), str(tmp_path / "late"))
    asked = staged(("coco_caption", "caption"), held_out=["refcoco/val"])
    lock = mixed(asked, [str(tmp_path / "late"), mix_pools["eval"]], tmp_path)
    assert [row["image"] for row in shown(lock, tmp_path, lock.parts[0])] == [f"coco/{free}"]
    assert counts(lock.parts[0].lost) == {"refcoco/val": 1}


@pytest.fixture
def web(mix_pools: Pools, tmp_path: Path) -> str:
    """A pool of pictures from the web: the same bytes as a held-out one, a copy of another made small, and others."""
    found = {s.image.id: data for s, data in samples(mix_pools["eval"]) if s.image and data}
    same, alike = held_ids(mix_pools, "val")[0], held_ids(mix_pools, "testA")[0]
    small = Image.open(io.BytesIO(found[alike]))
    copy = io.BytesIO()
    small.resize((small.width * 3 // 4, small.height * 3 // 4)).save(copy, "JPEG", quality=60)
    pictures = [found[same], copy.getvalue(), *(jpeg(scene(0, number), 99) for number in range(3))]
    rows = [{"url": f"http://a.example/{place}", "caption": f"{place}"} for place in range(len(pictures))]
    write_slices(tmp_path / "cc3m", [rows[0], rows[1], rows[2], rows[0], rows[4]], lambda place: pictures[place])
    entry = {"name": "cc3m", "root": f"{tmp_path}/cc3m", "splits": ["train"]}
    shard(pool_config({"pool": "web", "collections": {}, "sources": [entry]}, "test"), str(tmp_path / "web"))
    return str(tmp_path / "web")


def test_pictures_from_the_web_are_lost_by_their_bytes_and_on_request_by_their_likeness(
    mix_pools: Pools, staged: Staged, web: str, tmp_path: Path
) -> None:
    def lost(**more: Any) -> dict[str, int]:
        asked = staged(("cc3m", "caption"), held_out=SPLITS, **more)
        (part,) = mixed(asked, [web, mix_pools["eval"]], tmp_path).parts
        assert part.records == part.candidates - sum(counts(part.lost).values())
        return counts(part.lost)

    assert lost() == {"refcoco/val": 1}
    assert lost(near_held_out=6) == {"refcoco/val": 1, "refcoco/testA, nearly the same picture": 1}
    lock = read_lock(tmp_path / "s.lock.json")
    assert [(one.split, one.records) for one in lock.held_out][:2] == [("refcoco/val", 1), ("refcoco/testA", 1)]


def test_equal_input_is_equal_bytes_whatever_the_order_of_pools_the_workers_and_the_name(
    mix_pools: Pools, staged: Staged, tmp_path: Path, tree: TreeOf
) -> None:
    parts = [("coco_caption", "caption", {"max_records": 40}), ("vg", "refer"), ("unnatural", None)]
    asked = staged(*parts, held_out=SPLITS, per_image=2)
    for name, order, more in (
        ("one", list(mix_pools.values()), {}),
        ("two", list(mix_pools.values())[::-1], {"workers": 2}),
    ):
        (tmp_path / name).mkdir()
        mixed(asked, order, tmp_path / name, **more)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert len(tree(tmp_path / "one")) == 10
    mix(asked, list(mix_pools.values()), tmp_path / "other.lock.json", roots={})
    assert tree(tmp_path / "other.lock") == tree(tmp_path / "one" / "s.lock")
    assert (tmp_path / "other.lock.json").read_bytes() == (tmp_path / "one" / "s.lock.json").read_bytes()


def test_where_pools_and_annotations_lie_pins_nothing(
    mix_pools: Pools, staged: Staged, demo_files: Path, tmp_path: Path
) -> None:
    asked = staged(("coco_caption", "caption"), held_out=["vsr/test"], roots={"vsr": f"{demo_files}/vsr"})
    here = mixed(asked, [mix_pools["coco"]], tmp_path)
    shutil.copytree(mix_pools["coco"], tmp_path / "moved")
    shutil.copytree(demo_files / "vsr", tmp_path / "vsr")
    there = mixed(asked, [str(tmp_path / "moved")], tmp_path, roots={"vsr": f"{tmp_path}/vsr"})
    assert here.digest == there.digest and here != there
    assert (here.pools[0].location, there.pools[0].location) == (mix_pools["coco"], str(tmp_path / "moved"))
    assert (here.roots, there.roots) == ({"vsr": f"{demo_files}/vsr"}, {"vsr": f"{tmp_path}/vsr"})


def test_another_seed_another_digest(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    locks = [mixed(staged(("unnatural", None), seed=seed), [mix_pools["lang"]], tmp_path) for seed in (0, 1)]
    assert locks[0].digest != locks[1].digest


def test_a_lock_is_read_as_it_was_written_and_a_changed_one_is_refused(
    mix_pools: Pools, staged: Staged, tmp_path: Path
) -> None:
    path = tmp_path / "s.lock.json"
    lock = mixed(staged(("unnatural", None)), [mix_pools["lang"]], tmp_path)
    assert read_lock(path) == lock
    text = path.read_text()
    for was, now in (('"steps": 10', '"steps": 11'), ('"seed": 0', '"seed":0'), ('"boxcar":', ' "boxcar":')):
        changed = text.replace(was, now, 1)
        assert changed != text
        path.write_text(changed)
        with pytest.raises(ShardError, match="its digest is not that of its content: it was changed after it was"):
            read_lock(path)
    path.write_text("{}")
    with pytest.raises(ShardError, match=r"s\.lock\.json: not a lock"):
        read_lock(path)
    path.write_text(text.replace("boxcar-lock/1", "boxcar-lock/0"))
    with pytest.raises(ShardError, match=r"not a lock of this schema: 'boxcar-lock/0', wanted boxcar-lock/1"):
        read_lock(path)


def test_a_lock_tells_shares_draws_epochs_and_tokens(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    parts = [("refcoco", "refer", {"weight": 3.0}), ("coco_caption", "caption"), ("unnatural", None)]
    lock = mixed(staged(*parts, train={"steps": 100, "global_batch": 25}), mix_pools, tmp_path)
    assert (lock.block, lock.step, lock.steps, lock.stage, lock.unit) == (5, 25, 100, "test", "sample")
    assert [part.count for part in lock.parts] == [3, 1, 1]
    assert [part.draws for part in lock.parts] == [1500, 500, 500]
    assert [part.sample_share for part in lock.parts] == [0.6, 0.2, 0.2]
    assert [part.image_share for part in lock.parts] == [0.75, 0.25, 0]
    tokens = [part.draws * part.mean_tokens for part in lock.parts]
    assert [part.token_share for part in lock.parts] == pytest.approx([one / sum(tokens) for one in tokens])
    for part in lock.parts:
        assert part.epochs == part.draws / part.items
        assert 0 < part.mean_tokens <= part.max_tokens
    assert lock.tokens.startswith("estimate")


def test_batches_are_drawn_and_their_items_counted(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    parts = [("refcoco", "refer", {"batch_size": 6}), ("unnatural", None, {"batch_size": 2})]
    lock = mixed(staged(*parts, unit="batch", train={"steps": 50, "batches": 4}), mix_pools, tmp_path)
    assert [part.draws for part in lock.parts] == [100, 100]
    assert [part.sample_share for part in lock.parts] == [0.75, 0.25]
    assert [part.epochs for part in lock.parts] == [600 / lock.parts[0].items, 200 / lock.parts[1].items]


def test_pools_are_pinned_with_what_their_records_are_worded_by(
    mix_pools: Pools, staged: Staged, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("caption: [say it]\n")
    asked = staged(("unnatural", None), ("coco_caption", "caption"), templates=str(tmp_path / "own.yaml"))
    lock = mixed(asked, mix_pools, tmp_path)
    assert [pool.name for pool in lock.pools] == ["coco", "lang", "eval", "vg"]  # those of parts first
    assert [lock.pools[part.pool].name for part in lock.parts] == ["lang", "coco"]
    for pool in lock.pools:
        manifest = given(mix_pools[pool.name]).manifest
        assert (pool.digest, pool.shards, pool.samples, pool.records) == (
            manifest.digest,
            manifest.shards,
            manifest.samples,
            manifest.records,
        )
        assert pool.templates == {**{name: list(own) for name, own in templates().items()}, "caption": ["say it"]}
    assert lock.mixture["templates"] == {"caption": ["say it"]} and "roots" not in lock.mixture
    assert [part["pool"] for part in lock.mixture["parts"]] == ["lang", "coco"]


def test_a_lock_that_is_written_again_leaves_nothing_of_the_one_before(
    mix_pools: Pools, staged: Staged, tmp_path: Path, tree: TreeOf
) -> None:
    mixed(staged(("refcoco", "refer")), mix_pools, tmp_path)
    mixed(staged(("unnatural", None)), mix_pools, tmp_path)
    names = {"s.lock.json", "s.lock/unnatural-train-chat-lang.rows", "s.lock/unnatural-train-chat-lang.shards"}
    assert tree(tmp_path).keys() == names
    with pytest.raises(ConfigError):
        mixed(staged(("unnatural", "refer")), mix_pools, tmp_path)
    assert tree(tmp_path).keys() == names


def test_epochs_alone_decide_how_long_a_stage_is(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    entry = {"weight": None, "epochs": 3.0}
    lock = mixed(staged(("unnatural", None, entry), train={"global_batch": 8}), mix_pools, tmp_path)
    assert lock.steps == -(-3 * lock.parts[0].items // 8)
    assert lock.parts[0].epochs == pytest.approx(3, abs=8 / lock.parts[0].items)


def test_the_same_bytes_come_of_a_lock_that_was_read(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    lock = mixed(staged(("refcoco", "refer", {"weight": 2})), mix_pools, tmp_path)
    assert msgspec.json.decode((tmp_path / "s.lock.json").read_bytes(), type=Lock) == lock


def test_no_password_of_a_place_is_written_into_a_lock(mix_pools: Pools, staged: Staged, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{mix_pools['coco']}/", "/who:planted@there/train/", recursive=True)
    try:
        mixture = staged(("refcoco", "refer"), held_out="released")
        lock = mixed(
            mixture, ["memory://who:planted@there/train"], tmp_path, roots={"gqa": "memory://a:planted@b?k=planted"}
        )
        assert lock.pools[0].location == "memory://there/train"
        assert b"planted" not in (tmp_path / "s.lock.json").read_bytes()
    finally:
        memory.rm("/who:planted@there", recursive=True)
