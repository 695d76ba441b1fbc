"""Safe readers: every file is read as hostile. Paths are anything fsspec understands.

Pickles may hold built-in containers and scalars only: nothing in them is ever looked up or called. JSON is decoded
into types; one row of a wrong type is that row's reject, a file that is no JSON is a SourceError naming the place.
"""

import gc
import io
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeVar

import fsspec
import msgspec

from schemas.errors import RecordError, SourceError

T = TypeVar("T")

_MOST_ARRAYS = 100  # an object with more keys than that is a table by id, and no array of it is asked for

# What zipfile raises for directories that are none: NotImplementedError for those of later versions.
_NO_ZIP = (zipfile.BadZipFile, struct.error, OSError, NotImplementedError, ValueError)
_ZIP_HEADER = 30  # bytes before each member; the last four are the lengths of its name and of more fields

# What decoding raises: ValueError for bytes that are no UTF-8 and for integers of thousands of digits.
_NO_JSON = (msgspec.DecodeError, ValueError, RecursionError)


class Broken(msgspec.Struct, frozen=True):
    """An item of a list that could not be typed: its index, why, and the item as it stands in the file."""

    index: int
    why: str
    item: Any


class Outline(NamedTuple):
    """A JSON file from outside: kind, top-level keys (or the first item's), and the first keys within each array.

    ``first`` are the keys of an object's first value, empty where that is no object.
    """

    kind: str
    keys: frozenset[str]
    arrays: Mapping[str, frozenset[str] | None]
    first: frozenset[str] = frozenset()


def join(root: str, *parts: str) -> str:
    """The path below root, one slash before each part; empty parts are left out."""
    path = root
    for part in filter(None, parts):
        path = f"{path if path.endswith('/') else path + '/'}{part.lstrip('/')}"
    return path


def exists(path: str) -> bool:
    """Whether there is a file at the path, or a folder where the path ends in a slash."""
    fs, name = filesystem(path)
    return bool(fs.isdir(name) if path.endswith("/") else fs.isfile(name))


def names(folder: str) -> list[str]:
    """The base names of what lies in a folder, sorted; empty where there is none."""
    fs, name = filesystem(folder)
    if not fs.isdir(name):
        return []
    return sorted(entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(name, detail=False))


def read(path: str) -> bytes:
    """The whole file; SourceError where it cannot be read."""
    fs, name = filesystem(path)
    try:
        with fs.open(name, "rb") as file:
            data: bytes = file.read()
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error or type(error).__name__}") from error
    return data


def members(path: str, most: int) -> Callable[[str], bytes]:
    """A function that gives the bytes of a zip's member by its whole name; the directory is read once, here.

    SourceError where the file is no zip. The function raises RecordError where a member is not there, damaged, neither
    stored nor deflated, or longer than ``most`` bytes. Nothing is written to disk, and no more inflated than is stated.
    """
    data = read(path)
    try:
        directory = zipfile.ZipFile(io.BytesIO(data)).NameToInfo
    except _NO_ZIP as error:
        raise SourceError(f"{path}: not a readable zip: {error}") from error
    return lambda name: _member(data, name, directory.get(name), most)


def _member(data: bytes, name: str, info: zipfile.ZipInfo | None, most: int) -> bytes:
    # Not by zipfile, which opens members one by one as files and takes three times as long for small ones.
    if info is None:
        raise RecordError(f"no such zip member: {name}")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RecordError(f"zip member unreadable: {name} is encrypted, or neither stored nor deflated")
    if info.file_size > most:
        raise RecordError(f"zip member too long: {name}: {info.file_size:,} bytes, at most {most:,}")
    start = info.header_offset + _ZIP_HEADER
    start += sum(int.from_bytes(data[start - at : start - at + 2], "little") for at in (4, 2))  # its name, and more
    packed = data[start : start + info.compress_size]
    try:
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, info.file_size + 1) if deflated else packed
    except zlib.error as error:
        raise RecordError(f"zip member unreadable: {name}: {error}") from error
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise RecordError(f"zip member unreadable: {name} is not the bytes that the zip's directory states")
    return content


def filesystem(path: str) -> tuple[Any, str]:
    """fsspec's file system for a path or URL, and the name in it; SourceError where the protocol is not to be had."""
    try:
        fs, name = fsspec.core.url_to_fs(path)
    except (ImportError, OSError, ValueError) as error:  # a protocol that is unknown, or whose library is not installed
        raise SourceError(f"cannot read {path}: {error}") from error
    return fs, str(name)


def decode(data: bytes | msgspec.Raw, kind: type[T], path: str) -> T:
    """The JSON as that type; SourceError naming the path where it is no JSON or its outline is another."""
    try:
        return msgspec.json.decode(data, type=kind)
    except _NO_JSON as error:
        raise SourceError(f"{path}: not the JSON it should be: {error}") from error


def items(data: bytes | msgspec.Raw, kind: type[T], path: str) -> Iterator[T | Broken]:
    """The items of a JSON list as that type; an item of another type comes as Broken, so that it can be counted."""
    try:
        with collector_resting():
            typed = msgspec.json.decode(data, type=list[kind])  # type: ignore[valid-type]
    except (msgspec.ValidationError, ValueError):
        pass  # some item's fault, or no JSON at all: told apart below
    except _NO_JSON as error:
        raise SourceError(f"{path}: not the JSON it should be: {error}") from error
    else:
        data = b""  # the file goes before its rows come, where nobody else holds it
        yield from typed
        return
    for index, item in enumerate(decode(data, list[msgspec.Raw], path)):
        yield _item(index, item, lambda item=item: msgspec.json.decode(item, type=kind))


def entries(data: bytes | msgspec.Raw, kind: type[T], path: str) -> Iterator[tuple[str, T | Broken]]:
    """The (key, value) pairs of a JSON object whose keys are ids; a value of another type comes as Broken."""
    for index, (key, item) in enumerate(decode(data, dict[str, msgspec.Raw], path).items()):
        yield key, _item(index, item, lambda item=item: msgspec.json.decode(item, type=kind))


def lines(data: bytes, kind: type[T]) -> Iterator[T | Broken]:
    """The items of JSON lines as that type; a line that is none comes as Broken, empty lines are passed over."""
    for index, line in enumerate(data.splitlines()):
        if line.strip():
            yield _item(index, line, lambda line=line: msgspec.json.decode(line, type=kind))


def objects(values: list[Any], kind: type[T]) -> Iterator[T | Broken]:
    """Plain Python values as that type; a value of another type comes as Broken."""
    try:
        yield from msgspec.convert(values, list[kind])  # type: ignore[valid-type]
        return
    except _NO_JSON:
        pass  # some value's fault: told below
    for index, value in enumerate(values):
        yield _item(index, value, lambda value=value: msgspec.convert(value, kind))


def _item(index: int, item: Any, make: Any) -> Any:
    try:
        return make()
    except _NO_JSON as error:
        return Broken(index, str(error), item)


def outline(path: str) -> Outline | None:
    """What the JSON file looks like from outside; None where it is no JSON object or list."""
    try:
        top = msgspec.json.decode(read(path), type=dict[str, msgspec.Raw] | list[msgspec.Raw])
        if isinstance(top, list):
            return Outline("list", _keys(top[0]) if top else frozenset(), {})
        arrays = {key: _first(value) for key, value in islice(top.items(), _MOST_ARRAYS)}
        return Outline("object", frozenset(top), arrays, _keys(next(iter(top.values()))) if top else frozenset())
    except _NO_JSON:
        return None


def _first(value: msgspec.Raw) -> frozenset[str] | None:
    if bytes(memoryview(value)[:1]) != b"[":
        return None
    first = msgspec.json.decode(value, type=list[msgspec.Raw])[:1]
    return _keys(first[0]) if first else None


def _keys(item: msgspec.Raw) -> frozenset[str]:
    try:
        return frozenset(msgspec.json.decode(item, type=dict[str, msgspec.Raw]))
    except msgspec.DecodeError:
        return frozenset()


@contextmanager
def collector_resting() -> Iterator[None]:
    """A whole file is built in here without the cyclic garbage collector, which would walk it again and again.

    It is most of the time that decoding takes, for nothing: plain data holds no cycles that anybody let go of.
    """
    resting = not gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not resting:
            gc.enable()


def _no_bytearray(unpickler: object) -> NoReturn:
    raise pickle.UnpicklingError("it holds a bytearray, and nothing but plain data is allowed")


class _PlainOnly:
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and nothing but plain data is allowed")

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it holds a persistent id, and nothing but plain data is allowed")


class _FastUnpickler(_PlainOnly, pickle.Unpickler):
    pass  # the one in C: only for what was looked through before


class _Unpickler(_PlainOnly, pickle._Unpickler):
    # The one in Python: nine bytes can make the faster one in C fill 64 GB, for an array as long as they say. So can
    # eleven here, by a bytearray.
    dispatch: ClassVar = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _no_bytearray}


_SHORT = 64
# Marks, containers, constants and memo numbers of one byte, small numbers, and the lines of protocol 0.
_FIXED = (
    rb"[\](}aestuldN\x85-\x89]|[qhK].|j....|M..|J....|\x80[\x00-\x02]"
    rb"|g[0-9]{1,18}\n|I(?:0|-?[1-9][0-9]{0,17})\n|[SV][^\n]*\n"
)


def unpickle(path: str) -> Any:
    """The plain data of a pickle (lists, dicts, tuples, strings, numbers); SourceError for anything else.

    Python 2 byte strings are read as UTF-8; bytes that are not become lone surrogates, which text rules then refuse.
    """
    data = read(path)
    try:
        with collector_resting():
            return _unpickled(data)
    except Exception as error:  # a hostile pickle may raise anything at all from the unpickling machine
        raise SourceError(f"{path}: not a plain-data pickle: {error or type(error).__name__}") from error


def _unpickled(data: bytes) -> Any:
    if only_plain_opcodes(data):
        with suppress(Exception):  # what is wrong with it, the other one tells
            file = io.BufferedReader(io.BytesIO(data))
            return _FastUnpickler(file, encoding="utf-8", errors="surrogateescape").load()
    return _Unpickler(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").load()


def only_plain_opcodes(data: bytes) -> bool:
    """Whether a pickle of protocol 0 to 2 names, calls and builds nothing but plain data as large as itself.

    Nor does it put anything aside under a number that a file of its size does not come to: C makes an array that long.
    """
    opcodes, position = _plain_opcodes(len(data)), 0
    while run := opcodes.match(data, position):
        position = run.end()
        if data[position : position + 1] == b"X":  # a text longer than the pattern knows
            position += 5 + int.from_bytes(data[position + 1 : position + 5], "little")
    return data[position:] == b"."


def _plain_opcodes(length: int) -> re.Pattern[bytes]:
    # Runs of so many at most, for the pattern's own stack grows with them. The commonest come first.
    texts = b"|".join(re.escape(n.to_bytes(4, "little")) + b".{%d}" % n for n in range(_SHORT))
    long_put = rb"r..[\x00-%s]\x00" % re.escape(bytes([min(length >> 16, 255)]))
    text_put = rb"p[0-9]{1,%d}\n" % len(str(length // 4))
    return re.compile(rb"(?:%s|%s|X(?:%s)|%s){1,1000}" % (_FIXED, long_put, texts, text_put), re.DOTALL)
