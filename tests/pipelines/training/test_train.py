"""A run from order to figures: what it leaves, how it goes on, what it freezes, and its control."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines import train as module
from pipelines.load import Batch, loader
from pipelines.train import CONTROL, Order, train
from pipelines.training.figures import Figures
from pipelines.training.journal import steps
from pipelines.verdict import verdict
from schemas.errors import ConfigError, ShardError

Make = Callable[..., Order]
QUICK = ("warmup_steps=2", "vocabulary=600", "save_steps=3")


def figures(order: Order) -> Figures:
    told, _ = train(order)
    assert told is not None
    return told


def held(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder / "checkpoint.pth", weights_only=True)
    return loaded


def parameters(folder: Path) -> dict[str, bytes]:
    return {name: each.numpy().tobytes() for name, each in held(folder)["model"].items()}


def breaking(after: int) -> Callable[..., Iterator[Batch]]:
    """The loader, dying after so many batches."""

    def broken(*given: Any, **more: Any) -> Iterator[Batch]:
        for number, one in enumerate(loader(*given, **more)):
            if number == after:
                raise OSError("the disk is gone")
            yield one

    return broken


@pytest.mark.parametrize("size", ["whole", "frozen"])
def test_a_run_that_was_broken_off_and_resumed_ends_with_the_same_bytes(
    order: Make, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, size: str
) -> None:
    if size == "frozen":
        request.getfixturevalue("frozen_tiny")  # dropout: random numbers must go on where they stopped
    straight = figures(order("straight"))
    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk"):
        patched.setattr(module, "loader", breaking(5))
        train(order("broken"))
    assert held(order("broken").out)["step"] == 3
    torch.manual_seed(99)
    resumed = figures(order("broken", resume=True))
    assert parameters(order("straight").out) == parameters(order("broken").out)
    one, other = steps(order("straight").out), steps(order("broken").out)
    assert [step.loss for step in one] == [step.loss for step in other]
    assert (resumed.steps, resumed.mean_box) == (straight.steps, straight.mean_box)


def test_a_run_leaves_what_is_needed_to_ask_it_again(order: Make) -> None:
    told = figures(order())
    names = {path.name for path in order().out.iterdir()}
    assert names == {
        "run.json", "tokenizer.json", "log.jsonl", "checkpoint.pth", "loss.png", "figures.json", "answers.jsonl",
    }  # fmt: skip
    assert (order().out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((order().out / "figures.json").read_bytes())["steps"] == told.steps == 6
    assert told.sequences == 24
    answers = [json.loads(line) for line in (order().out / "answers.jsonl").read_text().splitlines()]
    assert told.rec is not None and told.rec.questions == len(answers) > 0
    assert all(row["key"].startswith("refcoco/val/") and row["true"].startswith("{<") for row in answers)
    assert len({row["image"] for row in answers}) == len(answers)


def test_frozen_stays_frozen_and_all_else_is_trained(order: Make, frozen_tiny: None) -> None:
    told = figures(order())
    assert told.tower_before == told.tower_after
    assert (told.unreached, told.strayed) == ([], [])
    assert told.trained < told.frozen
    changed = parameters(order().out)
    assert all(name.startswith("llama_proj") or "lora_" in name for name in changed)
    lines = {line.what: line for line in verdict(told, None)}
    assert lines["vision tower frozen"].good and "unchanged to the bit" in lines["vision tower frozen"].found


def test_a_tiny_model_is_trained_whole(order: Make) -> None:
    told = figures(order())
    assert told.frozen == 0 and told.tower_before != told.tower_after
    assert (told.unreached, told.strayed) == ([], [])


def test_labels_of_a_run_are_read_back_as_the_answers(order: Make) -> None:
    told = figures(order())
    assert (told.proven, told.wrong, told.cut) == (24, 0, 0)


def test_the_control_takes_the_same_steps_with_other_pictures(order: Make) -> None:
    run, control = train(order(control=True))
    assert run is not None and control is not None
    assert control.setting.shuffled and not run.setting.shuffled
    one, other = steps(order().out), steps(order().out / CONTROL)
    same = ("step", "rate", "sequences", "tokens")
    assert [[getattr(step, name) for name in same] for step in one] == [
        [getattr(step, name) for name in same] for step in other
    ]
    assert [step.loss for step in one] != [step.loss for step in other]
    assert control.mean_box == run.mean_box


def test_minutes_end_a_run_and_its_rate_falls_to_the_lowest_by_then(order: Make) -> None:
    at = module._budget(module.recipe("tiny", {}, ["warmup_steps=0"]), 1000, 1.0)
    rates = [at(step, seconds) for step, seconds in ((0, 0.0), (10, 30.0), (20, 59.99), (30, 60.0))]
    assert rates[0] == pytest.approx(3e-3) and rates[1] == pytest.approx((3e-3 + 9e-5) / 2)
    assert rates[2] == pytest.approx(9e-5, rel=0.01) and rates[3] is None
    assert module._budget(module.recipe("tiny", {}), 5, 1.0)(5, 0.0) is None


def test_a_folder_that_holds_a_run_is_not_written_over(order: Make) -> None:
    figures(order(steps=1))
    with pytest.raises(ConfigError, match="holds a run: go on with it by --resume"):
        train(order(steps=1))


def test_a_folder_of_something_else_is_not_written_to(order: Make) -> None:
    order().out.mkdir()
    (order().out / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds no run"):
        train(order())


def test_a_run_is_resumed_on_its_own_lock_alone(
    order: Make, lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path
) -> None:
    figures(order(steps=1))
    other = lock_of(tmp_path / "o.lock.json", [demo_pool], [{"source": "refcoco", "task": "refer", "weight": 1}])
    with pytest.raises(ShardError, match="is of lock"):
        train(order(lock=other, resume=True))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"steps": 7}, "--steps 7: the lock has 6"),
        ({"model": "minigpt-v2"}, "wanted --llama DIR and --eva FILE"),
        ({"model": "tinny"}, "did you mean tiny"),
        ({"settings": ("max_rl=1",)}, "did you mean max_lr"),
        ({"held": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(order: Make, said: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ShardError), match=message):
        train(order(**{"steps": 1, **said}))


@pytest.mark.parametrize("size", ["whole", "frozen"])
def test_activations_computed_again_change_nothing(order: Make, request: pytest.FixtureRequest, size: str) -> None:
    if size == "frozen":
        request.getfixturevalue("frozen_tiny")
    kept = order("kept", settings=(*QUICK, "recompute=false"), steps=3)
    again = order("again", settings=(*QUICK, "recompute=true"), steps=3)
    figures(kept)
    figures(again)
    one, other = ([step.loss for step in steps(made.out)] for made in (kept, again))
    assert one == pytest.approx(other, rel=1e-5)
