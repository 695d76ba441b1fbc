"""Tests of builds that are broken off: nothing partial at a final name, and running again gives the same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipelines import store
from pipelines.demo.downloads import write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.world import scene
from pipelines.shard import shard
from pipelines.verify import verify
from schemas.errors import BoxcarError
from schemas.pool import pool_config

Config = dict[str, Any]
Tree = dict[str, bytes]
TreeOf = Callable[[Path], Tree]


def begin(config: Config, out: Path, workers: int) -> "subprocess.Popen[str]":
    """The real command, in a session of its own."""
    path = out.parent / "pool.yaml"
    path.write_text(json.dumps(config))
    words = ["shard", str(path), "--out", str(out), "--workers", str(workers)]
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def insist_nothing_partial(out: Path, finished: Tree) -> None:
    """Every file at a final name is whole, a receipt never comes before its shard, pool.json never before all."""
    present = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} if out.exists() else set()
    present = {name for name in present if not name.startswith(".build/")}
    for name in present:
        assert (out / name).read_bytes() == finished[name], name
    for name in present:
        if name.startswith("receipts/"):
            receipt = json.loads((out / name).read_bytes())
            for file in receipt["files"]:
                assert sha256((out / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    if "pool.json" in present:
        assert present == set(finished)


def children(pid: int) -> list[int]:
    """The processes that a process has started, none where it is gone."""
    try:
        found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [child for child in found if b"spawn_main" in _command_line(child)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def insist_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(_command_line(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their driver"
        time.sleep(0.02)


def kill_at(config: Config, out: Path, moment: float) -> bool:
    """Kill a build's driver that many seconds after it began; whether it was still running."""
    with begin(config, out, workers=2) as process:
        time.sleep(moment)
        workers = children(process.pid)
        ended = process.poll() is not None
        process.kill()
    insist_gone(workers)
    return not ended


def streamed(folder: Path) -> Config:
    """A pool of downloads of which some come again, and some are to be removed."""
    rows = [{"url": f"http://a.example/{n % 250}.jpg", "caption": f"picture {n}"} for n in range(300)]
    write_slices(folder / "downloads", rows, lambda number: jpeg(scene(0, number % 200), 0))
    (folder / "list.txt").write_text("http://a.example/7.jpg\nhttp://a.example/77.jpg\n")
    entry = {"name": "cc3m", "root": str(folder / "downloads"), "splits": ["train"]}
    more = {"dedupe": "near", "remove": str(folder / "list.txt"), "shard": {"max_samples": 5}}
    return {"pool": "web", "collections": {}, "sources": [entry], **more}


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "times"), [("gathered", 20), ("streamed", 8)])
def test_a_build_killed_at_any_moment_shows_nothing_partial_and_ends_with_the_same_bytes(
    kind: str, times: int, demo_config: Config, tmp_path: Path, tree: TreeOf
) -> None:
    demo_config = demo_config | {"shard": {"max_samples": 2}} if kind == "gathered" else streamed(tmp_path)
    began = time.monotonic()
    with begin(demo_config, tmp_path / "undisturbed", workers=2) as process:
        assert process.wait(120) == 0, process.stderr
    takes = time.monotonic() - began
    finished, chance, hits = tree(tmp_path / "undisturbed"), random.Random(20), 0
    assert len(finished) > 150
    for number in range(times):
        out = tmp_path / str(number) / "pool"
        out.parent.mkdir()
        # Spread over the whole build, where within its share of it is chance.
        while kill_at(demo_config, out, takes * (0.25 + 0.75 * (number + chance.random()) / times)):
            hits += 1
            insist_nothing_partial(out, finished)
            if chance.random() < 0.5:
                break
        with begin(demo_config, out, workers=2) as process:
            assert process.wait(120) == 0
        assert tree(out) == finished
    print(f"killed {hits} times in builds of {takes:.1f} s")
    assert hits >= times * 3 // 4


def test_a_build_killed_in_its_middle_goes_on_with_what_is_there(
    demo_config: Config, tmp_path: Path, tree: TreeOf
) -> None:
    demo_config["shard"] = {"max_samples": 2}
    shard(pool_config(demo_config, "test"), str(tmp_path / "undisturbed"))
    finished, out = tree(tmp_path / "undisturbed"), tmp_path / "pool"
    with begin(demo_config, out, workers=2) as process:
        _wait_for(lambda: len(list(out.glob("receipts/*.json"))) >= 2, process)
        workers = children(process.pid)
        process.kill()
    assert workers
    insist_gone(workers)
    insist_nothing_partial(out, finished)
    assert not (out / "pool.json").exists()
    built = shard(pool_config(demo_config, "test"), str(out))
    assert 2 <= built.reused < built.manifest.shards
    assert tree(out) == finished


def test_a_killed_worker_takes_only_its_own_task_with_it(demo_config: Config, tmp_path: Path, tree: TreeOf) -> None:
    demo_config["shard"] = {"max_samples": 1}
    shard(pool_config(demo_config, "test"), str(tmp_path / "undisturbed"))
    out = tmp_path / "pool"
    with begin(demo_config, out, workers=2) as process:
        _wait_for(lambda: len(list(out.glob("receipts/*.json"))) >= 2, process)
        (first, *_) = children(process.pid)
        os.kill(first, signal.SIGKILL)
        assert process.wait(120) == 0
    assert tree(out) == tree(tmp_path / "undisturbed")


def test_ctrl_c_leaves_nothing_half_visible_and_says_how_to_go_on(
    demo_config: Config, tmp_path: Path, tree: TreeOf, without_progress: Callable[[str], str]
) -> None:
    demo_config["shard"] = {"max_samples": 1}
    shard(pool_config(demo_config, "test"), str(tmp_path / "undisturbed"))
    finished, out = tree(tmp_path / "undisturbed"), tmp_path / "pool"
    with begin(demo_config, out, workers=2) as process:
        _wait_for(lambda: len(list(out.glob("receipts/*.json"))) >= 2, process)
        workers = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        told, warned = process.communicate(timeout=120)
    assert (process.returncode, told) == (130, "")
    assert without_progress(warned) == "boxcar: interrupted; run the same command again to go on\n"
    insist_gone(workers)
    assert not (out / ".build").exists() and not (out / "pool.json").exists()
    insist_nothing_partial(out, finished)
    shard(pool_config(demo_config, "test"), str(out))
    assert tree(out) == finished


def test_two_builds_of_one_folder_at_once_end_with_the_right_bytes(
    demo_config: Config, demo_pool: Path, tmp_path: Path, tree: TreeOf
) -> None:
    out = tmp_path / "pool"
    with begin(demo_config, out, workers=1) as first, begin(demo_config, out, workers=2) as second:
        results = [(*process.communicate(timeout=120), process.returncode) for process in (first, second)]
    assert [code for _, _, code in results] == [0, 0], results
    assert tree(out) == tree(demo_pool)
    assert verify(str(out)).problems == []


def test_a_disk_that_is_full_at_any_one_file_costs_that_shard_alone(
    demo_files: Path, tmp_path: Path, tree: TreeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "pool": "little",
        "collections": {"coco": f"{demo_files}/coco"},
        "sources": [{"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["val"]}],
        "shard": {"max_samples": 6},
    }
    shard(pool_config(config, "test"), str(tmp_path / "undisturbed"))
    finished, publish = tree(tmp_path / "undisturbed"), store.publish
    assert len([name for name in finished if name.endswith(".tar")]) == 2
    for failing in range(len(finished)):
        calls = iter(range(1000))

        def full(aside: Path, url: str, calls: Any = calls, failing: int = failing) -> None:
            if next(calls) == failing:
                raise OSError(28, "No space left on device")
            publish(aside, url)

        out = tmp_path / str(failing)
        with monkeypatch.context() as patched:
            patched.setattr(store, "publish", full)
            with pytest.raises((BoxcarError, OSError), match="No space left on device"):
                shard(pool_config(config, "test"), str(out))
        assert not (out / ".build").exists() and not (out / "pool.json").exists()
        insist_nothing_partial(out, finished)
        whole = len(list(out.glob("receipts/*.json")))
        assert shard(pool_config(config, "test"), str(out)).reused == whole >= min(1, failing)
        assert tree(out) == finished


def test_a_disk_that_is_full_while_sources_are_read_leaves_nothing(
    demo_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.stage.Staging.flush", full)
    with pytest.raises(OSError, match="No space left on device"):
        shard(pool_config(demo_config, "test"), str(tmp_path / "pool"))
    assert not (tmp_path / "pool").exists()


def _wait_for(ready: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, "the build was over before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
