"""What became of a link: the reasons there are, which of them may pass, and the answer that carries one."""

from typing import NamedTuple

_LONGEST_DETAIL = 300  # what servers say may be long, and meant for a terminal
PASSING_CODES = frozenset({408, 425, 429, *range(500, 600)})
GOOD_CODES = frozenset({*range(200, 300)} - {206})  # a part of a picture was never asked for

# Every reason for which a link gives no bytes, and whether it may pass: whether asking another day makes sense.
REASONS: dict[str, bool] = {
    "bad link": False,
    "not http": False,
    "forbidden address": False,
    "no such host": False,
    "name lookup failed": True,
    "connection failed": True,
    "TLS failed": False,
    "timed out": True,
    "cut short": True,
    "bad answer": False,
    "bad encoding": False,
    "too many bytes": False,
    "too many redirects": False,
    "empty body": False,
    "opted out": False,
    "host asked for a pause": True,
    "HTTP code out of range": False,
    **{f"HTTP {code}": code in PASSING_CODES for code in range(200, 600) if code not in GOOD_CODES},
}


def passing(reason: str | None) -> bool:
    """Whether what failed for that reason, a picture's faults among them, may do better another day."""
    return REASONS.get(reason or "", False)


class Answer(NamedTuple):
    """What a link gave. ``reason`` is "" where its bytes arrived, else one of ``REASONS``, and ``data`` is empty then.

    ``url`` is the last one asked, after redirects; ``detail`` is free words for a log.
    """

    reason: str
    data: bytes
    url: str
    detail: str = ""


class Ended(Exception):  # noqa: N818 - how a link ends, caught by the client and never seen outside it
    """A link gives no bytes, for one of ``REASONS``."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = "".join(sign if sign.isprintable() else " " for sign in detail[:_LONGEST_DETAIL])
