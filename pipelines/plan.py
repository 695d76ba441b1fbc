"""The plan: which pictures make which shard. A pure function of the config, the records and the pictures' sizes.

Pictures stand in the order of blake2b(seed, image id) and are cut by bytes and count, so a shard is a range of hashes,
and what it holds does not depend on workers, engines, or the order in which sources were read.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pipelines.pictures import Located
from pipelines.stage import HASHES, order_of
from pipelines.tar import BLOCK, padded
from schemas.errors import SourceError
from schemas.pool import ShardPolicy


class Planned(NamedTuple):
    """One shard: the hashes [low, high) that it covers, and its pictures (or record keys, for text) in order."""

    shard: int
    low: int
    high: int
    groups: tuple[str, ...]


def plan(
    weights: Mapping[str, int], pictures: Mapping[str, Located], policy: ShardPolicy, seed: int
) -> tuple[Planned, ...]:
    """The shards of a pool whose pictures' records weigh that many bytes; SourceError where there is no record."""
    if not weights:
        raise SourceError("no record came of these sources: there is nothing to pack")
    ordered = sorted((order_of(seed, group), group) for group in weights)
    cuts = list(_cut(ordered, weights, pictures, policy))
    lows = [0, *(cut[0][0] for cut in cuts[1:])]
    highs = [*lows[1:], HASHES]
    return tuple(
        Planned(index, low, high, tuple(group for _, group in cut))
        for index, (cut, low, high) in enumerate(zip(cuts, lows, highs, strict=True))
    )


def plan_digests(
    shards: Sequence[Planned], pictures: Mapping[str, Located], decides: Mapping[str, object], records: str
) -> list[str]:
    """Of each shard the sha256 of all that decides its bytes: config, versions, records, its cut, pictures' sizes."""
    begun = hashlib.sha256(msgspec.json.encode([decides, records], order="deterministic"))
    digests = []
    for shard in shards:
        sizes = [(group, pictures[group].bytes if group in pictures else None) for group in shard.groups]
        sha = begun.copy()
        sha.update(msgspec.json.encode([shard.shard, str(shard.low), str(shard.high), sizes]))
        digests.append(sha.hexdigest())
    return digests


def whole(plans: Iterable[str]) -> str:
    """The digest of a pool's plan, of those of its shards in order."""
    return hashlib.sha256("\n".join(plans).encode()).hexdigest()


def sample_bytes(records: int, picture: int | None) -> int:
    """About what a sample takes in a tar: its picture as it lies in the source, its records' JSON, the headers."""
    json = BLOCK + padded(records + 400)
    return json + (BLOCK + padded(picture) if picture is not None else 0)


def _cut(
    ordered: Sequence[tuple[int, str]],
    weights: Mapping[str, int],
    pictures: Mapping[str, Located],
    policy: ShardPolicy,
) -> Iterator[list[tuple[int, str]]]:
    shard: list[tuple[int, str]] = []
    held = 0
    for order, group in ordered:
        located = pictures.get(group)
        size = sample_bytes(weights[group], located.bytes if located else None)
        full = len(shard) >= policy.max_samples or held + size > policy.max_bytes
        # Two pictures of one hash stay together: a shard is a range of hashes.
        if shard and full and shard[-1][0] != order:
            yield shard
            shard, held = [], 0
        shard.append((order, group))
        held += size
    yield shard
