"""Which records of a pool are chosen, against a reading of its samples; and that every candidate is counted once."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace as changed

from pipelines.draw import samples
from pipelines.eligible import Eligible
from pipelines.held_names import Held, keep
from pipelines.record_index import Given, given
from pipelines.selection import Chosen, Wanted, choose
from schemas.errors import BoxcarError, ShardError
from schemas.ledger import Part
from schemas.mixture import Filters
from schemas.record import Record, Sample

Where = tuple[int, int, int]  # shard, sample within it, place within that
REFER, CAPTION, CHAT = (
    Part("refcoco", "train", "refer"),
    Part("coco_caption", "train", "caption"),
    Part("multitask", "train", None),
)


class Lying(NamedTuple):
    """A record of a pool, and where it lies."""

    where: Where
    sample: Sample
    record: Record

    @property
    def part(self) -> Part:
        return Part(self.record.source, self.record.split, self.record.task)


@pytest.fixture(scope="module")
def coco(mix_pools: dict[str, str]) -> Given:
    pool = given(mix_pools["coco"])
    assert pool.manifest.shards > 4
    return pool


@pytest.fixture(scope="module")
def lying(coco: Given) -> list[Lying]:
    """Every record, as the tars hold it."""
    shards = [shard.rows()["sample"].to_pylist()[-1] + 1 for shard in coco.shards()]
    places = ((shard, number) for shard, count in enumerate(shards) for number in range(count))
    return [
        Lying((shard, number, place), sample, record)
        for (shard, number), (sample, _) in zip(places, samples(coco.location), strict=True)
        for place, record in enumerate(sample.records)
    ]


def wanted(part: Part, per_image: Any = 1, most: int | None = None, seed: int = 0, **filters: Any) -> Wanted:
    return Wanted("a", part, Filters(**filters), most, seed, per_image)


def chosen(pool: Given, one: Wanted, folder: Path, names: dict[str, int] | None = None) -> tuple[Chosen, Eligible]:
    folder.mkdir(parents=True, exist_ok=True)
    held = Held(names or {}, np.empty(0, np.uint64), np.empty(0, np.int16), None)
    (said,) = choose(pool, [one], keep(held, folder / f"{len(list(folder.iterdir()))}.npz"), folder, folder, 1)
    joined = folder / "a.items"
    return said, Eligible(folder / "a.rows", folder / "a.shards", joined if joined.exists() else None)


def items(found: Eligible) -> list[list[Where]]:
    every = map(found.item, range(found.items))
    return [[(item.shard, item.sample, place) for place in item.places] for item in every]


def flat(found: Eligible) -> list[Where]:
    return [where for item in items(found) for where in item]


@pytest.mark.parametrize("part", [REFER, CAPTION, CHAT])
def test_without_rules_every_record_of_the_part_is_an_item_in_the_pools_order(
    coco: Given, lying: list[Lying], tmp_path: Path, part: Part
) -> None:
    said, found = chosen(coco, wanted(part), tmp_path)
    mine = [one for one in lying if one.part == part]
    assert flat(found) == [one.where for one in mine]
    assert (said.candidates, said.records, said.items) == (len(mine),) * 3
    assert said.images == len({one.sample.image.id for one in mine if one.sample.image})
    assert found.shards == coco.manifest.shards


def test_each_rule_counts_what_it_is_the_first_to_leave_out(coco: Given, lying: list[Lying], tmp_path: Path) -> None:
    mine = [one for one in lying if one.part == REFER]

    def rule(one: Lying) -> str:
        area = min(box.area for box in one.record.boxes)
        chars = sum(len(turn.content) for turn in one.record.messages)
        return "min_area" if area < 0.02 else "max_area" if area > 0.05 else "max_chars" if chars > 80 else ""

    said, found = chosen(coco, wanted(REFER, min_area=0.02, max_area=0.05, max_chars=80), tmp_path)
    assert flat(found) == [one.where for one in mine if not rule(one)]
    counts = Counter(map(rule, mine))
    assert min(counts.values()) > 0 and len(counts) == 4
    assert said.filtered == {name: count for name, count in counts.items() if name}


def test_held_out_comes_before_filters_and_names_are_looked_up_each_way(
    coco: Given, lying: list[Lying], tmp_path: Path
) -> None:
    pictures = {one.sample.image.id: one.sample.image for one in lying if one.part == REFER and one.sample.image}
    by_id, by_sha = list(pictures)[:2]
    names = {by_id: 1, str(pictures[by_sha].sha256): 0}
    said, _ = chosen(coco, wanted(REFER, max_area=0.03), tmp_path, names)
    shows = Counter(one.sample.image.id for one in lying if one.part == REFER and one.sample.image)
    assert said.lost == {1: shows[by_id], 0: shows[by_sha]}
    filtered = [one for one in lying if one.part == REFER and min(box.area for box in one.record.boxes) > 0.03]
    of_held = sum(one.sample.image.id in (by_id, by_sha) for one in filtered if one.sample.image)
    assert said.filtered == {"max_area": len(filtered) - of_held} and of_held > 0
    assert said.records == said.candidates - said.lost.total() - said.filtered.total() > 0


@pytest.mark.parametrize("most", [1, 17, 10_000])
def test_so_many_are_kept_by_hash_whatever_else_is_there(
    coco: Given, lying: list[Lying], tmp_path: Path, most: int
) -> None:
    said, found = chosen(coco, wanted(CAPTION, most=most), tmp_path)
    mine = sum(one.part == CAPTION for one in lying)
    assert said.records == min(most, mine) and said.filtered["max_records"] == mine - said.records
    other, again = (chosen(coco, wanted(CAPTION, most=most, seed=seed), tmp_path / f"{seed}")[1] for seed in (1, 0))
    assert flat(again) == flat(found)
    assert (flat(other) != flat(found)) == (most < mine)


def test_of_fewer_kept_all_are_among_more_kept(coco: Given, tmp_path: Path) -> None:
    few, more = (set(flat(chosen(coco, wanted(CAPTION, most=most), tmp_path / f"{most}")[1])) for most in (9, 30))
    assert few < more and (len(few), len(more)) == (9, 30)


def test_so_many_are_kept_of_those_that_the_filters_pass(coco: Given, tmp_path: Path) -> None:
    said, _ = chosen(coco, wanted(REFER, most=5, max_area=0.05), tmp_path)
    assert said.records == 5 and said.filtered["max_area"] > 0
    assert said.candidates == 5 + said.filtered["max_area"] + said.filtered["max_records"]


@pytest.mark.parametrize("per_image", [2, 3, "all"])
def test_records_of_one_picture_are_joined(
    coco: Given, lying: list[Lying], tmp_path: Path, per_image: int | str
) -> None:
    said, found = chosen(coco, wanted(REFER, per_image=per_image, max_area=0.05), tmp_path)
    pictures: dict[tuple[int, int], list[Where]] = {}
    for one in lying:
        if one.part == REFER and min(box.area for box in one.record.boxes) <= 0.05:
            pictures.setdefault(one.where[:2], []).append(one.where)
    size = 10_000 if per_image == "all" else int(per_image)
    needed = {picture: -(-len(shown) // size) for picture, shown in pictures.items()}
    # Dealt in turn, so that neighbours, which often speak of one thing, come to different items.
    cut = [shown[at :: needed[picture]] for picture, shown in pictures.items() for at in range(needed[picture])]
    assert items(found) == cut
    assert (said.items, said.images, said.records) == (len(cut), len(pictures), sum(map(len, cut)))
    assert max(map(len, cut)) > 1


def test_text_alone_shows_no_picture(mix_pools: dict[str, str], tmp_path: Path) -> None:
    said, found = chosen(given(mix_pools["lang"]), wanted(Part("unnatural", "train", None), "all"), tmp_path)
    assert said.records == said.items == found.items > 0 and said.images == 0


def test_the_same_is_chosen_by_worker_processes(coco: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = wanted(REFER, per_image=2, most=40)
    chosen(coco, one, tmp_path / "alone")
    monkeypatch.setattr("pipelines.record_index.AT_ONCE", 1)
    held = keep(Held({}, np.empty(0, np.uint64), np.empty(0, np.int16), None), tmp_path / "held.npz")
    (tmp_path / "two").mkdir()
    choose(coco, [one], held, tmp_path / "two", tmp_path / "two", 2)
    for name in ("a.rows", "a.items", "a.shards"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["a.items", "a.rows", "a.shards"]


def resealed(pool: Given, change: Callable[[list[Any]], Sequence[Any]]) -> Given:
    manifest = pool.manifest
    return pool._replace(manifest=changed(manifest, ledger=list(change(manifest.ledger))))


def test_a_ledger_that_counts_other_records_than_the_index_holds_is_an_error(coco: Given, tmp_path: Path) -> None:
    more = resealed(coco, lambda ledger: [changed(tally, written=tally.written + 1) for tally in ledger])
    with pytest.raises(
        ShardError, match=r"records of refcoco/train/refer: its ledger says \d+, its index holds \d+, of"
    ):
        chosen(more, wanted(REFER), tmp_path)


def test_an_index_whose_bytes_are_not_its_receipts_is_an_error(pool_copy: Path, tmp_path: Path) -> None:
    path = pool_copy / "index" / "000001.arrow"
    path.write_bytes(path.read_bytes().replace(b"refcoco", b"refcoca", 1))
    with pytest.raises(
        BoxcarError, match=r"index/000001\.arrow: not what its receipt says: its sha256 or size differs"
    ):
        chosen(given(str(pool_copy)), replace(wanted(REFER)), tmp_path)


def test_an_index_of_another_version_is_an_error(pool_copy: Path, tmp_path: Path, seal: Callable[[Path], None]) -> None:
    path = pool_copy / "index" / "000000.arrow"
    table = pa.ipc.open_file(path.read_bytes()).read_all().drop_columns(["scores"])
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    seal(pool_copy)
    with pytest.raises(BoxcarError, match=r"index/000000\.arrow: not the columns of this version: build the pool anew"):
        chosen(given(str(pool_copy)), wanted(REFER), tmp_path)
