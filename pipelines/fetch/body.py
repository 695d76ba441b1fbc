"""The body of an answer, read piece by piece under a cap on what is sent and on what it unpacks to."""

import io
import zlib

from aiohttp import ClientPayloadError, ClientResponse, StreamReader

from pipelines.fetch.answer import Ended

_ZLIB_OR_GZIP, _BARE = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # "deflate" comes in zlib's wrapping, and without any
_ZLIB_MARK, _GZIP_MARK = 8, 0x1F
_STEP = 2**16
UNREAD = ("br", "zstd", "compress", "x-compress")  # asked for by nobody; other words there are servers' noise


async def body(response: ClientResponse, max_bytes: int) -> bytes:
    """The body's bytes, unpacked; Ended where they are over ``max_bytes``, cut short, none, or not to be unpacked."""
    stated = response.content_length
    if stated is not None and stated > max_bytes:
        raise Ended("too many bytes", f"{stated:,} stated, at most {max_bytes:,} wanted")
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    try:
        data = await (_unpacked if _packed(encoding) else _plain)(response.content, max_bytes)
    except ClientPayloadError as error:
        raise Ended("cut short", str(error)) from error
    if not data:
        raise Ended("empty body")
    return data


def _packed(encoding: str) -> bool:
    if encoding in UNREAD or "," in encoding:
        raise Ended("bad encoding", encoding)
    return encoding in ("gzip", "x-gzip", "deflate")


async def _plain(content: StreamReader, max_bytes: int) -> bytes:
    first = await content.readany()
    if content.at_eof() and len(first) <= max_bytes:
        return first
    whole = io.BytesIO()
    _add(whole, first, max_bytes)
    while piece := await content.readany():
        _add(whole, piece, max_bytes)
    return whole.getvalue()


def _add(whole: io.BytesIO, piece: bytes, max_bytes: int) -> None:
    if whole.tell() + len(piece) > max_bytes:
        raise Ended("too many bytes", f"over {max_bytes:,}")
    whole.write(piece)


async def _unpacked(content: StreamReader, max_bytes: int) -> bytes:
    whole, received = io.BytesIO(), 0
    unpacker = zlib.decompressobj(_ZLIB_OR_GZIP)
    while piece := await content.readany():
        if not received and piece[0] & 15 != _ZLIB_MARK and piece[0] != _GZIP_MARK:
            unpacker = zlib.decompressobj(_BARE)
        received += len(piece)
        if received > max_bytes:
            raise Ended("too many bytes", f"over {max_bytes:,} as sent")
        _unpack(unpacker, piece, whole, max_bytes)
    if received and not unpacker.eof:
        raise Ended("cut short", "packed data without an end")
    return whole.getvalue()


def _unpack(unpacker: "zlib._Decompress", piece: bytes, whole: io.BytesIO, max_bytes: int) -> None:
    while not unpacker.eof:
        try:
            part = unpacker.decompress(piece, _STEP)
        except zlib.error as error:
            raise Ended("bad encoding", str(error)) from error
        _add(whole, part, max_bytes)
        piece = unpacker.unconsumed_tail
        if not piece and len(part) < _STEP:
            return
