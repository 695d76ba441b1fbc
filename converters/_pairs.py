"""What sources of web pictures with one caption each share: a row, its record, and their row of the table."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from converters._table import Form, Option, Reading, Source, Use, Variant, record_of
from converters._web import Entry, Made, Web, download_forms, insist_loaded, told, web_ref, whence, whence_id
from schemas.errors import Filtered
from schemas.prompt import Wording
from schemas.record import Record
from schemas.text import tidy


class Captioned(Web, frozen=True, kw_only=True):
    """A picture from the web with what is said of it; ``left_out`` is the stated rule that leaves it out, if any."""

    left_out: str = ""


def captioned(
    reading: Reading,
    entry: Entry,
    scores: Mapping[str, float | None] = {},
    licence: str | None = None,
    left_out: str = "",
) -> Captioned:
    """The row of an entry, told from others by link and caption together.

    RecordError where it has no link, unless nothing was loaded.
    """
    place = whence(reading, entry)
    return Captioned(
        source=reading.source,
        split=reading.split,
        id=_pair_id(place, entry),
        image=web_ref(entry, whence_id(place), scores=scores, licence=licence),
        entry=entry,
        left_out=left_out,
    )


def _pair_id(place: str, entry: Entry) -> str:
    both = msgspec.json.encode([place, entry.caption])
    return hashlib.blake2b(both, digest_size=16).hexdigest()


def caption(row: Captioned, wording: Wording) -> Record:
    """The caption, asked for; Filtered where the picture was not downloaded or a rule leaves it out."""
    insist_loaded(row.entry)
    if row.left_out:
        raise Filtered(row.left_out)
    return record_of(row, "caption", slots=[], reply=[tidy(told(row.entry), "caption")], boxes=[], wording=wording)


def pair_source(
    name: str,
    title: str,
    links: Sequence[Form],
    splits: Mapping[str, Use],
    *,
    kind: type[Entry] = Entry,
    made: Made = captioned,
    places: tuple[str, ...] = ("",),
    options: Mapping[str, Option] = {},
    licence: str,
    citation: str,
    homepage: str,
    notes: str,
) -> Source:
    """The table row of a source of captioned web pictures: lists of links, and downloads, which win where both lie."""
    return Source(
        name=name,
        title=title,
        collection=None,
        splits=splits,
        forms=(*links, *download_forms(tuple(splits), kind, made)),
        variants=(Variant("caption", candidate="a picture", record=caption, boxed=False),),
        unit="pictures",
        counted=("caption",),
        licence=licence,
        citation=citation,
        homepage=homepage,
        places=places,
        preferred=("img2dataset", "files"),
        options=options,
        notes=notes,
    )
