"""Reading the many small members of an annotation zip in place; nothing is ever extracted to disk."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial

from converters._read import seekable
from schemas.errors import RecordError, SourceError

# What zipfile raises for directories that are none: NotImplementedError for those of later versions.
_NO_ZIP = (zipfile.BadZipFile, struct.error, OSError, NotImplementedError, ValueError)
_LOCAL = 30  # bytes before each member; the last four are the lengths of its name and of more fields
_MORE = 128  # read at once with it, for these
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s2x3H4x3L3H8xL")
_STATED = struct.Struct("<8x2H4x3L14xL")  # what a _Listed is of such an entry
_LENGTHS = struct.Struct("<2H")
_File = io.FileIO | io.BytesIO
_LATEST, _ENCRYPTED, _LONG = 63, 1, 2**32 - 1


_Listed = tuple[int, int, int, int, int, int]  # flags, method, CRC, size packed and not, where it begins: of a member


def members(path: str, most: int) -> Callable[[str], bytes]:
    """A function that gives the bytes of a zip's member by its whole name; the directory is read once, here.

    SourceError where the file is no zip. The function raises RecordError where a member is not there, damaged, neither
    stored nor deflated, or longer than ``most`` bytes. Nothing is written to disk, and no more inflated than is stated.
    """
    file = seekable(path)
    try:
        listed = _directory(file) or _any_directory(file)
    except _NO_ZIP as error:
        raise SourceError(f"{path}: not a readable zip: {error}") from error
    return partial(_member, file, listed, most)


def _any_directory(file: _File) -> Callable[[str], _Listed | None]:
    known = zipfile.ZipFile(file).NameToInfo

    def listed(name: str) -> _Listed | None:
        info = known.get(name)
        if info is None:
            return None
        sizes = info.compress_size, info.file_size, info.header_offset
        return info.flag_bits, info.compress_type, info.CRC, *sizes

    return listed


def _directory(file: _File) -> Callable[[str], _Listed | None] | None:
    # As a rule there is nothing to a directory but its entries, and an object for each takes longer, and more room,
    # than all that is read. Of any other (long, of several disks, with comments or data before it) zipfile knows best.
    length = file.seek(0, io.SEEK_END)
    file.seek(max(0, length - _END.size))
    end = file.read(_END.size)
    if len(end) < _END.size:
        return None
    mark, disk, first, _, _, size, start, comment = _END.unpack(end)
    if mark != b"PK\5\6" or disk or first or comment or start + size != length - _END.size:
        return None
    file.seek(start)
    directory = file.read(size)
    places = _places(directory)
    return None if places is None else partial(_listed, directory, places)


def _places(directory: bytes) -> dict[bytes, int] | None:
    places, at = {}, 0
    while at < len(directory):
        if at + _ENTRY.size > len(directory):
            return None
        mark, latest, _, _, _, packed, size, name_length, extra, comment, start = _ENTRY.unpack_from(directory, at)
        name = directory[at + _ENTRY.size : at + _ENTRY.size + name_length]
        if (
            mark != b"PK\1\2"
            or latest > _LATEST
            or _LONG in (packed, size, start)
            or b"\0" in name
            or not name.isascii()
        ):
            return None
        places[name] = at
        at += _ENTRY.size + name_length + extra + comment
    return places


def _listed(directory: bytes, places: Mapping[bytes, int], name: str) -> _Listed | None:
    at = places.get(name.encode(errors="surrogatepass"))
    if at is None:
        return None
    return _STATED.unpack_from(directory, at)


def _member(file: _File, listed: Callable[[str], _Listed | None], most: int, name: str) -> bytes:
    # Not by zipfile, which opens members one by one as files and takes three times as long for small ones.
    stated = listed(name)
    if stated is None:
        raise RecordError(f"no such file: {name}")
    flags, method, crc, length, size, at = stated
    if flags & _ENCRYPTED or method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RecordError(f"zip member unreadable: {name} is encrypted, or neither stored nor deflated")
    if size > most:
        raise RecordError(f"zip member too long: {name}: {size:,} bytes, at most {most:,}")
    try:
        # What is deflated is hardly ever longer than what it was; where more is stated than that, less is read.
        packed = _packed(file, at, min(length, 2 * most))
        deflated = method == zipfile.ZIP_DEFLATED
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1) if deflated else packed
    except (zlib.error, OSError) as error:
        raise RecordError(f"zip member unreadable: {name}: {error}") from error
    if len(content) != size or zlib.crc32(content) != crc:
        raise RecordError(f"zip member unreadable: {name} is not the bytes that the zip's directory states")
    return content


def _packed(file: _File, at: int, length: int) -> bytes:
    found = _read(file, _LOCAL + _MORE + length, at)
    if len(found) < _LOCAL:
        return b""
    start = _LOCAL + sum(_LENGTHS.unpack_from(found, 26))
    if start > _LOCAL + _MORE:
        return _read(file, length, at + start)
    return found[start : start + length]


def _read(file: _File, length: int, at: int) -> bytes:
    if isinstance(file, io.FileIO):
        return os.pread(file.fileno(), length, at)
    return bytes(file.getbuffer()[at : at + length])
