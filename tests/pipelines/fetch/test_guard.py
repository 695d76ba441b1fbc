"""A forbidden address is reached neither by name, nor by redirect, nor by names that change, nor past the resolver."""

import asyncio
import time
from threading import Event

import pytest
from aiohttp import ClientSession
from aiohttp.abc import AbstractResolver

from pipelines.demo.server import CANARY_HOST, misbehaving
from pipelines.fetch import connect
from pipelines.fetch.address import forbidden
from pipelines.fetch.answer import passing
from pipelines.fetch.connect import ForbiddenError, PublicResolver, Sockets, connector
from pipelines.fetch.failure import ended

NOBODY = frozenset()


@pytest.fixture
def server():
    with misbehaving({"cat.jpg": b"cat"}) as running:
        yield running


@pytest.fixture
def public_here(monkeypatch):
    """127.0.0.1 counts as public, as no test may leave the machine; its neighbours stay forbidden."""
    monkeypatch.setattr(connect, "forbidden", lambda address: None if address == "127.0.0.1" else forbidden(address))


def named(link: str, name: str, host: str = "127.0.0.1") -> str:
    return link.replace(host, name, 1)


def test_a_host_is_exempt_where_a_link_names_it_and_not_where_another_name_leads_to_it(ask, web, server):
    web.names["evil.example"] = [["127.0.0.1"]]
    named_so, other_name, other_spelling = ask(
        server.url("cat.jpg"), named(server.url("cat.jpg"), "evil.example"), named(server.url("cat.jpg"), "127.1")
    )
    assert (named_so.reason, other_name.reason, other_spelling.reason) == ("", *["forbidden address"] * 2)
    assert "127.0.0.1 (loopback)" in other_name.detail
    assert server.requests == ["cat.jpg"]


def test_a_name_may_be_exempt_wherever_it_leads(ask, web, server):
    web.names["mirror.example"] = [["127.0.0.1"]]
    link = named(server.url("cat.jpg"), "mirror.example")
    assert [one.reason for one in ask(link, allow_hosts=frozenset({"mirror.example"}))] == [""]
    assert [one.reason for one in ask(link, allow_hosts=frozenset({"example"}))] == ["forbidden address"]


def test_the_canary_is_reached_neither_as_itself_nor_by_name_nor_by_redirect(ask, web, server):
    web.names["canary.example"] = [[CANARY_HOST]]
    links = [server.canary, named(server.canary, "canary.example", CANARY_HOST), server.url("moved-to-canary/cat.jpg")]
    assert {one.reason for one in ask(*links)} == {"forbidden address"}
    assert server.canary_connections == 0
    assert CANARY_HOST not in web.reached


def test_the_canary_would_be_seen_if_it_were_reached(ask, server):
    ask(server.canary, allow_hosts=frozenset({CANARY_HOST}), attempts=1)
    assert server.canary_connections > 0


def test_a_name_is_looked_up_once_and_what_was_checked_is_what_is_connected_to(ask, web, server, public_here):
    web.names["turning.example"] = [["127.0.0.1"], [CANARY_HOST]]
    link = named(server.url("cat.jpg"), "turning.example")
    assert [one.reason for one in ask(link, link, link, allow_hosts=NOBODY)] == [""] * 3
    assert web.lookups == ["turning.example"]
    assert [one.reason for one in ask(link, allow_hosts=NOBODY)] == ["forbidden address"]
    assert set(web.reached) == {"127.0.0.1"}


def test_of_many_addresses_only_those_allowed_are_connected_to(ask, web, server, public_here):
    web.names["mixed.example"] = [["::1", CANARY_HOST, "10.0.0.1", "127.0.0.1", "fe80::1%lo", "127.0.0.3"]]
    assert [one.reason for one in ask(named(server.url("cat.jpg"), "mixed.example"), allow_hosts=NOBODY)] == [""]
    assert set(web.reached) == {"127.0.0.1"}


def test_the_resolver_tells_allowed_addresses_alone_and_says_so_where_there_are_none(web):
    web.names["mixed.example"] = [["10.0.0.1", "8.8.8.8", "::1", "2a00::1"]]
    web.names["inner.example"] = [["10.0.0.1", "::1"]]

    async def told(name: str) -> list[str]:
        resolver = PublicResolver(1)
        try:
            return [found["host"] for found in await resolver.resolve(name, 80)]
        finally:
            await resolver.close()

    assert asyncio.run(told("mixed.example")) == ["8.8.8.8", "2a00::1"]
    with pytest.raises(ForbiddenError, match=r"inner.example is 10.0.0.1 \(private\), ::1 \(loopback\)"):
        asyncio.run(told("inner.example"))


@pytest.mark.parametrize("address", [CANARY_HOST, "::ffff:127.0.0.2", "169.254.169.254", "fe80::1%lo"])
def test_no_socket_is_made_for_a_forbidden_address_whatever_a_resolver_says(web, address):
    class Lying(PublicResolver):
        async def resolve(self, host, port=0, family=0):
            return [connect._result(host, address, port)]

    async def got(resolver: AbstractResolver, link: str) -> None:
        async with ClientSession(connector=connector(Sockets().public, True, resolver)) as session:
            await session.get(link)

    literal = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    for link in ("http://lying.example/", literal):
        with pytest.raises(OSError) as caught:
            asyncio.run(got(Lying(1), link))
        assert isinstance(caught.value.__cause__, ForbiddenError)
        assert ended(caught.value).reason == "forbidden address"
    assert web.reached == []


def test_a_name_without_an_answer_may_pass_and_an_unknown_one_does_not(ask, web, monkeypatch):
    def again(*_: object, **__: object) -> None:
        raise connect.socket.gaierror(connect.socket.EAI_AGAIN, "Temporary failure in name resolution")

    (unknown,) = ask("http://unknown.example/")
    monkeypatch.setattr(connect.socket, "getaddrinfo", again)
    (later,) = ask("http://known.example/")
    assert (unknown.reason, passing(unknown.reason)) == ("no such host", False)
    assert (later.reason, passing(later.reason)) == ("name lookup failed", True)


def test_a_name_server_that_does_not_answer_takes_no_longer_than_connecting_may(ask, monkeypatch):
    hanging = Event()
    monkeypatch.setattr(connect.socket, "getaddrinfo", lambda *_, **__: hanging.wait(20) and [])
    begun = time.monotonic()
    try:
        (answer,) = ask("http://slow.example/", connect_seconds=0.3)
    finally:
        hanging.set()
    assert answer.reason == "timed out"
    assert time.monotonic() - begun < 5
