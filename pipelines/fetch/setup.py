"""An environment of its own for img2dataset, whose requirements disagree with ours; one command makes it.

What it holds stands in ``img2dataset.txt`` beside this file, to the version. It lies in the user's cache folder, under
a name that changes with that list and with Python's version, so what is there once is right for ever.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from schemas.errors import ConfigError

COMMAND = "boxcar fetch --setup"
PINS = Path(__file__).with_name("img2dataset.txt")
PYTHONS = ((3, 11), (3, 12))  # the versions of Python that the pinned list is for
SECONDS = 1800.0
_TOLD = "import sys; print(*sys.version_info[:2])"
_SHOWN = 300
_PROOF = "import img2dataset.main; from importlib.metadata import version; print(version('img2dataset'))"


def home() -> Path:
    """The folder of what was set up: ``boxcar`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boxcar"


def installed(folder: Path) -> Path:
    """The Python of the environment under ``folder``; ConfigError, naming the command, where it was not set up."""
    for python in _pythons():
        if (place := _place(folder, _version(python)) / "ready").exists():
            return place.parent / "bin" / "python"
    raise ConfigError(f"img2dataset is not set up in {folder}: run {COMMAND}")


def prepared(folder: Path) -> Path:
    """The Python of the environment under ``folder``, which is made where it is not there yet.

    ConfigError where this machine has no fitting Python, or where installing fails or what it installs does not run.
    """
    python = next(_pythons(), None)
    if python is None:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        raise ConfigError(f"img2dataset: no Python {wanted} found (this is {sys.version.split()[0]}): install one")
    place = _place(folder, _version(python))
    with _alone(place):
        if not (place / "ready").exists():
            _install(python, place)
            (place / "ready").touch()
    return place / "bin" / "python"


def _install(python: str, place: Path) -> None:
    inner = str(place / "bin" / "python")
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    _run([python, "-m", "venv", "--clear", *(["--without-pip"] if uv else []), str(place)])
    by = [uv, "pip", "install", "--quiet", "--python", inner] if uv else [inner, "-m", "pip", "install", "--quiet"]
    _run([*by, "-r", str(PINS)])
    found, wanted = _run([inner, "-I", "-c", _PROOF]).split()[-1:], _pinned()
    if found != [wanted]:
        raise ConfigError(f"img2dataset: {place} holds version {' '.join(found)}, wanted {wanted}")


def _pinned() -> str:
    name = "img2dataset=="
    return next(line.removeprefix(name) for line in PINS.read_text().splitlines() if line.startswith(name))


def _pythons() -> Iterator[str]:
    named = [shutil.which(f"python{major}.{minor}") for major, minor in reversed(PYTHONS)]
    return (python for python in (sys.executable, *named) if python and _version(python) in PYTHONS)


def _version(python: str) -> tuple[int, ...]:
    # What is on the path under that name may be a stand-in that only says that there is none.
    try:
        done = subprocess.run([python, "-I", "-c", _TOLD], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
        return tuple(map(int, done.stdout.split()))
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()


def _place(folder: Path, version: tuple[int, ...]) -> Path:
    digest = sha256(PINS.read_bytes()).hexdigest()[:12]
    return folder / f"img2dataset-{digest}-py{'.'.join(map(str, version))}"


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(words: Sequence[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(  # noqa: S603
            words, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"img2dataset: {words[0]}: {error}") from error
    if done.returncode:
        why = " ".join((done.stderr or done.stdout).split())[-_SHOWN:]
        raise ConfigError(f"img2dataset: {' '.join(words)[:_SHOWN]} failed: {why or f'exit code {done.returncode}'}")
    return done.stdout
