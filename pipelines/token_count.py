"""How many tokens the text of a part's records has, without its pictures: counted by a tokenizer, or estimated.

A record's text are its turns, each tokenised alone, without what a chat template or a tokenizer puts around them. A
tokenizer counts a sample, chosen by hash, for the mean, and the longest by the estimate besides for the maximum.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipelines.eligible import Eligible
from pipelines.layout import names
from pipelines.manifest import UNREADABLE
from pipelines.ranged import samples_at
from pipelines.record_index import Given
from pipelines.tar import Member
from schemas.errors import ConfigError, ShardError
from schemas.ledger import Part
from schemas.pool import PoolManifest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLE, LONGEST = 2000, 32
ESTIMATE = "estimate: a token per 4 characters outside boxes, 15 per box"
FILE = "tokenizer.json"
_BOX_CHARS, _BOX_TOKENS, _CHARS = 18, 15, 4

_AT = ("shard", "sample", "place")
_PICK = np.dtype([*((name, "u4") for name in _AT), ("tokens", "i8"), ("hash", "u8")])
_Picks = npt.NDArray[np.void]
_Hashes = npt.NDArray[np.uint64]


class Measured(NamedTuple):
    """Tokens a record: on average and at most."""

    mean: float
    most: int


class _Turn(msgspec.Struct):
    content: str


class _Record(msgspec.Struct):
    key: str
    source: str
    split: str
    task: str | None
    messages: list[_Turn]


class _Sample(msgspec.Struct):
    records: list[_Record]


def described(tokenizer: str | None) -> str:
    """What counts the tokens, as a lock says it: the tokenizer's name and its file's sha256, or the estimate.

    ConfigError where no tokenizer lies there.
    """
    if tokenizer is None:
        return ESTIMATE
    file = _file(tokenizer)
    digest = hashlib.sha256(_content(file)).hexdigest()
    how = f"the mean of {SAMPLE:,} records a part, the most of the {LONGEST} longest"
    return f"{'/'.join(file.absolute().parts[-2:])}, sha256 {digest}: {how}"


def measured(pool: str, manifest: PoolManifest, part: Part, eligible: Eligible, tokenizer: str | None) -> Measured:
    """The mean and the largest number of tokens of a part's eligible records, of which there is one at least.

    ``tokenizer`` is a ``tokenizer.json`` or a folder that holds one. It counts ``SAMPLE`` records, or all where there
    are no more, and the ``LONGEST`` of all by estimate: the largest number is that of all these. Without one both are
    estimated for every record from the pool's record index.

    Raises ConfigError where the tokenizer or the library for it is not there, ShardError where the pool's files are
    not what its index says.
    """
    found = _estimated(pool, manifest, eligible)
    if tokenizer is None:
        return _of_all(found)
    counts = opened(tokenizer)
    sample, longest = _chosen(found)
    sampled, longer = (_counted(pool, manifest.pool, part, picks, counts) for picks in (sample, longest))
    return Measured(sum(sampled) / len(sampled), max(*sampled, *longer))


def _estimated(pool: str, manifest: PoolManifest, eligible: Eligible) -> Iterator[_Picks]:
    """Each shard's records and what their text is estimated at."""
    for shard in Given(pool, manifest).shards():
        rows = eligible.of_shard(shard.number)
        if not len(rows):
            continue
        index = shard.rows()
        first = np.flatnonzero(pc.equal(index["place"], 0).to_numpy())
        at = first[rows[:, 0]] + rows[:, 1]
        chars, boxes = (index[name].to_numpy()[at].astype(np.int64) for name in ("chars", "boxes"))
        found = np.zeros(len(rows), _PICK)
        found["shard"], found["sample"], found["place"] = shard.number, rows[:, 0], rows[:, 1]
        found["tokens"] = estimate(chars, boxes)
        yield found


def estimate(chars: npt.NDArray[np.int64], boxes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The tokens of texts of so many characters, boxes among them, by the rule that ``ESTIMATE`` tells."""
    outside = np.maximum(chars - _BOX_CHARS * boxes, 0)
    tokens: npt.NDArray[np.int64] = -(-outside // _CHARS) + _BOX_TOKENS * boxes
    return tokens


def _of_all(found: Iterable[_Picks]) -> Measured:
    total, most, records = 0, 0, 0
    for picks in found:
        tokens = picks["tokens"]
        total, most, records = total + int(tokens.sum()), max(most, int(tokens.max())), records + len(tokens)
    return Measured(total / records, most)


def _chosen(found: Iterable[_Picks]) -> tuple[_Picks, _Picks]:
    """The records of the smallest hashes, and those of the largest estimates, each in the pool's order."""
    sample, longest = np.zeros(0, _PICK), np.zeros(0, _PICK)
    for picks in found:
        picks["hash"] = _hashed(picks)
        both = np.concatenate([sample, picks])
        sample = both[np.argsort(both["hash"], kind="stable")[:SAMPLE]]
        both = np.concatenate([longest, picks])
        longest = both[np.lexsort((both["hash"], -both["tokens"]))[:LONGEST]]
    return _sorted(sample), _sorted(longest)


def _sorted(picks: _Picks) -> _Picks:
    return np.sort(picks, order=_AT)


def _hashed(picks: _Picks) -> _Hashes:
    # The last half of splitmix64, once for each number, so that neighbours have nothing in common.
    hashes = np.zeros(len(picks), np.uint64)
    for name in _AT:
        hashes = hashes + picks[name].astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
        hashes ^= hashes >> np.uint64(31)
    return hashes


def _counted(pool: str, name: str, part: Part, picks: _Picks, by: "Tokenizer") -> list[int]:
    """The tokens of each of these records, in order."""
    counts: list[int] = []
    for number, within in groupby(zip(*(picks[one].tolist() for one in _AT), strict=True), _first):
        places = [pick[1:] for pick in within]
        for texts in _texts(pool, names(name, number).tar, part, places):
            counts.append(sum(len(one) for one in by.encode_batch_fast(texts, add_special_tokens=False)))
    return counts


def _first(pick: tuple[int, ...]) -> int:
    return pick[0]


def _texts(pool: str, tar: str, part: Part, places: Sequence[tuple[int, ...]]) -> Iterator[list[str]]:
    """The turns of each record of a shard, given by its sample's number and its place within it, ascending."""
    read = samples_at(pool, tar, list(dict.fromkeys(sample for sample, _ in places)))
    for (_, within), found in zip(groupby(places, _first), read, strict=True):
        records = _records(found, tar)
        yield from (_turns(records, place, part, tar) for _, place in within)


def _turns(records: Sequence[_Record], place: int, part: Part, tar: str) -> list[str]:
    record = records[place] if place < len(records) else None
    if record is None or Part(record.source, record.split, record.task) != part:
        there = record.key if record else f"{len(records)} records"
        raise ShardError(f"{tar}: found {there}, the record index knows of one of {part} at place {place}")
    return [turn.content for turn in record.messages]


def _records(found: Sequence[Member], tar: str) -> list[_Record]:
    try:
        return msgspec.json.decode(found[-1].data, type=_Sample).records
    except UNREADABLE as error:
        raise ShardError(f"{tar}: the sample at {found[0].offset} is none: {error}") from error


def opened(tokenizer: str) -> "Tokenizer":
    """The tokenizer of that file or folder, held for the next call; ConfigError where there is none, or no library."""
    return _opened(_content(_file(tokenizer)), tokenizer)


def _file(tokenizer: str) -> Path:
    path = Path(tokenizer)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        rest = f"; convert tokenizer.model to {FILE}" if (file.parent / "tokenizer.model").is_file() else ""
        raise ConfigError(f"tokenizer {tokenizer}: no {file}, wanted a {FILE} or a folder that holds one{rest}")
    return file


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error}") from error


@lru_cache(1)
def _opened(content: bytes, name: str) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigError(
            f"tokenizer {name}: the library tokenizers is not there: pip install 'boxcar[train]'"
        ) from error
    try:
        found = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises nothing narrower
        raise ConfigError(f"tokenizer {name}: not one: {' '.join(str(error).split())}") from error
    # A file says how its owner last used it: cut at a length, filled up to one.
    found.no_truncation()
    found.no_padding()
    found.encode_special_tokens = True  # what looks like one in a text is text
    return found
