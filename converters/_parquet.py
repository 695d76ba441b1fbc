"""Reading other people's parquet files, some thousand rows at a time, in memory that is bounded.

Where values come again and again a file of kilobytes can stand for terabytes: columns of text are taken as references
to a dictionary, and measured, before they are written out. Arrow cannot do that for text within lists, so lists of text
are bounded only by what the file itself says of them.
"""

from collections.abc import Callable, Iterator, Sequence

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import SourceError

_MOST_GROUP = 2**32  # bytes of a row group; 13 million rows of LAION's, links and texts, are 2 GB
_MOST_VALUES = 2**27  # of a column within a row group; a million rows of GRIT's are 35 million numbers
_MOST_BATCH = 2**28  # bytes of a batch; 10,000 rows of GRIT's are 5 MB

_TEXT = (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())

Chosen = Callable[[Sequence[str]], Sequence[str]]  # columns, of all those that there are


def batches(path: str, chosen: Chosen, rows: int, most: int | None = None) -> Iterator[pa.RecordBatch]:
    """At most so many rows at a time of the chosen columns, in the types that the file has.

    SourceError where it cannot be read, has more than ``most`` rows, or would fill memory.
    """
    try:
        with fsspec.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            schema, metadata = parquet.schema_arrow, parquet.metadata
            columns = list(chosen(schema.names))
            if most is not None and metadata.num_rows > most:
                raise SourceError(f"{path}: has {metadata.num_rows:,} rows: wanted at most {most:,}")
            _insist_modest(metadata, columns, path)
            parquet = pq.ParquetFile(file, metadata=metadata, read_dictionary=_texts(parquet.schema))
            for batch in parquet.iter_batches(rows, columns=columns):
                if (size := sum(map(_bytes, batch.columns))) > _MOST_BATCH:
                    told = f"{batch.num_rows:,} of its rows have {size:,} bytes"
                    raise SourceError(f"{path}: {told}: wanted at most {_MOST_BATCH:,}")
                yield _plain(batch, schema)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{path}: not a readable parquet: {error}") from error


def _insist_modest(metadata: pq.FileMetaData, columns: Sequence[str], path: str) -> None:
    for number in range(metadata.num_row_groups):
        group, size = metadata.row_group(number), 0
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema.partition(".")[0] not in columns:
                continue
            size += column.total_uncompressed_size
            if column.num_values > _MOST_VALUES or size > _MOST_GROUP:
                told = f"{size:,} bytes, {column.num_values:,} values of {column.path_in_schema}"
                wanted = f"at most {_MOST_GROUP:,} and {_MOST_VALUES:,}"
                raise SourceError(f"{path}: row group {number} has {told}: wanted {wanted}")


def _texts(schema: pq.ParquetSchema) -> list[str]:
    leaves = map(schema.column, range(len(schema)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.path == leaf.name]


def _bytes(array: pa.Array) -> int:
    """How many bytes the array would have with its text written out, save of what says where each text begins."""
    kind = array.type
    if pa.types.is_dictionary(kind) and kind.value_type in _TEXT:
        lengths = pc.binary_length(array.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(array.indices)).as_py() or 0
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _bytes(array.flatten())
    return sum(map(_bytes, array.flatten())) if pa.types.is_struct(kind) else array.nbytes


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    kinds = [schema.field(name).type for name in batch.schema.names]
    arrays = [
        array if array.type == kind else array.cast(kind, safe=False)
        for array, kind in zip(batch.columns, kinds, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)
