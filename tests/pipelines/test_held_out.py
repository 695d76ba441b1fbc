"""Which pictures are held out: from pools, from annotations, under every name, and what is refused."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipelines.held_names import FREE, held_of, near
from pipelines.held_out import Asked, Found, asked, held_pictures
from pipelines.record_index import Given, given
from pipelines.shard import shard
from schemas.errors import ConfigError, RejectsError, SourceError
from schemas.ledger import Part
from schemas.pool import pool_config

Pools = dict[str, str]
CAPTION, REGION, TEXT = (
    Part("coco_caption", "train", "caption"),
    Part("vg", "train", "refer"),
    Part("unnatural", "train", None),
)


def column(pool: str, name: str, source: str = "", split: str = "") -> set[str]:
    """What the record index of a pool says in a column of records of that source and split."""
    rows = [row for part in given(pool).shards() for row in part.rows().to_pylist()]
    found = [row[name] for row in rows if row["source"].startswith(source) and (not split or row["split"] == split)]
    return {one for value in found for one in (value if isinstance(value, list) else [value]) if one}


class Told:
    """What was found of the splits that were asked for."""

    def __init__(self, found: Sequence[Found], names: Mapping[str, int]) -> None:
        self.found, self.names = {one.split.split: one for one in found}, names
        self.order = list(self.found)

    def held_by(self, split: str) -> set[str]:
        return {name for name, label in self.names.items() if label == self.order.index(split)}


@pytest.fixture
def hold(mix_pools: Pools, tmp_path: Path) -> Callable[..., Told]:
    """A function: which names these splits hold out, for pools by name or path of which those parts are mixed."""

    def hold(
        splits: Sequence[str] | str,
        pools: Sequence[str] = ("coco",),
        parts: Sequence[Part] = (CAPTION,),
        radius: int | None = None,
        **roots: object,
    ) -> Told:
        opened: list[Given] = [given(mix_pools.get(pool, pool)) for pool in pools]
        mixed = {pool.location: [part for part in parts if pool.written.get(part)] for pool in opened}
        wanted = Asked(asked(splits), opened, mixed, {name: str(root) for name, root in roots.items()}, radius)
        scratch = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        scratch.mkdir()
        path, found = held_pictures(wanted, scratch, 1)
        return Told(found, held_of(path).names)

    return hold


Hold = Callable[..., Told]


def test_a_pool_that_holds_the_split_or_another_part_of_the_same_pictures_tells_it(
    mix_pools: Pools, hold: Hold
) -> None:
    told = hold(["refcoco/testA"], ["coco", "eval"])
    ids = column(mix_pools["eval"], "image", "refcoco_eval", "testA")
    found = told.found["refcoco/testA"]
    assert (found.origin, found.images) == ("pool", len(ids)) and ids
    assert ids <= told.held_by("refcoco/testA")
    assert column(mix_pools["eval"], "sha256", "refcoco_eval", "testA") <= told.held_by("refcoco/testA")


def test_annotations_tell_the_same_pictures_as_a_pool_without_opening_any(
    demo_files: Path, tmp_path: Path, hold: Hold
) -> None:
    pool = hold(["refcoco/val"], ["coco", "eval"]).found["refcoco/val"]
    for folder in ("refer", "mdetr", "flat"):  # files of three forms, and no picture among them
        root = shutil.copytree(demo_files / folder, tmp_path / folder)
        found = hold(["refcoco/val"], refcoco=root).found["refcoco/val"]
        assert (found.origin, found.images, found.digest) == ("annotations", pool.images, pool.digest)
    other = hold(["refcoco/val"], refcoco_eval=demo_files / "refer").found["refcoco/val"]
    assert other.digest == pool.digest


def test_aliases_in_annotations_are_held_out_too(demo_files: Path, hold: Hold) -> None:
    told = hold(["gqa/val"], ["lang"], [REGION], gqa=demo_files / "gqa")
    assert {name.partition("/")[0] for name in told.held_by("gqa/val")} == {"vg", "coco"}


def test_a_picture_of_any_pool_that_has_a_held_out_name_gives_all_its_names(
    mix_pools: Pools, demo_files: Path, hold: Hold
) -> None:
    alone = hold(["refcoco/val"], ["coco"], refcoco=demo_files / "refer").held_by("refcoco/val")
    both = hold(["refcoco/val"], ["coco", "vg"], refcoco=demo_files / "refer").held_by("refcoco/val")
    assert {name.partition("/")[0] for name in alone if "/" in name} == {"coco"}
    gained = {name for name in both - alone if name.startswith("vg/")}
    rows = [row for part in given(mix_pools["vg"]).shards() for row in part.rows().to_pylist()]
    assert gained == {row["image"] for row in rows if set(row["aliases"]) & alone} != set()


def test_names_are_followed_through_several_pools(demo_files: Path, tmp_path: Path, hold: Hold) -> None:
    # GQA names a picture by its Visual Genome number alone; that pool knows what COCO calls it, COCO's pool its bytes.
    bare = shutil.copytree(demo_files / "gqa", tmp_path / "gqa", ignore=shutil.ignore_patterns("image_data.json"))
    told = hold(["gqa/val"], ["vg", "coco"], [REGION], gqa=bare)
    lone = hold(["gqa/val"], ["coco"], [CAPTION], gqa=bare)
    assert {name.partition("/")[0] for name in lone.held_by("gqa/val")} == {"vg"}
    named = told.held_by("gqa/val")
    coco = {name for name in named if name.startswith("coco/")}
    assert coco and any(len(name) == 64 for name in named)


def test_a_picture_of_two_splits_is_lost_to_the_first(demo_files: Path, hold: Hold) -> None:
    roots = {"refcoco": demo_files / "refer", "refcocog": demo_files / "refer"}
    told = hold(["refcocog/test", "refcoco/val", "refcoco/testA", "refcoco/testB"], **roots)
    assert told.order[-1] == "refcocog/test"
    assert told.found["refcocog/test"].images > sum(name.startswith("coco/") for name in told.held_by("refcocog/test"))


def test_a_split_whose_collection_no_part_shows_is_of_no_concern(hold: Hold) -> None:
    told = hold("strict", ["lang"], [TEXT])
    assert {one.origin for one in told.found.values()} == {"not concerned"}
    assert not told.names and {one.images for one in told.found.values()} == {0}


def test_a_part_that_shows_the_collection_under_an_alias_is_concerned(hold: Hold) -> None:
    with pytest.raises(ConfigError, match=r"held-out split refcoco/val: nothing given tells its pictures"):
        hold(["refcoco/val"], ["vg"], [REGION])


def test_pictures_of_visual_genome_of_which_nothing_tells_coco_s_names_are_refused(
    demo_files: Path, tmp_path: Path, hold: Hold
) -> None:
    root = shutil.copytree(demo_files / "gqa", tmp_path / "gqa-files", ignore=shutil.ignore_patterns("image_data.json"))
    entry = {"name": "gqa", "root": str(root), "splits": ["train"], "form": "balanced"}
    config = {"pool": "gqa", "collections": {"vg": [f"{demo_files}/vg", str(root)]}, "sources": [entry]}
    pool, asked = str(tmp_path / "gqa"), Part("gqa", "train", "vqa")
    shard(pool_config(config, "test"), pool)
    with pytest.raises(ConfigError, match=r"^part gqa/train/vqa: nothing given tells which of its pictures are COCO's"):
        hold(["refcoco/val"], (pool,), (asked,), refcoco=demo_files / "refer")
    known = hold(["refcoco/val"], (pool, "vg"), (asked,), refcoco=demo_files / "refer")
    assert known.held_by("refcoco/val") & column(pool, "image")
    assert hold(["flickr30k_grounded/val"], (pool,), (asked,)).found


def test_a_split_that_nothing_tells_is_refused_with_the_ways_to_tell_it(demo_files: Path, hold: Hold) -> None:
    with pytest.raises(ConfigError) as raised:
        hold(["refcoco/val", "vsr/test", "gqa/testdev"], vsr=demo_files / "vsr")
    assert str(raised.value) == (
        "held-out split refcoco/val: nothing given tells its pictures: give a pool that holds it, or --root refcoco=DIR"
        " with its annotations, or leave it out of held_out"
    )
    with pytest.raises(ConfigError, match=r"leave it out of held_out, and likewise refcoco/testB, vsr/test$"):
        hold(["refcoco/val", "vsr/test", "refcoco/testB"])


def flickr(files: Path, out: Path, name: str, **options: Any) -> str:
    entry = {"name": name, "root": f"{files}/flickr30k", "splits": ["train", "val"], "options": options}
    entry |= {"form": "folders"} if name == "flickr30k_caption" else {}
    config = {"pool": name, "collections": {"flickr30k": f"{files}/flickr30k"}, "sources": [entry]}
    shard(pool_config(config, "test"), str(out / name))
    return str(out / name)


def test_a_pool_of_which_rules_left_rows_out_does_not_tell_a_split_alone(
    demo_files: Path, tmp_path: Path, hold: Hold
) -> None:
    half = flickr(demo_files, tmp_path, "flickr30k_grounded", min_phrases=4)
    mixed = [Part("flickr30k_grounded", "train", "grounding")]
    message = (
        r"flickr30k_grounded/val: nothing given tells its pictures \(pool flickr30k_grounded holds it in part: rows"
    )
    with pytest.raises(ConfigError, match=message):
        hold(["flickr30k_grounded/val"], [half], mixed)
    told = hold(["flickr30k_grounded/val"], [half], mixed, flickr30k_grounded=demo_files / "flickr30k")
    found = told.found["flickr30k_grounded/val"]
    assert (found.origin, found.images) == (
        "annotations",
        len((demo_files / "flickr30k" / "val.txt").read_text().split()),
    )
    whole = flickr(demo_files, tmp_path, "flickr30k_caption")
    again = hold(["flickr30k_grounded/val"], [half, whole], mixed).found["flickr30k_grounded/val"]
    assert (again.origin, again.images, again.digest) == ("pool", found.images, found.digest)


def test_a_rejected_picture_of_a_held_out_split_is_held_out_all_the_same(
    demo_files: Path, tmp_path: Path, mix_pools: Pools, hold: Hold
) -> None:
    # A pool that lacks a picture of the split, as its file is missing there; the training pool has it.
    gone = sorted(column(mix_pools["eval"], "image", "refcoco_eval", "val"))[0]
    files = shutil.copytree(demo_files / "coco", tmp_path / "coco")
    (files / "train2014" / f"COCO_train2014_{int(gone.partition('/')[2]):012d}.jpg").unlink()
    entry = {"name": "refcoco_eval", "root": f"{demo_files}/refer", "splits": ["val"], "max_reject": 1.0}
    config = {"pool": "less", "collections": {"coco": str(files)}, "sources": [entry]}
    shard(pool_config(config, "test"), str(tmp_path / "less"))
    assert gone not in column(str(tmp_path / "less"), "image")
    told = hold(["refcoco/val"], ["coco", str(tmp_path / "less")])
    assert gone in told.held_by("refcoco/val") and told.found["refcoco/val"].origin == "pool"


@pytest.mark.parametrize(("malformed", "origin"), [(0.01, "pool"), (0.02, "annotations")])
def test_a_pool_of_which_rows_could_not_be_read_does_not_tell_a_split_alone(
    mix_pools: Pools,
    demo_files: Path,
    tmp_path: Path,
    hold: Hold,
    seal_manifest: Callable[[Path, Any], None],
    malformed: float,
    origin: str,
) -> None:
    pool = Path(shutil.copytree(mix_pools["eval"], tmp_path / "eval"))
    manifest = json.loads((pool / "pool.json").read_bytes())
    for tally in manifest["ledger"]:
        tally |= {"candidates": 10_000, "written": int(10_000 * (1 - malformed))}
        tally |= {"rejected": [{"name": "malformed row", "count": int(10_000 * malformed)}]}
    seal_manifest(pool, manifest)
    told = hold(["refcoco/val"], ["coco", str(pool)], refcoco=demo_files / "refer")
    assert told.found["refcoco/val"].origin == origin


def test_another_form_of_a_split_is_not_the_split(demo_files: Path, tmp_path: Path, hold: Hold) -> None:
    entry = {"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["train", "val"], "form": "2014"}
    config = {"pool": "official", "collections": {"coco": f"{demo_files}/coco"}, "sources": [entry]}
    shard(pool_config(config, "test"), str(tmp_path / "official"))
    with pytest.raises(ConfigError, match=r"held-out split coco_caption/val: nothing given tells its pictures: give"):
        hold(["coco_caption/val"], [str(tmp_path / "official")])
    message = r"coco_caption/val: the form 2014 under .* has another split: wanted karpathy or lavis$"
    with pytest.raises(SourceError, match=message):
        hold(["coco_caption/val"], coco_caption=demo_files / "coco")
    for folder in ("karpathy", "lavis"):
        assert hold(["coco_caption/val"], coco_caption=demo_files / folder).found["coco_caption/val"].images > 0


def test_annotations_that_are_not_there_or_of_which_rows_are_malformed_are_refused(
    demo_files: Path, tmp_path: Path, hold: Hold
) -> None:
    with pytest.raises(SourceError, match="vsr test: not found under"):
        hold(["vsr/test"], vsr=tmp_path)
    (tmp_path / "zeroshot").mkdir()
    lines = (demo_files / "vsr" / "zeroshot" / "test.jsonl").read_text().splitlines()
    (tmp_path / "zeroshot" / "test.jsonl").write_text("\n".join([*lines, '{"image": 5}']))
    with pytest.raises(RejectsError, match=rf"vsr/test: 1 of {len(lines) + 1} rows are malformed, at most 1% may be"):
        hold(["vsr/test"], vsr=tmp_path)
    (tmp_path / "zeroshot" / "test.jsonl").write_text("\n".join([*lines * 100, '{"image": 5}']))
    assert hold(["vsr/test"], vsr=tmp_path).found["vsr/test"].images > 0


def test_likeness_is_asked_of_pools_alone(demo_files: Path, hold: Hold) -> None:
    with pytest.raises(ConfigError, match=r"near_held_out: held-out split refcoco/val: no pool given holds the"):
        hold(["refcoco/val"], radius=4, refcoco=demo_files / "refer")
    hold(["refcoco/val"], ["coco", "eval"], radius=4)


def test_pictures_nearly_the_same_have_a_label_of_their_own(tmp_path: Path, hold: Hold) -> None:
    told = hold(["refcoco/val", "refcoco/testA"], ["coco", "eval"], radius=0)
    assert set(told.names.values()) == {0, 1}  # the very same pictures are lost to the split itself
    assert near(1) > 1 and near(1) < FREE


def test_a_split_in_json_is_told_by_its_ids_sorted(demo_files: Path, hold: Hold) -> None:
    lines = (demo_files / "vsr" / "zeroshot" / "test.jsonl").read_text().splitlines()
    ids = sorted({f"coco/{int(json.loads(line)['image'].removesuffix('.jpg'))}" for line in lines})
    found = hold(["vsr/test"], vsr=demo_files / "vsr").found["vsr/test"]
    assert (found.images, found.digest) == (len(ids), sha256("\n".join(ids).encode()).hexdigest())
