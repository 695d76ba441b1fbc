import pytest

from pipelines.fetch.answer import REASONS
from pipelines.fetch.reasons import NO_PICTURE, NOT_TOLD, OTHER, reason

# What img2dataset writes, as its Python raised it.
MESSAGES = {
    "HTTP Error 404: Not Found": "HTTP 404",
    "HTTP Error 503: Service Temporarily Unavailable": "HTTP 503",
    "HTTP Error 999: Request denied": "HTTP code out of range",
    "HTTP Error 404: the connection timed out": "HTTP 404",
    "HTTP Error 301: The HTTP server returned a redirect error that would lead to an infinite loop.\nThe last 30x "
    "error message was:\nMoved Permanently": "too many redirects",
    "HTTP Error 302: Found - Redirection to url 'file:///etc/passwd' is not allowed": "not http",
    "HTTP Error 403: forbidden address": "forbidden address",
    "HTTP Error 403: Forbidden": "HTTP 403",
    "<urlopen error Tunnel connection failed: 403 forbidden address>": "forbidden address",
    "<urlopen error Tunnel connection failed: 504 timed out>": "timed out",
    "<urlopen error Tunnel connection failed: 502 Bad Gateway>": "HTTP 502",
    "<urlopen error [Errno -2] Name or service not known>": "no such host",
    "<urlopen error [Errno -5] No address associated with hostname>": "no such host",
    "<urlopen error [Errno -3] Temporary failure in name resolution>": "name lookup failed",
    "<urlopen error timed out>": "timed out",
    "The read operation timed out": "timed out",
    "<urlopen error _ssl.c:990: The handshake operation timed out>": "timed out",
    "<urlopen error [Errno 110] Connection timed out>": "timed out",
    "<urlopen error [Errno 111] Connection refused>": "connection failed",
    "[Errno 104] Connection reset by peer": "connection failed",
    "<urlopen error [Errno 113] No route to host>": "connection failed",
    "<urlopen error [Errno 101] Network is unreachable>": "connection failed",
    "Remote end closed connection without response": "connection failed",
    "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer "
    "certificate (_ssl.c:1006)>": "TLS failed",
    "<urlopen error [SSL: TLSV1_ALERT_INTERNAL_ERROR] tlsv1 alert internal error (_ssl.c:1006)>": "TLS failed",
    "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:2580)": "cut short",
    "IncompleteRead(77163 bytes read, 1 more expected)": "cut short",
    "got more than 100 headers": "bad answer",
    "SSH-2.0-OpenSSH_9.6\r\n": "bad answer",
    "Use of image disallowed by X-Robots-Tag directive": "opted out",
    "unknown url type: 'None'": "bad link",
    "URL can't contain control characters. '/a b.jpg' (found at least ' ')": "bad link",
    "'ascii' codec can't encode character '\\xfc' in position 12: ordinal not in range(128)": "bad link",
    "nonnumeric port: 'x'": "bad link",
    "Image decoding error": NO_PICTURE,
    "OpenCV(4.14.0) loadsave.cpp:1310: error: (-215:Assertion failed) !buf.empty() in 'imdecode_'\n": NO_PICTURE,
    "image too small": "image too small",
    "hash mismatch": "hash mismatch",
    "": NOT_TOLD,
    "Ein Fehler: 17": OTHER,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_img2dataset_is_put_into_a_reason(message: str) -> None:
    assert reason(message) == MESSAGES[message]


def test_our_own_reasons_stay_what_they_are() -> None:
    assert {reason(known) for known in REASONS} == set(REASONS)


def test_a_pictures_error_is_told_without_its_detail() -> None:
    assert reason("damaged picture") == reason("damaged picture: Corrupt JPEG data: 17 bytes") == "damaged picture"


def test_no_message_is_no_reason() -> None:
    assert reason(None) == reason("  ") == NOT_TOLD


def test_a_hostile_message_takes_no_time() -> None:
    assert reason("a" * 100_000 + "!") == OTHER
    assert reason("HTTP Error " + "9" * 100_000) == "HTTP code out of range"
