"""The server: a site on loopback, or with a token on another address. It answers GET, and nothing beyond the site.

A page of another origin can neither read it (no CORS, resource policy ``same-origin``, no framing) nor reach it under a
name that it has bound to loopback (the Host header is checked). Records are never part of a page's markup: they come as
JSON, and the page's own policy runs no script and no style but its own files.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from pipelines.view.site import FILES, Answer, Site, one_line
from schemas.errors import BoxcarError, ConfigError, RecordError

LONGEST = 4000  # characters of an address
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_OPEN = {name for name in FILES if name != "/"}  # the page's own code: it tells nothing of what is looked at


class Server(ThreadingHTTPServer):
    """A site, served; ``url`` is what a browser is given, its token included where one is needed."""

    daemon_threads = True

    def __init__(self, site: Site, host: str, port: int) -> None:
        """Bind to the address, port 0 for any free one; ConfigError where that cannot be."""
        self.site = site
        self.host = host
        self.token = "" if is_loopback(host) else secrets.token_urlsafe(18)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"cannot serve at {host} port {port}: {error}") from error

    @property
    def url(self) -> str:
        """The page's address."""
        unspecified = {"0.0.0.0": socket.gethostname, "::": socket.gethostname}  # noqa: S104 - not bound here
        name = unspecified.get(self.host, lambda: self.host)()
        shown = f"[{name}]" if ":" in name else name
        return f"http://{shown}:{self.server_address[1]}/" + (f"?token={self.token}" if self.token else "")

    def admits(self, host: str) -> bool:
        """Whether a Host header names this server: loopback by its names, any other by its name or as a number."""
        name = _bare(host)
        if not self.token:
            return is_loopback(name)
        return name in (self.host.lower(), "localhost", socket.gethostname().lower()) or _is_number(name)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "boxcar", ""
    timeout = 60
    disable_nagle_algorithm = True  # else a body waits up to 40 ms for the browser to confirm its header
    wbufsize = 2**16

    def do_GET(self) -> None:
        try:
            status, answer = self._found()
        except (ConfigError, RecordError) as error:
            status, answer = HTTPStatus.BAD_REQUEST, _said(one_line(error))
        except BoxcarError as error:
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, _said(one_line(error))
        self._send(status, answer)

    def _found(self) -> tuple[HTTPStatus, Answer]:
        if not self.server.admits(self.headers.get("Host", "")):
            return HTTPStatus.FORBIDDEN, _said({"error": "Host: not this server's name, wanted the address it printed"})
        if len(self.path) > LONGEST:
            raise ConfigError(f"address: {len(self.path)} characters, wanted at most {LONGEST}")
        path, words = addressed(self.path)
        token = words.pop("token", "")
        if self.server.token and path not in _OPEN and not hmac.compare_digest(token.encode(), self._token):
            return HTTPStatus.FORBIDDEN, _said({"error": "token: missing or another one, wanted the address printed"})
        answer = self.server.site.answer(path, words)
        return (HTTPStatus.OK, answer) if answer else (HTTPStatus.NOT_FOUND, _said({"error": "nothing lies here"}))

    @property
    def _token(self) -> bytes:
        return self.server.token.encode()

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "private, max-age=3600" if answer.lasting else "no-store")
        try:
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
        except ConnectionError:  # whoever asked has gone on to something else
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an address may hold the token."""


def addressed(target: str) -> tuple[str, dict[str, str]]:
    """The path and the words of an address; ConfigError where it cannot be taken apart or a word is there twice."""
    try:
        parts = urlsplit(target)
        pairs = parse_qs(parts.query, keep_blank_values=True, max_num_fields=40, errors="strict")
    except ValueError as error:
        raise ConfigError(f"address: {error}") from error
    if twice := [name for name, values in pairs.items() if len(values) > 1]:
        raise ConfigError(f"address: {twice[0][:40]!r} is there twice")
    return parts.path, {name: values[0] for name, values in pairs.items()}


def is_loopback(name: str) -> bool:
    """Whether a host's name or number is loopback's."""
    return name == "localhost" or (_is_number(name) and ipaddress.ip_address(name).is_loopback)


def _bare(host: str) -> str:
    # Without the port, which may be another one behind a tunnel, and the brackets of a number.
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _said(value: Mapping[str, str]) -> Answer:
    return Answer(msgspec.json.encode(value), "application/json")
