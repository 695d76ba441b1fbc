"""Rows in blocks: a run of rows in columns, so that records which are a fixed text with holes can be written at once.

A form whose ``rows`` is ``InBlocks`` and a variant whose ``record`` is ``Told`` say, as data, what there is to fill
these holes with. Row by row they are what any form and any variant are, and that way stays the measure of the other.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeVar

from converters._read import Broken
from converters._table import Reading, Recorder, Row, malformed
from schemas.prompt import Wording
from schemas.record import Record, Task

T = TypeVar("T")

NO_THING, LOOKED_AT = -1, -2  # in place of a thing: there is none, and there may be one


class Spans(NamedTuple):
    """Texts, a row each, taken apart: ``plain`` ones and, after each but the last, the ``words`` for something.

    A line feed in a plain one is where a row ends and the next begins; there is no other, nor any "[". ``things`` are
    what the words are for, or NO_THING; where it is LOOKED_AT the row has to be looked at.
    """

    plain: Sequence[str]
    words: Sequence[str]
    things: Sequence[int]

    def texts(self) -> list[str]:
        """The texts as they were."""
        within = chain.from_iterable(zip(self.plain, self.words, strict=False))
        return ("".join(within) + self.plain[-1]).split("\n")


@dataclass(frozen=True)
class Block:
    """A run of rows in columns, in their order: what each holds, as its file states it.

    ``row`` gives the row at a place, as the converter's functions take it; ``images`` and ``meta`` are what it has of
    them, as JSON. Rows at the places in ``alone`` have to be looked at one by one. Of ids that stand ``once`` it is
    known that all of the reading's other rows have others, or are alone.

    ``xywh`` are boxes in four columns: left and upper edge, 0-based, width and height in pixels, neither of which may
    be under ``least_px``; ``sizes`` are two, the width and height of each one's picture. NaN, and a size of 0, stand
    for a box that has to be looked at. Each row has one, in their order, unless there are ``spans``: then ``things``
    are whose boxes they are, in any order, and rows with words for fewer than ``fewest`` things that have boxes have to
    be looked at.
    """

    ids: Sequence[str]
    images: Sequence[str]
    texts: Sequence[str]
    row: Callable[[int], Row]
    xywh: Sequence[Sequence[float]] = ()
    sizes: Sequence[Sequence[int]] = ()
    least_px: float = 0.0
    meta: Sequence[str] = ()
    alone: Collection[int] = ()
    once: bool = False
    spans: Spans | None = None
    things: Sequence[int] = ()
    fewest: int = 0


@dataclass(frozen=True)
class InBlocks:
    """The ``rows`` of a form that reads blocks, with what is no part of any (a malformed row) between them."""

    blocks: Callable[[Reading], Iterable[Block | Row]]

    def __call__(self, reading: Reading) -> Iterator[Row]:
        """The rows of all blocks, one by one."""
        for block in self.blocks(reading):
            if isinstance(block, Block):
                yield from map(block.row, range(len(block.ids)))
            else:
                yield block


@dataclass(frozen=True)
class Told:
    """The ``record`` of a variant that asks one thing and tells one thing of each row.

    ``slot`` is the slot of the templates that the row fills, None where there is none: ``box``, or one that its text
    fills. The ``reply`` is its text, its box, or its text with the boxes of each thing in it (``grounded``).
    """

    record: Recorder
    task: Task
    slot: str | None
    reply: Literal["text", "box", "grounded"]

    def __call__(self, row: Any, wording: Wording) -> Record:
        """The record of one row alone."""
        return self.record(row, wording)


def in_blocks(
    reading: Reading, found: Iterable[list[T] | Broken], block: Callable[[list[T]], Block]
) -> Iterator[Block | Row]:
    """The entries of a file in blocks, each made of a run of them; one that is broken stands between, malformed."""
    for run in found:
        yield malformed(reading, run.index, run.why) if isinstance(run, Broken) else block(run)
