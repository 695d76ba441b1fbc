"""Blocks of rows to lines: what the long way, row by row, would write and count of them, all at once.

Why a record written here is as sound as one that was linted:
* its key is put together of table names and ids whose characters are looked at, and is new;
* it has two turns, of a specimen's roles, and begins with its identifier, as the specimen does;
* its text is plain: no character in it could begin markup, and none in a template of a compiled variant, so that
  nothing in its turns is markup but the tokens, which stand alone between quotes or in a template without brackets;
* its tokens are made of the very numbers that its boxes are, which lie within the picture and keep their order;
* neither turn is empty: an identifier, tokens, or a text that was found not to be.
What cannot be seen to be so of a row sends it the long way.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from converters._block import Block, InBlocks, Told
from converters._table import Form, Row, Variant
from pipelines.columns import Sure, boxes_in_json, texts_in_json
from pipelines.compiled import Compiled, compiled
from schemas.box import Codec
from schemas.ledger import Part
from schemas.prompt import Wording
from schemas.record import RECORD_KEY


class Lines(NamedTuple):
    """The lines of some rows that follow one another, one a row and variant, and the sides of the boxes in them."""

    rows: int
    parts: tuple[Part, ...]
    text: str
    sides: NDArray[np.float64]

    @property
    def records(self) -> int:
        """How many lines they are."""
        return self.rows * len(self.parts)


@dataclass
class Ids:
    """The ids of rows seen so far: of those ``written`` as lines no key is kept, of the others it may be."""

    written: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)

    def new(self, ids: Sequence[str]) -> Sure:
        """Which of the ids are those of one row alone, as far as is known."""
        if len({*ids}) == len(ids) and self.written.isdisjoint(ids) and self.others.isdisjoint(ids):
            return np.ones(len(ids), bool)
        among = Counter(ids)
        return np.array([among[id] == 1 and id not in self.written and id not in self.others for id in ids])

    def add(self, ids: Sequence[str], written: Sequence[str]) -> None:
        """Note the ids of a block, some of which were written as lines."""
        self.written.update(written)
        if len(written) < len(ids):
            self.others.update({*ids}.difference(written))


def compiled_all(form: Form, variants: Sequence[Variant], source: str, split: str, wording: Wording) -> list[Compiled]:
    """Each of the variants compiled; empty where the form does not come in blocks or one of them cannot be compiled."""
    if not isinstance(form.rows, InBlocks):
        return []
    told = [variant.record for variant in variants]
    found = [compiled(one, source, split, wording) if isinstance(one, Told) else None for one in told]
    return [one for one in found if one] if all(found) else []


def rendered(block: Block, variants: Sequence[Compiled], ids: Ids, by: Codec) -> Iterator[Lines | Row]:
    """The block's rows in their order: lines of those that are sure, and the others as they are."""
    if not block.ids:
        return
    texts, sure = texts_in_json(block.texts)
    sure = sure & ids.new(block.ids) & _fit_for_keys(block.ids)
    values: dict[str, Sequence[str]] = {"id": block.ids, "text": texts, "image": block.images}
    values["meta"] = block.meta or ["[]"] * len(block.ids)
    sides = np.empty((len(block.ids), 0))
    if block.xywh:
        boxes, placed = boxes_in_json(block.xywh, block.sizes, block.least_px, by)
        values |= {"tokens": boxes.tokens, "boxes": boxes.json}
        sure, sides = sure & placed, boxes.sides
    if not sure.all():
        values = {name: [*compress(column, sure.tolist())] for name, column in values.items()}
    ids.add(block.ids, values["id"])
    lines = zip(*(column for variant in variants for column in variant.columns(values)), strict=False)
    begin, parts = 0, tuple(variant.part for variant in variants)
    for place in [*np.flatnonzero(~sure).tolist(), len(block.ids)]:
        if begin < place:
            text = "".join(chain.from_iterable(islice(lines, place - begin)))
            yield Lines(place - begin, parts, text, np.repeat(sides[begin:place], len(parts), axis=0))
        if place < len(block.ids):
            yield block.row(place)
        begin = place + 1


def _fit_for_keys(ids: Sequence[str]) -> Sure | np.bool_:
    if RECORD_KEY.fullmatch("".join(ids)):
        return np.True_
    return np.array([RECORD_KEY.fullmatch(id) is not None for id in ids])
