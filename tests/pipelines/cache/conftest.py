"""A web server of loopback that tells what it was asked for, and fails as it is told to."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines import remote
from pipelines.shard import shard
from schemas.pool import pool_config

REFER = {"source": "refcoco", "task": "refer", "weight": 1}
CAPTION = {"source": "coco_caption", "task": "caption", "weight": 2}


@dataclass
class Far:
    """Files of a folder by URL. By name: how often each was read from its beginning, and what goes wrong with it.

    ``failing`` answers so many times with 503, ``cut`` breaks off in the middle so many times, ``changed`` has a byte
    that differs. ``stuck`` lets an answer wait before its second half until it is set.
    """

    folder: Path
    url: str = ""
    delay: float = 0.0
    read: Counter[str] = field(default_factory=Counter)
    failing: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    stuck: dict[str, threading.Event] = field(default_factory=dict)
    half_way: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tars(self) -> Counter[str]:
        """How often each tar was read."""
        return Counter({name: count for name, count in self.read.items() if name.endswith(".tar")})

    def counted(self, of: dict[str, int], name: str) -> bool:
        """Whether it is to go wrong once more."""
        with self.lock:
            of[name] = of.get(name, 0) - 1
            return of[name] >= 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    far: Far

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        far, name = self.far, self.path.lstrip("/").partition("?")[0]
        path = far.folder / name
        if not path.is_file():
            return self._end(404)
        if body and far.counted(far.failing, name):
            return self._end(503)
        data = bytearray(path.read_bytes())
        if name in far.changed:
            data[len(data) // 2] ^= 1
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
        first, last = int(asked[0]), min(int(asked[1] or len(data) - 1), len(data) - 1)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            self._body(bytes(data[first : last + 1]), name, first)

    def _body(self, data: bytes, name: str, first: int) -> None:
        far = self.far
        if first == 0:
            with far.lock:
                far.read[name] += 1
        time.sleep(far.delay)
        half = len(data) // 2
        self.wfile.write(data[:half])
        self.wfile.flush()
        if name in far.stuck:
            far.half_way.set()
            far.stuck[name].wait(30)
        if far.counted(far.cut, name):
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[half:])

    def _end(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass  # who asked was killed, or broken off on purpose


@contextmanager
def serving(folder: Path) -> Iterator[Far]:
    """What the folder holds, at ``url``."""
    far = Far(folder)
    server = _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"far": far}))
    far.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield far
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def pool(demo_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool called ``fine`` of many small shards. Read only."""
    out = tmp_path_factory.mktemp("pools") / "fine"
    sources = [
        {"name": "refcoco", "root": f"{demo_files}/refer", "splits": ["train"]},
        {"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["train"]},
    ]
    said = {"pool": "fine", "collections": {"coco": f"{demo_files}/coco"}, "sources": sources}
    shard(pool_config({**said, "shard": {"max_samples": 3}}, "test"), str(out))
    return out


@pytest.fixture
def far(pool: Path) -> Iterator[Far]:
    """The pool ``fine``, elsewhere."""
    with serving(pool) as served:
        yield served


@pytest.fixture(scope="session")
def windowed(
    lock_of: Callable[..., Path], pool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int | None], Path]:
    """A function: a lock of two parts in windows of so many shards, 30 steps of 12 draws."""
    folder = tmp_path_factory.mktemp("locks")

    def lock(window: int | None) -> Path:
        path = folder / f"{window}.lock.json"
        if not path.exists():
            lock_of(path, [pool], [REFER, CAPTION], window=window, train={"steps": 30})
        return path

    return lock


@pytest.fixture
def cached(far: Far, tmp_path: Path) -> dict[str, Any]:
    """What the loader is told of the pool elsewhere, and of a cache that has room for all of it."""
    cache = {"cache": tmp_path / "cache", "cache_bytes": "1GiB"}
    return {"pools": {"fine": far.url}, "image_size": 8, **cache}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for as long as outside of tests."""
    monkeypatch.setattr(remote, "WAIT", 0.02)
    monkeypatch.setattr(remote, "PATIENCE", 20.0)
