"""Whatever a server does, a link to it ends in the one reason that stands in the table, and at a bounded cost."""

import asyncio
import socket
import ssl
import threading
import time
import tracemalloc
from contextlib import ExitStack

import pytest

from pipelines.demo.misbehaviour import MISBEHAVIOURS, SILENCING, response
from pipelines.demo.server import misbehaving
from pipelines.fetch.answer import Ended, passing
from pipelines.fetch.client import REASONS, Answer, Limits, client

FILES = {"cat.jpg": b"\xff\xd8" + b"cat" * 5000, "a/dog.jpg": b"\xff\xd8" + b"dog" * 5000}
NAMES = sorted(MISBEHAVIOURS)
QUICK = {"total_seconds": 2, "per_host": 8}


@pytest.fixture
def server():
    with misbehaving(FILES) as running:
        yield running


def reasons(answers: list[Answer]) -> list[str]:
    return [answer.reason for answer in answers]


def expected(names: list[str]) -> list[str]:
    return [MISBEHAVIOURS[name].reason for name in names]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_misbehaviour_ends_in_its_own_reason(ask, certificate, web, scheme):
    secure = scheme == "https"
    with misbehaving(FILES, ssl_context=certificate.server if secure else None) as server:
        answers = ask(
            *(server.url(f"{name}/cat.jpg") for name in NAMES),
            server.url("cat.jpg"),
            ssl_context=certificate.client if secure else None,
            **QUICK,
        )
    assert dict(zip(NAMES, reasons(answers), strict=False)) == dict(zip(NAMES, expected(NAMES), strict=True))
    assert answers[-1] == Answer("", FILES["cat.jpg"], server.url("cat.jpg"))
    assert all(bool(answer.data) == (answer.reason == "") for answer in answers)
    assert server.canary_connections == 0
    assert set(web.reached) == {"127.0.0.1"}


def test_every_reason_of_the_table_is_one_of_the_vocabulary():
    assert {one.reason for one in [*MISBEHAVIOURS.values(), *SILENCING.values()]} <= {"", *REASONS}


def test_what_may_pass_is_trouble_and_not_a_refusal():
    may_pass = {reason for reason in REASONS if passing(reason)}
    assert {"HTTP 429", "HTTP 500", "HTTP 503", "timed out", "connection failed", "name lookup failed"} <= may_pass
    assert not may_pass & {"HTTP 404", "HTTP 410", "HTTP 403", "forbidden address", "opted out", "too many bytes"}
    assert [passing(reason) for reason in ("", None, "damaged picture", "HTTP 404", "HTTP 429")] == [False] * 4 + [True]


def test_a_detail_is_one_short_line_that_a_terminal_can_show():
    detail = Ended("bad answer", "\x1b[31m red\r\n" * 100).detail
    assert detail.startswith(" [31m red   [31m")
    assert (detail.isprintable(), len(detail)) == (True, 300)


@pytest.mark.parametrize("name", ["gzipped", "moved", "broken-once", "hangs-up-once", "another-opted-out"])
def test_what_arrives_after_all_is_the_file_itself(ask, server, name):
    (answer,) = ask(server.url(f"{name}/a/dog.jpg"))
    assert (answer.reason, answer.data) == ("", FILES["a/dog.jpg"])


def test_the_answer_names_the_page_that_was_asked_last(ask, server):
    moved, lost = ask(server.url("moved/cat.jpg"), server.url("moved-to-metadata/cat.jpg"))
    assert moved.url == server.url("cat.jpg")
    assert lost.url == server.url("moved-to-metadata/cat.jpg")
    assert "169.254.169.254" in lost.detail


@pytest.mark.parametrize(
    ("name", "times"),
    [
        (name, 1)
        for name in ("not-found", "gone", "denied", "opted-out", "empty", "huge-by-its-head", "silent", "no-gzip")
    ]
    + [("busy-once", 2)]
    + [(name, 3) for name in ("broken-for-ever", "busy-for-ever", "shorter-than-stated")],
)
def test_a_link_is_asked_again_only_for_what_may_be_over_in_a_moment(ask, server, name, times):
    ask(server.url(f"{name}/cat.jpg"), total_seconds=0.3)
    assert server.requests == [f"{name}/cat.jpg"] * times


def test_a_connection_that_dies_unanswered_may_have_been_an_old_one_and_is_tried_anew_at_once(ask, server):
    assert reasons(ask(server.url("hangs-up-once/cat.jpg"), attempts=1)) == [""]
    assert reasons(ask(server.url("hangs-up/cat.jpg"), attempts=1)) == ["connection failed"]
    assert server.requests == ["hangs-up-once/cat.jpg"] * 2 + ["hangs-up/cat.jpg"] * 2


def test_redirects_are_followed_as_often_as_allowed(ask, server):
    ask(server.url("moved-in-a-loop/cat.jpg"), redirects=2)
    assert len(server.requests) == 3
    server.requests.clear()
    assert reasons(ask(server.url("moved/cat.jpg"), redirects=0)) == ["too many redirects"]


def test_the_time_of_a_link_is_bounded_through_all_its_requests(ask, server):
    begun = time.monotonic()
    assert reasons(ask(server.url("slow-drip/x"), server.url("silent/x"), total_seconds=0.4)) == ["timed out"] * 2
    assert 0.4 <= time.monotonic() - begun < 3


def test_the_time_of_a_link_runs_on_when_it_is_asked_again(ask, server):
    tired, patient = (ask(server.url("reset-midway/x"), total_seconds=time, attempts=6) for time in (0.12, 20))
    assert reasons(tired + patient) == ["timed out", "cut short"]  # a twentieth of a second is spent on each attempt


def test_the_time_to_connect_is_bounded_by_itself(ask):
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # its queue is full with these: who comes later waits for ever
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        begun = time.monotonic()
        (answer,) = ask(f"http://127.0.0.1:{deaf.getsockname()[1]}/", connect_seconds=0.3)
    assert (answer.reason, passing(answer.reason)) == ("timed out", True)
    assert time.monotonic() - begun < 5


def test_nothing_listening_is_a_failed_connection_that_may_pass(ask):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (answer,) = ask(f"http://127.0.0.1:{port}/")
    assert (answer.reason, passing(answer.reason)) == ("connection failed", True)


@pytest.mark.parametrize("name", ["endless-body", "endless-chunks", "gzip-bomb", "huge-by-its-head"])
def test_no_more_than_the_cap_is_ever_held_for_a_link(server, name):
    async def got() -> tuple[str, int]:
        async with client(Limits(max_bytes=8 * 2**20, allow_hosts=frozenset({"127.0.0.1"}))) as get:
            await get(server.url(f"{name}/warm"))
            tracemalloc.start()
            answer = await get(server.url(f"{name}/cat.jpg"))
            return answer.reason, tracemalloc.get_traced_memory()[1]

    try:
        reason, peak = asyncio.run(got())
    finally:
        tracemalloc.stop()
    assert reason == "too many bytes"
    assert peak < 8 * 2**20 * 1.5  # the cap, what the buffer keeps ready to grow, and the server's own


def test_a_file_as_large_as_the_cap_arrives_and_one_byte_more_does_not(ask):
    with misbehaving({"just": bytes(300_000), "over": bytes(300_001)}) as server:
        links = [server.url(path) for path in ("just", "over", "gzipped/just", "gzipped/over")]
        answers = ask(*links, max_bytes=300_000)
    assert reasons(answers) == ["", "too many bytes"] * 2
    assert answers[0].data == answers[2].data == bytes(300_000)


@pytest.mark.parametrize("name", ["chunked", "length-unstated"])
def test_the_cap_holds_for_what_comes_in_one_piece_and_tells_no_length(ask, server, name):
    assert reasons(ask(server.url(f"{name}/cat.jpg"), max_bytes=1000)) == ["too many bytes"]


@pytest.mark.parametrize("name", ["gzipped", "deflated", "deflated-bare", "chunked", "length-unstated"])
def test_what_is_packed_or_of_unstated_length_arrives_whole_whatever_its_size(ask, name):
    files = {str(size): bytes(size) for size in (1, 257, 2**16 - 1, 2**16, *range(2**16 + 1, 2**16 + 257, 15), 10**6)}
    with misbehaving(files) as server:
        answers = ask(*(server.url(f"{name}/{size}") for size in files))
    assert [answer.data for answer in answers] == list(files.values())


def test_one_ssl_context_serves_all_links_and_connections_are_kept(ask, certificate, monkeypatch):
    made = []
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: made.append(1))
    with misbehaving(FILES, ssl_context=certificate.server) as server:
        answers = ask(*[server.url("cat.jpg")] * 100, ssl_context=certificate.client)
    assert reasons(answers) == [""] * 100
    assert made == []
    assert server.connections < 20


def test_no_connection_is_kept_for_which_no_link_waits(server):
    async def got() -> str:
        async with client(Limits(allow_hosts=frozenset({"127.0.0.1"}))) as get:
            await get(server.url("cat.jpg"))
            return server.head

    assert "Connection: close" in asyncio.run(got())


def test_a_certificate_that_nobody_trusts_ends_the_link(ask, certificate):
    with misbehaving(FILES, ssl_context=certificate.server) as server:
        (answer,) = ask(server.url("cat.jpg"))
    assert (answer.reason, passing(answer.reason), server.requests) == ("TLS failed", False, [])


def test_a_server_that_never_says_farewell_holds_a_connection_no_longer_than_a_moment(certificate):
    gone, limits = threading.Event(), Limits(allow_hosts=frozenset({"127.0.0.1"}))

    def serve(listening: socket.socket) -> None:
        secure = certificate.server.wrap_socket(listening.accept()[0], server_side=True)
        secure.recv(2**16)
        secure.sendall(response(200, b"cat"))
        with socket.socket(fileno=secure.detach()) as deaf:  # to the farewell of the client, but not to its end
            while deaf.recv(2**16):
                pass
            gone.set()

    async def got(link: str) -> tuple[bytes, bool]:
        async with client(limits, certificate.client) as get:
            answer = await get(link)
            await asyncio.to_thread(gone.wait, 10)
            return answer.data, gone.is_set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, args=(listening,), daemon=True)
        serving.start()
        assert asyncio.run(got(f"https://127.0.0.1:{listening.getsockname()[1]}/")) == (b"cat", True)
        serving.join(timeout=20)


def test_neither_proxies_nor_cookies_nor_credentials_nor_packing_are_asked_for(ask, web, server, monkeypatch):
    web.names["named.example"] = [["127.0.0.1"]]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, server.canary)
    link = server.url("moved/cat.jpg").replace("127.0.0.1", "me:secret@named.example")
    (answer,) = ask(link, allow_hosts=frozenset({"named.example"}))
    assert (answer.reason, server.canary_connections, "secret" in answer.url) == ("", 0, False)
    head = server.head.lower()
    assert "cookie" not in head
    assert "authorization" not in head
    assert "accept-encoding: identity" in head
    assert "boxcar/" in head
