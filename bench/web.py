"""Web-scale sources: how fast their rows become records, and what memory that takes.

    python bench/web.py [--rows 1000000]

A list of links in GRIT's published layout is written first: synthetic captions, of every hundred some 130 phrases and
150 boxes, as the published figures have it. It is converted in all three ways, without pictures, to JSON lines that are
counted and dropped. The run is a process of its own; memory is the most that it ever held.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

ROW_GROUP = 50_000
TEXT = (
    "a the red old wooden small house dog boat street with near of under table market lake people chair two "
    "windows summer garden café 📷 vintage poster green glass on wall"
)


def write(path: Path, rows: int) -> None:
    """The published columns, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, writer, done = Random(0), None, 0
    while done < rows:
        number = min(ROW_GROUP, rows - done)
        table = pa.Table.from_pylist([row(rng, place) for place in range(done, done + number)])
        writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy")
        writer.write_table(table)
        done += number
    if writer is not None:
        writer.close()


def row(rng: Random, place: int) -> dict[str, Any]:
    words = rng.choices(TEXT.split(), k=rng.randint(6, 16))
    starts = [sum(len(word) + 1 for word in words[:at]) for at in range(len(words) + 1)]
    chunks, expressions = [], []
    for at in range(0, len(words) - 3, 4)[: rng.choice((1, 1, 1, 2))]:
        for _ in range(rng.choice((1, 1, 1, 1, 1, 1, 2))):
            box = boxed(rng)
            chunks.append([float(starts[at]), float(starts[at + 3] - 1), *box])
            expressions.append([float(starts[at]), float(starts[-1] - 1), *box])
    return {
        "clip_similarity_vitb32": rng.random(),
        "clip_similarity_vitl14": rng.random(),
        "id": 1_000_000_000_000 + 7 * place,
        "url": f"https://pictures-{place % 9973}.example.org/uploads/{place}.jpg",
        "caption": " ".join(words),
        "width": 1024,
        "height": 693,
        "noun_chunks": chunks,
        "ref_exps": expressions,
        "key": f"{place:09d}",
    }


def boxed(rng: Random) -> tuple[float, ...]:
    (x1, x2), (y1, y2) = (sorted((rng.random() * 0.7, 0.75 + rng.random() * 0.25)) for _ in range(2))
    return x1, y1, x2, y2, 0.65 + 0.35 * rng.random()


class Counted:
    """A file that counts its lines and bytes, and keeps none."""

    def __init__(self) -> None:
        self.lines = self.bytes = 0

    def write(self, data: bytes | bytearray) -> None:
        """Count some lines in."""
        self.lines += data.count(b"\n")
        self.bytes += len(data)


def convert_grit(folder: str) -> None:
    """One run in this process: seconds, those of CPU, peak memory in MB, records and bytes, as JSON."""
    from converters import find
    from pipelines.convert import convert, job
    from schemas.prompt import Wording

    find("grit")
    out, began, spent = Counted(), time.perf_counter(), time.process_time()
    told = convert(job("grit", folder, "train"), out, Wording())  # type: ignore[arg-type]
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = {tally.task: (tally.candidates, tally.written) for tally in told.ledger}
    took = {"seconds": seconds, "cpu": cpu, "peak": peak}
    print(json.dumps({**took, "records": out.lines, "bytes": out.bytes, "parts": parts}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--convert", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.convert:
        convert_grit(arguments.convert)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "coyo_0_snappy.parquet")
        write(path, arguments.rows)
        print(f"grit: {arguments.rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB of parquet", flush=True)
        told = json.loads(child("--convert", folder))
    rate = {name: number / told["seconds"] for name, number in (("rows", arguments.rows), ("records", told["records"]))}
    print(f"  {told['records']:,} records, {told['bytes'] / 2**20:,.0f} MiB of JSON, in {told['seconds']:.1f} s")
    print(f"  {told['cpu']:.1f} s of CPU, {told['cpu'] / told['records'] * 1e6:.1f} us a record")
    print(f"  {rate['records']:,.0f} records/s, {rate['rows']:,.0f} rows/s, peak memory {told['peak']:,.0f} MB")
    for task, (candidates, written) in told["parts"].items():
        print(f"  {task}: {written:,} written of {candidates:,} candidates")


def child(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return ran.stdout


if __name__ == "__main__":
    main()
