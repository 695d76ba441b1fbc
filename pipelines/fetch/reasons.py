"""Why a link gave no picture, in few words: our downloader's reasons, and img2dataset's free messages put into them.

img2dataset records the text of whatever Python raised; the same cause has a text per host, per number of bytes, and
per version of Python. The table is from its source (downloader.py, resizer.py), urllib, http.client, ssl and OpenCV.
"""

import re

from pipelines.fetch.answer import REASONS

NO_PICTURE = "no readable picture"
NOT_TOLD, OTHER = "not told", "other"

_LOST = (
    r"Errno 10[1-46]|Errno 11[123]|Errno 32\b|remote end closed|connection (refused|reset|aborted)|unreachable|no route"
)
_BAD = (
    r"unknown url type|control characters|no host given|nonnumeric port|ordinal not in range|idna|label (empty|too)"
    r"|invalid (ipv6 )?url|invalid literal for int|port could not be cast|expected string or bytes"
)
# The first that fits decides. \1 is a code of HTTP, or the message's own words.
_MESSAGES = (
    (r".*redirect error that would lead to an infinite loop", "too many redirects"),
    (r".*redirection to url .* is not allowed", "not http"),
    (r"(?:HTTP Error|.*tunnel connection failed:) ([2-5][0-9]{2})\b", r"HTTP \1"),
    (r"HTTP Error [0-9]+", "HTTP code out of range"),
    (r".*X-Robots-Tag", "opted out"),
    (r".*(timed out|Errno 110)", "timed out"),
    (r".*(Errno -3\b|temporary failure in name resolution)", "name lookup failed"),
    (r".*(Errno -[25]\b|name or service not known|no address associated|getaddrinfo failed)", "no such host"),
    (r"\[SSL", "cut short"),  # not while connecting, which urllib wraps, but while reading
    (r".*(\[SSL|_ssl\.c|certificate|hostname mismatch)", "TLS failed"),
    (r"IncompleteRead", "cut short"),
    (r"got more than \d+ (bytes|headers)|.*BadStatusLine|[A-Z]{2,8}[/-][0-9.]+", "bad answer"),
    (f".*({_LOST})", "connection failed"),
    (f".*({_BAD})", "bad link"),
    (r".*(image decoding error|opencv|imdecode)", NO_PICTURE),
    (r"(image too small|image area too large|aspect ratio too large|hash mismatch)$", r"\1"),
)
_TABLE = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), reason) for pattern, reason in _MESSAGES)
_OWN = re.compile(r"([a-z][a-z -]{2,40})(: |$)")
_PROXIED = re.compile(r"(?:HTTP Error|.*tunnel connection failed:) \d{3}:? ?([a-z ]+)>?$", re.IGNORECASE)


def reason(message: str | None) -> str:
    """The reason in an error message of a download, ours or img2dataset's: short, without names, numbers but for codes.

    Where a message has none, ``not told``; where none of ours fits, ``other``. Never raises.
    """
    told = (message or "").strip()
    if not told or told in REASONS:
        return told or NOT_TOLD
    if (proxied := _PROXIED.match(told)) and proxied[1].strip() in REASONS:
        return proxied[1].strip()
    for pattern, found in _TABLE:
        if match := pattern.match(told):
            return match.expand(found)
    own = _OWN.match(told)
    return own[1] if own else OTHER
