"""Connections that lead to public addresses alone: names are looked up once, and every socket is checked."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from weakref import WeakSet

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from pipelines.fetch.address import forbidden

LOOKUP_SECONDS = 300  # how long an answer of the name servers is remembered: links of a host stand close together
IDLE_SECONDS = 1.0  # how long a connection is kept without use: it is kept only where a link waits for it
CLOSING_SECONDS = 1.0  # how long a server may take to say farewell
_GLANCE_SECONDS = 0.002


class ForbiddenError(OSError):
    """A host has no address to which anything may be sent."""


class PublicResolver(AbstractResolver):
    """Looks names up in threads of its own and tells only addresses to which anything may be sent."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The host's allowed addresses; ForbiddenError where it has only others, socket.gaierror where it has none."""
        asked = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, asked)
        addresses = [str(address[0]) for *_, address in found]
        allowed = [address for address in addresses if not forbidden(address)]
        if not allowed:
            raise ForbiddenError(f"{host} is {', '.join(f'{address} ({forbidden(address)})' for address in addresses)}")
        return [_result(host, address, port) for address in allowed]

    async def close(self) -> None:
        """Forget the lookups that have not begun; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


class Sockets:
    """Makes the sockets of a client, and knows them until they are closed."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def public(self, info: AddrInfoType) -> socket.socket:
        """A socket for one address; ForbiddenError, before there is any, where nothing may be sent to it."""
        if why := forbidden(str(info[4][0])):
            raise ForbiddenError(f"{info[4][0]} ({why})")
        return self.trusted(info)

    def trusted(self, info: AddrInfoType) -> socket.socket:
        """A socket for any address."""
        made = socket.socket(*info[:3])
        self._made.add(made)
        return made

    async def closed(self) -> None:
        """Wait until all are closed, which they are a second after their connections were: TLS takes leave by words."""
        now = asyncio.get_running_loop().time
        until = now() + 2 * CLOSING_SECONDS
        while any(made.fileno() >= 0 for made in self._made) and now() < until:
            await asyncio.sleep(_GLANCE_SECONDS)


def connector(
    factory: Callable[[AddrInfoType], socket.socket],
    ssl_context: ssl.SSLContext | bool,
    resolver: PublicResolver | None = None,
) -> TCPConnector:
    """Connections through the sockets of that factory, as many as are asked for, to hosts as the resolver tells them.

    ``ssl_context`` is True for the system's certificates; without a resolver the system's answers stand.
    """
    with warnings.catch_warnings():
        # Deprecated as a whole, but for half a minute otherwise a server may leave a TLS connection half closed.
        warnings.simplefilter("ignore", DeprecationWarning)
        return TCPConnector(
            resolver=resolver,
            socket_factory=factory,
            ssl=ssl_context,
            limit=0,
            ttl_dns_cache=LOOKUP_SECONDS,
            keepalive_timeout=IDLE_SECONDS,
            ssl_shutdown_timeout=CLOSING_SECONDS,
        )
