"""A lock proven again from scratch: what a forger who mends every digest could change is found all the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines import store
from pipelines.locked import lock_digest, read_lock
from pipelines.mix import check, mix
from pipelines.record_index import given
from pipelines.shard import shard
from schemas.errors import ConfigError
from schemas.lock import Lock, LockedPart
from schemas.mixture import Mixture
from schemas.pool import pool_config

Pools = dict[str, str]
Staged = Callable[..., Mixture]
PART = "refcoco-train-refer-coco"


@pytest.fixture
def path(mix_pools: Pools, staged: Staged, tmp_path: Path) -> Path:
    """A lock of captions and regions without the pictures of refcoco's val, whose ids annotations do not tell."""
    asked = staged(
        ("coco_caption", "caption"),
        ("vg", "refer", {"filters": {"max_area": 0.1}}),
        ("unnatural", None, {"max_records": 7}),
        held_out=["refcoco/val"],
        per_image=2,
    )
    mix(asked, list(mix_pools.values()), tmp_path / "s.lock.json", roots={})
    return tmp_path / "s.lock.json"


def problems(path: Path, pools: Any = (), **roots: str) -> list[str]:
    return check(path, list(pools), roots)


def forge(path: Path, change: Callable[[Lock], Lock]) -> None:
    """Change a lock and mend its digest."""
    lock = change(read_lock(path))
    lock = msgspec.structs.replace(lock, digest=lock_digest(lock))
    path.write_bytes(store.canonical(lock))


def of_part(lock: Lock, place: int, **fields: Any) -> Lock:
    parts = list(lock.parts)
    parts[place] = msgspec.structs.replace(parts[place], **fields)
    return msgspec.structs.replace(lock, parts=parts)


def test_a_lock_as_it_was_written_is_proven(path: Path, mix_pools: Pools) -> None:
    assert problems(path) == []
    assert problems(path, mix_pools.values()) == []


def readmit(path: Path, pools: Pools) -> None:
    """Put the first held-out caption back, with every count and digest that speaks of it mended."""
    lock, folder = read_lock(path), path.with_suffix("")
    part = lock.parts[0]
    rows = np.fromfile(folder / part.rows.name, "<u4").reshape(-1, 2)
    firsts = np.fromfile(folder / part.shards.name, "<u8")
    assert part.joined is not None
    begins = np.fromfile(folder / part.joined.name, "<u8")
    evals, shards = given(pools["eval"]).shards(), given(pools["coco"]).shards()
    held = {row["image"] for one in evals for row in one.rows().to_pylist() if row["split"] == "val"}
    lost = ((one.number, row) for one in shards for row in one.rows().to_pylist() if row["image"] in held)
    shard, row = next((shard, row) for shard, row in lost if row["source"] == "coco_caption")
    where = (row["sample"], row["place"])
    first, last = (int(begins[firsts[number]]) for number in (shard, shard + 1))
    before = first + sum(tuple(one) < where for one in rows[first:last].tolist())
    item = int(np.searchsorted(begins, before))
    rows = np.insert(rows, before, where, axis=0)
    begins = np.concatenate([begins[:item], [before], begins[item:] + 1]).astype("<u8")
    firsts[shard + 1 :] += 1

    def kept(name: str, data: np.ndarray[Any, Any]) -> Any:
        (folder / name).write_bytes(data.tobytes())
        return store.digest(str(folder / name), name)

    fewer = [msgspec.structs.replace(part.lost[0], count=part.lost[0].count - 1)]
    forge(
        path,
        lambda lock: of_part(
            lock,
            0,
            records=part.records + 1,
            items=part.items + 1,
            images=part.images + 1,
            lost=fewer,
            rows=kept(part.rows.name, rows),
            shards=kept(part.shards.name, firsts),
            joined=kept(part.joined.name, begins),  # type: ignore[union-attr]
        ),
    )


def test_a_held_out_picture_that_was_put_back_with_every_digest_mended_is_found_twice(
    path: Path, mix_pools: Pools
) -> None:
    readmit(path, mix_pools)
    said = problems(path)
    shows = "show a picture that is held out"
    assert any(one.startswith("coco_caption-train-caption-coco.rows: 1 rec") and one.endswith(shows) for one in said)
    assert any(one.startswith("lock.parts.coco_caption/train/caption.records: the lock says ") for one in said)
    assert any(".rows.sha256: the lock says " in one for one in said)


def test_rows_of_another_part_or_twice_are_found(path: Path, mix_pools: Pools) -> None:
    lock, folder = read_lock(path), path.with_suffix("")
    name = lock.parts[0].rows.name
    rows = np.fromfile(folder / name, "<u4").reshape(-1, 2)
    elsewhere = rows.copy()
    elsewhere[0, 1] = 90
    for forged in (np.concatenate([rows[:1], rows[:1], rows[2:]]), elsewhere):
        (folder / name).write_bytes(forged.astype("<u4").tobytes())
        forge(path, lambda lock: of_part(lock, 0, rows=store.digest(str(folder / name), name)))
        assert any("are not records of coco_caption/train/caption, each once" in one for one in problems(path))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda lock: msgspec.structs.replace(lock, steps=11), "lock.steps"),
        (lambda lock: msgspec.structs.replace(lock, block=6), "lock.block"),
        (lambda lock: msgspec.structs.replace(lock, seed=6), "lock.seed"),
        (lambda lock: msgspec.structs.replace(lock, tokens="a tokenizer"), ""),
        (lambda lock: of_part(lock, 1, count=2), "lock.parts.vg/train/refer.count"),
        (lambda lock: of_part(lock, 1, lost=[]), "lock.parts.vg/train/refer.lost"),
        (lambda lock: of_part(lock, 1, mean_tokens=2.0), "lock.parts.vg/train/refer.mean_tokens"),
        (lambda lock: msgspec.structs.replace(lock, held_out=[]), "lock.held_out"),
        (lambda lock: msgspec.structs.replace(lock, parts=lock.parts[:2]), "lock.parts"),
        (
            lambda lock: msgspec.structs.replace(
                lock, pools=[msgspec.structs.replace(pool, codec="trunc-100") for pool in lock.pools]
            ),
            "lock.pools.0.codec",
        ),
        (
            lambda lock: msgspec.structs.replace(lock, mixture={**lock.mixture, "held_out": "released"}),
            "lock.parts.coco_caption/train/caption.records",
        ),
        (
            lambda lock: msgspec.structs.replace(lock, mixture={**lock.mixture, "templates": {"caption": ["say it"]}}),
            "lock.pools.0.templates.caption",
        ),
    ],
)
def test_a_field_that_the_mixture_does_not_come_to_is_named(
    path: Path, change: Callable[[Lock], Lock], where: str
) -> None:
    forge(path, change)
    said = problems(path)
    assert any(one.startswith(f"{where}: the lock says ") for one in said) if where else not said


def test_a_byte_of_a_file_or_of_the_lock_is_found(path: Path) -> None:
    name = read_lock(path).parts[1].shards.name
    data = (path.with_suffix("") / name).read_bytes()
    (path.with_suffix("") / name).write_bytes(data[:-1] + b"\x01")
    assert [one.partition(": ")[2] for one in problems(path)] == ["its sha256 is not the lock's: a byte was changed"]
    path.write_text(path.read_text().replace('"steps": 10', '"steps": 11', 1))
    (said,) = problems(path)
    assert said.endswith("its digest is not that of its content: it was changed after it was written")


def test_a_pool_that_is_another_now_or_is_gone_is_named(
    path: Path, mix_pools: Pools, demo_files: Path, tmp_path: Path
) -> None:
    entry = {"name": "unnatural", "root": f"{demo_files}/unnatural", "splits": ["train"], "form": "core"}
    shard(pool_config({"pool": "lang", "collections": {}, "sources": [entry], "seed": 3}, "test"), f"{tmp_path}/lang")
    others = [place for name, place in mix_pools.items() if name != "lang"]
    (said,) = problems(path, [*others, f"{tmp_path}/lang"])
    assert said.startswith(f"pool lang at {tmp_path}/lang: its digest is ") and said.endswith("it was built anew since")
    (said,) = problems(path, others)
    assert said == "pool lang: the lock is of it, and it is not given; known: coco, eval, vg"


def test_pools_that_lie_elsewhere_now_prove_it_too(path: Path, mix_pools: Pools, tmp_path: Path) -> None:
    moved = [str(shutil.copytree(place, tmp_path / "moved" / name)) for name, place in mix_pools.items()]
    assert problems(path, moved) == []


def test_a_shard_of_a_pool_that_was_damaged_since_is_named(path: Path, mix_pools: Pools, tmp_path: Path) -> None:
    moved = {name: Path(shutil.copytree(place, tmp_path / name)) for name, place in mix_pools.items()}
    index = moved["vg"] / "index" / "000000.arrow"
    index.write_bytes(index.read_bytes()[:-1] + b"x")
    (said,) = problems(path, map(str, moved.values()))
    assert "vg/index/000000.arrow: not what its receipt says: its sha256 or size differs" in said


def test_what_annotations_say_now_is_what_counts(
    mix_pools: Pools, staged: Staged, demo_files: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(demo_files / "vsr", tmp_path / "vsr")
    out = tmp_path / "s.lock.json"
    mix(staged(("coco_caption", "caption"), held_out=["vsr/test"]), [mix_pools["coco"]], out, roots={"vsr": str(root)})
    assert problems(out) == []
    lines = (root / "zeroshot" / "test.jsonl").read_text().splitlines()
    other = json.loads(lines[0]) | {"image": "000000000001.jpg"}
    (root / "zeroshot" / "test.jsonl").write_text("\n".join([*lines, json.dumps(other)]))
    assert {one.partition(": ")[0] for one in problems(out)} == {"lock.held_out.0.digest", "lock.held_out.0.images"}
    assert problems(out, vsr=str(demo_files / "vsr")) == []


def test_a_lock_whose_mixture_is_none_is_refused(path: Path) -> None:
    forge(path, lambda lock: msgspec.structs.replace(lock, mixture={**lock.mixture, "unit": "samples"}))
    with pytest.raises(ConfigError, match=r"mixture of the lock of stage test: unit: Input should be"):
        problems(path)


def test_a_part_of_a_pool_that_is_not_listed_is_found(path: Path) -> None:
    forge(path, lambda lock: of_part(lock, 0, pool=9))
    (said,) = problems(path)
    assert said.endswith("part coco_caption/train/caption: pool 9 of 4: no lock is written so, it was edited")


def test_a_lock_whose_parts_lie_in_another_order_is_found(path: Path) -> None:
    def turned(lock: Lock) -> Lock:
        parts: list[LockedPart] = lock.parts[::-1]
        return msgspec.structs.replace(lock, parts=parts)

    forge(path, turned)
    assert any(one.startswith("lock.parts.") for one in problems(path))
