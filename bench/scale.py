"""A lock over a pool of web size: how long opening takes, how long finding a draw, how much memory ranks hold.

    python bench/scale.py [--shards 14000] [--records 140000000] [--ranks 8]

The pool is its manifest and its receipts; tars and indexes are sparse files of the sizes that those tell, as nothing is
read of them here. Half of the records are of one part, a third of another and the rest of a third one, which joins two
records an item; 16,384 draws make a block. Finding a draw is from its number to shard, sample and places; printed is
the mean over draws in order, as a loader asks, from a place of which nothing is in memory yet, and over draws at
random, of which each needs a table of its own. Times are of CPU, and in brackets on the wall; each row's processes run
at once. Memory is /proc/self/smaps_rollup's: anonymous is what a process has for itself, PSS adds its share of what is
mapped. Files were just written: as far as memory goes, they are in the page cache.
"""

import argparse
import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipelines import store
from pipelines.draws import Draws, drawing
from pipelines.eligible import NUMBER, ROW
from pipelines.layout import MANIFEST, names
from pipelines.locked import lock_digest
from pipelines.manifest import digest_of
from schemas.ledger import Tally
from schemas.lock import LOCK_SCHEMA, Lock, LockedPart, PinnedPool
from schemas.pool import FileDigest, PoolManifest, Receipt
from schemas.prompt import templates
from schemas.record import SCHEMA

POOL, SPLIT = "web", "train"
PARTS = {"grounding": 3, "refer": 2, "caption": 1}  # of six records
JOINED, TEXTS = "caption", 2  # records an item
COUNTS = {"grounding": 8938, "refer": 5958, "caption": 1488}  # of 16,384 draws, by the parts' items
WINDOWS = {"whole": None, "windows": 64}
TAR_BYTES = 512 * 2**20
DRAWS = 20_000


def published(path: Path, value: msgspec.Struct) -> FileDigest:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = store.canonical(value)
    path.write_bytes(data)
    return FileDigest(f"{path.parent.name}/{path.name}", len(data), store.sha256(data))


def write_pool(folder: Path, shards: int, each: int) -> PoolManifest:
    """A pool of so many shards of so many records."""
    tallies = [Tally("web", SPLIT, task, n * each // 6, n * each // 6, [], [], []) for task, n in PARTS.items()]
    receipts, samples = [], each // 2
    for shard in range(shards):
        called = names(POOL, shard)
        files = []
        for name, size in ((called.tar, TAR_BYTES), (called.offsets, 8 * (samples + 1))):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(size)
            files.append(FileDigest(name, size, store.sha256(name.encode())))
        receipt = Receipt(SCHEMA, POOL, shard, store.sha256(b"plan"), samples, each, files, tallies, [])
        receipts.append(published(folder / called.receipt, receipt))
    total = [msgspec.structs.replace(one, candidates=shards * one.candidates, written=shards * one.written)
             for one in tallies]  # fmt: skip
    counts = (shards * samples, shards * each, shards * TAR_BYTES, shards)
    manifest = PoolManifest(
        SCHEMA, POOL, "", "", {"pool": POOL, "codec": "round-100"}, {}, [], *counts, total, receipts, [], {}, ""
    )
    manifest = msgspec.structs.replace(manifest, digest=digest_of(manifest))
    published(folder / MANIFEST, manifest)
    return manifest


def written(path: Path, arrays: Iterator[np.ndarray]) -> FileDigest:
    sha = hashlib.sha256()
    with path.open("wb") as file:
        for one in arrays:
            file.write(one.tobytes())
            sha.update(one.tobytes())
    return FileDigest(path.name, path.stat().st_size, sha.hexdigest())


def write_part(folder: Path, task: str, shards: int, many: int, samples: int) -> LockedPart:
    """The files of a part of so many records of each shard, and what a lock says of it."""
    texts = TEXTS if task == JOINED else 1
    numbers = np.arange(many)
    rows = np.stack([numbers // texts * texts % samples, numbers % texts], 1).astype(ROW)
    stem, items = f"web-{SPLIT}-{task}-{POOL}", many // texts
    row_file = written(folder / f"{stem}.rows", (rows for _ in range(shards)))
    firsts = np.arange(shards + 1) * items
    shard_file = written(folder / f"{stem}.shards", iter([firsts.astype(NUMBER)]))
    joined = None
    if texts > 1:
        begins = (np.arange(items * shard, items * (shard + 1)) * texts for shard in range(shards))
        end = [np.array([shards * many])]
        joined = written(folder / f"{stem}.items", (one.astype(NUMBER) for several in (begins, end) for one in several))
    records = shards * many
    told = ("web", SPLIT, task, 0, 1.0, None, None, None, COUNTS[task], records, records, records, shards * items)
    return LockedPart(*told, [], [], 1.0, 1.0, 0.3, 0.3, 0.3, 12.0, 60, row_file, shard_file, joined)


def write(folder: Path, shards: int, records: int) -> None:
    """The pool, and a lock of it for each of ``WINDOWS``."""
    each = records // shards // 12 * 12
    manifest = write_pool(folder / POOL, shards, each)
    files = folder / "whole.lock"
    files.mkdir()
    parts = [write_part(files, task, shards, n * each // 6, each // 2) for task, n in PARTS.items()]
    worded = {name: list(texts) for name, texts in templates().items()}
    pool = PinnedPool(POOL, manifest.digest, str(folder / POOL), shards, *(manifest.samples, manifest.records), 0,
                      "round-100", worded)  # fmt: skip
    weighed = [{"source": "web", "task": task, "weight": weight} for task, weight in COUNTS.items()]
    mixed = {"stage": "web", "unit": "sample", "parts": weighed, "train": {"steps": 1, "global_batch": 4096}}
    for name, window in WINDOWS.items():
        if name != "whole":
            (folder / f"{name}.lock").symlink_to(files)
        said = (LOCK_SCHEMA, "", "", "web", "sample", 1, window, sum(COUNTS.values()), 4096, records // 4096)
        lock = Lock(*said, mixed, {}, "estimate", [pool], parts, [])
        lock = msgspec.structs.replace(lock, digest=lock_digest(lock))
        (folder / f"{name}.lock.json").write_bytes(store.canonical(lock))


def place(draws: Draws, k: int) -> object:
    part, turn = draws.schedule.at(k)
    return draws._eligible[part].item(draws._orders[part].at(turn).item)


def memory() -> dict[str, float]:
    """What this process holds, in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    told = {name.rstrip(":"): int(size) / 1024 for name, size, *_ in map(str.split, lines)}
    return {"rss": told["Rss"], "pss": told["Pss"], "anonymous": told["Anonymous"]}


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - cpu


def found(draws: Draws, wanted: Sequence[int]) -> list[float]:
    """Microseconds a draw, on the wall and of CPU."""
    took = timed(lambda: [place(draws, k) for k in wanted])
    return [1e6 * one / len(wanted) for one in took]


def rank(lock: Path, number: int) -> None:
    """Open, tell what it cost, wait until the others did too, find draws, tell."""
    before, opened = memory(), list[Draws]()
    told = {"open": timed(lambda: opened.append(drawing(lock)))}
    (draws,) = opened
    total, order = draws.lock.step * draws.lock.steps, random.Random(number)
    start = total // 3 + number * DRAWS
    told["first"] = found(draws, [start])
    told["ordered"] = found(draws, range(start, start + DRAWS))
    told["random"] = found(draws, [order.randrange(total) for _ in range(DRAWS // 10)])
    print(json.dumps(told), flush=True)
    sys.stdin.readline()  # until all hold what they hold
    print(json.dumps({"before": before["anonymous"], **memory()}), flush=True)
    sys.stdin.readline()


def ranks(lock: Path, count: int) -> list[dict[str, Any]]:
    """What so many processes at once tell."""
    words = [sys.executable, __file__, "--rank"]
    some = [subprocess.Popen([*words, str(number), str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for number in range(count)]  # fmt: skip
    told = [json.loads(one.stdout.readline()) for one in some if one.stdout]
    for one in some:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    told = [{**first, **json.loads(one.stdout.readline())} for first, one in zip(told, some, strict=True) if one.stdout]
    for one in some:
        one.communicate("\n")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shards", type=int, default=14_000)
    parser.add_argument("--records", type=int, default=140_000_000)
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--rank", nargs=2, metavar=("NUMBER", "LOCK"), help="be one of the processes")
    arguments = parser.parse_args()
    if arguments.rank:
        return rank(Path(arguments.rank[1]), int(arguments.rank[0]))
    with tempfile.TemporaryDirectory(prefix="boxcar-bench-") as name:
        folder = Path(name)
        took, _ = timed(lambda: write(folder, arguments.shards, arguments.records))
        size = sum(path.stat().st_size for path in (folder / "whole.lock").iterdir())
        print(f"{time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}: {arguments.shards:,} shards, "
              f"{arguments.records:,} records, the lock's files {size / 1e9:.2f} GB, pool.json "
              f"{(folder / POOL / MANIFEST).stat().st_size / 1e6:.1f} MB, written in {took:.0f} s")  # fmt: skip
        print("| order | processes | opening, s | first, us | in order, us | random, us | anonymous, MB | PSS, MB |"
              "\n|---|---|---|---|---|---|---|---|")  # fmt: skip
        for order in WINDOWS:
            for count in (1, arguments.ranks):
                print(row(order, ranks(folder / f"{order}.lock.json", count)))


def row(order: str, told: list[dict[str, Any]]) -> str:
    """A line of the table: medians over processes, of CPU and in brackets on the wall."""

    def middle(key: str, at: int) -> float:
        return statistics.median(one[key][at] for one in told)

    times = [f"{middle(key, 1):{form}} ({middle(key, 0):{form}})"
             for key, form in (("open", ".1f"), ("first", ".0f"), ("ordered", ".0f"), ("random", ".0f"))]  # fmt: skip
    held = {key: statistics.median(one[key] for one in told) for key in ("anonymous", "before", "pss")}
    grown = f"{held['anonymous']:.0f}, {held['before']:.0f} before"
    return f"| {order} | {len(told)} | {' | '.join(times)} | {grown} | {held['pss']:.0f} |"


if __name__ == "__main__":
    main()
