"""Writing shards: our tar with offsets and sha256, against webdataset's TarWriter, which makes neither.

    python bench/tar.py [--samples N] [--rounds N]

Both write the same 105 KB pictures and 0.8 KB JSON, in turn, in one process, to the same disk; printed are ratios of
CPU time and of wall time, peer over ours.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import webdataset

from pipelines.tar import TarWriter


def ours(path: Path, samples: int, picture: bytes, text: bytes) -> None:
    writer = TarWriter(path)
    for number in range(samples):
        writer.add(f"coco-{number}", [("jpg", picture), ("json", text)])
    writer.close()


def peer(path: Path, samples: int, picture: bytes, text: bytes) -> None:
    with webdataset.TarWriter(str(path), mtime=0) as writer:
        for number in range(samples):
            writer.write({"__key__": f"coco-{number}", "jpg": picture, "json": text})
    with path.open("rb") as file:
        os.fsync(file.fileno())


def timed(work: Callable[[], None]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    picture, text = os.urandom(105_000), b'{"records":[' + b" " * 780 + b"]}"
    print(f"webdataset {version('webdataset')}, {arguments.samples:,} samples, {arguments.rounds} rounds in turn")
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            mine = timed(lambda: ours(Path(folder, "a.tar"), arguments.samples, picture, text))
            theirs = timed(lambda: peer(Path(folder, "b.tar"), arguments.samples, picture, text))
            pairs.append((mine, theirs))
    for place, what in enumerate(("CPU", "wall")):
        ratios = sorted(theirs[place] / mine[place] for mine, theirs in pairs)
        print(f"webdataset / ours, {what}: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
