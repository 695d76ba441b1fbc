"""What commands do with their words before a verb runs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from converters import collection
from pipelines import store
from pipelines.convert import Converted, Job, SizeOf, convert
from pipelines.pictures import locate, sizes
from schemas.errors import ConfigError, unknown
from schemas.pool import PoolConfig
from schemas.prompt import Wording

ENGINES = ("local",)


def options(settings: Sequence[str], flag: str = "--set", wanted: str = "name=value") -> dict[str, str]:
    """``--set name=value`` as a mapping; ConfigError where there is no equals sign."""
    pairs = [setting.partition("=") for setting in settings]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise ConfigError(f"{flag} {name}: wanted {wanted}")
    return {name: value for name, _, value in pairs}


def insist_engine(name: str) -> None:
    """ConfigError for an engine that is not there."""
    if name not in ENGINES:
        raise ConfigError(unknown("engine", name, ENGINES))


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(asked: int | None, config: PoolConfig, out: str) -> int:
    """The workers asked for, else one a core; one alone where something lives in this process only."""
    return asked or (1 if any(map(store.in_process, (out, *config.places()))) else cores())


def written(job: Job, out: Path | None, wording: Wording, images: Sequence[str], limit: int | None) -> Converted:
    """Convert to a file that appears when it is whole, or to standard output."""
    size = _sizes(job, images) if images else None
    if out is None:
        return convert(job, sys.stdout.buffer, wording, size, limit)
    if out.is_dir() or not out.parent.is_dir():
        raise ConfigError(f"--out {out}: {'is a folder' if out.is_dir() else 'its folder is not there'}, wanted a file")
    aside = out.with_name(f".{out.name}.part")
    try:
        with aside.open("wb") as file:
            told = convert(job, file, wording, size, limit)
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)
    return told


def _sizes(job: Job, images: Sequence[str]) -> SizeOf:
    if job.source.collection is None:
        raise ConfigError(f"--images: {job.source.name} has no pictures")
    return sizes(locate(collection(job.source.collection), images))
