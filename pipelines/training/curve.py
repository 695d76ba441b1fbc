"""A run's losses as a picture."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.training.journal import Step

CURVE = "loss.png"
_SMOOTH = 50  # steps that a point of the line is the mean of


def draw_curve(steps: Sequence[Step], path: Path) -> None:
    """Write a PNG of the loss and of the loss on box tokens over the steps, smoothed, and the learning rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, what in (("loss", "all trained tokens"), ("box_loss", "box tokens")):
        told = [(one.step, value) for one in steps if (value := getattr(one, name)) is not None]
        if told:
            axes.plot([step for step, _ in told], smoothed([value for _, value in told]), label=what)
    axes.set(xlabel="step", ylabel="loss, nats a token", title=f"Loss, mean over {_SMOOTH} steps")
    axes.legend(loc="upper right")
    right = axes.twinx()
    right.plot([one.step for one in steps], [one.rate for one in steps], color="0.8", linewidth=1, zorder=0)
    right.set_ylabel("learning rate")
    figure.savefig(path, dpi=120)


def smoothed(values: Sequence[float]) -> list[float]:
    """Each value as the mean of itself and those before it, as many as a point is made of."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    starts = [max(0, at + 1 - _SMOOTH) for at in range(len(values))]
    return [(sums[at + 1] - sums[start]) / (at + 1 - start) for at, start in enumerate(starts)]
