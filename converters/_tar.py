"""Reading other people's tars: where each member lies, by walking the headers; nothing is extracted.

webdataset writes a PAX header before every member, as its times have fractions; sizes and names are taken from there
where they stand. Links, devices and names that lead elsewhere are refused: no honest archive of pictures holds any. So
is a tar that goes on after its end: readers disagree on whether what comes there is in it.
"""

import re
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple
from zlib import adler32

from converters._read import filesystem
from schemas.errors import SourceError

BLOCK = 512
_ELSEWHERE = re.compile(r"[/\\]|[A-Za-z]:[/\\]|(.*[/\\])?\.\.([/\\].*)?\Z", re.DOTALL)
_MOST_HEADER = 2**16  # bytes of a PAX header, or a name; honest ones are a few lines
_CHUNK = 2**20
_WINDOW = 2**12  # bytes: what lies beside a picture is mostly little, and read with its header
_FILE, _FOLDER, _PAX, _PAX_FOR_ALL, _GNU_NAME = b"0\0", b"5", b"x", b"g", b"L"
_ZEROS = bytes(BLOCK)
_PREFIXED = b"ustar\0"  # only then is there a prefix to the name; GNU's own form has other fields there
_UNSUMMED = b" " * 8  # what the field of the checksum counts as


class Member(NamedTuple):
    """One file in a tar: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    bytes: int


def members(path: str) -> Iterator[Member]:
    """Every file in a tar, in its order; SourceError where it is damaged, cut short, or holds more than plain files."""
    try:
        fs, name = filesystem(path)
        # A buffer would be filled anew after every picture that is passed over.
        with open(name, "rb", buffering=0) if "file" in fs.protocol else fs.open(name, "rb") as file:  # noqa: PTH123
            yield from _walked(file, path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not a readable tar: {error or type(error).__name__}") from error


def _walked(file: IO[bytes], path: str) -> Iterator[Member]:
    end, offset, told, read = file.seek(0, 2), 0, dict[str, str](), _window(file)
    while (header := read(offset, BLOCK)) and header != _ZEROS:
        _insist_whole(header, offset)
        offset += BLOCK
        kind = header[156:157]
        size = int(told["size"]) if "size" in told and kind in _FILE else _number(header[124:136])
        if not 0 <= size <= end - offset:
            raise SourceError(
                f"{path}: cut short: {_stated(header)!r} should end at {offset + size:,}, the tar does at {end:,}"
            )
        if kind in _FILE:
            yield Member(_safe(told.get("path") or _stated(header), path), offset, size)
            told = {}
        elif kind == _PAX:
            told = _records(read(offset, min(size, _MOST_HEADER)), path)
        elif kind == _GNU_NAME:
            told = {"path": _text(read(offset, min(size, _MOST_HEADER))), **told}
        elif kind == _FOLDER:
            told = {}
        elif kind != _PAX_FOR_ALL:
            raise SourceError(f"{path}: {_stated(header)!r} at {offset - BLOCK} is no plain file: type {kind!r}")
        offset += -(-size // BLOCK) * BLOCK
    if not header:
        raise SourceError(f"{path}: cut short: it ends at {end:,} without the two zero blocks that close a tar")
    file.seek(offset)
    while chunk := file.read(_CHUNK):
        if any(chunk):
            raise SourceError(f"{path}: goes on after its end at {offset:,}: wanted one tar")


def _window(file: IO[bytes]) -> Callable[[int, int], bytes]:
    """Reads so many bytes from an offset on: from those that were read last, where they are among them."""
    begin, held = 0, b""

    def read(offset: int, size: int) -> bytes:
        nonlocal begin, held
        if not begin <= offset <= begin + len(held) - size:
            file.seek(offset)
            begin, held = offset, file.read(max(size, _WINDOW))
        return held[offset - begin : offset - begin + size]

    return read


def _insist_whole(header: bytes, offset: int) -> None:
    stated = header[148:156]
    told = _sum(header) - _sum(stated) + sum(_UNSUMMED)
    if len(header) < BLOCK or told != _number(stated):
        raise ValueError(f"no header at {offset:,}, or a damaged one")


def _sum(header: bytes) -> int:
    # The half of Adler-32 that adds up, and begins with 1, is soonest; so few bytes below 128 stay below its modulus.
    return (adler32(header) & 0xFFFF) - 1 if header.isascii() else sum(header)


def _number(field: bytes) -> int:
    """A number as a header has it: octal digits, or where it is too large for them, bytes after one that says so."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    if not digits.isdigit():
        raise ValueError(f"no number: {field!r}")
    return int(digits, 8)


def _stated(header: bytes) -> str:
    """The name that the header itself states."""
    name, prefix = _text(header[:100]), _text(header[345:500]) if header[257:263] == _PREFIXED else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _records(data: bytes, path: str) -> dict[str, str]:
    """The key=value records of a PAX header, each led by its own length in bytes."""
    found, place = dict[str, str](), 0
    while place < len(data):
        length, _, _ = data[place : place + 20].partition(b" ")
        if not length.isdigit() or not len(length) + 1 < int(length) <= len(data) - place:
            raise SourceError(f"{path}: not a PAX header: {data[place : place + 20]!r}")
        key, _, value = data[place + len(length) + 1 : place + int(length) - 1].partition(b"=")
        found[key.decode(errors="replace")] = value.decode(errors="replace")
        place += int(length)
    return found


def _safe(name: str, path: str) -> str:
    if _ELSEWHERE.match(name):
        raise SourceError(f"{path}: a member is called {name!r}: wanted a name that leads nowhere else")
    return name.removeprefix("./")
