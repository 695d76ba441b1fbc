"""The verdict on a run: was the data good enough to learn from, and did the run do what it said. Each line a number.

A claim that one accuracy is above another asks for three standard errors of their difference, and for ``MARGIN``: a
model that learned x for y still hits along the diagonal.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.evaluation.geometry import Geometry
from pipelines.training.figures import Figures

MARGIN = 0.1
PARSED = 0.9  # of the answers to questions where something is
SLOPE, SIZE = 0.12, 0.12  # by how much told places and sides may differ by a rule


class Line(NamedTuple):
    """One thing that was looked at, what was found, and whether that is as it should be; None: neither."""

    what: str
    found: str
    good: bool | None


def verdict(run: Figures, control: Figures | None, least: float = 0.0) -> list[Line]:
    """The verdict on a run and its mismatch control, where pointing is asked to be right ``least`` of the time."""
    return [
        Line(
            "labels are the answers, nothing else",
            f"{run.proven:,} sequences read back, {run.wrong:,} differ; {run.cut:,} turns left out",
            run.proven > 0 and not run.wrong,
        ),
        _tower(run),
        Line(
            "gradients reach all that is trained",
            f"{run.trained:,} parameters trained, {run.frozen:,} frozen; "
            f"{len(run.unreached)} tensors not reached{_few(run.unreached)}, {len(run.strayed)} frozen ones reached",
            not run.unreached and not run.strayed,
        ),
        _fell("loss", run.loss),
        _fell("loss on box tokens", run.box_loss),
        *_pointing(run, control, least),
        Line("speed", _speed(run), None),
    ]


def passed(lines: list[Line]) -> bool:
    """Whether nothing is as it should not be."""
    return all(line.good is not False for line in lines)


def beats(one: float, other: float, questions: int) -> bool:
    """Whether an accuracy is above another, both of so many questions, by more than chance and by the margin."""
    error = math.sqrt((one * (1 - one) + other * (1 - other)) / max(1, questions))
    return questions > 0 and one - other > max(3 * error, MARGIN)


def _tower(run: Figures) -> Line:
    same, whole = run.tower_before == run.tower_after, not run.frozen
    if whole:
        return Line("vision tower", "trained whole: nothing in it is pretrained", not same)
    return Line(
        "vision tower frozen", f"{'unchanged to the bit' if same else 'CHANGED'}, sha256 {run.tower_after[:12]}", same
    )


def _fell(what: str, losses: tuple[float, float] | None) -> Line:
    if losses is None:
        return Line(f"{what} falls", "no such tokens", None)
    first, last = losses
    return Line(f"{what} falls", f"{first:.3f} to {last:.3f}, by {first - last:.3f}", last < first)


def _pointing(run: Figures, control: Figures | None, least: float) -> Iterator[Line]:
    rec, base = run.rec, run.baseline
    if rec is None or base is None:
        yield Line("pointing", "no held-out questions", None)
        return
    yield Line("answers that parse", f"{rec.parsed:.1%} of {rec.questions:,} held out", rec.parsed >= PARSED)
    wanted = f", wanted {least:.2f}" if least else ""
    yield Line(
        "pointing beats the mean box",
        f"right {rec.accuracy:.3f} (IoU > 0.5{wanted}), mean IoU {rec.mean_iou:.3f}; "
        f"always the mean box {base.accuracy:.3f}, {base.mean_iou:.3f}",
        rec.accuracy >= least and beats(rec.accuracy, base.accuracy, rec.questions),
    )
    yield _places(run.geometry)
    if control is None or control.rec is None:
        yield Line("pointing beats shuffled pictures", "no control was run", None)
        return
    shuffled = control.rec
    same = control.steps == run.steps
    yield Line(
        "pointing beats shuffled pictures",
        f"with each other's pictures right {shuffled.accuracy:.3f}, mean IoU {shuffled.mean_iou:.3f}; "
        f"{'the same' if same else f'{control.steps:,}, not the same'} {run.steps:,} steps, seed and rates",
        same and beats(rec.accuracy, shuffled.accuracy, rec.questions),
    )


def _places(found: Geometry | None) -> Line:
    if found is None:
        return Line("boxes lie as they should", "too few near the true ones to tell", None)
    straight = found.along > found.across
    even = all(abs(slope - 1) < SLOPE for slope in found.slope) and all(abs(size - 1) < SIZE for size in found.size)
    return Line(
        "boxes lie as they should",
        f"centres agree {found.along:.2f} along axes, {found.across:.2f} across; along the shorter and longer side "
        f"true ones move by {found.slope[0]:.2f} and {found.slope[1]:.2f}, told sides are {found.size[0]:.2f} and "
        f"{found.size[1]:.2f} of true ones",
        straight and even,
    )


def _speed(run: Figures) -> str:
    return (
        f"{run.sequences / max(run.seconds, 1e-9):,.1f} sequences/s on {run.ranks} x {run.device}, "
        f"{run.steps:,} steps in {run.seconds:,.0f} s; {run.waited / max(run.seconds, 1e-9):.1%} of it waiting for data"
    )


def _few(names: list[str]) -> str:
    return f" ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})" if names else ""
