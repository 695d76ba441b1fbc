"""Hash files: what is asked of every picture to find duplicates, in rows of one width, and which pictures are dropped.

A file is a header (the kind of rows and its version, the number of rows, the sha256 of what follows) and the rows. It
is read whole and only if all of it is there, so a half-written one is an error and never fewer pictures.
"""

import hashlib
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.store import read, write_aside
from schemas.errors import ShardError
from schemas.pool import FileDigest

Rows = npt.NDArray[np.void]
Numbers = npt.NDArray[np.uint64]

ID_BYTES, CONTENT_BYTES, MAX_IDS = 16, 32, 2
PICTURES = np.dtype(
    [
        ("place", "<u4"),
        ("alike", "u1"),  # 1 where there is a likeness
        ("likeness", "<u8"),
        ("ids", "<u8", (MAX_IDS, ID_BYTES // 8)),  # zeros: none
        ("content", "<u8", CONTENT_BYTES // 8),
    ]
)
_PICTURE = struct.Struct(f"<IBQ{MAX_IDS * ID_BYTES}s{CONTENT_BYTES}s")  # the same; ids that are not there are zeros
DROPPED = np.dtype([("place", "<u4"), ("reason", "u1")])
KINDS = {PICTURES: b"boxhash1", DROPPED: b"boxdrop1"}  # the digit is the version
HEADER = struct.Struct("<8sQ32s")  # the kind, how many rows, their sha256


class PictureHashes(NamedTuple):
    """What tells a picture from others: its place, hashes of its ids, the sha256 of its bytes, and its likeness.

    ``place`` is its position in its input shard, from 0. ``ids`` are one or two hashes of 16 bytes (of its URL, of a
    published id); 16 zero bytes are no id. ``likeness`` is None where the picture has too little structure for one.
    """

    place: int
    ids: tuple[bytes, ...]
    content: bytes
    likeness: int | None


def write_hashes(path: Path, rows: Iterable[PictureHashes]) -> FileDigest:
    """Write and sync the hash file of one input shard, its rows in order of their places; its digest.

    ShardError where a hash has not its width, or a place does not come after the one before it.
    """
    packed = np.frombuffer(b"".join(map(_packed, rows)), PICTURES)
    _insist_ascending(packed, path)
    return write_aside(path, sealed(packed))


def read_hashes(path: Path) -> Rows:
    """The rows (of dtype ``PICTURES``) of a hash file; ShardError where it is not whole."""
    rows = unsealed(path, PICTURES)
    _insist_ascending(rows, path)
    return rows


def rows_in(path: Path) -> int:
    """How many rows a hash file has by its size, nothing read; ShardError where it is not there."""
    return max(0, size(path) - HEADER.size) // PICTURES.itemsize


def size(path: Path) -> int:
    """The bytes of a file; ShardError where it is not there."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise ShardError(f"cannot read {path}: {error}") from error


def sealed(rows: Rows) -> bytes:
    """The rows as a whole file; their dtype is one of ``KINDS``."""
    data = rows.tobytes()
    return HEADER.pack(KINDS[rows.dtype], len(rows), hashlib.sha256(data).digest()) + data


def unsealed(path: Path, dtype: np.dtype[np.void]) -> Rows:
    """The rows of a file that ``sealed`` made; ShardError where it is missing, of another kind, or not whole."""
    data = read(str(path))
    if len(data) < HEADER.size:
        raise ShardError(f"{path}: {len(data)} bytes, wanted a header of {HEADER.size}")
    kind, count, digest = HEADER.unpack_from(data)
    if kind != KINDS[dtype]:
        raise ShardError(f"{path}: begins with {kind!r}, wanted {KINDS[dtype]!r}")
    wanted = HEADER.size + count * dtype.itemsize
    if len(data) != wanted:
        raise ShardError(f"{path}: {len(data):,} bytes, its {count:,} rows want {wanted:,}")
    if hashlib.sha256(memoryview(data)[HEADER.size :]).digest() != digest:
        raise ShardError(f"{path}: its rows have not the sha256 that its header says")
    return np.frombuffer(data, dtype, offset=HEADER.size)


def _packed(row: PictureHashes) -> bytes:
    widths = {len(one) for one in row.ids}
    if len(row.ids) > MAX_IDS or widths - {ID_BYTES} or len(row.content) != CONTENT_BYTES:
        wanted = f"wanted at most {MAX_IDS} ids of {ID_BYTES} bytes and content of {CONTENT_BYTES}"
        raise ShardError(f"hashes of place {row.place}: ids {row.ids!r}, content {row.content!r}; {wanted}")
    return _PICTURE.pack(row.place, row.likeness is not None, row.likeness or 0, b"".join(row.ids), row.content)


def _insist_ascending(rows: Rows, path: Path) -> None:
    places = rows["place"].astype(np.int64)
    if len(places) > 1 and (wrong := np.flatnonzero(np.diff(places) <= 0)).size:
        before, after = places[wrong[0]], places[wrong[0] + 1]
        raise ShardError(f"{path}: place {after} after place {before}, wanted ascending places")
