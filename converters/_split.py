"""A JSON array of gigabytes taken apart into its items, a chunk at a time: nothing of it is held but the item at hand.

The scan knows strings and nesting and nothing else; what an item is worth is for its decoder to say.
"""

import re
from collections.abc import Iterator
from typing import IO

import fsspec

from schemas.errors import SourceError

_CHUNK = 2**22  # bytes
_MOST_ITEM = 2**26  # bytes; a row of links and words has some hundred
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_OTHER = rb'[^"{}\[\]]*+'
_OPEN, _CLOSE, _COMMA, _CUT = 1, 2, 3, 4
# An object with nothing nested in it is one token, as most are; a quote alone begins a string that is cut off here.
_TOKEN = re.compile(rb"\{%b(?:%b%b)*+\}|%b|([\[{])|([\]}])|(,)|(\")" % (_OTHER, _STRING, _OTHER, _STRING), re.DOTALL)


def array_items(path: str) -> Iterator[bytes]:
    """The bytes of every item of a file that is one JSON array; SourceError where it is none, or is cut short."""
    try:
        with fsspec.open(path, "rb") as file:
            yield from _items(file, path)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error or type(error).__name__}") from error


def _items(file: IO[bytes], path: str) -> Iterator[bytes]:
    buffer, found = _opened(file, path), 0
    while True:
        items, rest, closed = _whole(buffer)
        found += len(items)
        yield from items
        if closed is not None:
            yield from [rest] if found or rest.strip() else []
            if after := _past_blanks(closed, file):
                raise SourceError(f"{path}: goes on after the array's end with {after[:20]!r}")
            return
        if len(rest) > _MOST_ITEM:
            raise SourceError(f"{path}: item {found:,} has more than {_MOST_ITEM:,} bytes: wanted links and words")
        if not (chunk := file.read(_CHUNK)):
            raise SourceError(f"{path}: cut short: it ends within the array, after {found:,} items")
        buffer = rest + chunk


def _opened(file: IO[bytes], path: str) -> bytes:
    """What follows the bracket that opens the array, as far as the first chunk goes."""
    chunk = _past_blanks(b"", file)
    if not chunk.startswith(b"["):
        raise SourceError(f"{path}: begins with {chunk[:20]!r}: wanted a JSON array")
    return chunk[1:]


def _whole(buffer: bytes) -> tuple[list[bytes], bytes, bytes | None]:
    """The items that end in the buffer, what comes after them; and what follows the array's end, None without it."""
    items, start, depth = list[bytes](), 0, 0
    for token in _TOKEN.finditer(buffer):
        kind = token.lastindex
        if kind == _COMMA and not depth:
            items.append(buffer[start : token.start()])
            start = token.end()
        elif kind == _OPEN:
            depth += 1
        elif kind == _CLOSE and not depth:
            return items, buffer[start : token.start()], buffer[token.end() :]
        elif kind == _CLOSE:
            depth -= 1
        elif kind == _CUT:
            break
    return items, buffer[start:], None


def _past_blanks(data: bytes, file: IO[bytes]) -> bytes:
    """The data from its first letter on, read on where there is none in it; empty at the file's end."""
    while not (data := data.lstrip()) and (chunk := file.read(_CHUNK)):
        data = chunk
    return data
