"""Politeness: few links at once per host, pauses that hosts ask for, and delays before asking again.

A link that waits for a busy or pausing host occupies nothing but its place in that host's queue, so one slow host
stalls no other. What is known of a host is forgotten once no link is about it and its pause is over.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

from pipelines.fetch.answer import Ended

LONGEST_PAUSE = 3600.0  # seconds that a host's request for a pause is remembered: beyond the patience of any link
_MOST_DIGITS = 9


class Patience:
    """How many seconds of pauses and delays one link is still willing to wait."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    async def wait(self, seconds: float) -> bool:
        """Wait that long and say True, or say False at once where it is longer than what is left."""
        if seconds > self.left:
            return False
        if seconds > 0:
            self.left -= seconds
            await asyncio.sleep(seconds)
        return True


class _Host:
    def __init__(self, per_host: int) -> None:
        self.slots = asyncio.Semaphore(per_host)
        self.links = self.running = 0
        self.not_before = 0.0


class Turns:
    """Gives turns to links: so many at once per host, so many in all, none while the host wants a pause."""

    def __init__(self, per_host: int, concurrency: int) -> None:
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}
        self._all = asyncio.Semaphore(concurrency)

    def __len__(self) -> int:
        """How many hosts something is known of."""
        return len(self._hosts)

    @asynccontextmanager
    async def turn(self, host: str, patience: Patience) -> AsyncIterator[bool]:
        """Hold a turn at the host; yields whether another link waits for the connection once this one has done.

        Ended ("host asked for a pause") where the host's pause is longer than the patience that is left.
        """
        state = self._hosts.get(host)
        if state is None:
            state = self._hosts[host] = _Host(self._per_host)
        state.links += 1
        try:
            while True:
                if not await patience.wait(left := state.not_before - _now()):
                    raise Ended("host asked for a pause", f"{host}: another {left:.0f} s")
                async with state.slots, self._all:
                    if state.not_before > _now():
                        continue
                    state.running += 1
                    try:
                        yield state.links - state.running >= state.running
                        return
                    finally:
                        state.running -= 1
        finally:
            state.links -= 1
            self._forget(host)

    def pause(self, host: str, seconds: float) -> None:
        """Give no turn at a host, whose turn is held now, for that many seconds."""
        state = self._hosts[host]
        state.not_before = max(state.not_before, _now() + min(seconds, LONGEST_PAUSE))

    def _forget(self, host: str) -> None:
        state = self._hosts.get(host)
        if state is None or state.links:
            return
        if state.not_before <= _now():
            del self._hosts[host]
        else:
            asyncio.get_running_loop().call_at(state.not_before, self._forget, host)


def _now() -> float:
    return asyncio.get_running_loop().time()


def retry_after(value: str | None) -> float | None:
    """The seconds that a Retry-After header asks for (a number of seconds, or a date), None where it asks for none."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MOST_DIGITS])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def back_off(link: str, attempt: int, seconds: float) -> float:
    """The delay after that many attempts: ``seconds`` doubled with each, 0.5 to 1.5 times that by link and attempt."""
    digest = hashlib.blake2b(f"{attempt} {link}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return seconds * float(2 ** (attempt - 1)) * (0.5 + int.from_bytes(digest, "big") / 2**64)
