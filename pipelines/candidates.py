"""Candidates put by: what the first pass over an input made of its rows, kept for the pass that packs their pictures.

A file is blocks of rows, each compressed, with its own check: some 105 bytes a captioned picture of the web, where its
record has 700. It is read from the block on where the rows that are asked for begin; where one of them is missing that
is an error.
"""

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from pipelines.pictures import Located
from pipelines.stage import Staged
from schemas.errors import ShardError

_ROWS = 500  # of a block: what is held in memory at once
_HEADER = struct.Struct("<QQQQ")  # rows, bytes as they are, bytes compressed, xxh3 of these
_CODEC = "zstd"


class Candidates(msgspec.Struct, frozen=True, array_like=True):
    """All candidates of a row, and its picture: the path is what follows that of the input."""

    found: list[Staged]
    located: Located | None


def put_by(path: Path, rows: Iterable[Candidates]) -> None:
    """Write the rows of an input to a file of their own, in their order."""
    codec, some = pa.Codec(_CODEC, compression_level=1), iter(rows)
    with path.open("wb") as file:
        while block := list(islice(some, _ROWS)):
            data = msgspec.msgpack.encode(block)
            packed = codec.compress(data, asbytes=True)
            file.write(_HEADER.pack(len(block), len(data), len(packed), xxh3_64_intdigest(packed)) + packed)


def taken(path: Path, first: int, end: int) -> Iterator[tuple[int, Candidates]]:
    """The rows ``first`` to before ``end`` of a file, each with its place; ShardError where they are not all there."""
    place = 0
    with path.open("rb") as file:
        while place < end:
            head = file.read(_HEADER.size)
            rows, size, packed, check = _HEADER.unpack(head) if len(head) == _HEADER.size else (0, 0, 0, 0)
            if not rows:
                raise ShardError(f"{path}: ends at row {place:,}: wanted {end:,}")
            if place + rows <= first:
                file.seek(packed, 1)
            else:
                block = _block(file.read(packed), size, check, path)
                yield from islice(enumerate(block, place), max(0, first - place), end - place)
            place += rows


def _block(packed: bytes, size: int, check: int, path: Path) -> list[Candidates]:
    if xxh3_64_intdigest(packed) != check:
        raise ShardError(f"{path}: a block is not as it was written")
    data = pa.Codec(_CODEC).decompress(packed, size, asbytes=True)
    return msgspec.msgpack.decode(data, type=list[Candidates])
