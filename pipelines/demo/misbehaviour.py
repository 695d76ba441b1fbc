"""What servers of published links do amiss, each by a name, with the reason for which a link to it must end."""

import asyncio
import gzip
import socket
import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import NamedTuple

_DRIP_SECONDS = 0.05
_LATE_SECONDS, _LATE_BYTES = 0.5, 8
_PIECE = bytes(2**16)
_BOMB_MIB, _GZIP_HEAD = 256, 10
_NOTHING = b"\0\0\0\xff\xff"  # a packed block of no bytes at all
_BUFFER = 2**20
_STAND_IN = b"\xff\xd8\xff\xe0 no picture, but as long as a small one" + bytes(2000)
_PAGE = b"<!DOCTYPE html><html><body>This picture is gone.</body></html>"


class Asked(NamedTuple):
    """A request to be answered amiss: its path, how often it came so far, and the bytes that it is for."""

    path: str
    times: int
    file: bytes | None
    canary: str
    transport: asyncio.Transport

    @property
    def data(self) -> bytes:
        """The bytes of the file that is asked for, or others where there is none."""
        return _STAND_IN if self.file is None else self.file


Answering = Callable[[Asked], Awaitable[None]]  # the connection is closed after it


class Misbehaviour(NamedTuple):
    """What a server does, and the reason for which a link to it must end: "" where bytes must arrive.

    Those that never end are timed out or over any cap, whatever the limits of the client; others end by themselves.
    """

    answer: Answering
    reason: str = ""


def response(code: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A whole HTTP answer; ``length`` is what it states where that is not its body's."""
    stated = f"Content-Length: {len(body) if length is None else length}"
    return "\r\n".join((f"HTTP/1.1 {code} .", stated, *headers, "", "")).encode("latin-1") + body


def _says(code: int, *headers: str, body: bytes = b"said") -> Answering:
    async def answer(asked: Asked) -> None:
        asked.transport.write(response(code, body, *(header.format(**asked._asdict()) for header in headers)))

    return answer


def _gives(made: Callable[[bytes], bytes], *headers: str, extra: int = 0) -> Answering:
    async def answer(asked: Asked) -> None:
        body = made(asked.data)
        asked.transport.write(response(200, body, *headers, length=len(body) + extra))

    return answer


def _once(first: Answering) -> Answering:
    async def answer(asked: Asked) -> None:
        await (first if asked.times == 1 else _whole)(asked)

    return answer


_whole = _gives(lambda data: data)


async def _busy_until(asked: Asked) -> None:
    until = formatdate(time.time() + 2, usegmt=True)  # whole seconds: one to two from now
    asked.transport.write(response(503, b"", f"Retry-After: {until}"))


async def _silent(asked: Asked) -> None:
    await asyncio.Event().wait()


async def _hang_up(asked: Asked) -> None:
    asked.transport.close()


async def _drip(asked: Asked) -> None:
    asked.transport.write(response(200, b"", length=2**20))
    while True:
        asked.transport.write(b"\xff")
        await asyncio.sleep(_DRIP_SECONDS)


async def _drip_head(asked: Asked) -> None:
    asked.transport.write(b"HTTP/1.1 200 .\r\nX-Slow: ")
    while True:
        asked.transport.write(b"a")
        await asyncio.sleep(_DRIP_SECONDS)


def _endless(head: bytes, piece: bytes = _PIECE) -> Answering:
    async def answer(asked: Asked) -> None:
        asked.transport.write(head)
        while not asked.transport.is_closing():
            if asked.transport.get_write_buffer_size() < _BUFFER:
                asked.transport.write(piece)
            await asyncio.sleep(0.001)

    return answer


async def _longer(asked: Asked) -> None:
    asked.transport.write(response(200, asked.data[:-_LATE_BYTES]))
    await asyncio.sleep(_LATE_SECONDS)
    asked.transport.write(asked.data[-_LATE_BYTES:])


async def _unstated(asked: Asked) -> None:
    asked.transport.write(b"HTTP/1.1 200 .\r\n\r\n" + asked.data)


async def _chunked(asked: Asked) -> None:
    head = b"HTTP/1.1 200 .\r\nTransfer-Encoding: chunked\r\n\r\n"
    asked.transport.write(b"%s%x\r\n%s\r\n0\r\n\r\n" % (head, len(asked.data), asked.data))


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


async def _reset(asked: Asked) -> None:
    asked.transport.write(response(200, asked.data[: len(asked.data) // 2], length=len(asked.data)))
    await asyncio.sleep(_DRIP_SECONDS)
    plug = asked.transport.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    asked.transport.abort()


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    million = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:_GZIP_HEAD] + million * _BOMB_MIB


MISBEHAVIOURS: dict[str, Misbehaviour] = {
    "not-found": Misbehaviour(_says(404), "HTTP 404"),
    "gone": Misbehaviour(_says(410), "HTTP 410"),
    "denied": Misbehaviour(_says(403), "HTTP 403"),
    "odd-code": Misbehaviour(_says(999), "HTTP code out of range"),
    "part-only": Misbehaviour(_says(206), "HTTP 206"),
    "busy-once": Misbehaviour(_once(_says(429, "Retry-After: 1"))),
    "busy-until": Misbehaviour(_once(_busy_until)),
    "busy-for-ever": Misbehaviour(_says(429), "HTTP 429"),
    "broken-once": Misbehaviour(_once(_says(500))),
    "broken-for-ever": Misbehaviour(_says(500), "HTTP 500"),
    "hangs-up-once": Misbehaviour(_once(_hang_up)),
    "hangs-up": Misbehaviour(_hang_up, "connection failed"),
    "silent": Misbehaviour(_silent, "timed out"),
    "slow-drip": Misbehaviour(_drip, "timed out"),
    "slow-head": Misbehaviour(_drip_head, "timed out"),
    "endless-body": Misbehaviour(_endless(b"HTTP/1.1 200 .\r\n\r\n"), "too many bytes"),
    "endless-chunks": Misbehaviour(
        _endless(b"HTTP/1.1 200 .\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n%s\r\n" % _PIECE),
        "too many bytes",
    ),
    "endless-nothing": Misbehaviour(
        _endless(b"HTTP/1.1 200 .\r\nContent-Encoding: deflate\r\n\r\n", _NOTHING * 10_000), "too many bytes"
    ),
    "endless-head": Misbehaviour(_endless(b"HTTP/1.1 200 .\r\n", b"X-More: and more\r\n" * 1000), "bad answer"),
    "huge-by-its-head": Misbehaviour(_gives(lambda data: data, extra=10**12), "too many bytes"),
    "chunked": Misbehaviour(_chunked),
    "length-unstated": Misbehaviour(_unstated),
    "shorter-than-stated": Misbehaviour(_gives(lambda data: data, extra=1), "cut short"),
    "longer-than-stated": Misbehaviour(_longer),
    "reset-midway": Misbehaviour(_reset, "cut short"),
    "empty": Misbehaviour(_says(200, body=b""), "empty body"),
    "no-content": Misbehaviour(_says(204, body=b""), "empty body"),
    "no-http": Misbehaviour(_endless(b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 100), "bad answer"),
    "moved": Misbehaviour(_says(302, "Location: /{path}", "Set-Cookie: been=here; Path=/")),
    "moved-nowhere": Misbehaviour(_says(302), "HTTP 302"),
    "moved-in-a-loop": Misbehaviour(_says(301, "Location: ?again"), "too many redirects"),
    "moved-to-canary": Misbehaviour(_says(302, "Location: {canary}{path}"), "forbidden address"),
    "moved-to-metadata": Misbehaviour(_says(307, "Location: http://169.254.169.254/latest/"), "forbidden address"),
    "moved-to-file": Misbehaviour(_says(302, "Location: file:///etc/passwd"), "not http"),
    "moved-to-ftp": Misbehaviour(_says(302, "Location: ftp://127.0.0.2/cat.jpg"), "not http"),
    "gzipped": Misbehaviour(_gives(gzip.compress, "Content-Encoding: gzip")),
    "deflated": Misbehaviour(_gives(zlib.compress, "Content-Encoding: deflate")),
    "deflated-bare": Misbehaviour(_gives(_deflated, "Content-Encoding: deflate")),
    "gzip-bomb": Misbehaviour(_gives(lambda _: _bomb(), "Content-Encoding: gzip"), "too many bytes"),
    "gzip-cut": Misbehaviour(_gives(lambda data: gzip.compress(data)[:-9], "Content-Encoding: gzip"), "cut short"),
    "no-gzip": Misbehaviour(_gives(lambda data: data, "Content-Encoding: gzip"), "bad encoding"),
    "brotli": Misbehaviour(_gives(lambda data: data, "Content-Encoding: br"), "bad encoding"),
    "html-as-jpg": Misbehaviour(_gives(lambda _: _PAGE, "Content-Type: image/jpeg")),
    "truncated-jpeg": Misbehaviour(_gives(lambda data: data[: len(data) // 2])),
    "opted-out": Misbehaviour(_gives(lambda data: data, "X-Robots-Tag: noai"), "opted out"),
    "another-opted-out": Misbehaviour(_gives(lambda data: data, "X-Robots-Tag: otherbot: noai, noindex")),
}
# What makes a polite client leave the whole host alone for long: to be asked of a server on an address of its own.
SILENCING: dict[str, Misbehaviour] = {
    "busy-for-an-hour": Misbehaviour(_says(429, "Retry-After: 3600"), "HTTP 429"),
}
