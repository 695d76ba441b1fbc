"""Mixtures that cannot be met by the pools given: one line each, with what would do."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.mix import mix
from pipelines.shard import shard
from schemas.errors import BoxcarError, ConfigError, ShardError
from schemas.mixture import Mixture
from schemas.pool import pool_config

Pools = dict[str, str]
Staged = Callable[..., Mixture]
Refused = Callable[..., str]


@pytest.fixture
def refused(mix_pools: Pools, tmp_path: Path) -> Refused:
    """A function: the one line in which a mixture of these pools is refused; nothing of it is left."""

    def refused(mixture: Mixture, *names: str, kind: type[BoxcarError] = ConfigError, **more: Any) -> str:
        pools = [mix_pools.get(name, name) for name in names or mix_pools]
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(kind) as raised:
            mix(mixture, pools, **{"out": tmp_path / "s.lock.json", "roots": {}, **more})
        assert sorted(path.name for path in tmp_path.iterdir()) == before and "\n" not in str(raised.value)
        return str(raised.value)

    return refused


def test_a_part_that_no_pool_holds_offers_near_ones_of_all_pools(staged: Staged, refused: Refused) -> None:
    said = refused(staged(("refcocog", "refer")))
    assert said.startswith("unknown part 'refcocog/train/refer'; did you mean refcoco/train/refer or ")
    assert refused(staged(("refcoco", "refer", {"pool": "vg"}))).endswith(" in pool vg")


def test_a_pool_that_is_not_given_offers_near_ones(staged: Staged, refused: Refused) -> None:
    said = refused(staged(("refcoco", "refer", {"pool": "cocoo"})))
    assert said == "part refcoco/train/refer: unknown pool 'cocoo'; did you mean coco?"


def test_a_part_that_several_pools_hold_asks_which(
    staged: Staged, refused: Refused, mix_pools: Pools, demo_files: Path, tmp_path: Path
) -> None:
    entry = {"name": "unnatural", "root": f"{demo_files}/unnatural", "splits": ["train"], "form": "core"}
    other = {"pool": "words", "collections": {}, "sources": [entry]}
    shard(pool_config(other, "test"), str(tmp_path / "words"))
    said = refused(staged(("unnatural", None)), "lang", str(tmp_path / "words"))
    assert said == "part unnatural/train/chat: pools lang and words hold it: say which with pool: lang"
    twice = staged(("unnatural", None), ("unnatural", None, {"pool": "lang"}))
    assert refused(twice, "lang") == "part unnatural/train/chat of pool lang is listed twice"
    lock = mix(staged(("unnatural", None, {"pool": "words"}), ("unnatural", None, {"pool": "lang"})),
               [mix_pools["lang"], str(tmp_path / "words")], tmp_path / "s.lock.json", roots={})  # fmt: skip
    assert [lock.pools[part.pool].name for part in lock.parts] == ["words", "lang"]


def test_a_part_of_which_nothing_is_left_tells_what_took_its_records(staged: Staged, refused: Refused) -> None:
    said = refused(
        staged(("refcoco", "refer", {"filters": {"max_area": 0.001, "max_turns": 5}}), held_out=["refcoco/val"])
    )
    assert said.startswith("part refcoco/train/refer: of ") and said.endswith(" records none is left: max_area 342")


def test_a_part_without_a_record_is_told(staged: Staged, refused: Refused, demo_files: Path, tmp_path: Path) -> None:
    entry = {"name": "unnatural", "root": f"{demo_files}/unnatural", "splits": ["train"], "form": "core"}
    none = {**entry, "name": "refcoco", "root": f"{demo_files}/refer", "form": "auto", "max_reject": 1.0}
    none |= {"tasks": ["refer"]}
    config = {"pool": "none", "collections": {"coco": str(tmp_path)}, "sources": [entry, none]}
    shard(pool_config(config, "test"), str(tmp_path / "none"))
    said = refused(staged(("refcoco", "refer")), str(tmp_path / "none"))
    assert said == "part refcoco/train/refer: it is in pool none, without a record"


def test_a_split_for_evaluation_is_mixed_on_request_alone(
    staged: Staged, refused: Refused, mix_pools: Pools, tmp_path: Path
) -> None:
    asked = staged(("refcoco_eval", "refer", {"split": "val"}))
    assert refused(asked) == "part refcoco_eval/val/refer: it is for evaluation: --allow-eval mixes it all the same"
    lock = mix(asked, [mix_pools["eval"]], tmp_path / "s.lock.json", roots={}, allow_eval=True)
    assert lock.parts[0].records > 0


def test_a_part_that_is_held_out_is_no_part(staged: Staged, refused: Refused) -> None:
    asked = staged(("refcoco_eval", "refer", {"split": "val"}), held_out=["refcoco/val"])
    assert refused(asked) == ("part refcoco_eval/val/refer: held_out holds out refcoco/val, whose pictures it shows")
    assert "none is left: refcoco/val " in refused(asked, allow_eval=True)


def test_the_part_of_a_strict_mixture_that_nothing_tells_of_is_named(staged: Staged, refused: Refused) -> None:
    said = refused(staged(("refcoco", "refer"), held_out="strict"), "coco", "eval")
    assert said.startswith(
        "held-out split refcocoplus/val: nothing given tells its pictures: give a pool that holds it"
    )
    assert refused(staged(("refcoco", "refer"), held_out=["vqav2"])).startswith("held_out: unknown split 'vqav2'; did")


def test_two_pools_of_one_name_that_differ_are_refused_and_one_given_twice_is_one(
    staged: Staged, refused: Refused, mix_pools: Pools, demo_files: Path, tmp_path: Path
) -> None:
    entry = {"name": "unnatural", "root": f"{demo_files}/unnatural", "splits": ["train"], "form": "core"}
    shard(pool_config({"pool": "lang", "collections": {}, "sources": [entry], "seed": 1}, "test"), f"{tmp_path}/b")
    said = refused(staged(("unnatural", None)), "lang", f"{tmp_path}/b")
    assert said.startswith("two pools are called lang, and differ: ") and f"{tmp_path}/b" in said
    copy = shutil.copytree(mix_pools["lang"], tmp_path / "a")
    places = [mix_pools["lang"], str(copy), mix_pools["lang"]]
    for given in (places, places[::-1], places[1:], places[:2]):
        lock = mix(staged(("unnatural", None)), given, tmp_path / "s.lock.json", roots={})
        assert [pool.location for pool in lock.pools] == [min(places)]


def test_no_pool_or_no_folder_or_another_name_is_refused(staged: Staged, refused: Refused, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pool is given: --pools DIR"):
        mix(staged(("a", None)), [], tmp_path / "s.lock.json", roots={})
    assert "its folder is not there" in refused(staged(("unnatural", None)), out=tmp_path / "no" / "s.lock.json")
    assert "wanted a name that ends in .lock.json" in refused(staged(("unnatural", None)), out=tmp_path / "s.json")
    missing = refused(staged(("unnatural", None)), str(tmp_path / "nowhere"), kind=ShardError)
    assert missing.startswith(f"{tmp_path}/nowhere: cannot read")


def test_a_weight_that_cannot_be_met_is_told(staged: Staged, refused: Refused) -> None:
    said = refused(staged(("unnatural", None, {"weight": 1e-9}), ("refcoco", "refer")))
    assert said.startswith("part unnatural/train/chat: weight 1e-09 cannot be met: ")


def test_a_root_of_an_unknown_source_offers_near_ones(staged: Staged, refused: Refused) -> None:
    said = refused(staged(("unnatural", None)), roots={"refcocoo": "/nowhere"})
    assert said == "--root: unknown source 'refcocoo'; did you mean refcoco or refcocog or refcocoplus?"


def test_what_is_no_lock_is_never_replaced(staged: Staged, refused: Refused, tmp_path: Path) -> None:
    asked, out, folder = staged(("unnatural", None)), tmp_path / "s.lock.json", tmp_path / "s.lock"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert refused(asked, "lang") == f"{folder}: it would be replaced, and holds notes.txt, which is no lock's"
    assert (folder / "notes.txt").read_text() == "mine"
    shutil.rmtree(folder)
    folder.write_text("mine")
    assert refused(asked, "lang") == f"{out}: wanted a file of that name, and a folder s.lock beside it"
    assert folder.read_text() == "mine"
    folder.unlink()
    out.mkdir()
    assert refused(asked, "lang") == f"{out}: wanted a file of that name, and a folder s.lock beside it"
