"""Tests of the plan: contiguous ranges of hashes that hold every picture once, in whatever order they came."""

import hashlib
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import plan as planning
from pipelines.pictures import Located
from pipelines.plan import Planned, plan, plan_digests
from schemas.errors import SourceError
from schemas.pool import ShardPolicy

ALL = 2**64


class Case(NamedTuple):
    weights: dict[str, int]
    pictures: dict[str, Located]
    policy: ShardPolicy
    seed: int


def tar_bytes(records: int, picture: int | None) -> int:
    """A sample's bytes in a tar, by the tar format alone: blocks of 512, a header for each member."""

    def member(size: int) -> int:
        return 512 + (size + 511) // 512 * 512

    return member(records + 400) + (member(picture) if picture is not None else 0)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups = draw(st.dictionaries(st.text("ab0/", min_size=1, max_size=6), st.integers(1, 5000), min_size=1))
    sizes = draw(st.dictionaries(st.sampled_from(sorted(groups)), st.integers(0, 20_000)))
    policy = ShardPolicy(max_bytes=draw(st.integers(1024, 60_000)), max_samples=draw(st.integers(1, 6)))
    pictures = {group: Located(f"/x/{group}", None, size) for group, size in sizes.items()}
    return Case(groups, pictures, policy, draw(st.integers(0, 3)))


@given(cases())
def test_every_picture_is_in_exactly_one_shard(case: Case) -> None:
    shards = plan(*case)
    assert sorted(group for shard in shards for group in shard.groups) == sorted(case.weights)
    assert [shard.shard for shard in shards] == list(range(len(shards)))


@given(cases())
def test_shards_are_contiguous_ranges_of_blake2b_that_cover_every_hash(case: Case) -> None:
    shards = plan(*case)
    assert shards[0].low == 0 and shards[-1].high == ALL
    assert [shard.high for shard in shards[:-1]] == [shard.low for shard in shards[1:]]
    for shard in shards:
        assert shard.low < shard.high
        digests = [hashlib.blake2b(f"{case.seed}/{group}".encode(), digest_size=8) for group in shard.groups]
        hashes = [int.from_bytes(digest.digest(), "big") for digest in digests]
        assert hashes == sorted(hashes)
        assert all(shard.low <= value < shard.high for value in hashes)


@given(cases())
def test_no_shard_passes_a_bound_and_none_is_closed_before_it_must_be(case: Case) -> None:
    sizes = {
        group: tar_bytes(weight, case.pictures[group].bytes if group in case.pictures else None)
        for group, weight in case.weights.items()
    }
    shards = plan(*case)
    totals = [sum(sizes[group] for group in shard.groups) for shard in shards]
    for shard, total in zip(shards, totals, strict=True):
        assert 1 <= len(shard.groups) <= case.policy.max_samples
        assert total <= case.policy.max_bytes or len(shard.groups) == 1
    for shard, total, following in zip(shards, totals, shards[1:], strict=False):
        more = total + sizes[following.groups[0]]
        assert len(shard.groups) == case.policy.max_samples or more > case.policy.max_bytes


@given(cases(), st.randoms(use_true_random=False))
def test_plan_and_digest_do_not_depend_on_the_order_of_insertion(case: Case, random: object) -> None:
    def shuffled(mapping: dict[str, int]) -> dict[str, int]:
        pairs = list(mapping.items())
        random.shuffle(pairs)  # type: ignore[attr-defined]
        return dict(pairs)

    pictures = dict(reversed(list(case.pictures.items())))
    again = plan(shuffled(case.weights), pictures, case.policy, case.seed)
    first = plan(*case)
    assert again == first
    assert plan_digests(again, pictures, {"b": 1, "a": [2]}, "r") == plan_digests(
        first, case.pictures, {"a": [2], "b": 1}, "r"
    )


@given(cases())
@settings(max_examples=30)
def test_another_seed_is_another_order(case: Case) -> None:
    here = [group for shard in plan(*case) for group in shard.groups]
    there = [group for shard in plan(*case._replace(seed=case.seed + 1)) for group in shard.groups]
    assert sorted(here) == sorted(there)
    if len(here) > 8:
        assert here != there


def test_nothing_to_pack_is_a_source_error() -> None:
    with pytest.raises(SourceError, match="nothing to pack"):
        plan({}, {}, ShardPolicy(), 0)


def test_pictures_of_one_hash_stay_in_one_shard_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "order_of", lambda seed, group: 7 if group in "bcd" else ord(group))
    shards = plan(dict.fromkeys("abcde", 10), {}, ShardPolicy(max_samples=1), 0)
    assert [shard.groups for shard in shards] == [("b", "c", "d"), ("a",), ("e",)]
    assert [(shard.low, shard.high) for shard in shards] == [(0, 97), (97, 101), (101, ALL)]


SHARDS = (Planned(0, 0, 50, ("coco/1",)), Planned(1, 50, ALL, ("coco/2", "text")))
PICTURES = {"coco/1": Located("/a", None, 100), "coco/2": Located("/b", None, 200)}
DECIDES = {"config": {"seed": 0}, "versions": {"boxcar": "0.1"}}


@pytest.mark.parametrize(
    ("shards", "pictures", "decides", "records"),
    [
        (SHARDS, PICTURES, DECIDES, "other records"),
        (SHARDS, PICTURES, {**DECIDES, "config": {"seed": 1}}, "records"),
        (SHARDS, PICTURES, {**DECIDES, "versions": {"boxcar": "0.2"}}, "records"),
        (SHARDS, {**PICTURES, "coco/2": Located("/b", None, 201)}, DECIDES, "records"),
        (SHARDS, {**PICTURES, "text": Located("/t", None, 0)}, DECIDES, "records"),
        ((SHARDS[0], SHARDS[1]._replace(groups=("text", "coco/2"))), PICTURES, DECIDES, "records"),
        ((SHARDS[0]._replace(high=51), SHARDS[1]._replace(low=51)), PICTURES, DECIDES, "records"),
        (SHARDS[:1], PICTURES, DECIDES, "records"),
    ],
)
def test_the_digest_changes_with_everything_that_decides_bytes(
    shards: tuple[Planned, ...], pictures: dict[str, Located], decides: dict[str, object], records: str
) -> None:
    assert plan_digests(shards, pictures, decides, records) != plan_digests(SHARDS, PICTURES, DECIDES, "records")


def test_the_digest_does_not_change_with_where_pictures_lie() -> None:
    elsewhere = {group: Located("s3://b/x.zip", "m.jpg", located.bytes) for group, located in PICTURES.items()}
    assert plan_digests(SHARDS, elsewhere, DECIDES, "r") == plan_digests(SHARDS, PICTURES, DECIDES, "r")
