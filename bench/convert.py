"""Annotation files to serialised records: ours, validated and counted, against how people do it today (bench/peers.py).

    python bench/convert.py [--share 1.0] [--rounds 3] [--full] [WORK ...]

Both sides read the same synthetic files (bench/files.py: full published sizes times ``--share``, but a tenth of Visual
Genome unless ``--full``) and write JSON lines to a file. Each run is a process of its own, ours and theirs in turn;
CPU time is that of the work without the imports (and without threads that numpy's OpenBLAS would make there, which spin
for a while), memory the most that the process ever held. Printed are ratios, theirs over ours: above 1 ours is faster,
or smaller.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCES = {"refcoco": "refcoco", "captions": "coco_caption", "genome": "vg", "flickr": "flickr30k_grounded"}
SHARES = {"genome": 0.1}
# What the others write of Flickr30k is every sentence, whatever it grounds.
OPTIONS = {"flickr": {"min_phrases": "1"}}


def ours(work: str, folder: Path, out: Path) -> int:
    from pipelines.convert import convert, job
    from schemas.prompt import Wording

    with out.open("wb") as file:
        told = convert(job(SOURCES[work], str(folder), "train", options=OPTIONS.get(work)), file, Wording())
    return sum(tally.written for tally in told.ledger)


def theirs(work: str, folder: Path, out: Path) -> int:
    from peers import PEERS

    with out.open("w") as file:
        return PEERS[work](folder, file)


def measure(side: str, work: str, folder: Path) -> None:
    """One run in this process: CPU seconds, peak memory in MB and records, as JSON on standard output."""
    run = {"ours": ours, "theirs": theirs}[side]
    _imported(side, work)
    (folder / f"{side}.jsonl").unlink(missing_ok=True)  # to free what a run before wrote is no part of this one
    began = time.process_time()
    records = run(work, folder, folder / f"{side}.jsonl")
    cpu = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "peak": peak, "records": records}))


def _imported(side: str, work: str) -> None:
    if side == "ours":
        from converters import find

        find(SOURCES[work])
        import pipelines.convert  # noqa: F401
    else:
        import peers  # noqa: F401
        import pycocotools.coco  # noqa: F401


def child(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return ran.stdout


def compare(work: str, share: float, rounds: int, folder: Path) -> None:
    child("--write", work, "--share", str(share), "--folder", str(folder))
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for side, found in runs.items():
            found.append(json.loads(child("--side", side, "--folder", str(folder), work)))
    for side, found in runs.items():
        cpu, records = statistics.median(run["cpu"] for run in found), int(found[0]["records"])
        peak = statistics.median(run["peak"] for run in found)
        print(f"  {side:6} {records:>9,} records, {cpu:6.2f} s, {cpu / records * 1e6:6.2f} us each, {peak:6,.0f} MB")
    for what in ("cpu", "peak"):
        pairs = zip(runs["ours"], runs["theirs"], strict=True)
        ratios = sorted(theirs[what] / mine[what] for mine, theirs in pairs)
        middle = statistics.median(ratios)
        print(f"{work}: {what}, theirs / ours: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("work", nargs="*", help=f"some of {', '.join(SOURCES)}; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="of the published sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="all of Visual Genome, not a tenth")
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        from files import WRITERS

        WRITERS[arguments.write](arguments.folder, arguments.share)
    elif arguments.side:
        measure(arguments.side, arguments.work[0], arguments.folder)
    else:
        for work in arguments.work or SOURCES:
            share = arguments.share * (1.0 if arguments.full else SHARES.get(work, 1.0))
            with tempfile.TemporaryDirectory() as folder:
                print(f"{work}: {share:g} of the published size, {arguments.rounds} rounds in turn", flush=True)
                compare(work, share, arguments.rounds, Path(folder))


if __name__ == "__main__":
    main()
