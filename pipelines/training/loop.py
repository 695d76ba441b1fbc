"""The loop: sequences, loss on answers, a step of the optimisers; a line of the log; a checkpoint now and then.

The loss of a step is the mean over all its trained tokens, on whichever rank they are, so that it does not depend on
how many ranks share the step.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pipelines import load
from pipelines.dialogue import Dialogue
from pipelines.model.minigpt import MiniGPT
from pipelines.progress import Progress
from pipelines.training.feeding import Fed, fed, in_steps, masks_wrong
from pipelines.training.journal import Step, journal
from pipelines.training.keep import Kept, keep
from pipelines.training.optimise import set_rate
from pipelines.training.place import Place, share_gradients, summed
from pipelines.training.recipe import Recipe

PROVEN = 2000  # sequences whose labels are read back
WATCHED = 20  # steps whose gradients are looked at


@dataclass
class Sums:
    """What a run counts beside its log: for the verdict, and kept in checkpoints.

    ``proven`` sequences were read back, ``wrong`` of them with labels that are not the answers. ``reached`` are the
    parameters that had a gradient other than zero. ``boxes`` of questions where something is, and their coordinates
    ``corners`` summed up, are what the mean box is made of.
    """

    proven: int = 0
    wrong: int = 0
    cut: int = 0
    pictures: int = 0
    boxes: int = 0
    corners: list[float] = field(default_factory=lambda: [0.0] * 4)
    reached: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """All that the loop works with; ``lock`` is the lock's digest, ``shuffled`` the control's wrong pictures."""

    model: MiniGPT
    optimisers: list[torch.optim.Optimizer]
    by: Dialogue
    recipe: Recipe
    place: Place
    folder: Path
    lock: str
    shuffled: bool


def fit(
    run: Run,
    feed: Iterable[load.Batch],
    rates: Callable[[int, float], float | None],
    kept: Kept,
    sums: Sums,
    progress: Progress,
    begun: Callable[[], None] = lambda: None,
) -> Kept:
    """Train from where ``kept`` stands to the end of ``feed``, or until there is no more rate; where it ended.

    ``rates`` gives AdamW's rate for a step and the seconds spent before it, None where the budget is spent.
    ``begun`` is called once the log is there.
    """
    step, began = kept.step, time.monotonic() - kept.seconds

    def save() -> Kept:
        stands = Kept(step, time.monotonic() - began, vars(totalled(run.place, sums)))
        keep(run.folder, run.model, run.optimisers, stands, run.lock, run.place)
        return stands

    with journal(run.folder, kept.step) if run.place.first else nullcontext(_unheard) as tell:
        begun()
        run.model.train()
        steps = in_steps(feed, kept.step)
        while True:
            start = time.monotonic()
            rate = rates(step, _agreed(run.place, start - began))
            given = None if rate is None else _next(run, steps)
            if rate is None or given is None:
                return save()
            told = _step(run, given, step, rate, sums, start)
            step += 1
            tell(told)
            progress.step(1, f"loss {told.loss:.3f}")
            if step % run.recipe.save_steps == 0:
                save()


def totalled(place: Place, sums: Sums) -> Sums:
    """The counts of all ranks together; gradients were shared, and reached the same parameters everywhere."""
    counts = [sums.proven, sums.wrong, sums.cut, sums.pictures, sums.boxes]
    told = summed(place, [*counts, *sums.corners])
    proven, wrong, cut, pictures, boxes = map(int, told[:5])
    return Sums(proven, wrong, cut, pictures, boxes, told[5:], sums.reached)


def _unheard(told: Step) -> None:
    """What another rank writes."""


def _agreed(place: Place, seconds: float) -> float:
    # All ranks end at the same step: by the mean of their clocks.
    return summed(place, [seconds])[0] / place.ranks


def _next(run: Run, steps: Iterator[list[load.Batch]]) -> list[Fed] | None:
    given = next(steps, None)
    if given is None:
        return None
    return [fed(run.by, one, run.recipe.max_length, shuffled=run.shuffled) for one in given]


def _step(run: Run, given: list[Fed], step: int, rate: float, sums: Sums, start: float) -> Step:
    waited = time.monotonic() - start
    trained = run.model.trained()
    tokens = summed(run.place, [sum(int((one.rows.labels[:, 1:] >= 0).sum()) for one in given)])[0]
    for optimiser in run.optimisers:
        optimiser.zero_grad(set_to_none=True)
    losses = _backward(run, given, tokens)
    share_gradients(run.place, trained)
    _count(run, given, step, sums)
    if run.recipe.clip:
        torch.nn.utils.clip_grad_norm_(trained.values(), run.recipe.clip)
    set_rate(run.optimisers, rate, run.recipe)
    for optimiser in run.optimisers:
        optimiser.step()
    read = sum(len(one.records) for one in given)
    total, box_total, box_tokens, sequences, waits = summed(run.place, [*losses, read, waited])
    return Step(
        step=step,
        loss=total / tokens,
        box_loss=box_total / box_tokens if box_tokens else None,
        rate=rate,
        sequences=int(sequences),
        tokens=int(tokens),
        seconds=time.monotonic() - start,
        waited=waits / run.place.ranks,
    )


def _backward(run: Run, given: list[Fed], tokens: float) -> tuple[float, float, float]:
    told = torch.zeros(3, dtype=torch.float64)
    for one in given:
        pictures = one.pictures.to(run.place.device, non_blocking=True)
        scores = run.model(**one.rows.to(run.place.device)._asdict(), pictures=pictures)
        (scores.total / tokens).backward()
        told += torch.stack([scores.total.detach(), scores.box_total.detach(), scores.box_tokens]).double().cpu()
    total, box_total, box_tokens = told.tolist()
    return total, box_total, box_tokens


def _count(run: Run, given: list[Fed], step: int, sums: Sums) -> None:
    if step < WATCHED:
        named = dict(run.model.named_parameters())
        lit = {name for name, each in named.items() if each.grad is not None and bool(each.grad.any())}
        sums.reached = sorted({*sums.reached, *lit})
    for one in given:
        sums.cut += one.cut
        sums.pictures += len(one.pictures)
        if sums.proven < PROVEN:
            sums.wrong += masks_wrong(run.by, one)
            sums.proven += len(one.records)
        for record in (record for records in one.records for record in records if record.task == "refer"):
            sums.boxes += 1
            sums.corners = [total + value for total, value in zip(sums.corners, record.boxes[0], strict=True)]
