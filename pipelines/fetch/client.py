"""A web client for links that nobody vouches for.

A link is asked for at most ``attempts`` times, each time through at most ``redirects`` redirects. Every request of it,
redirects included, is for a page of the web at a public address, has its turn at its host (pipelines/fetch/polite.py),
and its body is read under a cap. Whatever the link or its servers do ends in an ``Answer``.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from pipelines.fetch.answer import GOOD_CODES, REASONS, Answer, Ended
from pipelines.fetch.body import body
from pipelines.fetch.connect import PublicResolver, Sockets, connector
from pipelines.fetch.failure import ERRORS, ended
from pipelines.fetch.link import page
from pipelines.fetch.polite import Patience, Turns, back_off, retry_after
from pipelines.fetch.robots import opted_out
from schemas import __version__

__all__ = ["REASONS", "Answer", "Get", "Limits", "client"]

Get = Callable[[str], Awaitable[Answer]]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 503})  # the codes whose Retry-After is a request for a pause
# What may be over in a moment. A link that timed out has had its time; asking it again would hold up the others.
_AGAIN = frozenset({"connection failed", "cut short", "bad answer", "name lookup failed", "HTTP 429"}) | {
    reason for reason in REASONS if reason.startswith("HTTP 5")
}
_LAST = {"Connection": "close"}


@dataclass(frozen=True)
class Limits:
    """What a link may cost, what it may reach, and how polite its client is.

    max_bytes: of a body, as sent and as unpacked; no published picture set needs larger files.
    total_seconds: of all its requests together, from connecting to the last byte, waiting for a turn not counted.
    connect_seconds: of looking a name up and connecting, TLS included; who needs more does not deliver either.
    redirects: followed per attempt; more than browsers of old allowed is a loop.
    attempts: for what may be over in a moment (5xx, 429, failed connections); after three it is not a moment. A
        connection that dies unanswered is tried anew at once within an attempt, as it may have been an old one.
    patience_seconds: the longest that Retry-After, back-off and pauses of its hosts may add up to per link.
    back_off_seconds: the first delay before asking again, doubled each time, 0.5 to 1.5 times by link and attempt.
    per_host: connections at once to one host name; four is less than one browser opens.
    concurrency: connections at once in all; of a list with much rot most wait for servers that are gone.
    disallowed: directives of X-Robots-Tag that opt out; those that say no to training and to indexing.
    user_agent_token: what the client calls itself; directives addressed to another name do not concern it.
    allow_hosts: host names or addresses, as links spell them, exempt from the check of addresses: one's own mirrors.
    """

    max_bytes: int = 32 * 2**20
    total_seconds: float = 30
    connect_seconds: float = 10
    redirects: int = 5
    attempts: int = 3
    patience_seconds: float = 60
    back_off_seconds: float = 1
    per_host: int = 4
    concurrency: int = 128
    disallowed: frozenset[str] = frozenset({"noai", "noimageai", "noindex", "noimageindex"})
    user_agent_token: str = "boxcar"  # noqa: S105 - a name, no secret
    allow_hosts: frozenset[str] = frozenset()


@dataclass
class _Visit:
    link: str
    patience: Patience
    seconds: float
    pause: float = 0.0
    last: str = ""


@dataclass(frozen=True)
class _Client:
    limits: Limits
    public: ClientSession
    trusted: ClientSession
    turns: Turns

    async def get(self, link: str) -> Answer:
        visit = _Visit(link, Patience(self.limits.patience_seconds), self.limits.total_seconds, last=link)
        for attempt in range(1, self.limits.attempts + 1):
            visit.pause = back_off(link, attempt, self.limits.back_off_seconds)
            answer = await self._attempt(visit)
            last = attempt == self.limits.attempts or answer.reason not in _AGAIN
            if last or not await visit.patience.wait(visit.pause):
                break
        return answer

    async def _attempt(self, visit: _Visit) -> Answer:
        try:
            url = page(visit.link, self.limits.allow_hosts)
            for _ in range(self.limits.redirects + 1):
                visit.last = str(url)
                got = await self._turn(url, visit)
                if isinstance(got, bytes):
                    return Answer("", got, visit.last)
                url = page(got, self.limits.allow_hosts, url)
            raise Ended("too many redirects", f"more than {self.limits.redirects}")
        except Ended as end:
            return Answer(end.reason, b"", visit.last, end.detail)

    async def _turn(self, url: URL, visit: _Visit) -> bytes | str:
        now = asyncio.get_running_loop().time
        async with self.turns.turn(_host(url), visit.patience) as kept:
            begun = now()
            try:
                async with asyncio.timeout(visit.seconds):
                    return await self._asked(url, visit, None if kept else _LAST)
            except ERRORS as error:
                raise ended(error) from error
            finally:
                visit.seconds -= now() - begun

    async def _asked(self, url: URL, visit: _Visit, headers: dict[str, str] | None) -> bytes | str:
        session = self.trusted if url.raw_host in self.limits.allow_hosts else self.public
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status not in GOOD_CODES:
                return self._elsewhere(response, url, visit)
            tags = response.headers.getall("X-Robots-Tag", ())
            if tags and (word := opted_out(tags, self.limits.disallowed, self.limits.user_agent_token)):
                raise Ended("opted out", word)
            return await body(response, self.limits.max_bytes)

    def _elsewhere(self, response: ClientResponse, url: URL, visit: _Visit) -> str:
        code = response.status
        if code in _REDIRECTS and (location := response.headers.get("Location")):
            return location
        if code in _BUSY:
            self._pause(response, url, visit)
        reason = f"HTTP {code}"
        raise Ended(reason) if reason in REASONS else Ended("HTTP code out of range", str(code))

    def _pause(self, response: ClientResponse, url: URL, visit: _Visit) -> None:
        said = retry_after(response.headers.get("Retry-After"))
        visit.pause = max(visit.pause, said or 0.0)
        if said is not None or response.status == 429:
            self.turns.pause(_host(url), visit.pause)


def _host(url: URL) -> str:
    return (url.raw_host or "").rstrip(".")


@asynccontextmanager
async def client(limits: Limits, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Get]:
    """A function that gets a link: its bytes, or why there are none. It never raises for what a link or a server does.

    One per process serves any number of links, many at once; links beyond ``limits.concurrency`` wait for their turn,
    so have several times as many under way: only links that wait let their host's connections be kept.
    ``ssl_context`` is for those with certificates of their own; the system's are trusted otherwise.
    """
    resolver, sockets, context = PublicResolver(limits.concurrency), Sockets(), ssl_context or True
    public = _session(limits, connector(sockets.public, context, resolver))
    trusted = _session(limits, connector(sockets.trusted, context))
    try:
        async with public, trusted:
            yield _Client(limits, public, trusted, Turns(limits.per_host, limits.concurrency)).get
    finally:
        await resolver.close()
        await sockets.closed()


def _session(limits: Limits, connections: TCPConnector) -> ClientSession:
    return ClientSession(
        connector=connections,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=ClientTimeout(total=None, connect=limits.connect_seconds),
        headers={
            "User-Agent": f"Mozilla/5.0 (compatible; {limits.user_agent_token}/{__version__})",
            "Accept": "image/*,*/*;q=0.8",
            "Accept-Encoding": "identity",
        },
    )
