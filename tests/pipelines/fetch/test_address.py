"""No address that is not of the public internet, and no spelling of one, is ever connected to."""

import pytest

from pipelines.fetch.address import BLOCKED_PORTS, forbidden, literal
from pipelines.fetch.answer import passing


def _words(text: str) -> list[str]:
    return text.split()


FORBIDDEN = _words("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.0.0.2
    127.255.255.255 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192
    192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2
    2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:808:808:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254
    fe80::1 fe80::1%eth0 fe80::1%25lo febf::1 fec0::1 ff02::1 ff0e::1 ::1%lo 4000::1
    """)
ALLOWED = _words("""
    1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    168.63.129.15 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 223.255.255.255
    2001:200::1 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001:82a::200e 3ffe::1 ::ffff:8.8.8.8
    64:ff9b::8.8.8.8
    """)
# Every spelling of a loopback, private or metadata address that browsers, libraries or name servers are known to take.
SPELLINGS = _words("""
    http://127.0.0.1/ HTTP://127.0.0.1/ http://127.0.0.1:80/ http://127.0.0.1:8080/x https://127.0.0.1/
    http://2130706433/ http://0x7f000001/ http://0X7F000001/ http://0x7f.1/ http://0x7f.0x0.0x0.0x1/ http://0177.0.0.1/
    http://017700000001/ http://127.1/ http://127.0.1/ http://127.0.0.1./ http://127.0.0.1../ http://0/ http://0.0.0.0/
    http://[::1]/ http://[::]/ http://[0:0:0:0:0:0:0:1]/ http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/
    http://[0:0:0:0:0:ffff:127.0.0.1]/ http://[::127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[2002:7f00:1::]/
    http://[fe80::1%25eth0]/ http://[fe80::1%eth0]/ http://[fd00:ec2::254]/ http://169.254.169.254/latest/meta-data/
    http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/ http://169.254.43518/
    http://example.com@127.0.0.1/ http://example.com:80@127.0.0.1/ http://a:b@127.0.0.1/ http://127.0.0.1#@example.com/
    http://127.0.0.1?@example.com/
    http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/ http://①②⑦.0.0.1/ http://127。0。0。1/ http://127.0.0.\uff11/
    http://home.example/ http://HOME.example/ http://home.example./ http://six.example/ http://both.example/
    http://8.8.8.8:22/ http://8.8.8.8:25/ https://8.8.8.8:6667/ http://8.8.8.8:0/
    """)
NO_LINKS = {
    "": "bad link",
    "cat.jpg": "bad link",
    "/cat.jpg": "bad link",
    "//127.0.0.1/": "bad link",
    "http://": "bad link",
    "http:///cat.jpg": "bad link",
    "http:127.0.0.1": "bad link",
    "http://[::1/": "bad link",
    "http://h:99999/": "bad link",
    "http://h:x/": "bad link",
    "http://127.0.0.1\\@example.com/": "bad link",
    "http://\ud800.com/": "bad link",
    "http://.../": "bad link",
    f"http://example.com/{'a' * 9000}": "bad link",
    f"http://{'a' * 70}.com/": "bad link",
    "http://exa mple.com/": "no such host",
    "http://nowhere.example/": "no such host",
    "http://%31%32%37.0.0.1/": "no such host",
    "ftp://127.0.0.1/": "not http",
    "file:///etc/passwd": "not http",
    "data:image/png;base64,AAAA": "not http",
    "javascript:alert(1)": "not http",
    "gopher://127.0.0.1:70/": "not http",
    "unix:///run/docker.sock": "not http",
}


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_is_forbidden(address):
    assert forbidden(address)


def test_the_reason_says_what_kind_of_address_it_is():
    kinds = {
        "::": "unspecified",
        "::1": "loopback",
        "fd00:ec2::254": "private",
        "fe80::1%eth0": "link-local",
        "fec0::1": "private",
        "ff02::1": "multicast",
        "4000::1": "outside of what is given out to the public",
        "::ffff:10.0.0.1": "private",
        "169.254.169.254": "link-local, where clouds keep metadata",
    }
    assert {address: forbidden(address) for address in kinds} == kinds


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_not_forbidden(address):
    assert forbidden(address) is None


@pytest.mark.parametrize("words", ["", "example.com", "127.0.0.1.", "1.2.3", "0x7f000001", "[::1]", "::1::", "12"])
def test_what_is_no_address_is_forbidden(words):
    assert forbidden(words) == "no address"


def test_a_host_is_known_as_an_address_in_every_spelling_of_sockets_and_a_name_is_not():
    assert [literal(host) for host in ("127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.1..")] == [
        "127.0.0.1"
    ] * 5
    assert [literal(host) for host in ("example.com", "face.b00c", "1.2.3.4.5", "", "256.256.256.256")] == [None] * 5
    assert literal("::1") == "::1"


def test_the_ports_of_other_services_are_blocked_and_those_of_the_web_are_not():
    assert {22, 25, 53, 110, 143, 6000, 6667} <= BLOCKED_PORTS
    assert not {80, 443, 8000, 8080, 8443, 3000, 81, 888} & BLOCKED_PORTS


def test_no_spelling_of_an_address_that_is_not_public_is_connected_to(ask, web):
    web.names["home.example"] = web.names["home.example."] = [["192.168.0.1"]]
    web.names["six.example"] = [["::1", "fd00:ec2::254"]]
    web.names["both.example"] = [["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"]]
    answers = ask(*SPELLINGS, allow_hosts=frozenset())
    assert [(link, answer.reason) for link, answer in zip(SPELLINGS, answers, strict=True)] == [
        (link, "forbidden address") for link in SPELLINGS
    ]
    assert web.reached == []
    assert not any(passing(answer.reason) for answer in answers)


def test_what_is_no_link_of_the_web_ends_as_that_and_asks_nothing(ask, web):
    answers = ask(*NO_LINKS)
    assert {link: answer.reason for link, answer in zip(NO_LINKS, answers, strict=True)} == NO_LINKS
    assert web.reached == []
    assert not any(passing(answer.reason) for answer in answers)
