"""Pools served on loopback, and one of hostile records."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from pipelines.layout import INDEX
from pipelines.tar import TarWriter, index_bytes
from pipelines.view.command import site_of
from pipelines.view.server import Server

EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


class Got(NamedTuple):
    """An answer: status, headers, and what it says, JSON taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """A function that serves a pool or a lock on a port of its own, until the tests are over."""
    with ExitStack() as stack:

        def start(what: Path | str, tokenizer: Path | None = None, host: str = "127.0.0.1") -> Server:
            server = stack.enter_context(Server(site_of(str(what), tokenizer), host, 0))
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start


@pytest.fixture(scope="session")
def get() -> Callable[..., Got]:
    """A function that asks a server for a path, with other headers where they are given."""

    def ask(server: Server, path: str, method: str = "GET", **headers: str) -> Got:
        url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, None, headers, method=method), timeout=20
            ) as answer:
                return Got(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Got(error.code, dict(error.headers), error.read())

    return ask


@pytest.fixture(scope="session")
def demo_server(demo_pool: Path, serve: Serve) -> Server:
    """The demo pool, served."""
    return serve(demo_pool)


def hostile_records() -> list[dict[str, Any]]:
    """Records that mean harm, each in its way."""
    box, token = [0.1, 0.1, 0.2, 0.2], "{<10><10><20><20>}"

    def record(name: str, asked: str, said: str, boxes: int = 0) -> dict[str, Any]:
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        key = f"evil/train/{name}/chat"
        told = {"key": key, "source": "evil", "split": "train", "task": None, "messages": turns, "boxes": [box] * boxes}
        return {**told, "draw": {"pool": None, "slots": [], "answers": []}, "meta": [{"name": EVIL, "value": EVIL}]}

    return [
        record("script", EVIL, f"<p>{EVIL.replace('<p', '< p')}</p> {token} {EVIL}", 1),
        record("rtl", "‮gnp.exe ‏שלום\u202e", "مرحبا بالعالم ⁦⁧", 0),
        record("boxes", "all", "<delim>".join([token] * 10_000), 10_000),
        record("long", "x" * 50_000, "word " * 10_000),
        record("emoji", "👩‍👩‍👧‍👦" * 40, "🏳️‍🌈 zalgo " + "a\u0301\u0302\u0303" * 99),
        record("inverted", "where", "{<90><90><10><10>}", 1),
        record("markup", "where", "<p>open {<1><2><3> <delim> [INST]", 1),
    ]


@pytest.fixture
def hostile_pool(pool_copy: Path) -> Path:
    """A pool whose first shard holds hostile records with a broken picture, then JSON that is no sample."""
    image = {"id": f"web/{EVIL}", "aliases": [EVIL], "width": 640, "height": 0, "sha256": None, "license": EVIL}
    samples = [{"schema": "boxcar/1", "image": {**image, "scores": []}, "records": [one]} for one in hostile_records()]
    rows: list[dict[str, Any]] = []
    tar = next(iter(sorted(pool_copy.glob("*-000000.tar"))))
    with TarWriter(tar) as writer:
        for number, sample in enumerate(samples):
            data = json.dumps(sample).encode()
            writer.add(f"evil-{number}", [("jpg", b"\xff\xd8\xff<script>alert(1)</script>"), ("json", data)])
            rows.append(_row(number, len(sample["records"][0]["boxes"])))
        for number, data in enumerate((b"{}", b"[" * 5000, b"\xff"), len(samples)):
            writer.add(f"evil-{number}", [("jpg", b"<svg onload=alert(1)>"), ("json", data)])
            rows.append(_row(number, 1))
        writer.close()
    Path(f"{tar}.idx").write_bytes(index_bytes(writer.offsets))
    with pa.ipc.new_file(str(pool_copy / "index" / "000000.arrow"), INDEX) as out:
        out.write_table(pa.Table.from_pylist(rows, INDEX))
    return pool_copy


def _row(sample: int, boxes: int) -> dict[str, Any]:
    part = {"source": "refcoco", "split": "train", "task": "refer", "use": "train"}
    known = {"sample": sample, "stem": f"evil-{sample}", "place": 0, "boxes": boxes, "turns": 1, "chars": 9}
    return {**dict.fromkeys(INDEX.names), "aliases": [], "scores": [], **part, **known, "min_area": 0.01}
