"""Which draws make which step, and which of them are a rank's: the same global batches for any ranks and workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.schedule import Schedule
from schemas.errors import ConfigError

Index = tuple[int, int]


@dataclass(frozen=True)
class Steps:
    """A rank's batches of (draw, place within the draw), from step ``start`` to the last.

    A step is ``step`` draws of all ranks together, of which each rank has a run of its own, one after another; runs
    differ by one draw at most. ``sizes`` are None where draws are single: then a rank's run is its batch. Else they
    are the parts' batch sizes: each draw is a batch by itself, and a rank may have several of a step.
    """

    schedule: Schedule
    sizes: Sequence[int] | None
    step: int
    steps: int
    start: int
    ranks: int
    rank: int

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks <= self.step:
            what = "batches" if self.sizes else "samples"
            raise ConfigError(f"rank {self.rank} of {self.ranks}: wanted 0 or more, below the ranks; {self.ranks} "
                              f"ranks: wanted at most the {self.step} {what} of a step")  # fmt: skip
        if not 0 <= self.start <= self.steps:
            raise ConfigError(f"start {self.start}: wanted a step from 0 to the stage's {self.steps}")

    def __iter__(self) -> Iterator[list[Index]]:
        for step in range(self.start, self.steps):
            draws = range(step * self.step + self._first(self.rank), step * self.step + self._first(self.rank + 1))
            if self.sizes is None:
                yield [(k, 0) for k in draws]
            else:
                for k in draws:
                    yield [(k, place) for place in range(self.sizes[self.schedule.at(k).part])]

    def __len__(self) -> int:
        each = 1 if self.sizes is None else self._first(self.rank + 1) - self._first(self.rank)
        return (self.steps - self.start) * each

    def after(self, k: int) -> int:
        """The step to go on with once this rank has done with draw ``k`` and all before it."""
        step, place = divmod(k, self.step)
        return step + (place + 1 >= self._first(self.rank + 1))

    def _first(self, rank: int) -> int:
        return self.step * rank // self.ranks
