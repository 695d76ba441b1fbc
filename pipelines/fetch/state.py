"""What stands in a folder of downloads: with what it was begun, and how each of its slices ended."""

import fcntl
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, get_args

import fsspec
import msgspec

from converters._files import Found
from converters._read import exists, names
from pipelines import store
from pipelines.layout import BUILD
from schemas.errors import ConfigError, ShardError, SourceError

BEGUN = "fetch.json"
SUCCESS, FAILED, UNREADABLE = STATES = ("success", "failed_to_download", "failed_to_resize")
Asker = Literal["boxcar", "img2dataset"]
ASKERS = get_args(Asker)
_STATS = re.compile(r"([0-9]{5,})_stats\.json")
_END_BYTES = 2**20
_TOLD_BYTES = 2**24  # of what says how a folder was begun: ours has some 100 a file of the list
_COUNTS = ("count", "successes", "failed_to_download", "failed_to_resize", "passing")
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[\w.-]{1,64}\Z")]


class Listed(msgspec.Struct, frozen=True):
    """A file of a list: its name, how many bytes it has, and the sha256 of its first and last mebibyte."""

    name: str
    bytes: int
    ends: str


class Begun(msgspec.Struct, frozen=True):
    """What decides what a folder holds: the list, who asks for its links, and what is kept of what they give."""

    source: str
    split: str
    form: str
    files: list[Listed]
    asker: Asker
    image_size: int | None
    opted_out: bool


class _Named(msgspec.Struct, frozen=True):
    source: _Name
    split: _Name


class Stats(msgspec.Struct, frozen=True):
    """How the links of one slice ended, in img2dataset's words; times in seconds.

    ``status_dict`` counts by what became of a link, ``passing`` those that failed for a reason that may pass.
    """

    count: int
    successes: int
    failed_to_download: int
    failed_to_resize: int
    duration: float
    start_time: float
    end_time: float
    status_dict: dict[str, int]
    passing: int = 0


class Standing(msgspec.Struct, frozen=True):
    """Of a finished slice: how many links it has, and how many of them failed for a reason that may pass."""

    count: int
    passing: int


class Total(msgspec.Struct, frozen=True):
    """How the links of all finished slices of a folder ended."""

    slices: int
    links: int
    successes: int
    failed_to_download: int
    failed_to_resize: int
    passing: int
    states: dict[str, int]


class Fetched(msgspec.Struct, frozen=True):
    """What a folder of downloads holds now; ``reused`` of its slices were finished before this run."""

    source: str
    split: str
    form: str
    out: str
    reused: int
    total: Total


def begun(found: Found, source: str, split: str, asker: Asker, image_size: int | None, opted_out: bool) -> Begun:
    """What a run is about to begin a folder with; ``opted_out``: whether pictures that opted out are taken."""
    files = [_listed(path) for path in found.files]
    return Begun(source, split, found.form.name, files, asker, image_size, opted_out)


def _listed(path: str) -> Listed:
    with fsspec.open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        sha = hashlib.sha256(file.read(_END_BYTES))
        file.seek(max(0, size - _END_BYTES))
        sha.update(file.read(_END_BYTES))
    return Listed(path.rpartition("/")[2], size, sha.hexdigest())


@contextmanager
def insist_ours(out: str, wanted: Begun, scratch: Path) -> Iterator[None]:
    """Begin the folder, or go on with one that was begun alike; nobody else on this machine may, until the end.

    ConfigError where it holds anything else, was begun otherwise, or is being filled by another run.
    """
    there = [name for name in names(out) if name != BUILD]
    if BEGUN in there:
        _insist_alike(out, wanted)
    elif there:
        raise ConfigError(f"{out} holds what boxcar fetch did not put there: {there[0]}; choose another --out")
    else:
        store.write_aside(scratch / BEGUN, store.canonical(wanted))
        store.publish(scratch / BEGUN, store.join(out, BEGUN))
    if not store.is_local(out):
        yield
        return
    with (store.local(out) / BEGUN).open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{out} is being filled by another boxcar fetch: wait for its end") from error
        yield


def _insist_alike(out: str, wanted: Begun) -> None:
    path = store.join(out, BEGUN)
    try:
        found = msgspec.json.decode(store.read(path), type=Begun)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not what boxcar fetch writes: {error}") from error
    for field in Begun.__struct_fields__:
        before, now = getattr(found, field), getattr(wanted, field)
        if before != now:
            what = f"{_shown(before)}, this is {_shown(now)}" if field != "files" else _other_file(before, now)
            raise ConfigError(f"{out} was begun with another {field}: {what}; choose another --out")


def told(folder: str) -> tuple[str, str] | None:
    """Of which source and split a folder holds downloads, as the fetch that began it says.

    None where nothing says so, or what does is no such thing: then it is as good as not said. SourceError where it is
    there and cannot be read.
    """
    if not exists(path := store.join(folder, BEGUN)):
        return None
    try:
        with fsspec.open(path, "rb") as file:
            found = msgspec.json.decode(file.read(_TOLD_BYTES), type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error or type(error).__name__}") from error
    return found.source, found.split


def _shown(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _other_file(before: Sequence[Listed], now: Sequence[Listed]) -> str:
    odd = sorted({one.name for one in {*before} ^ {*now}})
    return f"{odd[0]} is not the same" if odd else "they are in another order"


def finished(out: str) -> dict[int, Standing]:
    """How far the finished slices of a folder are, by number; ShardError where a file that should tell does not."""
    return {number: Standing(one.count, one.passing) for number, one in _all(out)}


def total(out: str) -> Total:
    """How the links of all finished slices of a folder ended, the most frequent first."""
    counts, states, slices = Counter[str](), Counter[str](), 0
    for _, one in _all(out):
        slices += 1
        states.update(one.status_dict)
        for field in _COUNTS:
            counts[field] += getattr(one, field)
    ordered = dict(sorted(states.items(), key=lambda state: (state[0] != SUCCESS, -state[1], state[0])))
    return Total(
        slices=slices,
        links=counts["count"],
        successes=counts["successes"],
        failed_to_download=counts["failed_to_download"],
        failed_to_resize=counts["failed_to_resize"],
        passing=counts["passing"],
        states=ordered,
    )


def _all(out: str) -> Iterator[tuple[int, Stats]]:
    for name in names(out):
        if known := _STATS.fullmatch(name):
            path = store.join(out, name)
            try:
                yield int(known[1]), msgspec.json.decode(store.read(path), type=Stats)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ShardError(f"{path}: not the stats of a slice: {error}; remove it to do it again") from error


def stats(states: Iterable[tuple[str, str | None]], passing: int, began: float, ended: float) -> Stats:
    """The stats of a slice whose links ended so: (status, message where it failed)."""
    statuses, messages = Counter[str](), Counter[str]()
    for status, message in states:
        statuses[status] += 1
        messages[message or status] += 1
    counts = (statuses[SUCCESS], statuses[FAILED], statuses[UNREADABLE])
    return Stats(statuses.total(), *counts, ended - began, began, ended, dict(messages.most_common()), passing)
