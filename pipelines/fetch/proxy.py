"""A guarding forward proxy on loopback, for a downloader that would go wherever a link or a redirect leads it.

It speaks what ``http_proxy`` and ``https_proxy`` make clients speak: GET and HEAD of absolute http links, and CONNECT.
Whoever follows a redirect asks again, so every hop is judged: its host is looked up once, only public addresses are
connected to, and the connection goes to the very address that was judged. One request a connection, rewritten from what
was understood of it, so nothing can be smuggled. An answer that grows or lasts beyond its limits is broken off in a way
that no client takes for its end.
"""

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from yarl import URL

from pipelines.fetch.answer import Ended
from pipelines.fetch.client import Limits
from pipelines.fetch.connect import PublicResolver
from pipelines.fetch.failure import ERRORS, ended
from pipelines.fetch.link import page
from pipelines.fetch.polite import Patience, Turns

HOST = "127.0.0.1"
HEAD_BYTES = 2**16
HEAD_SECONDS = 10.0
ASKED_BYTES = 2**20  # what a client may say inside a tunnel: a handshake and a request
_CHUNK = 2**16
_THREADS = 16
_REQUEST = re.compile(rb"(GET|HEAD|CONNECT) ([!-~]+) HTTP/1\.[01]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_TARGET = re.compile(r"http://[^/?#]+([^#]*)(?:#.*)?", re.IGNORECASE)  # urllib sends fragments
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\\]+):[0-9]{1,5}")
_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer upgrade host".split()
)
_BODY = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_STATUS = {"forbidden address": 403, "not http": 403, "bad link": 400, "timed out": 504}
_RESET = struct.pack("ii", 1, 0)
_NOISE = bytes(2**15)  # longer than what may be left of a record

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its address as proxy variables want it, and what it refused or broke off, counted by reason."""

    address: str
    ended: Counter[str] = field(default_factory=Counter)


class _Request(NamedTuple):
    method: str
    url: URL
    head: bytes  # as it goes on, nothing for a tunnel


@asynccontextmanager
async def proxy(limits: Limits, note: Callable[[str], None] = lambda line: None) -> AsyncIterator[Proxy]:
    """A proxy under those limits (what may be reached, bytes and seconds per answer, connections per host and in all).

    What it does not do is answered with one of the client's reasons, as the phrase and in the header X-Boxcar-Reason:
    403 where it refuses, 400 where it is asked for no link, 502 and 504 where it fails. ``note`` hears each in a line.
    """
    resolver = PublicResolver(_THREADS)
    handling: set[asyncio.Task[None]] = set()

    async def handle(*streams: *Streams) -> None:
        if (task := asyncio.current_task()) is not None:
            handling.add(task)
            task.add_done_callback(handling.discard)
        await gate.handle(streams)

    server = await asyncio.start_server(handle, HOST, 0, limit=HEAD_BYTES, backlog=1024)
    gate = _Gate(limits, resolver, Turns(limits.per_host, limits.concurrency), note, Proxy(_address(server)))
    try:
        yield gate.proxy
    finally:
        server.close()
        for task in tuple(handling):
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
        await resolver.close()
        await asyncio.sleep(0)  # for the connections to learn of it


def _address(server: asyncio.Server) -> str:
    return f"http://{HOST}:{server.sockets[0].getsockname()[1]}"


@dataclass(frozen=True)
class _Gate:
    limits: Limits
    resolver: PublicResolver
    turns: Turns
    note: Callable[[str], None]
    proxy: Proxy

    async def handle(self, client: Streams) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(client)
        finally:
            client[1].close()

    async def _answer(self, client: Streams) -> None:
        try:
            request = _parsed(await _head(client[0]), self.limits.allow_hosts)
            async with self.turns.turn(request.url.raw_host or "", Patience(self.limits.patience_seconds)):
                await self._serve(request, client)
        except Ended as end:
            self._count(end.reason, end.detail)
            client[1].write(_refusal(end.reason))
            await client[1].drain()

    def _count(self, reason: str, detail: str) -> None:
        self.proxy.ended[reason] += 1
        self.note(f"{reason}: {detail}")

    async def _serve(self, request: _Request, client: Streams) -> None:
        if client[0].at_eof():
            return
        upstream = await self._connected(request.url)
        try:
            if request.head:
                upstream[1].write(request.head)
            else:
                client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if broken := await self._relayed(client, upstream, tunnel=not request.head):
                self._count(broken, str(request.url))
                _break(client[1], tunnel=not request.head)
        finally:
            upstream[1].close()

    async def _relayed(self, client: Streams, upstream: Streams, tunnel: bool) -> str:
        sink = upstream[1] if tunnel else None
        asking = asyncio.ensure_future(_pumped(client[0], sink, ASKED_BYTES, broken=""))
        answering = asyncio.ensure_future(_pumped(upstream[0], client[1], self.limits.max_bytes + HEAD_BYTES))
        both = asking, answering
        try:
            done, _ = await asyncio.wait(both, timeout=self.limits.total_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        return next((one.result() for one in reversed(both) if one in done), "timed out")

    async def _connected(self, url: URL) -> Streams:
        host, port = url.raw_host or "", url.port or 0
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                return await _first(await self._addresses(host, port), port)
        except ERRORS as error:
            raise ended(error) from error

    async def _addresses(self, host: str, port: int) -> list[str]:
        if host in self.limits.allow_hosts:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [str(address[0]) for *_, address in found]
        return [result["host"] for result in await self.resolver.resolve(host, port)]


async def _first(addresses: list[str], port: int) -> Streams:
    failed: OSError = OSError("no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(address, port, limit=_CHUNK)
        except TimeoutError:
            raise
        except OSError as error:
            failed = error
    raise failed


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Ended("bad link", f"a head of over {HEAD_BYTES:,} bytes") from error


def _parsed(head: bytes, allow_hosts: frozenset[str]) -> _Request:
    first, *lines = head[:-4].split(b"\r\n")
    line = _REQUEST.fullmatch(first)
    headers = [_HEADER.fullmatch(one) for one in lines]
    if line is None or None in headers:
        raise Ended("bad link", repr(first[:200]))
    named = [(one[1].lower(), one[2], one[0]) for one in headers if one]
    if any(name in _BODY for name, *_ in named):
        raise Ended("bad link", "one with a body, or that asks to send one")
    method, target = line[1].decode("ascii"), line[2].decode("ascii")
    if method == "CONNECT":
        return _Request(method, _tunnelled(target, allow_hosts), b"")
    url = page(target, allow_hosts)
    path = _TARGET.fullmatch(target)
    if path is None:
        raise Ended("not http", f"{target[:200]}: https is asked for by CONNECT")
    hop = _HOP.union(*(value.lower().replace(b",", b" ").split() for name, value, _ in named if name == b"connection"))
    return _Request(method, url, _rewritten(method, url, path[1], [line for name, _, line in named if name not in hop]))


def _tunnelled(target: str, allow_hosts: frozenset[str]) -> URL:
    if _AUTHORITY.fullmatch(target) is None:
        raise Ended("bad link", f"CONNECT {target[:200]}: wanted host:port")
    return page(f"https://{target}/", allow_hosts)


def _rewritten(method: str, url: URL, path: str, headers: list[bytes]) -> bytes:
    # The path goes on as it was written: another spelling would be another link for some servers.
    whole = path if path.startswith("/") else f"/{path}"
    host = url.host_port_subcomponent or ""
    first = [f"{method} {whole} HTTP/1.1".encode("ascii"), f"Host: {host}".encode("ascii"), b"Connection: close"]
    return b"\r\n".join([*first, *headers, b"", b""])


def _refusal(reason: str) -> bytes:
    lines = f"HTTP/1.1 {_STATUS.get(reason, 502)} {reason}", f"X-Boxcar-Reason: {reason}"
    return "\r\n".join((*lines, "Content-Length: 0", "Connection: close", "", "")).encode("ascii")


async def _pumped(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter | None, most: int, broken: str = "cut short"
) -> str:
    """Carry what comes until its end and return nothing, or why that was not reached; ``broken`` for a reset."""
    carried = 0
    while True:
        try:
            piece = await source.read(_CHUNK)
        except OSError:
            return broken
        carried += len(piece)
        if carried > most:
            return "too many bytes"
        if not piece:
            return ""
        with suppress(OSError):  # who is to hear it has gone; that is noticed at the other end
            if sink is not None:
                sink.write(piece)
                await sink.drain()


def _break(writer: asyncio.StreamWriter, tunnel: bool) -> None:
    # An orderly end would pass for that of a body which states no length. Inside of TLS a reset does so too, with some
    # versions of Python; bytes that are no TLS are an error in all.
    if tunnel:
        writer.write(_NOISE)
        return
    plug = writer.get_extra_info("socket")
    with suppress(OSError):
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
