"""Wordings: task identifiers, the pools of templates, and the draw that says which record gets which.

A pool is a named list of templates in ``prompts.yaml``. A template holds each of its pool's slots exactly once, in
braces. The identifier ``[task]`` is not part of a template: it goes in front. A draw is a pure function of (seed,
record key, epoch), so any record can be worded again alone, in any order, on any machine.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from schemas.box import CODECS, DEFAULT_CODEC, Codec
from schemas.errors import ConfigError, unknown
from schemas.text import markup

SLOTS: Mapping[str, tuple[str, ...]] = {
    "caption": (),
    "grounding": (),
    "refer": ("phrase",),
    "identify": ("box",),
    "detection": ("phrase",),
    "detection_phrase": ("phrase",),
    "detection_caption": ("caption",),
    "vqa": ("question",),
    "vqa_choices": ("question", "choices"),
    "refer_eval": ("phrase",),
    "vqa_eval": ("question",),
    "vsr_eval": ("statement",),
    "vizwiz_eval": ("question",),
    "hateful_memes_eval": ("text",),
}

_SLOT = re.compile(r"\{([a-z]+)\}")


@cache
def templates() -> Mapping[str, tuple[str, ...]]:
    """Boxcar's own template pools by name; ConfigError where a template lacks a slot of its pool."""
    import yaml

    text = (Path(__file__).parent / "prompts.yaml").read_text(encoding="utf-8")
    return {name: checked(name, tuple(pool)) for name, pool in yaml.safe_load(text).items()}


@dataclass(frozen=True)
class Wording:
    """All that decides how a record is worded: the seed, the box codec and the template pools."""

    seed: int = 0
    codec: Codec = CODECS[DEFAULT_CODEC]
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=templates)


def checked(name: str, pool: tuple[str, ...]) -> tuple[str, ...]:
    """The pool, once each template is known to hold each of the pool's slots exactly once and no other."""
    if name not in SLOTS:
        raise ConfigError(unknown("template pool", name, SLOTS))
    if not pool:
        raise ConfigError(f"template pool {name!r} is empty: wanted at least one template")
    for template in pool:
        found = tuple(_SLOT.findall(template))
        if sorted(found) != sorted(SLOTS[name]):
            raise ConfigError(f"template {template!r} of pool {name!r}: slots {found}, wanted {SLOTS[name]} once each")
        text = _SLOT.sub("", template)
        if token := markup(text) or next(iter(set(text) & set("{}")), None):
            raise ConfigError(f"template {template!r} of pool {name!r} holds {token!r}: it would be taken for markup")
    return pool


def replaced(raw: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """A user's pools, which stand in for ours of the same names; ConfigError where one is unknown or malformed."""
    pools = {}
    for name, pool in raw.items():
        if not isinstance(pool, list) or not all(isinstance(template, str) for template in pool):
            raise ConfigError(f"{where}: template pool {name!r} is no list of texts")
        try:
            pools[name] = checked(name, tuple(pool))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    return pools


def fill(template: str, slots: Mapping[str, str]) -> str:
    """The template with each slot replaced; what a slot's value holds is never looked at again."""
    pieces = _pieces(template)
    text = pieces[0]
    for at in range(1, len(pieces), 2):
        text += slots[pieces[at]] + pieces[at + 1]
    return text


@lru_cache(1024)
def _pieces(template: str) -> list[str]:
    # Literal text, slot, literal text, slot, literal text: templates are few, and filled millions of times.
    return _SLOT.split(template)


def draw(seed: int, key: str, epoch: int, what: str) -> int:
    """64 pseudo-random bits for one decision (``what``) about one record in one epoch: blake2b, never global state."""
    hashed = _seeded(seed).copy()
    hashed.update(f"{key}\x1f{epoch}\x1f{what}".encode())
    return int.from_bytes(hashed.digest(), "big")


def draws(seed: int, keys: tuple[str, Iterable[str], str], epoch: int, what: str) -> bytes:
    """What ``draw`` gives for many keys, eight bytes each, big end first: keys that begin and end alike.

    ``keys`` are how all of them begin, what stands between, and how all of them end; none holds a line feed.
    """
    begin, between, end = keys
    begun, rest = _seeded(seed).copy(), f"{end}\x1f{epoch}\x1f{what}"
    begun.update(begin.encode())
    found = []
    for one in f"{rest}\n".join([*between, ""]).encode().split(b"\n")[:-1]:
        hashed = begun.copy()
        hashed.update(one)
        found.append(hashed.digest())
    return b"".join(found)


@lru_cache(16, typed=True)
def _seeded(seed: int) -> "hashlib.blake2b":
    # What every draw of a seed begins with is hashed once.
    return hashlib.blake2b(f"{seed}\x1f".encode(), digest_size=8)


def choose(seed: int, key: str, epoch: int, pool: tuple[str, ...]) -> str:
    """The template of the pool that this record gets in this epoch, each equally likely."""
    return pool[draw(seed, key, epoch, "template") % len(pool)]
