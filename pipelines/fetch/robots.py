"""X-Robots-Tag: what a server asks of those who take its pictures."""

import re
from collections.abc import Iterable

_WITH_VALUE = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
_NAME = re.compile(r"(?![0-9]+$)[a-z0-9_*-]+")  # digits alone are the hour of a date that a comma has cut
_EVERYBODY = "*"


def opted_out(headers: Iterable[str], disallowed: frozenset[str], token: str) -> str | None:
    """The first directive that says one of the ``disallowed`` to everybody or to ``token``; None where there is none.

    ``otherbot: noai, noindex`` speaks to otherbot alone, up to the end of the header or the next name.
    """
    wanted, ours = spelled(disallowed), (_EVERYBODY, token.lower())
    for header in headers:
        concerned = True
        for part in header.lower().split(","):
            word, colon, directive = (piece.strip() for piece in part.partition(":"))
            if colon and word not in _WITH_VALUE and _NAME.fullmatch(word):
                concerned, word = word in ours, directive
            if concerned and word in wanted:
                return word
    return None


def spelled(disallowed: frozenset[str]) -> frozenset[str]:
    """The directives that say one of the disallowed: those, and ``none``, which is short for noindex and nofollow."""
    return disallowed | {"none"} if disallowed & {"noindex", "nofollow"} else disallowed
