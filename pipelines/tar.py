"""Tar shards: written with no clock, user or host in them, so that equal samples are equal bytes.

A shard is USTAR: per sample its members one after another, every name ``<stem>.<extension>``, then two zero blocks,
padded to a record of 10,240 bytes. The index is Megatron-Energon's: little-endian uint64 offsets of each sample's first
header, and one more for where the last sample ends (github.com/NVIDIA/Megatron-Energon, ``.tar.idx``).
"""

import hashlib
import os
import re
import struct
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import NamedTuple, Protocol, Self

from xxhash import xxh3_128

from schemas.errors import ShardError
from schemas.pool import FileDigest

BLOCK = 512
MAX_MEMBER_BYTES = 2**30  # a forged size would otherwise be asked for in memory; pictures are at most a quarter of it
STEM = re.compile(r"[A-Za-z0-9_-]+")
_MEMBER = re.compile(r"([A-Za-z0-9_-]+)\.([a-z0-9]+)")
_TYPE, _SIZE = slice(156, 157), slice(124, 135)
_ZEROS = bytes(BLOCK)
_SYNCED_BYTES = 2**24  # a quarter of a second's writing
_AT_ONCE = 2**20  # bytes: a picture at a time takes half as long again
_LITTLE = 2**13  # bytes, of which pieces are put together before they are written and hashed
_READ_AT_ONCE = 2**17  # bytes: as many as stay in a core's own cache until they are hashed
_NAME_BYTES = 100
_MODE_TO_SIZE = b"0000644\0" + b"0000000\0" * 2
_TIME = b"\0" + b"00000000000\0"
_TYPE_TO_END = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
_REST_SUM = sum(_MODE_TO_SIZE + _TIME + b" " * 8 + _TYPE_TO_END)  # the checksum counts itself as blanks


class Readable(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""


class Member(NamedTuple):
    """One file of a sample in a tar: the offset is that of its header."""

    stem: str
    extension: str
    offset: int
    data: bytes


def padded(size: int) -> int:
    """The bytes that a member of that size takes in a tar, without its header."""
    return -(-size // BLOCK) * BLOCK


class TarWriter:
    """Writes samples one after another to a path that is not final; ``close`` syncs and gives digest and offsets.

    Where it is left without, as a context, the file stays as it is: broken off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offsets = [0]
        self._sha, self._check = hashlib.sha256(), xxh3_128()
        self._file = path.open("wb", buffering=_AT_ONCE)
        self._syncing: Future[None] | None = None
        self._synced = 0
        self._ahead = b""  # what is written together with what follows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._settle()
        finally:
            self._file.close()

    def add(self, stem: str, members: Sequence[tuple[str, bytes]]) -> None:
        """Append one sample: (extension, bytes) in the order they shall stand."""
        if not STEM.fullmatch(stem) or len(stem) > 90:
            raise ShardError(f"bad tar stem: {stem!r}, wanted {STEM.pattern}, at most 90 characters")
        offset = self.offsets[-1]
        for extension, data in members:
            header, padding = _header(f"{stem}.{extension}", len(data)), bytes(-len(data) % BLOCK)
            if len(data) < _LITTLE:
                self._ahead += header + data + padding
            else:
                self._write(self._ahead + header)
                self._write(data)
                self._ahead = padding
            offset += BLOCK + len(data) + len(padding)
        if len(self._ahead) >= _LITTLE:
            self._write(self._ahead)
            self._ahead = b""
        self.offsets.append(offset)
        if offset - self._synced >= _SYNCED_BYTES and (self._syncing is None or self._syncing.done()):
            self._sync_on()

    def close(self) -> FileDigest:
        """Write the end of the tar and sync it; the digest of the whole file."""
        size = _whole(self.offsets[-1])
        self._write(self._ahead + bytes(size - self.offsets[-1]))
        self._file.flush()
        self._settle()
        os.fsync(self._file.fileno())
        self._file.close()
        return FileDigest(self.path.name, size, self._sha.hexdigest())

    def insist_reads_back(self) -> None:
        """Read the closed file again; ShardError where it is not what was written, byte for byte."""
        # Not by sha256, which would be a third one of every picture: what is looked for is damage, not deceit.
        found = xxh3_128()
        with self.path.open("rb", buffering=0) as file:
            while data := file.read(_READ_AT_ONCE):
                found.update(data)
        if found.digest() != self._check.digest():
            raise ShardError(f"{self.path}: not on disk as it was written: its xxh3 differs")

    def _sync_on(self) -> None:
        # The disk works while the next pictures are made ready, not all of it at the end.
        self._settle()
        self._synced, self._syncing = self.offsets[-1], Future()
        Thread(target=_fulfil, args=(self._syncing, self._file.fileno()), daemon=True).start()

    def _settle(self) -> None:
        # A disk tells of what it could not write once: whoever has asked must hear of it.
        if syncing := self._syncing:
            self._syncing = None
            syncing.result()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha.update(data)
        self._check.update(data)


def _fulfil(syncing: Future[None], handle: int) -> None:
    try:
        os.fdatasync(handle)
        syncing.set_result(None)
    except OSError as error:
        syncing.set_exception(error)


def index_bytes(offsets: Sequence[int]) -> bytes:
    """The ``.tar.idx`` of those offsets."""
    return struct.pack(f"<{len(offsets)}Q", *offsets)


def read_index(data: bytes, name: str) -> tuple[int, ...]:
    """The offsets in a ``.tar.idx``; ShardError where it is none."""
    if len(data) % 8 or len(data) < 8:
        raise ShardError(f"{name}: {len(data)} bytes, wanted 8 a sample and 8 more")
    return struct.unpack(f"<{len(data) // 8}Q", data)


def members(file: Readable, name: str) -> Iterator[Member]:
    """Every member of a tar in order, nothing tolerated: ShardError for whatever ``TarWriter`` does not write so."""
    offset = 0
    while (header := file.read(BLOCK)) != _ZEROS:
        size, found = _told(header, name, offset)
        data = file.read(padded(size))
        if len(data) != padded(size) or any(data[size:]):
            raise ShardError(f"{name}: member {found[0]} at {offset} is cut short or padded with something")
        yield Member(found[1], found[2], offset, data[:size])
        offset += BLOCK + len(data)
    rest = file.read(tarfile.RECORDSIZE)
    if any(rest) or offset + BLOCK + len(rest) != _whole(offset):
        raise ShardError(f"{name}: no end of tar at {offset}, wanted two zero blocks and zeros to {_whole(offset)}")


def _told(header: bytes, name: str, offset: int) -> tuple[int, re.Match[str]]:
    """The size and the name that a header states, if it is the very one that is written for these."""
    raw, octal = header[:_NAME_BYTES].rstrip(b"\0"), header[_SIZE]
    if octal.isdigit() and raw.isascii() and (found := _MEMBER.fullmatch(raw.decode())):
        size = int(octal, 8) if not octal.strip(b"01234567") else -1
        if 0 <= size <= MAX_MEMBER_BYTES and header == _header(found[0], size):
            return size, found
    raise _odd(header, name, offset)


def _odd(header: bytes, name: str, offset: int) -> ShardError:
    try:
        info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        return ShardError(f"{name}: no tar header at {offset}: {error}")
    if header[_TYPE] != tarfile.REGTYPE or not _MEMBER.fullmatch(info.name):
        return ShardError(f"{name}: odd member {info.name!r} at {offset}: wanted plain files <stem>.<extension>")
    return ShardError(f"{name}: odd header of {info.name} at {offset}: wanted name and size, no owner or time")


def _whole(end: int) -> int:
    # The size of a tar whose last member ends there: two zero blocks, then zeros up to a whole record.
    return -(-(end + 2 * BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _header(name: str, size: int) -> bytes:
    # What tarfile writes for a plain file without time and owner, at a tenth of its time; a test compares both.
    raw, octal = name.encode("ascii"), b"%011o" % size
    check = b"%06o\0 " % (_REST_SUM + sum(raw) + sum(octal))
    return b"".join((raw.ljust(_NAME_BYTES, b"\0"), _MODE_TO_SIZE, octal, _TIME, check, _TYPE_TO_END))
