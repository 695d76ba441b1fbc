"""Weights to counts: how many of every ``block`` draws each part gets, and how many draws the stage makes.

A draw is of an item (in unit ``batch`` of a batch). A weight is a share of records, batches, images or tokens, so what
an item of the part has of these divides it.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import NamedTuple

from schemas.errors import ConfigError
from schemas.ledger import Part
from schemas.mixture import MOST, Mixture

BLOCK = 2**14  # draws to a block where weights are no small whole numbers
SMALL = 1000  # the largest factor that makes weights whole


class Sized(NamedTuple):
    """A part and what was found of it. ``batch_size`` is 1 but in unit ``batch``."""

    part: Part
    weight: float | None
    epochs: float | None
    batch_size: int
    records: int
    items: int
    mean_tokens: float

    @property
    def fixed(self) -> float:
        """The draws that its epochs ask for."""
        return (self.epochs or 0.0) * self.items / self.batch_size


class Shares(NamedTuple):
    """The counts of each part in every ``block`` draws, ``step`` draws to a step, and steps."""

    counts: list[int]
    block: int
    step: int
    steps: int

    @property
    def budget(self) -> int:
        """All draws of the stage."""
        return self.step * self.steps


def shares(mixture: Mixture, parts: Sequence[Sized]) -> Shares:
    """The counts that weights and epochs come to; ConfigError where they cannot be met."""
    step = (mixture.train.batches if mixture.unit == "batch" else mixture.train.global_batch) or 1
    fixed = sum(part.fixed for part in parts)
    if fixed > MOST * step:
        raise ConfigError(f"the parts' epochs ask for {fixed:.3g} draws: wanted {MOST:,} steps of {step:,} at most")
    steps = mixture.train.steps or max(1, ceil(fixed / step))
    exact = _exact(mixture, parts)
    counts = exact or _rounded(mixture, parts, _drawn(mixture, parts, steps * step))
    return Shares(counts, sum(counts), step, steps)


def _exact(mixture: Mixture, parts: Sequence[Sized]) -> list[int] | None:
    """Whole numbers in just the ratio of the weights, where there are small ones and they are shares of draws."""
    of_draws = mixture.unit in ("batch", "image") or (mixture.unit == "sample" and mixture.per_image == 1)
    if not of_draws or mixture.temperature != 1 or any(part.weight is None for part in parts):
        return None
    weights = [Fraction(str(part.weight)) for part in parts]
    factor = lcm(*(weight.denominator for weight in weights))
    if factor > SMALL:
        return None
    whole = [int(weight * factor) for weight in weights]
    reduced = [number // gcd(*whole) for number in whole]
    return reduced if sum(reduced) <= BLOCK else None


def _drawn(mixture: Mixture, parts: Sequence[Sized], budget: int) -> list[float]:
    """The draws of each part within the budget: what its epochs ask for, or its share of what they leave."""
    fixed = sum(part.fixed for part in parts)
    most = max((part.weight or 0.0) for part in parts)  # as the largest is 1, none is too large for a number
    weights = [_weight(mixture, part, most) if part.weight is not None else 0.0 for part in parts]
    asked = f"the parts' epochs ask for {fixed:,.0f} draws, the stage has {budget:,}"
    if fixed > budget:
        raise ConfigError(f"train.steps: {asked}: give it more steps, or the parts fewer epochs")
    if not sum(weights) and mixture.train.steps and fixed <= budget * (1 - 1 / mixture.train.steps):
        raise ConfigError(f"train.steps: {asked}: leave steps out, or give a part a weight that shares the rest")
    left = budget - fixed
    return [
        part.fixed if part.weight is None else left * weight / sum(weights)
        for part, weight in zip(parts, weights, strict=True)
    ]


def _weight(mixture: Mixture, part: Sized, most: float) -> float:
    """The weight per draw, as a share of the largest, tempered."""
    tempered = float(((part.weight or 0.0) / most) ** (1 / mixture.temperature))
    a_draw = part.records / part.items
    if mixture.unit == "sample":
        return tempered / a_draw
    return tempered / (a_draw * part.mean_tokens) if mixture.unit == "token" else tempered


def _rounded(mixture: Mixture, parts: Sequence[Sized], draws: Sequence[float]) -> list[int]:
    """Of ``BLOCK`` the share of each, by largest remainder; ConfigError where one would get none."""
    total = sum(draws)
    shares = [BLOCK * one / total for one in draws]
    counts = [floor(share) for share in shares]
    rest = sorted(range(len(parts)), key=lambda place: (counts[place] - shares[place], place))
    for place in rest[: BLOCK - sum(counts)]:
        counts[place] += 1
    for part, count, share in zip(parts, counts, shares, strict=True):
        if not count:
            raise ConfigError(_too_small(mixture, part, share))
    return counts


def _too_small(mixture: Mixture, part: Sized, share: float) -> str:
    what = f"a share of {share / BLOCK:.2g} of the draws, and one in {BLOCK:,} is the smallest"
    if part.weight is None:
        least = part.epochs / share if part.epochs and share else 0.0
        return f"part {part.part}: epochs {part.epochs:g} cannot be met: {what}: wanted at least {least:.3g}"
    if not share:
        return f"part {part.part}: weight {part.weight:g} cannot be met: nothing is left for it"
    # Its weight per draw against the others' has to grow from share / (BLOCK - share) to 1 / (BLOCK - 1).
    least = part.weight * ((BLOCK - share) / (share * (BLOCK - 1))) ** mixture.temperature
    return f"part {part.part}: weight {part.weight:g} cannot be met: {what}: wanted at least {least:.3g}"
