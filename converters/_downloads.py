"""What img2dataset leaves of one slice of links: ``00000.tar`` or the folder ``00000/``, and two files beside it.

``00000.parquet`` has a row for every link, failures too; ``00000_stats.json`` is written last, so without it the slice
is unfinished; it tells of a ``count`` of links and of ``successes``. A picture is ``<key>.jpg`` (.png, .webp; what is
in it may be anything), ``<key>.json`` beside it holds its row; whatever else lies there is passed over. Order in a tar
is that in which downloads ended; here it is that of the keys. Source: img2dataset, writer.py, downloader.py, logger.py.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec
import msgspec

from converters._read import Broken, decode, exists, filesystem, objects, read
from converters._table import Piece
from converters._tar import members
from schemas.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T", bound=msgspec.Struct)

SUCCESS, FAILED = "success", ("failed_to_download", "failed_to_resize")

_PICTURES = ("jpg", "jpeg", "png", "webp", "gif")
_ALWAYS = ("url", "key", "status")  # columns of every table that img2dataset wrote
_NAME = re.compile(r"[A-Za-z0-9_+=@,~-][A-Za-z0-9_+=@,.~-]*(?:/[A-Za-z0-9_+=@,~-][A-Za-z0-9_+=@,.~-]*)*")
_ROWS = 10_000  # of a table at a time
_MOST_ROWS = 1_000_000  # a hundred times img2dataset's slices
_MOST_TABLE = 2**30  # bytes; a million rows of GRIT's are 500 MB
_MOST_JSON = 2**20  # bytes of the row beside a picture; one of GRIT's has some thousand
_MOST_STATS = 2**26  # bytes; they may hold a message for every link


def entries(path: str, kind: type[T]) -> Iterator[T | Broken]:
    """Every row of an input in the order of their keys; where its parquet is gone, those of the pictures in it.

    Broken are those of another type or of a key that was there before, and pictures without a row where the parquet is
    gone.
    """
    found = _of_table(path, kind) if exists(_beside(path, ".parquet")) else _of_members(path, kind)
    once = list(_once(found))
    yield from sorted((entry for entry in once if not isinstance(entry, Broken)), key=attrgetter("key"))
    yield from (entry for entry in once if isinstance(entry, Broken))


def finished(path: str, kind: type[T]) -> list[T | Broken]:
    """The entries of an input; SourceError where its stats tell of fewer rows, or of other pictures.

    Where they tell of more rows, those are Broken: img2dataset counts a link that its own code tripped over, and writes
    no row for it. Stats that other tools wrote need not tell of any.
    """
    found = list(entries(path, kind))
    if not exists(stats := _beside(path, "_stats.json")):
        return found
    told = _told(stats)
    if exists(_beside(path, ".parquet")):
        count = told.get("count")
        if isinstance(count, int) and len(found) < count <= _MOST_ROWS:
            lost = f"lost row: the table has {len(found):,} of {count:,}"
            return [*found, *(Broken(place, lost, None) for place in range(len(found), count))]
        _insist_as_many(path, len(found), "rows", told, "count")
        _insist_as_many(path, sum(_status(one) == SUCCESS for one in found), "rows of pictures", told, "successes")
    else:
        _insist_as_many(path, len(pictures(path)), "pictures", told, "successes")
    return found


def _status(entry: Any) -> Any:
    return entry.item["status"] if isinstance(entry, Broken) else entry.status


def _insist_as_many(path: str, found: int, what: str, told: Mapping[str, Any], name: str) -> None:
    wanted = told.get(name)
    if isinstance(wanted, int | float) and not isinstance(wanted, bool) and wanted != found:
        stats = _base(_beside(path, "_stats.json"))
        raise SourceError(f"{path}: found {found:,} {what}: wanted {wanted:,}, the {name} in {stats}")


def pictures(path: str) -> dict[str, Piece]:
    """Where each picture of an input lies, by key; SourceError where two are called the same."""
    return _pictures(path, _pieces(path))


def _pictures(path: str, pieces: Iterable[tuple[str, Piece]]) -> dict[str, Piece]:
    found: dict[str, Piece] = {}
    for name, piece in pieces:
        key, _, extension = name.partition(".")
        if extension.lower() not in _PICTURES:
            continue
        if key in found:
            raise SourceError(f"{path}: two pictures are called {key}: wanted one a key")
        found[key] = piece
    return found


def _once(found: Iterable[T | Broken]) -> Iterator[T | Broken]:
    keys = set[str]()
    for place, entry in enumerate(found):
        if isinstance(entry, Broken):
            yield entry
        elif (key := attrgetter("key")(entry)) in keys:
            why = f"repeated key: an earlier row is called {key[:80]!r} too"
            yield Broken(place, why, msgspec.structs.asdict(entry))
        else:
            keys.add(key)
            yield entry


def _of_table(path: str, kind: type[T]) -> Iterator[T | Broken]:
    from converters import _parquet  # and with it pyarrow, 30 MB that only those need who read tables

    wanted, table = {field.encode_name for field in msgspec.structs.fields(kind)}, _beside(path, ".parquet")

    def chosen(names: Sequence[str]) -> list[str]:
        there = Counter(name for name in names if name in wanted)
        if absent := [name for name in _ALWAYS if name not in there]:
            raise SourceError(f"{table}: has no column {absent[0]}: wanted what img2dataset writes beside a slice")
        if twice := [name for name in there if there[name] > 1]:
            raise SourceError(f"{table}: {there[twice[0]]} columns are called {twice[0]}: wanted one")
        return list(there)

    rows, size = list[dict[str, Any]](), 0
    for batch in _parquet.batches(table, chosen, _ROWS, _MOST_ROWS):
        if (size := size + batch.nbytes) > _MOST_TABLE:
            raise SourceError(f"{table}: its rows have more than {_MOST_TABLE:,} bytes: wanted links and words")
        rows += _listed(batch, table)
    return objects(rows, kind)


def _listed(batch: "pa.RecordBatch", table: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except ValueError as error:  # text that is no UTF-8
        raise SourceError(f"{table}: not a readable parquet: {error}") from error
    return rows


def _of_members(path: str, kind: type[T]) -> Iterator[T | Broken]:
    pieces = list(_pieces(path))
    named = [(*name.partition(".")[::2], piece) for name, piece in pieces]
    rows = sorted((key, piece) for key, extension, piece in named if extension == "json")
    loaded = _pictures(path, pieces)
    for place, (key, piece) in enumerate(rows):
        yield _row(place, key, piece, kind)
    for place, key in enumerate(sorted(loaded.keys() - {key for key, _ in rows}), len(rows)):
        yield Broken(place, f"picture without a row: no {key}.json lies beside it, and no parquet", None)


def _row(place: int, key: str, piece: Piece, kind: type[T]) -> T | Broken:
    if piece.bytes > _MOST_JSON:
        return Broken(place, f"over-long row: {key}.json has {piece.bytes:,} bytes, wanted {_MOST_JSON:,}", None)
    data = _bytes(piece)
    try:
        row: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
        return msgspec.convert({**row, "key": key}, kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Broken(place, str(error), data)


def _told(path: str) -> dict[str, Any]:
    fs, name = filesystem(path)
    if (size := int(fs.size(name))) > _MOST_STATS:
        raise SourceError(f"{path}: has {size:,} bytes: wanted the stats of a slice, at most {_MOST_STATS:,}")
    return decode(read(path), dict[str, Any], path)


def _beside(path: str, ending: str) -> str:
    return f"{path.removesuffix('/').removesuffix('.tar')}{ending}"


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _pieces(path: str) -> Iterator[tuple[str, Piece]]:
    """What lies in an input under a name that may be a key's, in its order; nothing else can be a row's."""
    yield from ((name, piece) for name, piece in _files(path) if _NAME.fullmatch(name))


def _files(path: str) -> Iterator[tuple[str, Piece]]:
    if not path.endswith("/"):
        yield from ((member.name, Piece(path, member.offset, member.bytes)) for member in members(path))
        return
    fs, folder = filesystem(path)
    for entry in sorted(fs.ls(folder.rstrip("/"), detail=True), key=lambda entry: str(entry["name"])):
        if entry["type"] == "file":
            name = _base(str(entry["name"]))
            yield name, Piece(path + name, 0, entry["size"])


def _bytes(piece: Piece) -> bytes:
    if piece.path.endswith(".tar"):
        with fsspec.open(piece.path, "rb") as file:
            file.seek(piece.offset)
            data: bytes = file.read(piece.bytes)
            return data
    return read(piece.path)
