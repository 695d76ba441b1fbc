"""Links as lists and redirects give them, made into what may be asked for."""

from yarl import URL

from pipelines.fetch.address import BLOCKED_PORTS, forbidden, literal
from pipelines.fetch.answer import Ended

LONGEST = 8000  # characters: about what servers take
_SHOWN = 200


def page(link: str, allow_hosts: frozenset[str], seen_from: URL | None = None) -> URL:
    """What to ask for, without credentials and fragment; a redirect's is relative to the page it was ``seen_from``.

    Ended where that is no link, not of the web, or leads to an address or a port that nothing may be sent to.
    """
    try:
        url = _url(link, seen_from)
        host, port = url.raw_host, url.port
    except ValueError as error:
        raise Ended("bad link", f"{link[:_SHOWN]}: {error}") from error
    if url.scheme not in ("http", "https"):
        raise Ended("not http" if url.scheme else "bad link", link[:_SHOWN])
    if not host:
        raise Ended("bad link", f"{link[:_SHOWN]}: no host")
    if port in BLOCKED_PORTS:
        raise Ended("forbidden address", f"port {port} is not one of the web's")
    address = literal(host)
    if address and host not in allow_hosts and (why := forbidden(address)):
        raise Ended("forbidden address", f"{address} ({why})")
    return url.with_user(None).with_fragment(None) if url.raw_user or url.raw_fragment else url


def _url(link: str, seen_from: URL | None) -> URL:
    if len(link) > LONGEST:
        raise ValueError(f"{len(link):,} characters, at most {LONGEST:,}")
    url = URL(link.strip())
    return seen_from.join(url) if seen_from else url
