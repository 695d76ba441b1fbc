"""X-Robots-Tag: what a server asks of those who take its pictures."""

from collections.abc import Iterable

_WITH_VALUE = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})


def opted_out(headers: Iterable[str], disallowed: frozenset[str], token: str) -> str | None:
    """The first of the ``disallowed`` directives that the headers say to everybody or to ``token``; None where none.

    ``otherbot: noai, noindex`` speaks to otherbot alone, up to the end of the header or the next name.
    """
    for header in headers:
        concerned = True
        for part in header.lower().split(","):
            word, colon, directive = (piece.strip() for piece in part.partition(":"))
            if colon and word not in _WITH_VALUE:
                concerned, word = word == token.lower(), directive
            if concerned and word in disallowed:
                return word
    return None
