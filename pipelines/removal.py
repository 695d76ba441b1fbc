"""Pictures that have to go: a list of links, image ids or hashes, and which shards of a finished pool hold any of them.

A removal is applied while a shard is packed and changes no plan, so a pool from which pictures are removed is rebuilt
in those shards alone, to the very bytes that it would have had, had it been built with the list.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec
import pyarrow as pa

from converters._read import read
from converters._web import web_id
from pipelines import store
from schemas.errors import ConfigError, RecordError, ShardError
from schemas.pool import PoolManifest, Receipt, RejectLine

REMOVED = "removed on request"
_SHA256 = re.compile("[0-9a-f]{64}")
_NAMES = ["aliases", "image", "sha256", "source_sha256"]
_IMAGE = re.compile(r"[a-z0-9_]+/\S+")


def wanted(url: str) -> list[str]:
    """The pictures that a removal list names, each as an image id or as a sha256, sorted.

    Empty lines and lines that begin with ``#`` are passed over; ConfigError for a line that names none.
    """
    try:
        lines = read(url).decode().splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{url}: not a text file: {error}") from error
    named = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return sorted({_named(line, f"{url} line {number}") for number, line in named if line and not line.startswith("#")})


def _named(line: str, where: str) -> str:
    if _SHA256.fullmatch(line.lower()):
        return line.lower()
    if "://" in line:
        try:
            return web_id(line)
        except RecordError as error:
            raise ConfigError(f"{where}: {error}") from error
    if not _IMAGE.fullmatch(line):
        raise ConfigError(f"{where}: found {line[:80]!r}, wanted a link, an image id such as coco/139, or a sha256")
    return line


class Removals:
    """The pictures to remove, as a worker asks for them."""

    def __init__(self, named: Iterable[str]) -> None:
        self._named = frozenset(named)
        self._digests = frozenset(told(self._named))

    def __bool__(self) -> bool:
        return bool(self._named)

    def hits(self, names: Iterable[str | None]) -> bool:
        """Whether the list has any of a picture's names."""
        return any(name in self._named for name in names)

    def explain(self, removed: Iterable[str]) -> bool:
        """Whether the list names a picture of which a receipt says that it was removed."""
        return not self._digests.isdisjoint(removed)


def told(names: Iterable[str]) -> list[str]:
    """What a receipt says of a picture that was removed: the digests of its names, sorted."""
    return sorted({hashlib.blake2b(name.encode(), digest_size=16).hexdigest() for name in names})


def idle(named: Iterable[str], removed: Iterable[Iterable[str]]) -> list[str]:
    """Those of the list that name none of the pictures that were removed."""
    found = {digest for picture in removed for digest in picture}
    return [name for name in named if not found.issuperset(told([name]))]


@lru_cache(maxsize=2)
def removals(path: Path | None) -> Removals:
    """The removals that a file written by ``keep`` holds; none without one."""
    return Removals(path.read_text(encoding="utf-8").splitlines() if path else ())


def keep(named: Iterable[str], path: Path) -> Path:
    """Write the removals where workers find them."""
    path.write_text("\n".join(named), encoding="utf-8")
    return path


def outdated(out: str, receipt: Receipt, asked: Removals) -> bool:
    """Whether a shard that is there holds a picture that is asked to go.

    ConfigError where it lacks one that the list does not name: pictures that had to go never come back unasked.
    """
    lacks = [picture for picture in receipt.removed if not asked.explain(picture)]
    if lacks:
        raise ConfigError(
            f"{out}: {len(lacks)} pictures of shard {receipt.shard} were removed by an earlier list and are not in this"
            " one: give both lists as one, or build the pool anew elsewhere"
        )
    return bool(asked) and any(asked.hits(names) for names in _pictures(out, receipt))


def _pictures(out: str, receipt: Receipt) -> Iterator[list[str | None]]:
    """The names of every picture that a shard holds, or speaks of in its rejects."""
    records, rejects = (store.join(out, file.name) for file in receipt.files[2:4])
    try:
        table = pa.ipc.open_file(store.read(records)).read_all().select(_NAMES)
        lines = [msgspec.json.decode(line, type=RejectLine) for line in store.read(rejects).splitlines()]
    except (pa.ArrowException, msgspec.DecodeError, OSError, ValueError, KeyError) as error:
        raise ShardError(f"{records} or {rejects}: not what a shard has: {error}") from error
    for aliases, *names in zip(*(column.to_pylist() for column in table.columns), strict=True):
        yield [*names, *aliases]
    yield from ([line.image, *line.names] for line in lines)


def changed(before: PoolManifest, after: PoolManifest) -> Mapping[str, tuple[str, str]]:
    """The receipts whose digests differ between two builds of a pool: by name, before and after."""
    old = {file.name: file.sha256 for file in before.receipts}
    return {
        file.name: (old[file.name], file.sha256)
        for file in after.receipts
        if old.get(file.name, file.sha256) != file.sha256
    }
