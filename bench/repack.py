"""Streaming: how fast img2dataset tars become a pool, as a share of plain copying; and what memory a driver needs.

    python bench/repack.py [--tars 10] [--pictures 1000] [--side 640] [--rounds 3] [--workers 2]
    python bench/repack.py --curve 10 100 1000

Ten tars of textured pictures are repacked, every picture hashed, indexed, read back and fsynced, against copying the
same tars with as many processes, fsynced too; in turn: once with each picture decoded strictly (the default), once with
no more than its header looked at (``image: {check: header}``). Beside them what no code of ours can go below: a copy
that makes the two sha256 a pool holds (of each picture, of the tar) and reads back what it wrote; and the strict
decoding of the pictures alone, nothing written. With --curve pools of so many small tars (1,000
pictures of 32 pixels each) are built and verified, and the driver's own peak memory is printed beside their number.
"""

import argparse
import io
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from PIL import Image
from xxhash import xxh3_128

SHADES = 16  # different pictures of a tar; the others are these again


def picture(side: int, seed: int) -> bytes:
    """A JPEG with as much detail as a photograph has: noise of several scales."""
    rng, height = np.random.default_rng(seed), max(32, side * 3 // 4)
    field = np.zeros((height, side, 3))
    for scale in (4, 8, 32):
        small = rng.normal(0, 10 * scale**0.5, (height // scale + 2, side // scale + 2, 3))
        field += np.kron(small, np.ones((scale, scale, 1)))[:height, :side]
    file = io.BytesIO()
    Image.fromarray((field + 128).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_tar(folder: Path, number: int, pictures: int, shades: list[bytes], side: int) -> None:
    rows = []
    with tarfile.open(folder / f"{number:05d}.tar", "w") as tar:
        for place in range(pictures):
            key = f"{number:05d}{place:04d}"
            data = shades[place % len(shades)]
            row = {
                "caption": f"picture {place} of tar {number}, as somebody on the web would describe it",
                "url": f"https://pictures.example.org/{number}/{place}.jpg",
                "key": key,
                "status": "success",
                "width": side,
                "height": max(32, side * 3 // 4),
            }
            rows.append(row)
            for name, member in (("jpg", data), ("txt", row["caption"].encode()), ("json", json.dumps(row).encode())):
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member))
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{number:05d}.parquet")
    (folder / f"{number:05d}_stats.json").write_text(json.dumps({"count": pictures, "successes": pictures}))


def write(folder: Path, tars: int, pictures: int, side: int) -> None:
    shades = [picture(side, seed) for seed in range(SHADES)]
    for number in range(tars):
        write_tar(folder, number, pictures, shades, side)


def copied(pair: tuple[Path, Path]) -> None:
    source, target = pair
    with source.open("rb") as there, target.open("wb") as here:
        shutil.copyfileobj(there, here, 2**20)
        here.flush()
        os.fsync(here.fileno())


def hashed(pair: tuple[Path, Path]) -> None:
    from converters._tar import members

    source, target = pair
    pieces = [(piece.offset, piece.bytes) for piece in members(str(source)) if piece.name.endswith(".jpg")]
    whole, check, place = sha256(), xxh3_128(), 0
    with source.open("rb") as there, target.open("wb", buffering=2**20) as here:
        for offset, size in [*pieces, (source.stat().st_size, 0)]:
            for data in (there.read(offset - place), there.read(size)):
                whole.update(data)
                check.update(data)
                here.write(data)
            sha256(data).hexdigest()
            place = offset + size
        here.flush()
        os.fsync(here.fileno())
    found = xxh3_128()
    with target.open("rb", buffering=0) as file:
        while data := file.read(2**17):
            found.update(data)
    assert found.digest() == check.digest()


def decoded(pair: tuple[Path, Path]) -> None:
    from converters._tar import members

    source, _ = pair
    with source.open("rb") as file:
        for piece in members(str(source)):
            if piece.name.endswith(".jpg"):
                file.seek(piece.offset)
                data = file.read(piece.bytes)
                simplejpeg.decode_jpeg(
                    data, "GRAY", fastdct=True, fastupsample=True, min_height=32, min_width=32, strict=True
                )


def in_processes(one: Callable[[tuple[Path, Path]], None], folder: Path, out: Path, workers: int) -> None:
    out.mkdir()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        list(pool.map(one, [(tar, out / tar.name) for tar in folder.glob("*.tar")]))


def repack(folder: Path, out: Path, workers: int, check: str = "strict") -> None:
    from pipelines.shard import shard
    from schemas.pool import pool_config

    entry = {"name": "cc3m", "root": str(folder), "splits": ["train"]}
    config = {"pool": "web", "collections": {}, "sources": [entry], "image": {"check": check}}
    shard(pool_config(config, "bench"), str(out), workers)


def repack_by_header(folder: Path, out: Path, workers: int) -> None:
    repack(folder, out, workers, "header")


SIDES = {
    "copy": partial(in_processes, copied),
    "strict": repack,
    "header": repack_by_header,
    "hashed": partial(in_processes, hashed),
    "decode": partial(in_processes, decoded),
}
TOLD = {
    "strict": "repacked, strictly decoded",
    "header": "repacked, check: header",
    "hashed": "floor: copied, hashed twice, read back",
    "decode": "floor: strictly decoded, nothing written",
}


def child(*arguments: object) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, *map(str, arguments)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measured(side: str, folder: Path, out: Path, workers: int) -> None:
    began = time.perf_counter()
    SIDES[side](folder, out, workers)
    wall = time.perf_counter() - began
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in usage)
    print(
        json.dumps({"wall": wall, "cpu": cpu, "driver": usage[0].ru_maxrss / 1024, "worker": usage[1].ru_maxrss / 1024})
    )


def compare(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, few = Path(scratch) / "tars", Path(scratch) / "few"
        folder.mkdir()
        few.mkdir()
        write(folder, arguments.tars, arguments.pictures, arguments.side)
        write(few, arguments.workers, 1, 32)
        size = sum(tar.stat().st_size for tar in folder.glob("*.tar"))
        pictures = arguments.tars * arguments.pictures
        print(f"{arguments.tars} tars, {size / 1e6:,.0f} MB, {size / pictures / 1000:.0f} kB a picture, "
              f"{arguments.workers} processes")  # fmt: skip
        runs: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {side: [] for side in SIDES}
        for _ in range(arguments.rounds):
            for side, found in runs.items():
                found.append((ran(side, folder, Path(scratch), arguments), ran(side, few, Path(scratch), arguments)))
        for side, found in runs.items():
            wall, start = (statistics.median(one[place]["wall"] for one in found) for place in (0, 1))
            cpu = statistics.median(_going(one, "cpu") for one in found) / pictures * 1000
            print(f"  {side:6} {size / wall / 1e6:6,.0f} MB/s, {wall:6.2f} s, of which a start {start:4.2f}; "
                  f"CPU of a picture {cpu:5.3f} ms")  # fmt: skip
        for side, what in TOLD.items():
            pairs = list(zip(runs["copy"], runs[side], strict=True))
            whole = [copy["wall"] / mine["wall"] for (copy, _), (mine, _) in pairs]
            going, cpu = ([_going(copy, of) / _going(mine, of) for copy, mine in pairs] for of in ("wall", "cpu"))
            print(f"{what}: {shares(whole)} of plain copying; a start taken off {shares(going)}, by CPU {shares(cpu)}")
        floor = [
            _going(least, "cpu") / _going(mine, "cpu")
            for least, mine in zip(runs["hashed"], runs["header"], strict=True)
        ]
        print(f"the floor without decoding takes {shares(floor)} of the CPU that repacking so does")


def _going(one: tuple[dict[str, float], dict[str, float]], what: str) -> float:
    return max(1e-3, one[0][what] - one[1][what])  # a busy machine may start slower than it works


def ran(side: str, folder: Path, scratch: Path, arguments: argparse.Namespace) -> dict[str, float]:
    out = scratch / "out"
    found = child("--side", side, "--folder", folder, "--out", out, "--workers", arguments.workers)
    shutil.rmtree(out)
    shutil.rmtree(scratch / "out.log", ignore_errors=True)
    return found


def shares(found: list[float]) -> str:
    return f"{statistics.median(found):.0%} ({min(found):.0%} to {max(found):.0%})"


def curve(shards: list[int], workers: int) -> None:
    for number in shards:
        with tempfile.TemporaryDirectory() as scratch:
            folder, out = Path(scratch) / "tars", Path(scratch) / "out"
            folder.mkdir()
            write(folder, number, 1000, 32)
            run = child("--side", "strict", "--folder", folder, "--out", out, "--workers", workers)
            seen = child("--side", "verify", "--folder", folder, "--out", out, "--workers", workers)
            print(
                f"{number:6,} shards, {number * 1000:9,} samples: driver {run['driver']:.0f} MB, worker"
                f" {run['worker']:.0f} MB, {run['wall']:.0f} s; verify: driver {seen['driver']:.0f} MB,"
                f" {seen['wall']:.0f} s",
                flush=True,
            )


def verified(out: Path, workers: int) -> None:
    from pipelines.verify import verify

    began = time.perf_counter()
    problems = verify(str(out), workers).problems
    if problems:
        raise SystemExit(f"not whole: {problems[0]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": time.perf_counter() - began, "driver": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tars", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=1000, help="in each")
    parser.add_argument("--side", default="640", help="pixels of a picture's longer side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--curve", type=int, nargs="*", help="numbers of shards")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side == "verify":
        verified(arguments.out, arguments.workers)
    elif arguments.side in SIDES:
        measured(arguments.side, arguments.folder, arguments.out, arguments.workers)
    elif arguments.curve:
        curve(arguments.curve, arguments.workers)
    else:
        arguments.side = int(arguments.side)
        compare(arguments)


if __name__ == "__main__":
    main()
