"""The proxy as urllib uses it, which is what img2dataset does: whatever a link or a redirect says."""

import asyncio
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pipelines.demo.server import Server, misbehaving
from pipelines.fetch.client import Limits
from pipelines.fetch.proxy import proxy

FILES = {"cat.jpg": b"\xff\xd8" + b"cat" * 100_000, "a/dog%20b.jpg": b"\xff\xd8dog"}
SCHEMES = ("http", "https", "ftp", "file")


class Told(NamedTuple):
    """What urllib made of a link through the proxy: the bytes, or its error; the reason in the answer's header."""

    data: bytes
    error: str = ""
    reason: str | None = None


Opener = urllib.request.OpenerDirector


def asked(opener: Opener, link: str, method: str = "GET") -> Told:
    try:
        with opener.open(urllib.request.Request(link, method=method), timeout=10) as response:
            return Told(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Told(b"", str(error), error.headers.get("X-Boxcar-Reason"))
    except (OSError, http.client.HTTPException) as error:
        return Told(b"", str(error))


def limits(**words: Any) -> Limits:
    return Limits(**{"allow_hosts": frozenset({"127.0.0.1"}), "max_bytes": 2**20, "total_seconds": 5} | words)


def through(
    work: Callable[[Opener], list[Told]], context: ssl.SSLContext | None = None, **words: Any
) -> tuple[list[Told], Counter[str]]:
    async def run() -> tuple[list[Told], Counter[str]]:
        async with proxy(limits(**words)) as guard:
            handlers: list[Any] = [urllib.request.ProxyHandler(dict.fromkeys(SCHEMES, guard.address))]
            if context:
                handlers.append(urllib.request.HTTPSHandler(context=context))
            return await asyncio.to_thread(work, urllib.request.build_opener(*handlers)), guard.ended

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def no_detour(monkeypatch: pytest.MonkeyPatch, empty_web: Any) -> None:
    empty_web.names["127.0.0.1"] = [["127.0.0.1"]]  # urllib looks addresses up too
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server(web: object) -> Any:
    with misbehaving(FILES) as running:
        yield running


def test_a_picture_comes_through_as_it_is(server: Server) -> None:
    (got, head), ended = through(
        lambda opener: [asked(opener, server.url("cat.jpg?w=1#x")), asked(opener, server.url("cat.jpg"), "HEAD")]
    )
    assert got == Told(FILES["cat.jpg"])
    assert head == Told(b"")
    assert not ended


def test_a_picture_comes_through_a_tunnel_as_it_is(certificate: Any) -> None:
    with misbehaving(FILES, ssl_context=certificate.server) as server:
        (got,), ended = through(lambda opener: [asked(opener, server.url("cat.jpg"))], certificate.client)
    assert got == Told(FILES["cat.jpg"])
    assert not ended


def test_what_the_server_says_of_a_link_comes_through(server: Server) -> None:
    (gone, moved, short), _ = through(
        lambda opener: [
            asked(opener, server.url(f"{name}/cat.jpg")) for name in ("gone", "moved", "shorter-than-stated")
        ]
    )
    assert gone.error.startswith("HTTP Error 410")
    assert moved == Told(FILES["cat.jpg"])
    assert short.error or len(short.data) < len(FILES["cat.jpg"]) + 1


@pytest.mark.parametrize("name", ["moved-to-canary", "moved-to-metadata"])
def test_a_redirect_to_a_forbidden_address_is_refused(server: Server, name: str, web: Any) -> None:
    (got,), ended = through(lambda opener: [asked(opener, server.url(f"{name}/cat.jpg"))])
    assert got == Told(b"", "HTTP Error 403: forbidden address", "forbidden address")
    assert ended == {"forbidden address": 1}
    assert server.canary_connections == 0
    assert set(web.reached) == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["moved-to-ftp", "moved-to-file"])
def test_a_redirect_to_what_is_not_the_web_is_refused(server: Server, name: str, web: Any) -> None:
    (got,), _ = through(lambda opener: [asked(opener, server.url(f"{name}/cat.jpg"))])
    assert not got.data
    assert "not http" in got.error or "is not allowed" in got.error
    assert set(web.reached) == {"127.0.0.1"}


@pytest.mark.parametrize("link", ["ftp://127.0.0.1/cat.jpg", "file:///etc/passwd", "file://127.0.0.1/etc/passwd"])
def test_a_link_to_what_is_not_the_web_is_refused(link: str) -> None:
    (got,), ended = through(lambda opener: [asked(opener, link)])
    assert got == Told(b"", "HTTP Error 403: not http", "not http")
    assert ended == {"not http": 1}


SPELLINGS = (
    "127.0.0.2", "2130706434", "0x7f000002", "0177.0.0.2", "127.2", "[::ffff:127.0.0.2]", "[::1]", "127.0.0.2.",
    "user@127.0.0.2", "127.0.0.1@127.0.0.2", "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]", "0.0.0.0",
)  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_forbidden_address_is_reached(server: Server, host: str, web: Any) -> None:
    port = server.canary.rpartition(":")[2].strip("/")
    (plain, tunnel), _ = through(
        lambda opener: [asked(opener, f"{scheme}://{host}:{port}/cat.jpg") for scheme in ("http", "https")]
    )
    assert plain.reason == "forbidden address"
    assert "40" in tunnel.error
    assert server.canary_connections == 0
    assert set(web.reached) == {"127.0.0.1"}  # the proxy itself


def test_no_name_of_a_forbidden_address_is_reached(server: Server, web: Any) -> None:
    web.names["inside.example"] = [["127.0.0.2"]]
    port = server.canary.rpartition(":")[2].strip("/")
    (plain, tunnel), ended = through(
        lambda opener: [asked(opener, f"{scheme}://inside.example:{port}/") for scheme in ("http", "https")]
    )
    assert plain.reason == "forbidden address"
    assert "403 forbidden address" in tunnel.error
    assert ended == {"forbidden address": 2}
    assert server.canary_connections == 0


def test_a_name_is_looked_up_once_and_what_was_judged_is_connected_to(web: Any) -> None:
    web.names["rebound.example"] = [["203.0.114.1"], ["127.0.0.2"]]
    (got,), _ = through(lambda opener: [asked(opener, "http://rebound.example/")])
    assert not got.data
    assert web.lookups.count("rebound.example") == 1
    assert set(web.reached) == {"127.0.0.1", "203.0.114.1"}  # where this test's web ends


def test_a_port_that_is_not_the_webs_is_refused() -> None:
    (plain, tunnel), _ = through(lambda opener: [asked(opener, f"{scheme}://127.0.0.1:22/") for scheme in SCHEMES[:2]])
    assert plain.reason == "forbidden address"
    assert "403 forbidden address" in tunnel.error


def test_what_cannot_be_reached_is_told_by_its_reason() -> None:
    (closed, unknown), _ = through(
        lambda opener: [asked(opener, "http://127.0.0.1:2/"), asked(opener, "http://nowhere.example/")]
    )
    assert closed == Told(b"", "HTTP Error 502: connection failed", "connection failed")
    assert unknown == Told(b"", "HTTP Error 502: no such host", "no such host")


@pytest.mark.parametrize("name", ["endless-body", "endless-chunks"])
@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_beyond_the_cap_is_broken_off_and_never_passes_for_whole(
    name: str, secure: bool, certificate: Any
) -> None:
    with misbehaving(FILES, ssl_context=certificate.server if secure else None) as server:
        (got,), ended = through(lambda opener: [asked(opener, server.url(f"{name}/cat.jpg"))], certificate.client)
    assert not got.data
    assert any(word in got.error for word in ("reset", "SSL", "IncompleteRead"))
    assert ended == {"too many bytes": 1}


@pytest.mark.parametrize("name", ["slow-drip", "slow-head", "silent"])
def test_an_answer_that_lasts_is_broken_off(server: Server, name: str) -> None:
    began = time.monotonic()
    (got,), ended = through(lambda opener: [asked(opener, server.url(f"{name}/cat.jpg"))], total_seconds=0.3)
    assert "reset" in got.error
    assert ended == {"timed out": 1}
    assert time.monotonic() - began < 3


def test_an_answer_that_the_server_breaks_off_is_broken_off(server: Server) -> None:
    (got,), ended = through(lambda opener: [asked(opener, server.url("reset-midway/cat.jpg"))])
    assert "reset" in got.error
    assert ended == {"cut short": 1}
