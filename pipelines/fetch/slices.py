"""A list of links, cut into slices of ten thousand by position alone: a later run cuts it the same."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from schemas.errors import SourceError

ROWS = 10_000  # of a slice; what img2dataset puts into a shard


class Slice(NamedTuple):
    """The links from ``number * ROWS`` on: columns url and caption, then what else the list gives for converters."""

    number: int
    rows: pa.Table


def slices(batches: Iterable[pa.RecordBatch], limit: int | None = None) -> Iterator[Slice]:
    """The slices of a list that comes in batches of any size; ``limit`` ends the last one early.

    Nothing is read beyond the slice that is asked for. SourceError where batches do not fit together.
    """
    number, missing, gathered = 0, ROWS, list[pa.RecordBatch]()
    for batch in _first(batches, limit):
        while batch.num_rows:
            piece = batch.slice(0, missing)
            gathered.append(piece)
            missing -= piece.num_rows
            batch = batch.slice(piece.num_rows)
            if not missing:
                yield Slice(number, _joined(gathered, number))
                number, missing, gathered = number + 1, ROWS, []
    if gathered:
        yield Slice(number, _joined(gathered, number))


def stretched(limit: int, length: Callable[[int], int]) -> int:
    """A limit that cuts nothing off the slice in which it ends, which has ``length(number)`` links already."""
    number = (limit - 1) // ROWS
    return max(limit, number * ROWS + length(number))


def _first(batches: Iterable[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    if limit is None:
        yield from batches
        return
    for batch in batches:
        yield batch.slice(0, limit)
        limit -= batch.num_rows
        if limit <= 0:
            return


def _joined(batches: list[pa.RecordBatch], number: int) -> pa.Table:
    try:
        tables = [pa.Table.from_batches([batch]) for batch in batches]
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise SourceError(f"links from {number * ROWS:,} on: columns do not fit together: {error}") from error


def put_aside(rows: pa.Table, path: Path) -> None:
    """Write a slice's links where the process that asks for them takes them from."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(rows)


def taken_up(path: Path) -> pa.Table:
    """The links that were put aside."""
    with pa.OSFile(str(path), "rb") as file:
        return pa.ipc.open_file(file).read_all()
