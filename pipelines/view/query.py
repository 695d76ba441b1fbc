"""What is asked of a pool: a page's address, taken apart and checked; what is wrong is a ConfigError in one line."""

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from converters._table import CHAT
from schemas.errors import ConfigError, unknown
from schemas.ledger import Part

MOST_TEXT = 200  # characters that are searched for
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_WHOLE = re.compile(r"[0-9]{1,9}")


class Order(NamedTuple):
    """In which order samples come: by a column of the record index, and whether its largest is the worst."""

    column: str | None
    largest: bool = False


ORDERS = {
    "pool": Order(None),
    "smallest": Order("min_area"),
    "loss": Order("min_area"),  # then by the loss itself, of those that come first
    "longest": Order("chars", largest=True),
    "most": Order("boxes", largest=True),
}


class Cursor(NamedTuple):
    """Where a page begins: a shard, and how many of what comes from there on went before."""

    shard: int = 0
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.shard}.{self.skip}"


class Query(NamedTuple):
    """Which samples are wanted: those with a record of this part, these boxes and this text.

    ``area`` is of a record's smallest box, in percent of the picture. None sets no bound.
    """

    source: str | None = None
    split: str | None = None
    task: str | None = None
    boxes: tuple[int | None, int | None] = (None, None)
    area: tuple[float | None, float | None] = (None, None)
    shard: int | None = None
    text: str = ""
    order: str = "pool"


Words = Mapping[str, str]


def query(words: Words, parts: Iterable[Part]) -> Query:
    """The query that an address states, for a pool of these parts; ConfigError names the word that is wrong."""
    known = list(parts)
    return Query(
        source=_one_of(words, "source", {part.source for part in known}),
        split=_one_of(words, "split", {part.split for part in known}),
        task=_one_of(words, "task", {part.task or CHAT for part in known}),
        boxes=_bounds(words, "boxes", whole),
        area=_bounds(words, "area", _number),
        shard=whole(words, "shard"),
        text=searched(words),
        order=_one_of(words, "order", ORDERS) or "pool",
    )


def searched(words: Words) -> str:
    """The text that is searched for, in the form in which texts are compared."""
    text = words.get("q", "").strip()
    if len(text) > MOST_TEXT:
        raise ConfigError(f"q: {len(text)} characters, wanted at most {MOST_TEXT}")
    return text.casefold()


def cursor(words: Words, name: str = "from") -> Cursor:
    """Where a page begins, from the start where nothing is said."""
    value = words.get(name, "")
    found = _CURSOR.fullmatch(value or "0.0")
    if found is None:
        raise ConfigError(f"{name}: {value[:40]!r}, wanted SHARD.NUMBER such as 0.24")
    return Cursor(int(found[1]), int(found[2]))


def whole(words: Words, name: str) -> int | None:
    """A whole number, None where nothing is said."""
    value = words.get(name, "")
    if not value:
        return None
    if not _WHOLE.fullmatch(value):
        raise ConfigError(f"{name}: {value[:40]!r}, wanted a whole number")
    return int(value)


def _number(words: Words, name: str) -> float | None:
    value = words.get(name, "")
    try:
        number = float(value) if value else None
    except ValueError:
        number = float("nan")
    if number is not None and not isfinite(number):
        raise ConfigError(f"{name}: {value[:40]!r}, wanted a number")
    return number


def _bounds(words: Words, name: str, read: Callable[[Words, str], Any]) -> tuple[Any, Any]:
    return read(words, f"{name}_min"), read(words, f"{name}_max")


def _one_of(words: Words, name: str, known: Iterable[str]) -> str | None:
    value, names = words.get(name, ""), list(known)
    if value and value not in names:
        raise ConfigError(unknown(name, value[:80], names))
    return value or None
