"""Lists of links, as they are published: parquet, TSV without a header, JSON arrays of gigabytes; read in batches.

No row is lost: one that cannot be typed (no JSON object, no UTF-8, no TAB in it) comes without a link and a caption, so
that it is counted as malformed. Nothing but the batch at hand is held, save of ``arrays``, whose whole file is.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from converters import _parquet
from converters._link_rows import Values, link_rows
from converters._table import LinkList
from schemas.errors import SourceError

_TEXT = pa.string()
_UNTYPED = (pa.ArrowException, OverflowError, TypeError, ValueError)


def batches(links: LinkList, files: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """At most so many rows at a time: columns url, caption (text), then those of ``keep`` that the files have."""
    if links.kind == "parquet":
        for path in files:
            yield from _columns(links, path, rows)
        return
    found = link_rows(links, files)
    while taken := list(islice(found, rows)):
        yield _batch(links, taken)


def _columns(links: LinkList, path: str, rows: int) -> Iterator[pa.RecordBatch]:
    def chosen(names: Sequence[str]) -> list[str]:
        there = Counter(names)
        wanted = list(dict.fromkeys((links.url, links.caption, *(name for name in links.keep if name in there))))
        for name in wanted:
            if there[name] != 1:
                raise SourceError(f"{path}: {there[name]} columns are called {name}: wanted one of {list(there)}")
        return wanted

    for batch in _parquet.batches(path, chosen, rows):
        kept = [name for name in links.keep if name in batch.schema.names]
        text = [_text(batch.column(name)) for name in (links.url, links.caption)]
        arrays = [*text, *map(batch.column, kept)]
        yield _typed(pa.RecordBatch.from_arrays(arrays, ["url", "caption", *kept]))


def _text(column: pa.Array) -> pa.Array:
    return column if column.type == _TEXT else column.cast(_TEXT, safe=False)


def _typed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with only text in it that is UTF-8, which pyarrow takes on trust."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        singles = [batch.slice(place, 1) for place in range(batch.num_rows)]
        mended = pa.Table.from_batches([one if _valid(one) else _nothing(one) for one in singles], batch.schema)
        (batch,) = mended.combine_chunks().to_batches()
    return batch


def _valid(batch: pa.RecordBatch) -> bool:
    try:
        batch.to_pylist()
    except ValueError:  # UnicodeDecodeError is one
        return False
    return True


def _nothing(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict.fromkeys(batch.schema.names)], batch.schema)


def _batch(links: LinkList, rows: list[Values]) -> pa.RecordBatch:
    """The rows as columns. A kept column's type is what most of its values have; rows of another type lose all."""
    kept = [_arrow_type([row[place] for row in rows]) for place in range(2, 2 + len(links.keep))]
    schema = pa.schema(list(zip(("url", "caption", *links.keep), (_TEXT, _TEXT, *kept), strict=True)))
    columns = list(zip(*rows, strict=True))
    try:
        return pa.RecordBatch.from_arrays(list(map(pa.array, columns, schema.types)), schema=schema)
    except _UNTYPED:
        fitting = [row if _fits(row, schema) else (None,) * len(row) for row in rows]
        return pa.RecordBatch.from_arrays(list(map(pa.array, zip(*fitting, strict=True), schema.types)), schema=schema)


def _arrow_type(values: list[Any]) -> pa.DataType:
    try:
        return pa.array(values).type
    except _UNTYPED:
        types = Counter(_own_type(value) for value in values if value is not None)
        return types.most_common(1)[0][0]


def _own_type(value: Any) -> pa.DataType:
    try:
        return pa.array([value]).type
    except _UNTYPED:
        return pa.null()


def _fits(row: Values, schema: pa.Schema) -> bool:
    try:
        for value, kind in zip(row, schema.types, strict=True):
            pa.array([value], kind)
    except _UNTYPED:
        return False
    return True
