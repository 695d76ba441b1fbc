"""Publishing one shard: what makes it whole or absent.

Tar, offsets, record index and rejects are written aside, synced, reopened and checked; then each gets its final name;
the receipt comes last. Readers take a shard for whole where its receipt and files agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow as pa

from pipelines import store
from pipelines.layout import INDEX, names
from pipelines.tar import TarWriter, index_bytes
from schemas.ledger import Ledger
from schemas.pool import FileDigest, Receipt, RejectLine
from schemas.record import SCHEMA


@dataclass
class Written:
    """What one shard gathers while its pictures go by, until it is published."""

    tar: TarWriter
    ledger: Ledger = field(default_factory=Ledger)
    index: list[tuple[object, ...]] = field(default_factory=list)
    rejects: list[RejectLine] = field(default_factory=list)
    removed: list[list[str]] = field(default_factory=list)
    samples: int = 0


def publish(shard: Written, pool: str, number: int, plan: str, out: str, aside: Path) -> Receipt:
    """Give the files of a shard, written to ``aside`` and checked there, their final names; the receipt comes last."""
    written = names(pool, number)
    digests = {
        written.tar: shard.tar.close(),
        written.offsets: store.write_aside(aside / "idx", index_bytes(shard.tar.offsets)),
        written.records: store.write_aside(aside / "arrow", _arrow(shard.index)),
        written.rejects: store.write_aside(aside / "rejects", _lines(shard.rejects)),
    }
    shard.tar.insist_reads_back()
    receipt = _receipt(shard, pool, number, plan, digests)
    for name, digest in digests.items():
        store.publish(aside / digest.name, store.join(out, name))
    store.write_aside(aside / "receipt", store.canonical(receipt))
    store.publish(aside / "receipt", store.join(out, written.receipt))
    return receipt


def _receipt(shard: Written, pool: str, number: int, plan: str, digests: Mapping[str, FileDigest]) -> Receipt:
    return Receipt(
        schema=SCHEMA,
        pool=pool,
        shard=number,
        plan=plan,
        samples=shard.samples,
        records=len(shard.index),
        files=[FileDigest(name, digest.bytes, digest.sha256) for name, digest in digests.items()],
        ledger=shard.ledger.tallies(),
        removed=sorted(shard.removed),
    )


def _arrow(rows: Sequence[tuple[object, ...]]) -> bytes:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(INDEX)
    table = pa.table([pa.array(column, kind) for column, kind in zip(columns, INDEX.types, strict=True)], schema=INDEX)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, INDEX) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _lines(rejects: Sequence[RejectLine]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in rejects)
