"""A loopback web server that serves given files and misbehaves by name, as the servers of published links do.

``http://127.0.0.1:PORT/cat.jpg`` is the file ``cat.jpg``; ``.../gone/cat.jpg`` asks for it of a server that does what
``MISBEHAVIOURS["gone"]`` says, and so for every name there. A canary listens on another loopback address, where some
of them redirect to: a client to which that address is forbidden never connects to it.
"""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote

from pipelines.demo.misbehaviour import MISBEHAVIOURS, SILENCING, Asked, Misbehaviour, response

HOST, CANARY_HOST = "127.0.0.1", "127.0.0.2"
_BACKLOG = 1024
_GLANCE_SECONDS = 0.001
_ALL = {**MISBEHAVIOURS, **SILENCING}


@dataclass
class Server:
    """A running server: where it is, and what it has seen so far.

    ``requests`` are paths as asked, ``head`` is the last request's as sent, ``connections`` those it accepted.
    """

    scheme: str
    host: str
    files: Mapping[str, bytes]
    port: int = 0
    canary: str = ""
    requests: list[str] = field(default_factory=list)
    head: str = ""
    connections: int = 0
    canary_connections: int = 0

    def url(self, path: str) -> str:
        """The link of a file, ``url("cat.jpg")``, or of a file asked for amiss, ``url("gone/cat.jpg")``."""
        return f"{self.scheme}://{self.host}:{self.port}/{path}"


@contextmanager
def misbehaving(
    files: Mapping[str, bytes], host: str = HOST, ssl_context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server of those files (bytes by path) in a thread of this process, on a free port, until the end of the block.

    With ``ssl_context`` it speaks https. A path that is neither a file nor begins with a known name is a 404.
    """
    server, stopper = Server("https" if ssl_context else "http", host, files), Future[Callable[[], object]]()
    thread = threading.Thread(target=_run, args=(server, ssl_context, stopper), daemon=True)
    thread.start()
    stop = stopper.result(timeout=30)
    try:
        yield server
    finally:
        stop()
        thread.join(timeout=30)


def _run(server: Server, ssl_context: ssl.SSLContext | None, stopper: "Future[Callable[[], object]]") -> None:
    try:
        asyncio.run(_serve(server, ssl_context, stopper))
    except OSError as error:
        stopper.set_exception(error)


async def _serve(server: Server, ssl_context: ssl.SSLContext | None, stopper: "Future[Callable[[], object]]") -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    open_now: set[asyncio.Transport] = set()
    times: Counter[str] = Counter()
    canary = await loop.create_server(lambda: _Canary(server), CANARY_HOST, 0)
    server.canary = f"http://{CANARY_HOST}:{canary.sockets[0].getsockname()[1]}/"
    listening = await loop.create_server(
        lambda: _Connection(server, times, open_now), server.host, 0, ssl=ssl_context, backlog=_BACKLOG
    )
    server.port = listening.sockets[0].getsockname()[1]
    stopper.set_result(lambda: loop.call_soon_threadsafe(done.set))
    await done.wait()
    for listener in (listening, canary):
        listener.close()
    for transport in open_now:
        transport.abort()
    while open_now:  # until they have learnt of it
        await asyncio.sleep(_GLANCE_SECONDS)


class _Canary(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.canary_connections += 1
        transport.close()


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server, times: Counter[str], open_now: set[asyncio.Transport]) -> None:
        self._server, self._times, self._open_now = server, times, open_now
        self._unread = b""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open_now.add(self._transport)
        self._server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_now.discard(self._transport)
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while b"\r\n\r\n" in self._unread and self._answering is None:
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            self._asked(head)

    def _asked(self, head: bytes) -> None:
        path = unquote(head.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1"))[1:]
        self._server.requests.append(path)
        self._server.head = head.decode("latin-1")
        file, (name, _, rest) = self._server.files.get(path), path.partition("/")
        if file is None and name in _ALL:
            self._times[path] += 1
            times, files = self._times[path], self._server.files
            asked = Asked(rest, times, files.get(rest), self._server.canary, self._transport)
            self._answering = asyncio.get_running_loop().create_task(self._amiss(_ALL[name], asked))
            return
        self._transport.write(response(404, b"no such file") if file is None else response(200, file))
        if b"\r\nConnection: close" in head:
            self._transport.close()

    async def _amiss(self, misbehaviour: Misbehaviour, asked: Asked) -> None:
        await misbehaviour.answer(asked)
        asked.transport.close()
