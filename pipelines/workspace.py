"""A build's scratch folder: inside the pool where that is local, so that publishing is a rename.

Each build has its own, held by a lock that the kernel drops when the build's process is gone, however it ended; so a
later build can tell what is left over from what is in use, and two builds of one pool never touch each other's.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pipelines import store
from pipelines.layout import BUILD

_FRESH = "new-"  # of a scratch folder that has no lock yet
_OURS = re.compile(r"[0-9]+-\w+")
_STALE_SECONDS = 3600.0


@contextmanager
def workspace(out: str) -> Iterator[Path]:
    """A scratch folder for building the pool at ``out``, removed at the end together with what dead builds left."""
    if not store.is_local(out):
        with tempfile.TemporaryDirectory(prefix="boxcar-") as elsewhere:
            yield Path(elsewhere)
        return
    builds = store.local(out) / BUILD
    folder, lock = _begun(builds)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _remove_if_empty(builds)


def clean(builds: Path) -> None:
    """Remove the scratch folders of builds that are no longer running, and nothing else that may lie there."""
    for folder in builds.iterdir():
        if _is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _begun(builds: Path) -> tuple[Path, IO[str]]:
    while True:
        with suppress(FileNotFoundError):  # a build that ended has just removed the folder of all scratch folders
            with suppress(FileExistsError):  # exist_ok looks again, and raises where the folder is gone by then
                builds.mkdir(parents=True)
            clean(builds)
            return _locked(Path(tempfile.mkdtemp(prefix=_FRESH, dir=builds)))


def _locked(fresh: Path) -> tuple[Path, IO[str]]:
    # The lock is held before the folder has a name by which another build would ask for it.
    lock = (fresh / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = fresh.with_name(f"{os.getpid()}-{fresh.name.removeprefix(_FRESH)}")
    return fresh.rename(folder), lock


def _is_left_over(folder: Path) -> bool:
    if folder.name.startswith(_FRESH):
        with suppress(FileNotFoundError):
            return time.time() - folder.stat().st_mtime > _STALE_SECONDS
        return False
    return _OURS.fullmatch(folder.name) is not None and not _in_use(folder)


def _in_use(folder: Path) -> bool:
    try:
        with (folder / "lock").open("r+") as lock:  # NFS gives an exclusive lock on a file open for writing only
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _remove_if_empty(builds: Path) -> None:
    with suppress(OSError):  # another build is in there, or the pool was never begun
        builds.rmdir()
        builds.parent.rmdir()
