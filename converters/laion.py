"""LAION: web pictures with their alternative text or a written caption, and what models think of both.

Reads lists of links, ``part-00000-<id>.snappy.parquet`` and so on, to be fetched or to be converted without pictures,
and what img2dataset left of them. All of LAION-400M, LAION-2B-en (plain or joined), -multi and LAION-COCO have
  URL, TEXT, WIDTH, HEIGHT (pixels, as stated by the crawl), similarity (of CLIP, cosine)
and some of them
  LICENSE ("?" is none), NSFW (UNLIKELY, UNSURE, NSFW or nothing), punsafe, pwatermark (0 to 1), LANGUAGE (of -multi),
  top_caption (LAION-COCO: the best of BLIP's captions; TEXT is the alternative text there too)
(laion.ai; github.com/rom1504/img2dataset, dataset_examples). img2dataset's recipes save TEXT as ``caption`` and the
others under their own names. Each row gives one ``caption`` record. Filters are options, by default none: the lists
were cut at a similarity of 0.3 (400M) or 0.28 (2B-en) when they were made, and the rest is for whoever trains to say. A
filter leaves out rows of which it does not know what it asks for, under a reason of its own. Scores may be null, NaN or
-1: none of these is a score. ``min_side`` is of the picture as downloaded, or where that is not known, as listed.
Schuhmann et al., LAION-400M, 2021; LAION-5B, 2022.
"""

import math
from collections.abc import Iterator, Mapping

import msgspec

from converters._pairs import captioned, pair_source
from converters._table import Form, LinkList, Option, Reading, Real, Row, Whole
from converters._web import Entry, link_form

_NO_SCORE = -1.0
_UNTAGGED = ("", "UNTAGGED")
_NSFW = {"unlikely": ("UNLIKELY",), "unlikely_or_untagged": ("UNLIKELY", *_UNTAGGED)}
_TEXT, _WRITTEN = "TEXT", "top_caption"
_ANY = "any"


class _Entry(Entry, frozen=True, kw_only=True):
    similarity: float | None = None
    punsafe: float | None = None
    pwatermark: float | None = None
    licence: str | None = msgspec.field(name="LICENSE", default=None)
    nsfw: str | None = msgspec.field(name="NSFW", default=None)
    language: str | None = msgspec.field(name="LANGUAGE", default=None)
    listed_width: float | None = msgspec.field(name="WIDTH", default=None)
    listed_height: float | None = msgspec.field(name="HEIGHT", default=None)
    top_caption: str | None = None


def picture(reading: Reading, entry: _Entry) -> Row:
    """The row of an entry, with the first of the asked filters that leaves it out."""
    scores = {name: _score(getattr(entry, name)) for name in ("similarity", "punsafe", "pwatermark")}
    licence = None if entry.licence == "?" else entry.licence
    row = captioned(reading, entry, scores, licence, next(_left_out(reading, entry, scores), ""))
    if reading.options["caption"] == _WRITTEN:
        row = msgspec.structs.replace(row, entry=msgspec.structs.replace(entry, caption=entry.top_caption))
    return row


def _score(value: float | None) -> float | None:
    return None if value is None or value == _NO_SCORE or not math.isfinite(value) else value


def _left_out(reading: Reading, entry: _Entry, scores: Mapping[str, float | None]) -> Iterator[str]:
    yield from _beyond("similarity", scores, at_least=reading.real("similarity"))
    yield from _beyond("punsafe", scores, at_most=reading.real("punsafe"))
    yield from _beyond("pwatermark", scores, at_most=reading.real("pwatermark"))
    yield from _small(entry, reading.number("min_side"))
    if (kept := reading.options["nsfw"]) != _ANY and (entry.nsfw or "") not in _NSFW[kept]:
        known = (entry.nsfw or "") not in _UNTAGGED
        yield f"nsfw tag: {entry.nsfw}, wanted {kept}" if known else f"nsfw tag unknown: wanted {kept}"
    if (wanted := reading.options["language"]) not in (_ANY, entry.language):
        yield f"language: {entry.language}, wanted {wanted}" if entry.language else f"language unknown: wanted {wanted}"


def _beyond(
    name: str, scores: Mapping[str, float | None], at_least: float | None = None, at_most: float | None = None
) -> Iterator[str]:
    score = scores[name]
    if at_least is None and at_most is None:
        return
    if score is None:
        yield f"{name} unknown: the row has no such score"
    elif at_least is not None and score < at_least:
        yield f"{name} too low: {score}, wanted at least {at_least}"
    elif at_most is not None and score > at_most:
        yield f"{name} too high: {score}, wanted at most {at_most}"


def _small(entry: _Entry, least: int | None) -> Iterator[str]:
    if least is None:
        return
    listed = (entry.listed_width, entry.listed_height)
    sides = (entry.original_width, entry.original_height) if entry.original_width else listed
    known = [side for side in sides if side is not None and side > 0]
    if len(known) < 2:
        yield "size unknown: neither downloaded nor listed"
    elif min(known) < least:
        yield f"picture too small: {sides[0]:.0f} x {sides[1]:.0f}, wanted at least {least} a side"


def _links(name: str) -> Form:
    return link_form(name, ("part-*.parquet",), {"train": ""}, _COLUMNS, _Entry, picture)


_COLUMNS = LinkList(
    "parquet",
    "URL",
    "TEXT",
    keep=(
        "SAMPLE_ID",
        "WIDTH",
        "HEIGHT",
        "LICENSE",
        "NSFW",
        "LANGUAGE",
        "similarity",
        "hash",
        "punsafe",
        "pwatermark",
        "top_caption",
    ),
)
_LANGUAGES = ("en", "ru", "fr", "de", "es", "zh", "ja", "it", "pt", "nl", "pl", "ko", "tr", "vi", "ar")
_OPTIONS: dict[str, Option] = {
    "caption": (_TEXT, _WRITTEN),
    "similarity": Real(None, -1.0),
    "punsafe": Real(None),
    "pwatermark": Real(None),
    "min_side": Whole(None),
    "nsfw": (_ANY, *_NSFW),
    "language": (_ANY, *_LANGUAGES),
}

CONVERTERS = (
    pair_source(
        "laion",
        "LAION-400M, LAION-2B and LAION-COCO",
        (_links("links"),),
        {"train": "train"},
        kind=_Entry,
        made=picture,
        places=("", "laion400m-meta", "laion2B-en", "laion-coco"),
        options=_OPTIONS,
        licence="CC-BY-4.0 (lists); the pictures are their owners'",
        citation="Schuhmann et al. 2021, arXiv:2111.02114; 2022, arXiv:2210.08402",
        homepage="https://laion.ai",
        notes="the lists were withdrawn and released again as Re-LAION: they are yours to supply",
    ),
)
