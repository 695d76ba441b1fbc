"""What ``boxcar fetch`` does with its words before any link is asked for."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pipelines.fetch import setup
from pipelines.fetch.state import ASKERS
from schemas.errors import ConfigError, unknown

NEEDED = ("aiohttp", "cv2")
LEAST = 16  # pixels of a shorter side that may be asked for


def insist_installed() -> None:
    """ConfigError where what only this command needs is not there."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(f"boxcar fetch needs {' and '.join(missing)}: pip install 'boxcar[fetch]'")


def pixels(words: str) -> int | None:
    """``--image-size`` as a number of pixels, None for ``none``; ConfigError where it is neither."""
    if words == "none":
        return None
    if not (words.isascii() and words.isdigit() and LEAST <= int(words[:9]) < 2**16):
        raise ConfigError(f"--image-size {words}: wanted a number of pixels of at least {LEAST}, or none")
    return int(words)


def asking(by: str, folder: Path | None = None) -> Path | None:
    """The Python of the img2dataset that was set up where that is to ask, None where we do; ConfigError for others."""
    if by not in ASKERS:
        raise ConfigError(f"--with: {unknown('downloader', by, ASKERS)}")
    return setup.installed(folder or setup.home()) if by == "img2dataset" else None


def bare_hosts(hosts: Sequence[str]) -> frozenset[str]:
    """The hosts that may be at private addresses; ConfigError where one is more than a host."""
    for host in hosts:
        if "/" in host or not host:
            raise ConfigError(f"--allow-host {host}: wanted a host alone, such as 127.0.0.1")
    return frozenset(hosts)
