"""Samples as pictures: the boxes drawn where their *tokens* say, the conversation beside them in the same colours."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

import fsspec
import msgspec
from PIL import Image, ImageDraw, ImageFont

from pipelines import store
from pipelines.layout import names
from pipelines.manifest import read_manifest
from pipelines.tar import members
from schemas.box import Bins, decode
from schemas.dialect import parse
from schemas.record import IDENTIFIER, Record, Sample

COLOURS = ("#e6194b", "#0082c8", "#3cb44b", "#f58231", "#911eb4", "#008080", "#aa6e28", "#000080")
PANEL = 420
LINE = 18


class Shown(NamedTuple):
    """A sample and its picture's bytes, None where it is text alone; a notebook draws it."""

    sample: Sample
    picture: bytes | None

    def _repr_html_(self) -> str:
        """The picture with the boxes that the tokens say, and what is said beside it in the same colours."""
        from pipelines.view.notebook import html_of

        return html_of(self.sample, self.picture)


def samples(pool: str) -> Iterator[Shown]:
    """Every sample of a pool in its order, with its picture's bytes."""
    manifest = read_manifest(pool)
    for shard in range(manifest.shards):
        tar = names(manifest.pool, shard).tar
        pixels: bytes | None = None
        with fsspec.open(store.join(pool, tar), "rb") as file:
            for member in members(file, tar):
                if member.extension == "json":
                    yield Shown(msgspec.json.decode(member.data, type=Sample), pixels)
                    pixels = None
                else:
                    pixels = member.data


def drawn(sample: Sample, picture: bytes, most: int = 8) -> Image.Image:
    """The picture with the boxes of some records, decoded from their tokens, and what is said beside it.

    The first record of each source and task comes first, then the second of each, up to ``most``.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    chosen = varied(sample.records)[:most]
    lines = [line for place, record in enumerate(chosen) for line in _lines(record, COLOURS[place % len(COLOURS)])]
    page = Image.new("RGB", (image.width + PANEL, max(image.height, LINE * len(lines) + 12)), "white")
    page.paste(image)
    pen = ImageDraw.Draw(page)
    for place, record in enumerate(chosen):
        for bins in tokens(record):
            _frame(pen, bins, image.size, COLOURS[place % len(COLOURS)])
    font = ImageFont.load_default(13)
    for row, (text, colour) in enumerate(lines):
        pen.text((image.width + 10, 6 + LINE * row), text, fill=colour, font=font)
    return page


def sheet(pages: Sequence[Image.Image], columns: int = 2) -> Image.Image:
    """Several pages on one, row by row."""
    rows = [pages[start : start + columns] for start in range(0, len(pages), columns)]
    width = max(sum(page.width + 8 for page in row) for row in rows)
    whole = Image.new("RGB", (width, sum(max(page.height for page in row) + 8 for row in rows)), "#dddddd")
    y = 4
    for row in rows:
        x = 4
        for page in row:
            whole.paste(page, (x, y))
            x += page.width + 8
        y += max(page.height for page in row) + 8
    return whole


def tokens(record: Record) -> list[Bins]:
    """The boxes in a record's text, in bins, in reading order."""
    texts = [IDENTIFIER.sub("", turn.content, count=1) for turn in record.messages]
    return [bins for text in texts for span in parse(text) if not isinstance(span, str) for bins in span.boxes]


def varied(records: Sequence[Record]) -> list[Record]:
    """The records in another order: the first of each source and task, then the second of each, and so on."""
    seen: Counter[tuple[str, str | None]] = Counter()
    ranked = []
    for record in records:
        seen[record.source, record.task] += 1
        ranked.append((seen[record.source, record.task], record))
    return [record for _, record in sorted(ranked, key=lambda pair: pair[0])]


def _frame(pen: ImageDraw.ImageDraw, bins: Bins, size: tuple[int, int], colour: str) -> None:
    x1, y1, x2, y2 = decode(bins)
    pen.rectangle((x1 * size[0], y1 * size[1], x2 * size[0] - 1, y2 * size[1] - 1), outline=colour, width=2)


def _lines(record: Record, colour: str) -> Iterator[tuple[str, str]]:
    for turn in record.messages:
        text = ("" if turn.role == "user" else "  > ") + turn.content
        for line in wrap(text, 58, break_long_words=True)[:4]:
            yield line, colour
