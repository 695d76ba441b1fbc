"""Tests of the server over loopback: who is answered, with what, and that nothing else can be had of it."""

import http.client
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.view.server import Server
from pipelines.view.site import FILES
from schemas.errors import ConfigError

Get = Callable[..., Any]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9999", "127.0.0.1", "127.9.9.9:80", "[::1]:8100", "LOCALHOST"]
)
def test_loopback_is_answered_under_any_of_its_names_and_any_port(demo_server: Server, get: Get, host: str) -> None:
    assert get(demo_server, "/api/about", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8100", "127.0.0.1.evil.example", "localhost.evil.example", "[", "", "10.0.0.1"],
)
def test_a_name_that_somebody_bound_to_loopback_is_not_answered(demo_server: Server, get: Get, host: str) -> None:
    for path in ("/", "/api/about", "/api/page", "/picture/0.0", "/view.js"):
        got = get(demo_server, path, Host=host)
        assert (got.status, list(got.said)) == (403, ["error"]), path


def test_beyond_loopback_everything_but_the_pages_own_code_wants_the_token(
    demo_pool: Path, serve: Any, get: Get
) -> None:
    server = serve(demo_pool, host="0.0.0.0")
    assert re.fullmatch(rf"http://[^/]+:{server.server_address[1]}/\?token=[\w-]{{24}}", server.url)
    for path in ("/", "/api/about", "/api/page?size=1", "/picture/0.0", "/api/sample?at=0.0"):
        joint = "&" if "?" in path else "?"
        assert get(server, path).status == 403
        assert get(server, f"{path}{joint}token=").status == 403
        assert get(server, f"{path}{joint}token={server.token[:-1]}").status == 403
        assert get(server, f"{path}{joint}token=%C3%A9").status == 403
        assert get(server, f"{path}{joint}token={server.token}").status == 200
    assert get(server, "/view.js").status == 200
    assert get(server, f"/api/about?token={server.token}", Host="evil.example").status == 403
    assert get(server, f"/api/about?token={server.token}", Host="192.0.2.7:1").status == 200
    assert get(server, f"/api/about?token={server.token}", Host=socket.gethostname()).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"])
def test_only_get_is_answered(demo_server: Server, get: Get, method: str) -> None:
    assert get(demo_server, "/api/about", method).status == 501


@pytest.mark.parametrize(
    "path",
    [
        "/pool.json",
        "/../pool.json",
        "/..%2fpool.json",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/picture/../../etc/passwd",
        "/picture/0.0/../../pool.json",
        "//etc/passwd",
        "/view.py",
        "/page/view.js",
        "/index.html",
        "/api/draws",
        "/picture/0",
        "/picture/0.0.jpg",
        "/picture/-1.0",
    ],
)
def test_nothing_beyond_the_site_is_served(demo_server: Server, path: str) -> None:
    # Sent as it stands: urllib would tidy some of it.
    connection = http.client.HTTPConnection("127.0.0.1", demo_server.server_address[1], timeout=20)
    connection.putrequest("GET", path, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status in (400, 404) and b"error" in answer.read()
    connection.close()


def test_every_answer_forbids_foreign_scripts_styles_frames_and_sniffing(demo_server: Server, get: Get) -> None:
    for path in (*FILES, "/api/page", "/picture/0.0", "/nothing", "/api/page?size=x"):
        headers = get(demo_server, path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers and "Python" not in str(headers)


def test_the_page_has_no_inline_script_or_style_and_names_no_other_host(demo_server: Server, get: Get) -> None:
    for path in FILES:
        text = get(demo_server, path).body.decode()
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert "innerHTML" not in text and "outerHTML" not in text and "insertAdjacentHTML" not in text
    page = get(demo_server, "/").body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/api/page?source=refcocco", "did you mean refcoco"),
        ("/api/page?task=%00", "unknown task"),
        ("/api/page?order=worst", "unknown order"),
        ("/api/page?from=x", "from: 'x'"),
        ("/api/page?from=0.-1", "from: '0.-1'"),
        ("/api/page?boxes_min=many", "boxes_min"),
        ("/api/page?boxes_min=99999999999999", "boxes_min"),
        ("/api/page?area_max=nan", "area_max"),
        ("/api/page?area_max=1e999", "area_max"),
        ("/api/page?size=x", "size"),
        ("/api/page?q=" + "x" * 201, "201 characters"),
        ("/api/page?q=" + "x" * 5000, "address: "),
        ("/api/page?q=%ff", "address: "),
        ("/api/page?q=a&q=b", "'q' is there twice"),
        ("/api/page?" + "&".join(f"w{n}=1" for n in range(60)), "address: "),
        ("/api/sample", "at: nothing"),
        ("/api/sample?at=0", "at: '0'"),
    ],
)
def test_bad_words_are_a_400_in_one_line(demo_server: Server, get: Get, path: str, part: str) -> None:
    got = get(demo_server, path)
    assert got.status == 400 and part in got.said["error"] and "\n" not in got.said["error"], got


def test_a_sample_there_is_not_or_a_shard_that_is_gone_is_told_in_one_line(
    pool_copy: Path, serve: Any, get: Get
) -> None:
    server = serve(pool_copy)
    count = json.loads((pool_copy / "receipts" / "000000.json").read_bytes())["samples"]
    assert get(server, f"/api/sample?at=0.{count - 1}").status == 200
    for path in (
        f"/api/sample?at=0.{count}",
        "/api/sample?at=0.999999",
        "/api/sample?at=999999.0",
        "/picture/999999.0",
    ):
        got = get(server, path)
        assert got.status == 400 and "\n" not in got.said["error"] and "no s" in got.said["error"]
    (pool_copy / "index" / "000000.arrow").write_bytes(b"")
    got = get(server, "/api/page")
    assert got.status == 500 and "000000.arrow: cannot be read" in got.said["error"]


def test_a_port_that_is_taken_is_told_in_one_line(demo_server: Server) -> None:
    with pytest.raises(ConfigError, match=r"cannot serve at 127\.0\.0\.1 port"):
        Server(demo_server.site, "127.0.0.1", demo_server.server_address[1])


def test_pictures_are_the_stored_bytes_and_never_a_page(
    hostile_pool: Path, demo_server: Server, serve: Any, get: Get
) -> None:
    got = get(demo_server, "/picture/0.0")
    assert got.headers["Content-Type"] == "image/jpeg" and got.body.startswith(b"\xff\xd8\xff")
    server = serve(hostile_pool)
    for number in range(10):
        got = get(server, f"/picture/0.{number}")
        assert (got.status, got.headers["Content-Type"]) == (200, "image/jpeg")


def test_hostile_records_are_told_as_they_stand_and_what_is_no_sample_as_that(
    hostile_pool: Path, serve: Any, get: Get
) -> None:
    server = serve(hostile_pool)
    cards = get(server, "/api/page?shard=0").said["samples"]
    assert ["error" in card for card in cards] == [False] * 7 + [True] * 3
    boxes = get(server, "/api/sample?at=0.2").said["records"][0]
    assert len(boxes["boxes"]) == boxes["of"] == 10_000 and len(cards[2]["records"][0]["boxes"]) == 60
    assert boxes["boxes"][0]["token"] == [0.1, 0.1, 0.2, 0.2]
    inverted, markup = (get(server, f"/api/sample?at=0.{number}").said["records"][0] for number in (5, 6))
    assert inverted["boxes"][0]["token"] is None and inverted["boxes"][0]["exact"] == [0.1, 0.1, 0.2, 0.2]
    assert "malformed" in markup["odd"]
    assert len(json.dumps(cards)) < 100_000, "cards are brief"
    evil = get(server, "/api/sample?at=0.0").body
    assert evil == json.dumps(json.loads(evil), ensure_ascii=False, separators=(",", ":")).encode()


def test_a_pool_that_lies_elsewhere_is_served_alike(demo_pool: Path, demo_server: Server, serve: Any, get: Get) -> None:
    there = fsspec.filesystem("memory")
    there.put(str(demo_pool), "/served", recursive=True)
    server = serve("memory://served")
    for path in ("/api/about", "/api/page?q=circle&size=5", "/api/sample?at=0.2", "/api/rejects", "/picture/0.0"):
        assert get(server, path).body == get(demo_server, path).body, path
    there.rm("/served", recursive=True)
