"""Scratch folders: what dead builds left is removed, what living ones use is not, and nothing stays behind."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.workspace import clean, workspace

HOLD = """
import sys
from pipelines.workspace import workspace
with workspace(sys.argv[1]) as folder:
    (folder / "shard").write_text("half of it")
    print(folder, flush=True)
    sys.stdin.read()
"""
MANY = """
import sys
from pipelines.workspace import workspace
for _ in range(int(sys.argv[2])):
    with workspace(sys.argv[1]) as folder:
        (folder / "shard").write_text("half of it")
        for _ in range(20):
            assert (folder / "shard").read_text() == "half of it"
"""


@contextmanager
def another_build(pool: Path) -> Iterator[tuple[Path, "subprocess.Popen[str]"]]:
    """A build in another process, and its scratch folder."""
    command = [sys.executable, "-c", HOLD, str(pool)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Path(process.stdout.readline().strip()), process
        finally:
            process.kill()


def test_a_local_pools_scratch_folder_lies_inside_it_and_goes_with_it(tmp_path: Path) -> None:
    pool = tmp_path / "pools" / "coco"
    with workspace(str(pool)) as folder:
        assert folder.is_relative_to(pool / ".build")
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
        assert folder.stat().st_dev == pool.stat().st_dev, "publishing would be no rename"
    assert not pool.exists(), "nothing was published, so nothing is there"


def test_what_was_published_stays(tmp_path: Path) -> None:
    with workspace(str(tmp_path / "pool")) as folder:
        (folder / "a").write_text("x")
        (folder / "a").rename(tmp_path / "pool" / "a.tar")
    assert [path.name for path in (tmp_path / "pool").iterdir()] == ["a.tar"]


def test_the_scratch_folder_goes_when_the_build_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workspace(str(tmp_path / "pool")):
        raise KeyboardInterrupt
    assert not (tmp_path / "pool").exists()


def test_a_remote_pools_scratch_folder_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with workspace("memory://a-pool-elsewhere") as folder:
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_two_builds_of_one_pool_have_folders_of_their_own(tmp_path: Path) -> None:
    with workspace(str(tmp_path / "pool")) as one:
        with workspace(str(tmp_path / "pool")) as other:
            assert one != other
        assert one.is_dir()
        assert not other.exists()


def test_a_living_builds_folder_is_not_removed(tmp_path: Path) -> None:
    with another_build(tmp_path / "pool") as (folder, _):
        clean(tmp_path / "pool" / ".build")
        with workspace(str(tmp_path / "pool")):
            assert (folder / "shard").read_text() == "half of it"
        assert (folder / "shard").read_text() == "half of it"


def test_a_killed_builds_folder_is_removed_by_the_next(tmp_path: Path) -> None:
    with another_build(tmp_path / "pool") as (folder, process):
        process.kill()
        process.wait()
        assert (folder / "shard").exists(), "it was not killed in the middle"
        with workspace(str(tmp_path / "pool")) as mine:
            assert not folder.exists()
            assert mine.is_dir()
    assert not (tmp_path / "pool").exists()


def test_a_build_that_only_begins_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The moment between making the folder and holding its lock, when another build cleans up.
    builds = tmp_path / "pool" / ".build"
    real = Path.open

    def open_slowly(path: Path, mode: str = "r") -> object:
        if path.name == "lock" and mode == "w":
            clean(builds)
            opened = real(path, mode)
            clean(builds)
            return opened
        return real(path, mode)

    monkeypatch.setattr(Path, "open", open_slowly)
    with workspace(str(tmp_path / "pool")) as folder:
        monkeypatch.undo()
        assert (folder / "lock").exists()
        clean(builds)
        assert (folder / "lock").exists()


def left_behind(builds: Path, name: str, hours: float = 0.0) -> Path:
    """A folder there, of no process that runs, last changed that long ago."""
    folder = builds / name
    folder.mkdir(parents=True)
    (folder / "shard").write_text("half of it")
    changed = time.time() - 3600 * hours
    os.utime(folder, (changed, changed))
    return folder


def test_a_folder_without_a_lock_is_a_dead_builds(tmp_path: Path) -> None:
    dead = left_behind(tmp_path, "12345-abc_d3fg")
    clean(tmp_path)
    assert not dead.exists()


def test_a_folder_that_is_just_being_made_is_left_for_an_hour(tmp_path: Path) -> None:
    fresh, forgotten = left_behind(tmp_path, "new-abcd"), left_behind(tmp_path, "new-efgh", hours=1.1)
    clean(tmp_path)
    assert fresh.exists()
    assert not forgotten.exists()


def test_what_no_build_made_is_left_alone(tmp_path: Path) -> None:
    foreign = left_behind(tmp_path, "my notes", hours=100)
    (tmp_path / "a file").write_text("x")
    clean(tmp_path)
    assert (foreign / "shard").exists()
    assert (tmp_path / "a file").exists()


def test_many_builds_at_once_never_touch_each_others_folders(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path / "pool"), "100"]
    builds = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [build.communicate(timeout=120)[1] for build in builds] == ["", "", ""]
    assert not (tmp_path / "pool").exists()
