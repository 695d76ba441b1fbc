"""A finished slice as img2dataset leaves it: ``00000.tar``, ``00000.parquet`` (a row per link), ``00000_stats.json``.

The key of a picture is the number of its link in the list, ``000010005``. Unlike img2dataset's, the tar is in the order
of its keys and holds no times, so the same answers give the same bytes. Each file is written aside and renamed, the
stats last: without them the slice is unfinished, and the next run goes on with what is there.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from converters._downloads import entries, pictures
from converters._read import Broken, exists
from converters._table import Piece
from pipelines import store
from pipelines.fetch.slices import ROWS
from pipelines.fetch.state import SUCCESS, Stats
from pipelines.tar import TarWriter
from schemas.errors import ConfigError

_INDEX_DIGITS = len(str(ROWS - 1))
_AT_ONCE = 256  # rows that are Python objects at once
_COLUMNS = {
    "status": pa.string(),
    "error_message": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "original_width": pa.int32(),
    "original_height": pa.int32(),
    "exif": pa.string(),
    "sha256": pa.string(),
}


class Outcome(NamedTuple):
    """What became of a link: img2dataset's columns (sizes in pixels, None where there is no picture), and where
    the picture's bytes lie."""

    status: str
    error_message: str | None = None
    width: int | None = None
    height: int | None = None
    original_width: int | None = None
    original_height: int | None = None
    exif: str | None = None
    sha256: str | None = None
    piece: Piece | None = None


class Spool:
    """Bytes put aside in one scratch file, so that memory holds only what is on its way."""

    def __init__(self, path: Path) -> None:
        self._path, self._end = path, 0
        self._file = path.open("w+b", buffering=0)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink()

    def add(self, data: bytes) -> Piece:
        """Put bytes aside; one thread at a time."""
        written = 0
        while written < len(data):
            written += self._file.write(memoryview(data)[written:])
        piece = Piece(str(self._path), self._end, len(data))
        self._end += len(data)
        return piece

    def read(self, piece: Piece) -> bytes:
        """What was put aside there; in any thread."""
        return os.pread(self._file.fileno(), piece.bytes, piece.offset)


class _Entry(msgspec.Struct, frozen=True):
    url: str | None = None
    key: str = ""
    status: str = ""
    error_message: str | None = None
    width: int | None = None
    height: int | None = None
    original_width: int | None = None
    original_height: int | None = None
    exif: str | None = None
    sha256: str | None = None


def named(number: int) -> str:
    """What the files of a slice are called before their extensions."""
    return f"{number:05d}"


def key(number: int, index: int) -> str:
    """The key of the link at that place of a slice."""
    return f"{named(number)}{index:0{_INDEX_DIGITS}d}"


def known(out: str, number: int, urls: Sequence[str | None]) -> dict[int, Outcome]:
    """What earlier runs found out about a slice's links, by their places in it, as far as the pictures are there.

    ConfigError where they were others, or more. Where only the tar was published, what stands in it is known.
    """
    rows, pieces = _published(out, number)
    if (there := _length(rows, pieces)) > len(urls):
        raise ConfigError(f"{out}: {named(number)} has {there:,} links, found {len(urls):,}: choose another --out")
    found = {}
    for entry in rows:
        index = _index(entry.key)
        if entry.url != urls[index]:
            raise ConfigError(
                f"{out}: {entry.key} was {entry.url}, in the list it is {urls[index]}: choose another --out"
            )
        if entry.status != SUCCESS or entry.key in pieces:
            words = {name: getattr(entry, name) for name in Outcome._fields[:-1]}
            found[index] = Outcome(**words, piece=pieces.get(entry.key) if entry.status == SUCCESS else None)
    return found


def length(out: str, number: int) -> int:
    """How many links a slice has that was published, finished or not: up to the last that has a row or a picture."""
    return _length(*_published(out, number))


def _length(rows: Sequence[_Entry], pieces: Mapping[str, Piece]) -> int:
    return max((_index(key) + 1 for key in (*pieces, *(row.key for row in rows))), default=0)


def _index(key: str) -> int:
    return int(key[-_INDEX_DIGITS:])


def _published(out: str, number: int) -> tuple[list[_Entry], dict[str, Piece]]:
    tar, table = (store.join(out, f"{named(number)}.{kind}") for kind in ("tar", "parquet"))
    packed = exists(tar)
    found = entries(tar, _Entry) if packed or exists(table) else ()
    return [one for one in found if not isinstance(one, Broken)], pictures(tar) if packed else {}


def table(number: int, links: pa.Table, outcomes: Sequence[Outcome]) -> pa.Table:
    """All rows of a slice in img2dataset's columns: those kept of the list, caption, url, key, what became of it."""
    kept = [name for name in links.column_names if name not in ("url", "caption")]
    whole = links.select([*kept, "caption", "url"])
    whole = whole.append_column("key", pa.array([key(number, index) for index in range(len(outcomes))], pa.string()))
    for name, kind in _COLUMNS.items():
        whole = whole.append_column(name, pa.array([getattr(one, name) for one in outcomes], kind))
    return whole


def publish(
    out: str, aside: Path, number: int, rows: pa.Table, outcomes: Sequence[Outcome], told: Callable[[], Stats]
) -> Stats:
    """Write a slice's three files aside, then give them their final names; what ``told`` last gives of them.

    Stats of an earlier run go first: until the new ones are there the slice is unfinished, but nothing of it is lost,
    as the new tar holds every picture that the old one did, and rows say that they have one only once it is there.
    """
    name = named(number)
    with reading() as read:
        _write_tar(aside / f"{name}.tar", rows, outcomes, read)
    store.write_aside(aside / f"{name}.parquet", _parquet(rows))
    stats = told()
    store.write_aside(aside / f"{name}_stats.json", store.canonical(stats))
    if exists(final := store.join(out, f"{name}_stats.json")):
        store.remove(final)
    for file in (f"{name}.tar", f"{name}.parquet", f"{name}_stats.json"):
        store.publish(aside / file, store.join(out, file))
    return stats


def _write_tar(path: Path, rows: pa.Table, outcomes: Sequence[Outcome], read: Callable[[Piece], bytes]) -> None:
    pieces = iter(outcomes)
    with TarWriter(path) as tar:
        for batch in rows.to_batches(max_chunksize=_AT_ONCE):
            for row in batch.to_pylist():
                if (piece := next(pieces).piece) is not None:
                    words = msgspec.json.format(msgspec.json.encode(row), indent=4)
                    text = (row["caption"] or "").encode()
                    tar.add(row["key"], (("jpg", read(piece)), ("txt", text), ("json", words)))
        tar.close()


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


@contextmanager
def reading() -> Iterator[Callable[[Piece], bytes]]:
    """A function that reads pieces of files, each of which is opened once."""
    files: dict[str, IO[bytes]] = {}
    with ExitStack() as stack:

        def read(piece: Piece) -> bytes:
            if piece.path not in files:
                files[piece.path] = stack.enter_context(fsspec.open(piece.path, "rb"))
            files[piece.path].seek(piece.offset)
            return files[piece.path].read(piece.bytes)

        yield read
