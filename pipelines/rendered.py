"""Blocks of rows to lines: what the long way, row by row, would write and count of them, all at once.

Why a record written here is as sound as one that was linted:
* its key is put together of table names and ids whose characters are looked at, and is new;
* it has two turns, of a specimen's roles, and begins with its identifier, as the specimen does;
* its text holds no bracket and is tidy, and no template of a compiled variant holds one: nothing in its turns is markup
  but its tokens, alone or within a template, and in a grounded text phrases before theirs, never right after a box;
* its tokens, in the order of its boxes, are made of the very numbers that these are, which lie within the picture, in
  bins that keep the box from being empty;
* neither turn is empty: one has an identifier, the other tokens, or a text that was found not to be.
What cannot be seen to be so of a row sends it the long way.
"""

import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from converters._block import Block, InBlocks, Told
from converters._read import collector_resting
from converters._table import Form, Row, Variant
from pipelines.columns import Doubles, Sure, boxes_in_json, grounded, left_to_right, texts_in_json
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
    sides: Doubles

    @property
    def records(self) -> int:
        """How many lines they are."""
        return self.rows * len(self.parts)


class _Columns(NamedTuple):
    """What fills the holes, for each row; whether that is sure; all boxes' sides, and where each row's end."""

    values: dict[str, Sequence[Any]]
    sure: Sure
    sides: Doubles
    ends: NDArray[np.int64]


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


def next_rendered(
    blocks: Iterator[Block | Row], variants: Sequence[Compiled], ids: Ids, by: Codec
) -> list[Lines | Row] | None:
    """The next block's rows, ``rendered``, or what stands between two; None after the last."""

    def found() -> list[Lines | Row] | None:
        block = next(blocks, None)
        if isinstance(block, Block):
            return [*rendered(block, variants, ids, by)]
        return None if block is None else [block]

    with collector_resting():  # a block is thousands of small things in no cycle, all gone when it is about again
        return found()


def rendered(block: Block, variants: Sequence[Compiled], ids: Ids, by: Codec) -> Iterator[Lines | Row]:
    """The block's rows in their order: lines of those that are sure, and the others as they are."""
    if len(block.alone) == len(block.ids):
        ids.add(block.ids, ())
        yield from map(block.row, range(len(block.ids)))
        return
    boxed = sum(variant.boxed for variant in variants)
    columns = _columns(block, by) if boxed else _plain_columns(block)
    sure = columns.sure & (block.once or ids.new(block.ids)) & _fit_for_keys(block.ids)
    values = columns.values
    if not sure.all():
        values = {name: [*compress(column, sure.tolist())] for name, column in values.items()}
    if not block.once:
        ids.add(block.ids, values["id"])
    lines = zip(*(column for variant in variants for column in variant.columns(values)), strict=False)
    begin, parts = 0, tuple(variant.part for variant in variants)
    for place in [*np.flatnonzero(~sure).tolist(), len(block.ids)]:
        if begin < place:
            text = "".join(chain.from_iterable(islice(lines, place - begin)))
            sides = columns.sides[columns.ends[begin] : columns.ends[place]]
            yield Lines(place - begin, parts, text, np.repeat(sides, boxed, axis=0))
        if place < len(block.ids):
            yield block.row(place)
        begin = place + 1


def _plain_columns(block: Block) -> _Columns:
    texts, sure = texts_in_json(block.texts)
    sure[[*block.alone]] = False
    values: dict[str, Sequence[Any]] = {
        "id": block.ids,
        "text": texts,
        "image": block.images,
        "meta": block.meta or ["[]"] * len(texts),
    }
    return _Columns(values, sure, np.empty((0, 4)), np.zeros(len(texts) + 1, int))


def _columns(block: Block, by: Codec) -> _Columns:
    values, sure, *_ = _plain_columns(block)
    xywh, sizes, things = np.array(block.xywh, float), np.array(block.sizes, float), np.empty(0, int)
    if block.spans:
        places, things = left_to_right(block.things, xywh)
        xywh, sizes = xywh[:, places], sizes[:, places]
    boxes = boxes_in_json(xywh, sizes, block.least_px, by)
    if block.spans is None:
        values |= {"tokens": boxes.tokens, "boxes": boxes.json}
        return _Columns(values, sure & boxes.sure, boxes.sides, np.arange(len(sure) + 1))
    said = grounded(block.spans, things, boxes, block.fewest)
    # Spans are put in as they are given, so that nothing in them may have been tidied or escaped.
    as_given = np.fromiter(map(operator.is_, values["text"], block.texts), bool, len(sure))
    values |= {"grounded": said.texts, "boxes": said.boxes}
    return _Columns(values, sure & said.sure & as_given, said.sides, said.ends)


def _fit_for_keys(ids: Sequence[str]) -> Sure | np.bool_:
    if RECORD_KEY.fullmatch("".join(ids)):
        return np.True_
    return np.array([RECORD_KEY.fullmatch(id) is not None for id in ids])
