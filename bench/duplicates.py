"""Telling duplicates from hash files: pictures a second and peak memory, exact and near within four bits.

    python bench/duplicates.py [--pictures N ...] [--radius R] [--memory BYTES]

Hash files of 10,000 pictures each are made of random hashes, of which one in ten repeats an earlier picture: a quarter
each by its id, by its bytes, by a likeness two bits off, and by one four bits off. Each run is a process of its own;
its peak is by how much it grew, the byte a picture that it maps from disk included.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines.duplicates import MEMORY, How, duplicates
from pipelines.hashes import PICTURES, sealed

A_FILE = 10_000


def written(folder: Path, pictures: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(7)
    rows = np.zeros(pictures, PICTURES)
    rows["place"] = np.arange(pictures) % A_FILE
    rows["alike"] = 1
    rows["likeness"] = rng.integers(0, 2**64, pictures, np.uint64)
    rows["ids"][:, 0] = rng.integers(0, 2**64, (pictures, 2), np.uint64)
    rows["content"] = rng.integers(0, 2**64, (pictures, 4), np.uint64)
    for fate in range(4):
        later = rng.integers(1, pictures, pictures // 40)
        earlier = (later * rng.random(len(later))).astype(np.int64)
        if fate < 2:
            field = ("ids", "content")[fate]
            rows[field][later] = rows[field][earlier]
        else:
            rows["likeness"][later] = rows["likeness"][earlier] ^ np.uint64((0x8001, 0x8000_0100_0200_0001)[fate - 2])
    for start in range(0, pictures, A_FILE):
        (folder / f"{start // A_FILE:06d}").write_bytes(sealed(rows[start : start + A_FILE]))


def run(folder: Path, how: How, radius: int, memory: int) -> None:
    files, scratch = sorted(folder.iterdir()), folder.parent / "scratch"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    found = duplicates(files, how, radius, scratch, memory)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    pictures = A_FILE * len(files)
    print(
        f"{pictures:>12,} pictures, {how:5} {radius if how == 'near' else ' '}: {pictures / wall:>10,.0f} a second"
        f" ({wall:.1f} s, {cpu:.1f} s of CPU), {peak:.0f} MiB, {sum(found.counts.values()):,} dropped",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--radius", type=int, default=4)
    parser.add_argument("--memory", type=int, default=MEMORY)
    arguments = parser.parse_args()
    for pictures in arguments.pictures:
        with tempfile.TemporaryDirectory() as folder:
            alone(written, Path(folder, "hashes"), pictures)
            for how in ("exact", "near"):
                alone(run, Path(folder, "hashes"), how, arguments.radius, arguments.memory)


def alone(work: Callable[..., None], *values: object) -> None:
    # In a process of its own: the peak of a run is not to hold what came before it.
    process = multiprocessing.get_context("spawn").Process(target=work, args=values)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
