"""Five thousand links, one in ten amiss: each ends in its state, memory stays flat, and SIGKILL changes nothing."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from converters._downloads import pictures
from pipelines.demo.draw import jpeg
from pipelines.demo.misbehaviour import MISBEHAVIOURS
from pipelines.demo.publish import world
from pipelines.demo.server import Server, misbehaving

LINKS, SLICE = 5000, 500
LINGERING = 24 * 2**20  # bytes that five times as many links may add to what a worker takes at most
READ_AS = dict.fromkeys(("truncated-jpeg", "longer-than-stated"), "damaged picture") | {"html-as-jpg": "no picture"}
DRIVE = """
import sys
from pipelines.fetch import slices
from pipelines.fetch.client import Limits
from pipelines.fetch.run import Order, fetch

if __name__ == "__main__":
    slices.ROWS, root, out = int(sys.argv[1]), *sys.argv[2:]
    limits = Limits(max_bytes=2**20, total_seconds=5, per_host=64, allow_hosts=frozenset({"127.0.0.1", "localhost"}))
    print(fetch(Order("cc3m", root, "train", image_size=448, limits=limits), out, workers=2).total)
"""
pytestmark = pytest.mark.heavy


def begin(folder: Path, out: Path, rows: int = SLICE) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVE, str(rows), str(folder), str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def write_list(folder: Path, lines: list[tuple[str, str]]) -> None:
    text = "".join(f"{caption}\t{link}\n" for caption, link in lines)
    (folder / "Train_GCC-training.tsv").write_text(text)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {f"{scene.index}.jpg": jpeg(scene, 3) for scene in world(LINKS, seed=3).scenes}


@pytest.fixture
def server(files: dict[str, bytes]) -> Iterator[Server]:
    with misbehaving(files) as running:
        yield running


def links(server: Server) -> Iterator[tuple[str, str, str]]:
    """Caption, link and state of each; what is amiss names its host otherwise, as some of it asks for pauses of all."""
    names = sorted(MISBEHAVIOURS)
    for number in range(LINKS):
        if number % 10:
            yield f"good {number}", server.url(f"{number}.jpg"), "success"
            continue
        name = names[number // 10 % len(names)]
        link = server.url(f"{name}/{number}.jpg").replace("127.0.0.1", "localhost")
        yield f"{name} {number}", link, MISBEHAVIOURS[name].reason or READ_AS.get(name, "success")


def data(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".tar", ".parquet")}


def insist_whole(out: Path, finished: dict[str, bytes]) -> int:
    """Everything under a final name is as it is in the end; how many slices are there."""
    for name, found in data(out).items() if out.exists() else ():
        assert found == finished[name], name
    done = list(out.glob("*_stats.json"))
    for path in done:
        for kind in ("tar", "parquet"):
            assert path.with_name(f"{path.name[:5]}.{kind}").exists()
    return len(done)


def kill_at(folder: Path, out: Path, moment: float, all_: bool) -> bool:
    """Kill a run's driver, or all of its processes, that many seconds after it began; whether it was still at work."""
    with begin(folder, out) as process:
        time.sleep(moment)
        if process.poll() is not None:
            return False
        os.killpg(process.pid, signal.SIGKILL) if all_ else process.kill()
    return True


def test_every_link_ends_in_its_state_and_killing_changes_nothing(server: Server, tmp_path: Path) -> None:
    expected = {caption: state for caption, _, state in links(server)}
    write_list(tmp_path, [(caption, link) for caption, link, _ in links(server)])
    began = time.monotonic()
    with begin(tmp_path, tmp_path / "undisturbed") as process:
        told, warned = process.communicate(timeout=300)
    takes = time.monotonic() - began
    assert process.returncode == 0, warned
    out = tmp_path / "undisturbed"
    rows = [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert {row["caption"]: row["error_message"] or row["status"] for row in rows} == expected
    assert [row["caption"] for row in rows] == list(expected), "in the order of the list"
    counted = Counter[str]()
    for path in out.glob("*_stats.json"):
        counted.update(json.loads(path.read_bytes())["status_dict"])
    assert counted == Counter(expected.values())
    kept = [key for path in sorted(out.glob("*.tar")) for key in pictures(str(path))]
    assert kept == [row["key"] for row in rows if row["status"] == "success"]
    assert server.canary_connections == 0
    finished, chance, hits = data(out), random.Random(5), 0
    assert len(finished) == 2 * LINKS / SLICE
    for number in range(3):
        again, before = tmp_path / str(number), 0
        while kill_at(tmp_path, again, takes * chance.uniform(0.2, 0.7), hits % 2 == 0):
            hits += 1
            there = insist_whole(again, finished)
            assert there >= before
            before = there
        assert data(again) == finished
        assert [path.name for path in again.iterdir() if path.name.startswith(".")] == []
    print(f"\n{LINKS:,} links in {takes:.0f} s; killed {hits} times: {told}")
    assert hits >= 3
    assert server.canary_connections == 0


def peak(pid: int) -> int:
    """The largest resident memory that a process has had so far, 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def peaks(folder: Path, out: Path) -> tuple[int, int]:
    """The largest resident memory of the driver, and of any process that it started."""
    driver = worker = 0
    with (folder / "told").open("w") as told, begin(folder, out, 10_000) as process:
        told.write(str(process.pid))
        while process.poll() is None:
            driver = max(driver, peak(process.pid))
            worker = max([worker, *map(peak, children(process.pid))])
            time.sleep(0.02)
        assert process.returncode == 0, process.stderr and process.stderr.read()
    return driver, worker


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_slice(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.effect_noise((640, 480), 70).convert("RGB").save(file, "JPEG", quality=90)
    found = {}
    with misbehaving({"cat.jpg": file.getvalue()}) as server:
        for number in (1000, LINKS):
            folder = tmp_path / str(number)
            folder.mkdir()
            write_list(folder, [(f"a cat {one}", server.url(f"cat.jpg?{one}")) for one in range(number)])
            began = time.monotonic()
            found[number] = peaks(folder, folder / "out")
            rate = number / (time.monotonic() - began)
            assert len(pictures(str(folder / "out/00000.tar"))) == number
            shown = ", ".join(f"{size / 2**20:.0f}" for size in found[number])
            print(f"\n{number:,} pictures of {len(file.getvalue()):,} bytes, {rate:.0f}/s: driver, worker {shown} MiB")
    assert found[LINKS][0] - found[1000][0] < LINGERING
    assert found[LINKS][1] - found[1000][1] < LINGERING
