"""A build's scratch folder: inside the pool where that is local, so that publishing is a rename.

Each build has its own, held by a lock that the kernel drops when the build's process is gone, however it ended; so a
later build can tell what is left over from what is in use, and two builds of one pool never touch each other's.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines import store
from pipelines.layout import BUILD


@contextmanager
def workspace(out: str) -> Iterator[Path]:
    """A scratch folder for building the pool at ``out``, removed at the end together with what dead builds left."""
    if not store.is_local(out):
        with tempfile.TemporaryDirectory(prefix="boxcar-") as elsewhere:
            yield Path(elsewhere)
        return
    builds = store.local(out) / BUILD
    builds.mkdir(parents=True, exist_ok=True)
    clean(builds)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=builds))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _remove_if_empty(builds)


def clean(builds: Path) -> None:
    """Remove the scratch folders of builds that are no longer running."""
    for folder in builds.iterdir() if builds.is_dir() else ():
        if not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    try:
        with (folder / "lock").open() as lock:
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
