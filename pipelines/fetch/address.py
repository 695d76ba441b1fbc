"""Which addresses and ports a link may lead to: those of the public internet and of its web, and no others.

The tables are spelled out, as ``ipaddress`` differs in its judgement between versions of Python. They follow the
IANA special-purpose address registries and the ports that browsers block (the Fetch standard, "port blocking").
"""

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_V4 = {
    "0.0.0.0/8": "unspecified",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared between customers of a carrier",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local, where clouds keep metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.88.99.0/24": "a relay of 6to4",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "168.63.129.16/32": "a cloud's own service on a public address",
}
# The first that holds the address decides; below them stands the only range that is given out to the public.
_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private",
    "ff00::/8": "multicast",
    "2001::/23": "reserved for protocols, Teredo among them",
    "2001:db8::/32": "for documentation",
    "2002::/16": "in 6to4",
    "3fff::/20": "for documentation",
}
_PUBLIC_V6 = IPv6Network("2000::/3")
_MAPPED, _NAT64 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")  # the last 32 bits are an IPv4 address
_FORBIDDEN_V4 = tuple((IPv4Network(network), why) for network, why in _V4.items())
_FORBIDDEN_V6 = tuple((IPv6Network(network), why) for network, why in _V6.items())
_NUMERIC = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)

# fmt: off
BLOCKED_PORTS = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
})
# fmt: on


def forbidden(address: str) -> str | None:
    """Why nothing may be sent to a literal IPv4 or IPv6 address (a zone after % allowed), or None where it may."""
    try:
        found = ip_address(address)
    except ValueError:
        return "no address"
    return _forbidden_v4(found) if isinstance(found, IPv4Address) else _forbidden_v6(found)


def _forbidden_v4(address: IPv4Address) -> str | None:
    return next((why for network, why in _FORBIDDEN_V4 if address in network), None)


def _forbidden_v6(address: IPv6Address) -> str | None:
    if address in _MAPPED or address in _NAT64:
        return _forbidden_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    why = next((why for network, why in _FORBIDDEN_V6 if address in network), None)
    return why or (None if address in _PUBLIC_V6 else "outside of what is given out to the public")


def literal(host: str) -> str | None:
    """The address that a host of a link is, in any spelling that sockets know (127.1, 0x7f.1, 2130706433), or None."""
    bare = host.rstrip(".")
    if ":" in bare:
        return bare
    try:
        return socket.inet_ntoa(socket.inet_aton(bare)) if _NUMERIC.fullmatch(bare) else None
    except OSError:
        return None
