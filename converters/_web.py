"""What pictures from the web have in common: the row that img2dataset carries of each, its identity, its forms.

A row is the same wherever it is met: in a published list of links (renamed to img2dataset's columns, and less those
that a download adds), in the ``.parquet`` of a finished download, in the ``.json`` beside a picture. Source of the
columns and states: github.com/rom1504/img2dataset, downloader.py and writer.py.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec

from converters._downloads import FAILED, SUCCESS, finished, pictures
from converters._read import Broken, objects
from converters._table import Carried, Form, LinkList, Reading, Row, Rows, malformed
from schemas.errors import Filtered, RecordError, TextError
from schemas.record import ImageRef, Score

ROWS = 10_000  # of a list of links that are held in memory at once
_PORTS = {"http": "80", "https": "443"}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row in img2dataset's columns; a source adds the further ones that it reads.

    Sizes in pixels: ``width`` and ``height`` of the picture as stored, ``original_`` as downloaded; None where nothing
    was downloaded, or nothing re-encoded. ``key`` is what the picture is called in its input.
    """

    url: str | None = None
    caption: str | list[str] | None = None
    key: str = ""
    status: str = SUCCESS
    error_message: str | None = None
    width: int | None = None
    height: int | None = None
    original_width: int | None = None
    original_height: int | None = None


class Web(Carried, frozen=True, kw_only=True):
    """A picture from the web, as the row that tells of it; None of it may be true of a picture that was not loaded."""

    entry: Entry


Made = Callable[[Reading, Any], Row]  # of an entry of the source's own kind


def normalised(url: str) -> str:
    """The link without what may differ between two ways of writing it: scheme, case of the host, port, fragment.

    RecordError where it is no http or https link.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise RecordError(f"bad link: {error}") from error
    if parts.scheme not in _PORTS or not host:
        raise RecordError(f"bad link: {url[:80]!r} is not http or https")
    shown = "" if port is None or str(port) == _PORTS[parts.scheme] else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{host}{shown}{parts.path or '/'}{query}"


def web_id(url: str) -> str:
    """The canonical id of the picture under a link, known before any download: ``web/`` and 128 bits in hex."""
    return whence_id(normalised(url))


def whence_id(whence: str) -> str:
    """The canonical id of the picture from there: a normalised link, or what stands for one."""
    return f"web/{hashlib.blake2b(whence.encode(errors='replace'), digest_size=16).hexdigest()}"


def link_of(entry: Entry) -> str:
    """The entry's link; RecordError where it has none."""
    if not entry.url:
        raise RecordError("bad link: the row has none")
    return entry.url


def whence(reading: Reading, entry: Entry) -> str:
    """Where the entry's picture is from: its link, normalised; one that was not loaded may have its place for that.

    Its place is the input that the reading is of, and its key. RecordError where a picture was loaded from no link.
    """
    try:
        return normalised(link_of(entry))
    except RecordError:
        if entry.status == SUCCESS:
            raise
        return f"/{_stem(reading.files[0])}/{entry.key}"  # as no normalised link begins


def web_ref(
    entry: Entry,
    id: str,
    aliases: Sequence[str] = (),
    scores: Mapping[str, float | None] = {},
    licence: str | None = None,
) -> ImageRef:
    """The picture that the entry speaks of, with its size as stored and those scores that are known."""
    known = [Score(name, value) for name, value in scores.items() if value is not None and math.isfinite(value)]
    return ImageRef(id, list(aliases), entry.width or None, entry.height or None, None, licence or None, known)


def told(entry: Entry) -> str:
    """The entry's caption, the first where it has several; TextError where it has none."""
    caption = entry.caption[0] if isinstance(entry.caption, list) and entry.caption else entry.caption
    if not isinstance(caption, str):
        raise TextError("caption missing: the row has none")
    return caption


def insist_loaded(entry: Entry) -> None:
    """Filtered where the picture was not downloaded, or was no picture; the downloader's own words are the detail.

    RecordError where the status is none that it has words for.
    """
    if entry.status in FAILED:
        raise Filtered(f"{entry.status.replace('_', ' ')}: {entry.error_message}")
    if entry.status != SUCCESS:
        raise RecordError(f"unknown status: {entry.status[:80]!r}, wanted {SUCCESS} or {' or '.join(FAILED)}")


def link_form(
    name: str,
    files: tuple[str, ...],
    splits: Mapping[str, str],
    links: LinkList,
    kind: type[Entry],
    made: Made,
    counts: Mapping[str, int] = {},
) -> Form:
    """A published list of links, which can be converted as it is, without pictures, or be fetched."""

    def rows(reading: Reading) -> Iterator[Row]:
        from converters._links import batches  # and with it pyarrow, as in converters/_downloads.py

        place = 0
        for batch in batches(links, reading.files, ROWS):
            yield from _rows(reading, objects(batch.to_pylist(), kind), made, place)
            place += batch.num_rows

    return Form(name, files, splits, rows, counts=counts, links=links)


def download_forms(splits: Sequence[str], kind: type[Entry], made: Made) -> tuple[Form, Form]:
    """What img2dataset leaves of a download, in either of its layouts: tars of pictures, or folders of them."""

    def rows(reading: Reading) -> Iterator[Row]:
        for path in reading.files:
            one = replace(reading, files=(path,))
            yield from _rows(one, finished(path, kind), made, 0, f"{_stem(path)}-")

    return _download("img2dataset", "#.tar", splits, rows), _download("files", "#/", splits, rows)


def _download(name: str, files: str, splits: Sequence[str], rows: Rows) -> Form:
    return Form(name, (files,), dict.fromkeys(splits, ""), rows, proof="#_stats.json", carried=pictures)


def _stem(path: str) -> str:
    return path.removesuffix("/").rpartition("/")[2].removesuffix(".tar")


def _rows(reading: Reading, found: Iterable[Entry | Broken], made: Made, first: int, input: str = "") -> Iterator[Row]:
    """The rows of entries; a malformed one is named after its place, within its input where there are several."""
    for place, entry in enumerate(found, first):
        if isinstance(entry, Broken):
            yield malformed(reading, f"{input}{place}", entry.why)
            continue
        try:
            row = made(reading, entry)
        except RecordError as error:
            row = malformed(reading, f"{input}{place}", str(error))
        if isinstance(row, Carried) and entry.key and entry.status == SUCCESS:
            row = msgspec.structs.replace(row, member=entry.key)
        yield row
