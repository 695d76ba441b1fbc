"""What the errors of a connection mean: for which reason a link has ended."""

import asyncio
import socket

import aiohttp

from pipelines.fetch.answer import Ended
from pipelines.fetch.connect import ForbiddenError

# Everything that a link or a server can make a request raise.
ERRORS = (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, ValueError)
_UNKNOWN_HOST = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)
# The first that fits decides.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (asyncio.TimeoutError, "timed out"),
    (ForbiddenError, "forbidden address"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.InvalidURL, "bad link"),
    (aiohttp.ClientResponseError, "bad answer"),
    (aiohttp.http_exceptions.HttpProcessingError, "bad answer"),
    (aiohttp.ClientPayloadError, "cut short"),
    (aiohttp.ClientError, "connection failed"),
    (OSError, "connection failed"),
    (ValueError, "bad link"),
)


def ended(error: Exception) -> Ended:
    """The end of a link whose request raised one of ``ERRORS``."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return Ended("no such host" if cause.errno in _UNKNOWN_HOST else "name lookup failed", str(cause))
    found = cause if isinstance(cause, ForbiddenError | TimeoutError) else error
    reason = next(reason for kind, reason in _REASONS if isinstance(found, kind))
    return Ended(reason, f"{type(found).__name__}: {found}".rstrip(": "))
