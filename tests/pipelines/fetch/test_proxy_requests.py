"""What goes through the proxy, byte by byte, and how much at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipelines.fetch.client import Limits
from pipelines.fetch.proxy import HEAD_BYTES, Proxy, proxy

ALLOWED = frozenset({"127.0.0.1"})
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def one_name(empty_web: Any) -> None:
    empty_web.names["127.0.0.1"] = [["127.0.0.1"]]


class Upstream:
    """A server on loopback that keeps what it is sent: bytes per connection, and how many were open at once."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self.open = self.most = self.closed = 0
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            self.heard.append(await reader.readuntil(b"\r\n\r\n"))
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
            async with asyncio.timeout(None if self.answer is None else 0.1):
                while piece := await reader.read(100):
                    self.heard[-1] += piece
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self.closed += 1
            writer.close()


@asynccontextmanager
async def both(answer: bytes | None = ANSWER, **words: Any) -> AsyncIterator[tuple[Proxy, Upstream]]:
    upstream = Upstream(answer)
    server = await asyncio.start_server(upstream.handle, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    notes: list[str] = []
    try:
        async with proxy(Limits(allow_hosts=ALLOWED, **words), notes.append) as guard:
            yield guard, upstream
        assert len(notes) == guard.ended.total()
    finally:
        server.close()


async def said(guard: Proxy, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(guard.address.rpartition(":")[2]))
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


def told(request: str, **words: Any) -> tuple[bytes, list[bytes]]:
    async def run() -> tuple[bytes, list[bytes]]:
        async with both(**words) as (guard, upstream):
            answer = await said(guard, request.format(port=upstream.port).encode("latin-1"))
            await asyncio.sleep(0.01)
            return answer, [heard.replace(b"%d" % upstream.port, b"PORT") for heard in upstream.heard]

    return asyncio.run(run())


def test_a_request_goes_on_rewritten_and_without_what_is_the_proxys() -> None:
    request = (
        "GET http://127.0.0.1:{port}/a%2Fb%7e/c.jpg?q=%41#top HTTP/1.1\r\nHost: elsewhere.example\r\n"
        "User-Agent: test\r\nAccept-Encoding: identity\r\n"
        "Proxy-Authorization: Basic xyz\r\nConnection: close, X-Own\r\nX-Own: 1\r\n\r\n"
    )
    answer, heard = told(request)
    assert answer == ANSWER
    assert heard == [
        b"GET /a%2Fb%7e/c.jpg?q=%41 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nConnection: close\r\nUser-Agent: test\r\n"
        b"Accept-Encoding: identity\r\n\r\n"
    ]


def test_a_link_without_a_path_asks_for_the_root() -> None:
    _, heard = told("GET http://127.0.0.1:{port}?q=1 HTTP/1.1\r\n\r\n")
    assert heard[0].startswith(b"GET /?q=1 HTTP/1.1\r\n")


def test_what_follows_a_request_is_never_sent_on() -> None:
    first = "GET http://127.0.0.1:{port}/a HTTP/1.1\r\n\r\n"
    answer, heard = told(first + "GET http://127.0.0.1:{port}/b HTTP/1.1\r\n\r\n")
    assert answer == ANSWER
    assert len(heard) == 1
    assert b"/b" not in heard[0]


MALFORMED = {
    "another method": "POST http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n",
    "a body": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    "chunks": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a path alone": "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
    "https without a tunnel": "GET https://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n",
    "two blanks": "GET  http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n",
    "a blank in the link": "GET http://127.0.0.1:{port}/a b HTTP/1.1\r\n\r\n",
    "a control character": "GET http://127.0.0.1:{port}/\x00 HTTP/1.1\r\n\r\n",
    "a bare line feed": "GET http://127.0.0.1:{port}/ HTTP/1.1\nX: 1\r\n\r\n",
    "a bare line feed in a header": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nX: 1\nY: 2\r\n\r\n",
    "a bare carriage return": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nX: 1\rY: 2\r\n\r\n",
    "a folded header": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nX: 1\r\n Y: 2\r\n\r\n",
    "a blank in a header's name": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nX : 1\r\n\r\n",
    "another protocol": "GET http://127.0.0.1:{port}/ HTTP/2.0\r\n\r\n",
    "a tunnel without a port": "CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n",
    "a tunnel to a path": "CONNECT 127.0.0.1:{port}/ HTTP/1.1\r\n\r\n",
    "a tunnel with credentials": "CONNECT me@127.0.0.1:{port} HTTP/1.1\r\n\r\n",
    "a tunnel to too high a port": "CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n",
    "no host": "GET http:///x HTTP/1.1\r\n\r\n",
    "an endless head": "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nX: " + "a" * HEAD_BYTES + "\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_plain_request_is_refused_and_reaches_nobody(name: str) -> None:
    answer, heard = told(MALFORMED[name])
    assert answer.startswith((b"HTTP/1.1 40", b"reset"))
    assert heard == []


def test_a_tunnel_carries_bytes_both_ways_and_ends_with_the_server() -> None:
    answer, heard = told(
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\nhello\r\n\r\n", answer=None, total_seconds=0.3
    )
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert heard == [b"hello\r\n\r\n"]


async def _crowd(count: int, **words: Any) -> Upstream:
    async with both(**words) as (guard, upstream):
        request = f"GET http://127.0.0.1:{upstream.port}/ HTTP/1.1\r\n\r\n".encode()
        answers = await asyncio.gather(*(said(guard, request) for _ in range(count)))
        assert answers == [ANSWER] * count
        return upstream


@pytest.mark.parametrize("words", [{"per_host": 2}, {"per_host": 9, "concurrency": 3}])
def test_a_host_has_so_many_connections_at_once_and_no_more(words: dict[str, int]) -> None:
    assert asyncio.run(_crowd(10, **words)).most == min(words.values())


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


def test_a_client_that_leaves_frees_its_place_at_once() -> None:
    async def run() -> None:
        async with both(answer=None, per_host=1) as (guard, upstream):
            port = int(guard.address.rpartition(":")[2])
            request = f"GET http://127.0.0.1:{upstream.port}/ HTTP/1.1\r\n\r\n".encode()
            for place in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                await _until(lambda place=place: len(upstream.heard) == place + 1)  # type: ignore[misc]
                writer.close()
            await _until(lambda: upstream.closed == 3)
            assert not guard.ended

    asyncio.run(run())


def test_the_proxy_ends_in_the_middle_of_an_answer() -> None:
    async def run() -> bytes:
        async with both(answer=None) as (guard, upstream):
            request = f"GET http://127.0.0.1:{upstream.port}/ HTTP/1.1\r\n\r\n".encode()
            asking: Awaitable[bytes] = asyncio.ensure_future(said(guard, request))
            await _until(lambda: bool(upstream.heard))
        return await asking

    assert asyncio.run(run()) in (b"", b"reset")
