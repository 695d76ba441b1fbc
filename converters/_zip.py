"""Reading the many small members of an annotation zip in place; nothing is ever extracted to disk."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

from converters._read import read
from schemas.errors import RecordError, SourceError

# What zipfile raises for directories that are none: NotImplementedError for those of later versions.
_NO_ZIP = (zipfile.BadZipFile, struct.error, OSError, NotImplementedError, ValueError)
_ZIP_HEADER = 30  # bytes before each member; the last four are the lengths of its name and of more fields


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
