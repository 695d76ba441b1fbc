"""Safe readers: every file is read as hostile. Paths are anything fsspec understands.

JSON is decoded into types; one row of a wrong type is that row's reject, a file that is no JSON is a SourceError naming
the place. Pickles and zips have rooms of their own.
"""

import codecs
import gc
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem

from schemas.errors import SourceError

T = TypeVar("T")

RUN = 2048  # enough to work on at once, few enough to lie in a cache
_GLANCE = 2**16  # bytes in which the first item of an array ends, as a rule
_FIRST, _UTF_8 = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")
_MOST_ARRAYS = 100  # an object with more keys than that is a table by id, and no array of it is asked for

# An escaped backslash, a pair of surrogates, or (the group) one alone: it becomes U+FFFF, which text rules refuse.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)

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


class _Held(io.FileIO):
    def __del__(self) -> None:
        self.close()


def seekable(path: str) -> io.FileIO | io.BytesIO:
    """The file, open to be read here and there: one on a disk as it lies, any other in memory.

    It is closed when nobody holds it any more; SourceError where it cannot be opened.
    """
    fs, name = filesystem(path)
    if not isinstance(fs, LocalFileSystem):
        return io.BytesIO(read(path))
    try:
        return _Held(name)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error or type(error).__name__}") from error


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
        typed: T = _json(data, kind)
    except _NO_JSON as error:
        raise SourceError(f"{path}: not the JSON it should be: {error}") from error
    return typed


class _Key:
    """A key of an object, itself only: what stands there twice is there twice."""

    def __init__(self, name: str) -> None:
        self.name = name


def _key(kind: type, name: Any) -> _Key:
    return _Key(name)


def _json(data: bytes | msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_key)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Python writes lone surrogates and msgspec reads none: one row's text would cost the whole file.
        whole = bytes(memoryview(data))
        mended = _SURROGATES.sub(lambda found: rb"\uffff" if found[1] else found[0], whole)
        if mended == whole:
            raise
        return msgspec.json.decode(mended, type=kind, dec_hook=_key)


def items(data: bytes | msgspec.Raw, kind: type[T], path: str) -> Iterator[T | Broken]:
    """The items of a JSON list as that type; an item of another type comes as Broken, so that it can be counted."""
    for run in runs(data, kind, path):
        if isinstance(run, Broken):
            yield run
        else:
            data = b""  # the file goes before its rows come, where nobody else holds it
            yield from run


def runs(data: bytes | msgspec.Raw, kind: type[T], path: str) -> Iterator[list[T] | Broken]:
    """The same items in lists of some thousands."""
    try:
        with collector_resting():
            typed: list[T] = _json(data, list[kind])  # type: ignore[valid-type]
    except (msgspec.ValidationError, ValueError):
        pass  # some item's fault, or no JSON at all: told apart below
    except _NO_JSON as error:
        raise SourceError(f"{path}: not the JSON it should be: {error}") from error
    else:
        data = b""
        yield from in_runs(typed)
        return
    run: list[T] = []
    for index, item in enumerate(decode(data, list[msgspec.Raw], path)):
        found = _item(index, item, lambda item=item: msgspec.json.decode(item, type=kind))
        if run and (isinstance(found, Broken) or len(run) == RUN):
            yield run
            run = []
        if isinstance(found, Broken):
            yield found
        else:
            run.append(found)
    if run:
        yield run


def in_runs(items: list[T]) -> Iterator[list[T]]:
    """The items in lists of some thousands."""
    return (items[at : at + RUN] for at in range(0, len(items), RUN))


def entries(data: bytes | msgspec.Raw, kind: type[T], path: str) -> Iterator[tuple[str, T | Broken]]:
    """The (key, value) pairs of a JSON object whose keys are ids; a value of another type comes as Broken.

    A key that stands there twice comes twice, where a dict would lose a row.
    """
    for index, (key, item) in enumerate(decode(data, dict[_Key, msgspec.Raw], path).items()):
        yield key.name, _item(index, item, lambda item=item: msgspec.json.decode(item, type=kind))


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
        top = _json(read(path), dict[str, msgspec.Raw] | list[msgspec.Raw])
        if isinstance(top, list):
            return Outline("list", _keys(top[0]) if top else frozenset(), {})
        arrays = {key: _first(value) for key, value in islice(top.items(), _MOST_ARRAYS)}
        return Outline("object", frozenset(top), arrays, _keys(next(iter(top.values()))) if top else frozenset())
    except _NO_JSON:
        return None


def _first(value: msgspec.Raw) -> frozenset[str] | None:
    begin = bytes(memoryview(value)[:_GLANCE])
    if begin[:1] != b"[":
        return None
    with suppress(ValueError):  # what it takes to see the whole array is told below
        first, _ = _FIRST.raw_decode(_UTF_8().decode(begin[1:]).lstrip())  # but a character cut in two
        return frozenset(first if isinstance(first, dict) else ())
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
