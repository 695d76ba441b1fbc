"""``boxcar train`` and ``boxcar evaluate``: thin layers over pipelines/train.py and pipelines/evaluate.py."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.flags import Json, Sets

Llama = Annotated[Path | None, typer.Option(metavar="DIR", help="Llama-2, in transformers' layout.")]
Eva = Annotated[Path | None, typer.Option(metavar="FILE", help="LAVIS' eva_vit_g.pth.")]


def train(
    lock: Annotated[Path, typer.Argument(metavar="LOCK", help="What boxcar mix wrote.")],
    model: Annotated[str, typer.Option(help="tiny or minigpt-v2.")] = "tiny",
    steps: Annotated[int | None, typer.Option(min=1, help="The lock's where not given.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so many, the rate having fallen.")] = None,
    eval: Annotated[
        str | None, typer.Option(metavar="LOCK_OR_POOL", help="Held-out questions; the lock's where not given.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run goes.")] = Path("run"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that lies there.")] = False,
    llama: Llama = None,
    eva: Eva = None,
    checkpoint: Annotated[Path | None, typer.Option(metavar="FILE", help="A MiniGPT-v2 to begin from.")] = None,
    control: Annotated[bool, typer.Option(help="Train the same with pictures shuffled.")] = True,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="REC accuracy that the verdict asks for.")] = 0.0,
    questions: Annotated[int, typer.Option(min=1, help="Held-out pictures, one question each.")] = 500,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load; none where 0.")] = 0,
    set: Sets = None,
    json: Json = False,
) -> None:
    """Train on a lock and pass a verdict on it, exit 1 if anything in it fails; under torchrun on several GPUs."""
    from pipelines import show_train
    from pipelines.train import Order
    from pipelines.train import train as run
    from pipelines.verdict import passed, verdict

    order = Order(
        lock=lock,
        model=model,
        out=out,
        steps=steps,
        minutes=minutes,
        held=eval,
        questions=questions,
        resume=resume,
        control=control,
        workers=workers,
        llama=llama,
        eva=eva,
        checkpoint=checkpoint,
        settings=tuple(set or ()),
    )
    told, of_control = run(order)
    if told is None:  # another rank speaks
        return
    lines = verdict(told, of_control, at_least)
    show_train.judged(lines, told, of_control, out, json)
    if not passed(lines):
        raise typer.Exit(1)


def evaluate(
    place: Annotated[str, typer.Argument(metavar="LOCK_OR_POOL", help="Whose evaluation splits are asked.")],
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="A run of boxcar train, or a released MiniGPT-v2 .pth.")
    ] = Path("run"),
    task: Annotated[list[str] | None, typer.Option(help="refer, vqa or caption; all of them where not given.")] = None,
    per_picture: Annotated[int | None, typer.Option(min=1, help="Questions of a task a picture, by hash.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Pictures of a task at most, by hash.")] = None,
    llama: Llama = None,
    eva: Eva = None,
    json: Json = False,
) -> None:
    """Ask a model about held-out pictures: REC accuracy, VQA accuracy, CIDEr, CHAIR."""
    from pipelines import show_train
    from pipelines.evaluate import evaluate as run

    more = {"tasks": task or [], "per_picture": per_picture, "limit": limit}
    show_train.scored(run(place, checkpoint, llama=llama, eva=eva, **more), json)  # type: ignore[arg-type]
