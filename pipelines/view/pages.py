"""A page of samples that match a query: read from the record index a window of shards at a time, until it is full.

In the pool's order a window is one shard. Worst first, it is ``AT_ONCE`` shards, sorted among themselves: no page waits
for a whole pool to be read, and the page says of how many shards it tells.
"""

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from converters._table import CHAT
from pipelines.manifest import UNREADABLE
from pipelines.view.opened import Opened
from pipelines.view.query import ORDERS, Cursor, Query
from pipelines.view.told import loss_of
from schemas.box import codec
from schemas.errors import RecordError
from schemas.record import Message, Sample

AT_ONCE = 16  # shards that are sorted together
LOOKED_INTO = 240  # samples of a window, those with the smallest boxes, whose loss is computed
SECONDS = 0.2  # after which a page is given as far as it is, with where to go on

Numbers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.float64]


class Hit(NamedTuple):
    """A sample, and which of its records match, by their places in it."""

    shard: int
    sample: int
    places: list[int]


class Page(NamedTuple):
    """What was found; where to go on, None at the end; and how many shards were looked at, in all."""

    hits: list[Hit]
    next: Cursor | None
    looked: int


class Ranked(NamedTuple):
    """The matching records of a window: their rows and keys, where each sample's begin, and the samples in order."""

    rows: Numbers  # (records, 3): shard, sample, place
    keys: Keys  # what they are sorted by, the worst least
    starts: Numbers  # of each sample its first row, and one more for the end
    order: Numbers

    def hit(self, number: int) -> Hit:
        """The sample that comes at that place of the order, its worst record first."""
        begin, end = self.starts[self.order[number] : self.order[number] + 2]
        rows = self.rows[begin:end][np.argsort(self.keys[begin:end], kind="stable")]
        return Hit(int(rows[0, 0]), int(rows[0, 1]), rows[:, 2].tolist())


class Pages:
    """Pages of one pool."""

    def __init__(self, opened: Opened) -> None:
        """The pool; what was sorted last is kept, for the pages that follow."""
        self.opened = opened
        self._ranked = lru_cache(8)(self._sorted)

    def page(self, query: Query, start: Cursor, size: int, seconds: float = SECONDS) -> Page:
        """The next so many samples from a cursor on; fewer, with where to go on, once the time is over."""
        until = time.monotonic() + seconds
        hits: list[Hit] = []
        at, bare = start, query._replace(text="")
        first, end = (query.shard, query.shard + 1) if query.shard is not None else (0, self.opened.shards)
        at = max(at, Cursor(first))
        while at.shard < min(end, self.opened.shards):
            ranked = self._ranked(bare, at.shard, end)
            for number in range(at.skip, len(ranked.order)):
                if len(hits) == size or (query.text and number > at.skip and time.monotonic() > until):
                    looked = min(at.shard + self._step(query), end) - first
                    return Page(hits, Cursor(at.shard, number), looked)
                hit = ranked.hit(number)
                if query.text:
                    hit = hit._replace(places=self._said(hit, query.text))
                if hit.places:
                    hits.append(hit)
            at = Cursor(min(at.shard + self._step(query), end))
            if time.monotonic() > until:
                break
        over = at.shard >= min(end, self.opened.shards)
        return Page(hits, None if over else at, at.shard - first)

    def _step(self, query: Query) -> int:
        return 1 if ORDERS[query.order].column is None else AT_ONCE

    def _said(self, hit: Hit, text: str) -> list[int]:
        sample = self._texts(hit)
        if sample is None:
            return []
        if sample.image and text in sample.image.id.casefold():
            return hit.places
        return [place for place in hit.places if place < len(sample.records) and sample.records[place].says(text)]

    def _texts(self, hit: Hit) -> "_Texts | None":
        try:
            return _TEXTS.decode(self.opened.text(hit.shard, hit.sample))
        except UNREADABLE:
            return None  # its page says so where it is opened; what cannot be read cannot be found by its words

    def _sorted(self, query: Query, first: int, end: int) -> Ranked:
        order = ORDERS[query.order]
        shards = range(first, min(first + self._step(query), end, self.opened.shards))
        found = [_matching(self.opened.rows(shard), query, shard) for shard in shards]
        rows, keys = (np.concatenate(column) for column in zip(*found, strict=True))
        new = np.any(rows[1:, :2] != rows[:-1, :2], axis=1)
        starts = np.concatenate([[0], np.flatnonzero(new) + 1, [len(rows)]]) if len(rows) else np.zeros(1, np.int64)
        if order.column is None or not len(rows):
            return Ranked(rows, keys, starts, np.arange(len(starts) - 1))
        worst = np.minimum.reduceat(keys, starts[:-1])
        ranked = Ranked(rows, keys, starts, np.argsort(worst, kind="stable"))
        return self._by_loss(ranked) if query.order == "loss" else ranked

    def _by_loss(self, ranked: Ranked) -> Ranked:
        some = min(LOOKED_INTO, len(ranked.order))
        losses = [self._loss(ranked.hit(number)) for number in range(some)]
        first = ranked.order[:some][np.argsort([-loss for loss in losses], kind="stable")]
        return ranked._replace(order=np.concatenate([first, ranked.order[some:]]).astype(np.int64))

    def _loss(self, hit: Hit) -> float:
        by = codec(self.opened.given.manifest.config["codec"])
        try:
            records = msgspec.json.decode(self.opened.text(hit.shard, hit.sample), type=Sample).records
        except (RecordError, *UNREADABLE):
            return 1.0  # nothing is worse than what cannot be read
        wanted = (records[place] for place in hit.places if place < len(records))
        return max((loss_of(box, by) for record in wanted for box in record.boxes), default=0.0)


class _Said(msgspec.Struct, frozen=True):
    key: str
    messages: list[Message]

    def says(self, text: str) -> bool:
        return text in self.key.casefold() or any(text in turn.content.casefold() for turn in self.messages)


class _Named(msgspec.Struct, frozen=True):
    id: str


class _Texts(msgspec.Struct, frozen=True):
    # Of a sample no more is decoded than what is searched.
    image: _Named | None
    records: list[_Said]


_TEXTS = msgspec.json.Decoder(_Texts)


def _matching(table: pa.Table, query: Query, shard: int) -> tuple[Numbers, Keys]:
    """The rows (shard, sample, place) of a shard that match but for their text, and what is least of the worst."""
    column = ORDERS[query.order].column
    wanted = np.ones(table.num_rows, np.bool_)
    for one in _wanted(table, query):
        wanted &= one
    keys = table[column].to_numpy().astype(np.float64) if column else np.zeros(table.num_rows)
    wanted &= ~np.isnan(keys)
    found = np.flatnonzero(wanted)
    places = [table[name].to_numpy()[found].astype(np.int64) for name in ("sample", "place")]
    rows = np.stack([np.full(len(found), shard, np.int64), *places], axis=1)
    return rows, -keys[found] if ORDERS[query.order].largest else keys[found]


def _wanted(table: pa.Table, query: Query) -> Iterator[npt.NDArray[np.bool_]]:
    # Column by column: a table that is filtered is copied with all its texts.
    for name in ("source", "split", "task"):
        if value := getattr(query, name):
            texts = table[name]
            same = pc.is_null(texts) if (name, value) == ("task", CHAT) else pc.fill_null(pc.equal(texts, value), False)
            yield same.to_numpy()
    for name, scale, (low, high) in (("boxes", 1, query.boxes), ("min_area", 100, query.area)):
        if low is not None:
            yield table[name].to_numpy() >= low / scale
        if high is not None:
            yield table[name].to_numpy() <= high / scale
