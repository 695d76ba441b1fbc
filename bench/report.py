"""How long a report takes, and what memory, of a pool that the index alone tells of and of one that is read from.

    python bench/report.py [SHARDS]        10,000 pictures a shard, a record each; 100 shards by default

The shards' record indexes differ; the tar of all is one file under many names, with pictures of 20 kB. The first line
is without a record read from tars, the second with some 20,000.
"""

import hashlib
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from pipelines import store
from pipelines.layout import INDEX, MANIFEST, names
from pipelines.manifest import arrow_text, digest_of
from pipelines.report.report import report
from pipelines.tar import TarWriter, index_bytes
from schemas.box import Box
from schemas.dialect import Boxes
from schemas.export import features
from schemas.ledger import Part, Tally
from schemas.pool import FileDigest, PoolManifest, Receipt
from schemas.prompt import Wording
from schemas.record import SCHEMA, ImageRef, Pair, Sample, single_turn

PICTURES, PICTURE_BYTES, WORKERS = 10_000, 20_000, 2
PART = Part("grit", "train", "refer")
BOX = Box(0.1203, 0.2991, 0.4466, 0.8812)


def main(shards: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), shards)
        for samples in (0, 20_000):
            began = time.monotonic()
            told, _ = report(folder, samples=samples, workers=WORKERS)
            took = time.monotonic() - began
            read, workers = told.parts[0].read, f"{WORKERS} workers"
            print(f"{shards:,} shards, {told.records:,} records, {read:,} read from tars: {took:.1f} s with {workers}")
            print(f"peaks: driver {peak(resource.RUSAGE_SELF)} MB, worker {peak(resource.RUSAGE_CHILDREN)} MB")


def peak(who: int) -> int:
    return resource.getrusage(who).ru_maxrss // 1024


def build(pool: Path, shards: int) -> None:
    for name in ("index", "receipts"):
        (pool / name).mkdir()
    tar, offsets = written_tar(pool)
    receipts = [shard(pool, number, tar, offsets) for number in range(shards)]
    count = PICTURES * shards
    ledger = [Tally(*PART, count, count, [], [], [])]
    config = {"codec": "round-100"}
    told = PoolManifest(
        *(
            SCHEMA,
            "bench",
            "",
            "",
            config,
            {},
            [],
            count,
            count,
            0,
            shards,
            ledger,
            receipts,
            [],
            features(),
            arrow_text(),
        )
    )
    (pool / MANIFEST).write_bytes(store.canonical(msgspec.structs.replace(told, digest=digest_of(told))))


def written_tar(pool: Path) -> tuple[FileDigest, bytes]:
    picture = random.Random(0).randbytes(PICTURE_BYTES)
    with TarWriter(pool / "all.tar") as writer:
        for n in range(PICTURES):
            image = ImageRef(f"web/{n}", [], 640, 480, None, None, [])
            slots, reply = [Pair("phrase", f"the man in shirt {n % 97}")], [Boxes(((12, 30, 45, 88),))]
            key = f"grit/train/{n}/refer"
            record = single_turn(
                key, "grit", "train", "refer", slots=slots, reply=reply, boxes=[BOX], wording=Wording()
            )
            writer.add(f"web-{n}", [("jpg", picture), ("json", msgspec.json.encode(Sample(SCHEMA, image, [record])))])
        return writer.close(), index_bytes(writer.offsets)


def shard(pool: Path, number: int, tar: FileDigest, offsets: bytes) -> FileDigest:
    called = names("bench", number)
    (pool / called.tar).hardlink_to(pool / "all.tar")
    (pool / called.offsets).write_bytes(offsets)
    with pa.OSFile(str(pool / called.records), "wb") as file, pa.ipc.new_file(file, INDEX) as writer:
        writer.write_table(index(number))
    records = store.digest(str(pool / called.records), called.records)
    files = [FileDigest(called.tar, tar.bytes, tar.sha256), records]
    receipt = Receipt(SCHEMA, "bench", number, "", PICTURES, PICTURES, files, [], [])
    data = store.canonical(receipt)
    (pool / called.receipt).write_bytes(data)
    return FileDigest(called.receipt, len(data), store.sha256(data))


def index(number: int) -> pa.Table:
    numbers = range(number * PICTURES, (number + 1) * PICTURES)
    shas = [hashlib.sha256(str(n).encode()).hexdigest() for n in numbers]
    constant = {"split": "train", "source": "grit", "task": "refer", "use": "train", "width": 640, "height": 480}
    constant |= {"place": 0, "boxes": 1, "turns": 1, "chars": 60, "min_area": 0.2, "aliases": [], "scores": []}
    said = {
        "sample": np.arange(PICTURES, dtype=np.int32),
        "stem": [f"web-{n}" for n in numbers],
        "image": [f"web/{n}" for n in numbers],
        "record": [f"grit/train/{n}/refer" for n in numbers],
        "sha256": shas,
        "source_sha256": shas,
        "likeness": np.random.default_rng(number).integers(0, 2**64, PICTURES, np.uint64),
    } | {name: [value] * PICTURES for name, value in constant.items()}
    return pa.table([pa.array(said[field.name], field.type) for field in INDEX], schema=INDEX)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
