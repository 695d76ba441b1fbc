"""The samples that a page shows: chosen by hash, one of each part in turn, their pictures shrunk."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from pipelines.draw import varied
from pipelines.images import MAX_CONVERTED_PIXELS, size_of
from pipelines.layout import names
from pipelines.ranged import samples_at
from pipelines.report.counts import Pick
from pipelines.report.figures import Shown
from pipelines.report.scope import Scope, Subject
from pipelines.report.spoken import sample_of
from schemas.errors import BoxcarError, ShardError
from schemas.ledger import Part
from schemas.record import ImageRef, Record

SHOWN = 24
MOST_RECORDS = 5
SIDE = 480  # pixels of a shown picture's longer side at most
_QUALITY = 80


class Chosen(NamedTuple):
    """A sample: where it lies, its picture as base64 of a JPEG or why there is none, and its records as they are said.

    ``size`` is the shown picture's; ``left`` counts records that are not shown.
    """

    shown: Shown
    image: ImageRef | None
    picture: str
    size: tuple[int, int]
    broken: str
    records: list[Record]
    left: int


def chosen(about: Subject, picks: Mapping[Part, Sequence[Pick]]) -> Iterator[Chosen]:
    """Samples of each part in turn, those of the smallest hashes first, none twice, ``SHOWN`` at most.

    A record of the part that a sample was chosen for is the first of it.

    ShardError where a shard is not what it was.
    """
    for (pool, shard, number), part in _in_turn(picks).items():
        scope, given = about.scopes[pool], about.pools[pool]
        tar = names(given.name, shard).tar
        found = next(samples_at(given.location, tar, [number]))
        sample = sample_of(found, tar)
        places = _places(scope, shard, number, len(sample.records))
        records = [sample.records[place] for place in places]
        picture, size, broken = _picture(found[0].data) if len(found) > 1 else ("", (0, 0), "")
        most = _led(varied(_said(scope, records)), part)
        shown = Shown(given.name, tar, number, found[-1].stem)
        yield Chosen(shown, sample.image, picture, size, broken, most[:MOST_RECORDS], max(0, len(most) - MOST_RECORDS))


def _in_turn(picks: Mapping[Part, Sequence[Pick]]) -> dict[tuple[int, int, int], Part]:
    found: dict[tuple[int, int, int], Part] = {}
    for turn in range(max(map(len, picks.values()), default=0)):
        for part, some in picks.items():
            fresh = next((pick[1:] for pick in some[turn:] if pick[1:] not in found), None)
            if fresh is not None and len(found) < SHOWN:
                found[fresh] = part
    return found


def _led(records: list[Record], part: Part) -> list[Record]:
    first = next((one for one in records if Part(one.source, one.split, one.task) == part), None)
    return records if first is None else [first, *(one for one in records if one is not first)]


def _places(scope: Scope, shard: int, number: int, records: int) -> list[int]:
    if not scope.eligible:
        return list(range(records))
    rows = [one.of_shard(shard) for one in scope.eligible.values()]
    places = sorted(place for some in rows for place in some[some[:, 0] == number][:, 1].tolist())
    if places and places[-1] >= records:
        raise ShardError(f"shard {shard}: sample {number} has {records} records, the lock has more")
    return places


def _said(scope: Scope, records: Sequence[Record]) -> list[Record]:
    said = []
    for record in records:
        try:
            said.append(scope.said(record))
        except BoxcarError:  # counted as unsaid by the survey
            continue
    return said


def _picture(data: bytes) -> tuple[str, tuple[int, int], str]:
    """The shrunk picture in base64 and its size, or why there is none; a bomb is not decoded."""
    try:
        size = size_of(data)
        if size.width * size.height > MAX_CONVERTED_PIXELS:
            return "", (0, 0), f"too large to be shown: {size.width}x{size.height}"
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (SIDE, SIDE))
            small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=_QUALITY)
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever a broken picture leads it to
        return "", (0, 0), " ".join(str(error).split()) or type(error).__name__
    return base64.b64encode(out.getvalue()).decode(), small.size, ""
