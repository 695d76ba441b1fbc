"""What img2dataset leaves of one slice of links: ``00000.tar`` or the folder ``00000/``, and two files beside it.

``00000.parquet`` has a row for every link, failures too; ``00000_stats.json`` is written last, so without it the slice
is unfinished. A picture is ``<key>.jpg`` (.png, .webp; what is in it may be anything), ``<key>.json`` beside it holds
its row. Order in a tar is that in which downloads ended; here it is that of the keys. Source: img2dataset, writer.py.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, TypeVar

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from converters._read import Broken, exists, filesystem, objects, read
from converters._table import Piece
from converters._tar import members
from schemas.errors import SourceError

T = TypeVar("T", bound=msgspec.Struct)

_WORDS = ("json", "txt")  # of what lies in an input beside its pictures
_ALWAYS = {"url", "key", "status"}  # columns of every table that img2dataset wrote


def entries(path: str, kind: type[T]) -> Iterator[T | Broken]:
    """Every row of an input in the order of their keys; where its parquet is gone, those of the pictures in it."""
    table = f"{path.removesuffix('/').removesuffix('.tar')}.parquet"
    found = list(_of_table(table, kind) if exists(table) else _of_members(path, kind))
    broken = [entry for entry in found if isinstance(entry, Broken)]
    typed = [entry for entry in found if not isinstance(entry, Broken)]
    yield from sorted(typed, key=attrgetter("key"))
    yield from broken


def pictures(path: str) -> dict[str, Piece]:
    """Where each picture of an input lies, by key; SourceError where two are called the same."""
    found: dict[str, Piece] = {}
    for name, piece in _pieces(path):
        key, _, extension = name.partition(".")
        if extension in _WORDS:
            continue
        if key in found:
            raise SourceError(f"{path}: two pictures are called {key}: wanted one a key")
        found[key] = piece
    return found


def _of_table(path: str, kind: type[T]) -> Iterator[T | Broken]:
    wanted = {field.encode_name for field in msgspec.structs.fields(kind)}
    try:
        with fsspec.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            columns = [name for name in parquet.schema_arrow.names if name in wanted]
            if absent := sorted(_ALWAYS - set(columns)):
                raise SourceError(f"{path}: has no column {absent[0]}: wanted what img2dataset writes beside a slice")
            rows = parquet.read(columns).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{path}: not a readable parquet: {error}") from error
    return objects(rows, kind)


def _of_members(path: str, kind: type[T]) -> Iterator[T | Broken]:
    rows = [(name, piece) for name, piece in _pieces(path) if name.endswith(".json")]
    for place, (name, piece) in enumerate(sorted(rows)):
        data = _bytes(piece)
        try:
            row: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
            yield msgspec.convert({**row, "key": name.partition(".")[0]}, kind)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            yield Broken(place, str(error), data)


def _pieces(path: str) -> Iterator[tuple[str, Piece]]:
    if not path.endswith("/"):
        yield from ((member.name, Piece(path, member.offset, member.bytes)) for member in members(path))
        return
    fs, folder = filesystem(path)
    for entry in sorted(fs.ls(folder.rstrip("/"), detail=True), key=lambda entry: str(entry["name"])):
        if entry["type"] == "file":
            name = str(entry["name"]).rpartition("/")[2]
            yield name, Piece(path + name, 0, entry["size"])


def _bytes(piece: Piece) -> bytes:
    if piece.path.endswith(".tar"):
        with fsspec.open(piece.path, "rb") as file:
            file.seek(piece.offset)
            data: bytes = file.read(piece.bytes)
            return data
    return read(piece.path)
