"""Keeping some records of many: which ones is decided by a hash, so that it does not depend on order or machine."""

from collections.abc import Callable, Iterator
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING

from schemas.ledger import Part
from schemas.prompt import draw

if TYPE_CHECKING:  # convert imports this module
    from pipelines.convert import Outcome

BEYOND = "beyond max_records"


def at_most(most: int | None, read: Callable[[], "Iterator[Outcome]"], seed: int) -> "Iterator[Outcome]":
    """The outcomes that ``read`` gives, all but ``most`` records of each part left out by a counted rule.

    Those of the smallest hash stay. The outcomes are read twice for it; memory holds ``most`` numbers a part.
    """
    if most is None:
        yield from read()
        return
    largest = _largest_kept(most, read(), seed)
    for outcome in read():
        if outcome.record is None or _order(outcome, seed) <= largest[outcome.part]:
            yield outcome
        else:
            detail = f"{BEYOND}: {most:,} of {outcome.part} are kept"
            yield outcome._replace(record=None, reason=BEYOND, detail=detail, rule=True, notes=())


def _largest_kept(most: int, found: "Iterator[Outcome]", seed: int) -> dict[Part, int]:
    heaps: dict[Part, list[int]] = {}
    for outcome in found:
        if outcome.record is not None:
            heap = heaps.setdefault(outcome.part, [])
            # heapq keeps the smallest on top, and what has to go first here is the largest.
            (heappush if len(heap) < most else heappushpop)(heap, -_order(outcome, seed))
    return {part: -heap[0] for part, heap in heaps.items()}


def _order(outcome: "Outcome", seed: int) -> int:
    return draw(seed, outcome.key, 0, "max_records")
