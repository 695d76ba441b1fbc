"""The ledger: per (source, split, task), where every candidate ended. Nothing is lost silently.

Each candidate is counted once on the way in and ends in exactly one of written, rejected (with its reason) or filtered
(with its rule). Notes count what was changed on the way without losing anything (a box clipped, a side widened).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from schemas.errors import ShardError


class Part(NamedTuple):
    """A slice of a source: what mixtures weigh. Task None is plain chat."""

    source: str
    split: str
    task: str | None

    def __str__(self) -> str:
        return f"{self.source}/{self.split}/{self.task or 'chat'}"


class Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one reason, rule or note occurred."""

    name: str
    count: int


class Tally(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part's line of a ledger."""

    source: str
    split: str
    task: str | None
    candidates: int
    written: int
    rejected: list[Count]
    filtered: list[Count]
    notes: list[Count]

    @property
    def part(self) -> Part:
        """The part this line speaks of."""
        return Part(self.source, self.split, self.task)

    @property
    def rejects(self) -> int:
        """How many candidates were rejected, for all reasons together."""
        return sum(count.count for count in self.rejected)

    @property
    def left_out(self) -> int:
        """How many candidates were filtered, by all rules together."""
        return sum(count.count for count in self.filtered)

    @property
    def balanced(self) -> bool:
        """Whether every candidate ended somewhere, once."""
        return self.candidates == self.written + self.rejects + self.left_out


@dataclass
class _Line:
    candidates: int = 0
    written: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


class Ledger:
    """Counters per part; ``tallies`` gives them sorted, so that equal counts are equal bytes."""

    def __init__(self, tallies: Iterable[Tally] = ()) -> None:
        self._lines: dict[Part, _Line] = {}
        for tally in tallies:
            self.add(tally)

    def open(self, part: Part) -> None:
        """Make sure that the part has a line, even if nothing is ever counted in it."""
        self._line(part)

    def written(self, part: Part, notes: Iterable[str] = (), count: int = 1) -> None:
        """Count candidates that became records, and what was noted about them."""
        line = self._line(part)
        line.candidates += count
        line.written += count
        if notes:
            line.notes.update(notes)

    def rejected(self, part: Part, reason: str, count: int = 1) -> None:
        """Count candidates that could not become records."""
        line = self._line(part)
        line.candidates += count
        line.rejected[reason] += count

    def filtered(self, part: Part, rule: str, count: int = 1) -> None:
        """Count candidates that a stated rule left out."""
        line = self._line(part)
        line.candidates += count
        line.filtered[rule] += count

    def add(self, tally: Tally) -> None:
        """Add a line of another ledger."""
        line = self._line(tally.part)
        line.candidates += tally.candidates
        line.written += tally.written
        for mine, theirs in (
            (line.rejected, tally.rejected),
            (line.filtered, tally.filtered),
            (line.notes, tally.notes),
        ):
            mine.update({count.name: count.count for count in theirs})

    def tallies(self) -> list[Tally]:
        """All lines, sorted by part; ShardError where a line's candidates did not all end somewhere."""
        tallies = [_tally(part, line) for part, line in sorted(self._lines.items(), key=lambda item: str(item[0]))]
        for tally in tallies:
            if not tally.balanced:
                raise ShardError(f"the ledger of {tally.part} does not sum: {tally}")
        return tallies

    def _line(self, part: Part) -> _Line:
        line = self._lines.get(part)
        if line is None:
            line = self._lines[part] = _Line()
        return line


def _tally(part: Part, line: _Line) -> Tally:
    rejected, filtered, notes = map(_counts, (line.rejected, line.filtered, line.notes))
    return Tally(*part, line.candidates, line.written, rejected, filtered, notes)


def _counts(counter: Counter[str]) -> list[Count]:
    return [Count(name, counter[name]) for name in sorted(counter)]
