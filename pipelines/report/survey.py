"""One pass over some shards: everything from their record index, and some records, chosen by hash, from their tars."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.hashes import PICTURES, Rows, sealed
from pipelines.held_names import NAMES, pictures_of
from pipelines.layout import names
from pipelines.manifest import read_receipt
from pipelines.record_index import ShardOf, Shards
from pipelines.report.counts import PICKS, Counts, Pick
from pipelines.report.scope import Places, Scope
from pipelines.report.spoken import Reading, read
from pipelines.token_count import estimate
from schemas.ledger import Part

Hashes = npt.NDArray[np.uint64]
_BETWEEN = "\x1f"
_COLUMNS = ["sample", "use", "boxes", "turns", "chars", "place"]


class Survey(NamedTuple):
    """Some shards of one pool; about how many records of a part to read; what counts tokens; where hashes are put."""

    scope: Scope
    shards: Shards
    asked: int
    tokenizer: str | None
    leaks: bool
    scratch: Path

    def __str__(self) -> str:
        return str(self.shards)

    def hashes(self, shard: int) -> Path:
        """The file for the hashes of a shard's pictures."""
        return hashes_of(self.scratch, self.scope.pool, shard)


def hashes_of(scratch: Path, pool: int, shard: int) -> Path:
    """The file for the hashes of the pictures of a pool's shard."""
    return scratch / f"{pool:03d}-{shard:06d}"


def survey(asked: Survey) -> Counts:
    """What is counted of these shards; ShardError where one is not whole."""
    counts = Counts()
    for shard in asked.shards:
        _count(counts, asked, shard)
    return counts


def _count(counts: Counts, asked: Survey, shard: ShardOf) -> None:
    index = shard.rows()
    rows = asked.scope.rows(index, shard.number)
    pictures = pictures_of(index)
    hashes = _hashes(pictures)
    kept = index.take(rows) if len(rows) < len(index) else index
    samples = np.unique(kept["sample"].to_numpy())
    _put_hashes(asked.hashes(shard.number), pictures.take(samples), samples)
    shown = pc.is_valid(pictures["image"]).to_numpy()
    counts.pictures += int(np.count_nonzero(shown[samples]))
    counts.text_samples += int(np.count_nonzero(~shown[samples]))
    tar = names(shard.pool, shard.number).tar
    files = read_receipt(shard.location, shard.receipt).files
    counts.tars[asked.scope.pool, shard.number] = next(file for file in files if file.name == tar)
    if asked.leaks:
        _name(counts, kept)
    wanted = dict[int, list[int]]()
    for part, mine in _parts(kept):
        table = kept.select(_COLUMNS).take(mine)
        _count_part(counts, asked, shard, part, table, shown, hashes)
        for sample, place in _chosen(asked, part, table, hashes):
            wanted.setdefault(sample, []).append(place)
    reading = Reading(asked.scope, shard, tar, asked.tokenizer)
    read(counts, reading, {sample: sorted(wanted[sample]) for sample in sorted(wanted)})


def _parts(table: pa.Table) -> Iterator[tuple[Part, Places]]:
    """Each part that there is, sorted, and its rows."""
    task = pc.fill_null(table["task"], "")
    joined = pc.binary_join_element_wise(table["source"], table["split"], task, _BETWEEN)
    coded = joined.combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    named = {name: code for code, name in enumerate(coded.dictionary.to_pylist())}
    for name in sorted(named):
        source, split, task = name.split(_BETWEEN)
        yield Part(source, split, task or None), np.flatnonzero(codes == named[name])


def _count_part(
    counts: Counts,
    asked: Survey,
    shard: ShardOf,
    part: Part,
    table: pa.Table,
    shown: npt.NDArray[np.bool_],
    hashes: Hashes,
) -> None:
    one = counts.part(asked.scope.pool, part)
    samples = np.unique(table["sample"].to_numpy())
    chars, boxes = (table[name].to_numpy().astype(np.int64) for name in ("chars", "boxes"))
    one.use = table["use"][0].as_py()
    one.records += len(table)
    one.pictures += int(np.count_nonzero(shown[samples]))
    one.boxes += int(boxes.sum())
    turns, times = np.unique(table["turns"].to_numpy(), return_counts=True)
    one.turns.update(dict(zip(turns.tolist(), times.tolist(), strict=True)))
    if asked.tokenizer is None:
        tokens = estimate(chars, boxes)
        one.tokens += int(tokens.sum())
        one.most_tokens = max(one.most_tokens, int(tokens.max()))
    one.pick(_picks(asked.scope.pool, shard.number, samples, hashes))


def _picks(pool: int, shard: int, samples: npt.NDArray[np.int32], hashes: Hashes) -> list[Pick]:
    few = samples[np.argsort(hashes[samples], kind="stable")[:PICKS]]
    return [(int(hashes[sample]), pool, shard, int(sample)) for sample in few]


def _chosen(asked: Survey, part: Part, table: pa.Table, hashes: Hashes) -> Iterator[tuple[int, int]]:
    """The sample and the place of each record that is read: all of a picture's in the part, or none of them."""
    share = asked.asked / max(1, asked.scope.records[part])
    samples = table["sample"].to_numpy()
    mine = np.ones(len(samples), bool) if share >= 1 else hashes[samples] < np.uint64(share * 2.0**64)
    yield from zip(samples[mine].tolist(), table["place"].to_numpy()[mine].tolist(), strict=True)


def _hashes(pictures: pa.Table) -> Hashes:
    """A hash of each sample: the first bytes of its picture's, so that no shard or order decides; else of its stem."""
    hashes = np.zeros(len(pictures), np.uint64)
    valid = pc.is_valid(pictures["sha256"]).to_numpy()
    hashes[valid] = _contents(pictures)[:, 0].byteswap()
    for place in np.flatnonzero(~valid).tolist():
        stem = pictures["stem"][place].as_py()
        hashes[place] = int.from_bytes(hashlib.blake2b(stem.encode(), digest_size=8).digest(), "big")
    return hashes


def _contents(pictures: pa.Table) -> Hashes:
    digests = bytes.fromhex("".join(pictures["sha256"].drop_null().to_pylist()))
    return np.frombuffer(digests, "<u8").reshape(-1, 4)


def _put_hashes(path: Path, pictures: pa.Table, samples: npt.NDArray[np.int32]) -> None:
    valid = pc.is_valid(pictures["sha256"]).to_numpy()
    rows: Rows = np.zeros(int(np.count_nonzero(valid)), PICTURES)
    likeness = pictures["likeness"].filter(valid)
    rows["place"], rows["content"] = samples[valid], _contents(pictures)
    rows["alike"] = pc.is_valid(likeness).to_numpy()
    rows["likeness"] = pc.fill_null(likeness, 0).to_numpy()
    path.write_bytes(sealed(rows))


def _name(counts: Counts, kept: pa.Table) -> None:
    """Put by all names of the pictures that splits for evaluation show."""
    table = kept.filter(pc.equal(kept["use"], "eval"))
    for key in set(zip(table["source"].to_pylist(), table["split"].to_pylist(), strict=True)):
        mine = table.filter(pc.and_(pc.equal(table["source"], key[0]), pc.equal(table["split"], key[1])))
        found = counts.evaluated.setdefault(key, set())
        for name in NAMES:
            found.update(pc.unique(mine[name].drop_null()).to_pylist())
        found.update(pc.unique(pc.list_flatten(mine["aliases"])).to_pylist())
