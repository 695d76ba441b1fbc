"""``boxcar train``: a lock to a trained model, its figures, and a verdict on both.

A run's folder holds ``run.json`` (what it is), ``tokenizer.json`` (where it made its own), ``log.jsonl`` (a line a
step), ``checkpoint.pth``, ``loss.png``, ``figures.json`` and ``answers.jsonl`` (what was asked, told and true), and
below ``control/`` the same of the mismatch control: the same steps, seed and rates, read from the run's log, with
pictures shuffled across samples. On a CPU the control is a process of its own that goes beside the run; else it comes
after it.
"""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipelines.draws import drawing
from pipelines.evaluation.questions import NoQuestionsError, Question, questions
from pipelines.load import loader
from pipelines.progress import progress
from pipelines.training.curve import CURVE, draw_curve
from pipelines.training.figures import SETTING, Figures, Setting, read_figures, write
from pipelines.training.journal import rates, steps
from pipelines.training.keep import CHECKPOINT, Kept, restored
from pipelines.training.loop import Run, Sums, fit
from pipelines.training.measured import measured
from pipelines.training.optimise import optimisers
from pipelines.training.place import Place, placed, tuned
from pipelines.training.ready import digest_of, ready
from pipelines.training.recipe import Recipe, rate, recipe
from pipelines.training.vocabulary import own_tokenizer, saved
from schemas.errors import BoxcarError, ConfigError
from schemas.lock import Lock

CONTROL = "control"


@dataclass(frozen=True)
class Order:
    """What is asked for: a lock, a model, a budget (steps, minutes, or both: whichever is first), and where to.

    ``held`` is the pool or lock of held-out questions, by default the lock itself; ``questions`` how many pictures of
    it are asked about, one question each. Of a run whose ``control`` is on, the mismatch control is made too.
    """

    lock: Path
    model: str
    out: Path
    steps: int | None = None
    minutes: float | None = None
    held: str | None = None
    questions: int = 500
    resume: bool = False
    control: bool = True
    workers: int = 0
    llama: Path | None = None
    eva: Path | None = None
    checkpoint: Path | None = None
    settings: tuple[str, ...] = ()


def train(order: Order) -> tuple[Figures | None, Figures | None]:
    """Train, ask and measure; the figures of the run and of its control, None on all ranks but the first.

    ConfigError where something is asked for that is not there, or ``out`` holds a run and ``resume`` is off.
    """
    _prepare(order)
    with placed() as place:
        tuned(place, order.model)
        beside = order.control and place.ranks == 1 and place.device.type == "cpu"
        with _control_beside(order, beside) as start:
            run = _single(order, place, None, start)
        if not order.control:
            return run, None
        if not beside:
            return run, _single(_controls(order), place, order.out, lambda: None)
    return run, read_figures(order.out / CONTROL)


def _prepare(order: Order) -> None:
    there = (order.out / CHECKPOINT).exists()
    if there and not order.resume:
        raise ConfigError(f"{order.out}: holds a run: go on with it by --resume, or choose another --out")
    if order.out.exists() and not there and any(order.out.iterdir()) and not (order.out / SETTING).exists():
        raise ConfigError(f"{order.out}: is there and holds no run, wanted a new folder")


def _controls(order: Order) -> Order:
    out = order.out / CONTROL
    resume = order.resume and (out / CHECKPOINT).exists()
    return replace(order, out=out, resume=resume, control=False, minutes=None)


@contextmanager
def _control_beside(order: Order, beside: bool) -> Iterator[Callable[[], None]]:
    """A function that starts the control's process, which has ended well when the context does."""
    control = multiprocessing.get_context("spawn").Process(target=_follow, args=(_controls(order), order.out))
    try:
        yield control.start if beside else (lambda: None)
    except BaseException:
        if control.pid is not None:
            control.terminate()
            control.join()
        raise
    if control.pid is not None:
        control.join()
        if control.exitcode:
            raise BoxcarError(f"the control ended with exit code {control.exitcode}")


def _follow(order: Order, leader: Path) -> None:
    _prepare(order)
    with placed() as place:
        tuned(place, order.model)
        _single(order, place, leader, lambda: None)


def _single(order: Order, place: Place, leader: Path | None, begun: Callable[[], None]) -> Figures | None:
    """One run, or the control of the run in folder ``leader``; its figures, on the first rank."""
    draws = drawing(order.lock)
    total = _steps(order, draws.lock)
    setting = _setting(order, draws.lock, shuffled=leader is not None)
    order.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(int(setting.recipe["seed"]) + place.rank)  # what dropout is drawn from
    made = ready(setting, order.out, place, lambda by: own_tokenizer(draws, by.vocabulary))
    if place.first:
        write(order.out, setting)
        saved(made.by.tokenizer, order.out)
    trained = optimisers(made.model.trained(), made.recipe)
    run = Run(made.model, trained, made.by, made.recipe, place, order.out, draws.lock.digest, leader is not None)
    tower = digest_of(made.model.visual_encoder)
    kept = restored(order.out, run.model, run.optimisers, run.lock, place) if order.resume else Kept(0, 0.0, {})
    sums = Sums(**kept.sums) if place.first else Sums()  # of all ranks together when they were kept
    feed = loader(order.lock, place.rank, place.ranks, kept.step, order.workers, image_size=made.model.size.tower.image)
    at = _budget(made.recipe, total, order.minutes) if leader is None else _followed(leader, kept.step)
    what = "training" if leader is None else "training the control"
    with progress(what, None if order.minutes else total - kept.step) as done:
        kept = fit(run, feed, at, kept, sums, done, begun)
    sums = Sums(**kept.sums)
    if not place.first:
        return None
    told = measured(run, setting, steps(order.out), kept, sums, tower, _held(order))
    draw_curve(steps(order.out), order.out / CURVE)
    write(order.out, told)
    return told


def _steps(order: Order, lock: Lock) -> int:
    if (order.steps or 0) > lock.steps:
        raise ConfigError(f"--steps {order.steps}: the lock has {lock.steps:,}, wanted at most that many")
    return order.steps or lock.steps


def _setting(order: Order, lock: Lock, shuffled: bool) -> Setting:
    by = recipe(order.model, lock.mixture.get("train", {}), order.settings)
    llama, eva, start = (str(path) if path else None for path in (order.llama, order.eva, order.checkpoint))
    return Setting(str(order.lock), lock.digest, order.model, by.model_dump(mode="json"), llama, eva, start, shuffled)


def _held(order: Order) -> list[Question]:
    where = order.held or str(order.lock)
    try:
        return questions(where, ["refer"], per_picture=1, limit=order.questions)
    except NoQuestionsError:
        if order.held:
            raise
        return []  # the lock holds nothing out, or only text and captions


def _budget(by: Recipe, total: int, minutes: float | None) -> Callable[[int, float], float | None]:
    """The rate at a step after so many seconds, None once steps or minutes are spent; the nearer end sets the pace."""

    def at(step: int, seconds: float) -> float | None:
        done = max(step / total, seconds / (60 * minutes) if minutes else 0.0)
        return rate(by, step, done) if done < 1 else None

    return at


def _followed(leader: Path, start: int) -> Callable[[int, float], float | None]:
    parent = multiprocessing.parent_process()  # of the control's process, the run that it follows
    told = rates(leader, start, lambda: parent is not None and parent.is_alive())
    return lambda step, seconds: next(told, None)


if __name__ == "__main__":
    from pipelines.cli import main

    main(["train", *sys.argv[1:]])
