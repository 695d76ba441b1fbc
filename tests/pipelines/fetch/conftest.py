"""A web of loopback: names and addresses are this file's, and whatever would leave the machine fails the test."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.fetch.client import Answer, Limits, client


@dataclass
class Web:
    """What names stand for (addresses per lookup, the last one again and again), and what was looked up and reached."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)

    def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.lookups.append(name)
        name.encode("idna")  # raises for what is no name, as the one of Python does
        if name not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.names[name]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(_family(one), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, port)) for one in found]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """The only names and the only addresses that there are; every connection of the process is noted."""
    made, connect = Web(), socket.socket.connect

    def only_here(plug: socket.socket, address: Any) -> None:
        made.reached.append(str(address[0]))
        assert str(address[0]).startswith("127."), f"a test is about to leave the machine, to {address}"
        connect(plug, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", made.getaddrinfo)
        patch.setattr(socket.socket, "connect", only_here)
        yield made


@pytest.fixture(autouse=True)
def empty_web(web: Web) -> Web:
    """Every test begins with a web of no names, of which nothing was asked."""
    web.names.clear()
    web.lookups.clear()
    web.reached.clear()
    return web


def limits(**words: Any) -> Limits:
    """Limits of a test: quick, small, and with the test's server exempt."""
    quick: dict[str, Any] = {
        "max_bytes": 2**20,
        "back_off_seconds": 0.02,
        "allow_hosts": frozenset({"127.0.0.1"}),
    }
    return Limits(**quick | words)


Asked = Callable[..., list[Answer]]


@pytest.fixture
def ask() -> Asked:
    """``ask(link, ..., ssl_context=None, **limits)`` asks for the links at once: their answers."""

    def asked(*links: str, ssl_context: ssl.SSLContext | None = None, **words: Any) -> list[Answer]:
        async def together() -> list[Answer]:
            async with client(limits(**words), ssl_context) as get:
                return await asyncio.gather(*map(get, links))

        return asyncio.run(together())

    return asked


@dataclass(frozen=True)
class Certificate:
    """A certificate of 127.0.0.1 that nobody signed: what a server shows, and what a client trusts it by."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A fresh certificate; the test is skipped where there is no openssl to make one."""
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key -out pem"
    try:
        made = ["openssl", *words.split(), "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no openssl here")
    return Certificate(_server(folder), ssl.create_default_context(cafile=folder / "pem"))


def _server(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem", folder / "key")
    return context
