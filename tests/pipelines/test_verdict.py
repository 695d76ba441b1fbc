"""The verdict: each fault that a run can have fails the line that speaks of it, and no other."""

from typing import Any

import msgspec
import pytest

from pipelines.evaluation.geometry import Geometry
from pipelines.evaluation.rec import Rec
from pipelines.training.figures import Figures, Setting
from pipelines.verdict import beats, passed, verdict

RUN = Figures(
    setting=Setting("a.lock.json", "0" * 64, "tiny", {}, None, None, None, False),
    boxcar="0.1.0", torch="2.13.0", device="CPU, 1 thread", ranks=1, steps=100, seconds=50.0, waited=5.0,
    sequences=1600, tokens=50_000, trained=500, frozen=0, tower_before="0" * 64, tower_after="1" * 64, unreached=[],
    strayed=[], proven=1600, wrong=0, cut=3, loss=(6.0, 2.0), box_loss=(5.0, 1.5), mean_box=[0.4, 0.4, 0.6, 0.6],
    rec=Rec(500, 0.6, 0.5, 1.0), baseline=Rec(500, 0.01, 0.1, 1.0),
    geometry=Geometry(500, 400, 0.9, 0.1, (1.0, 1.0), (1.0, 1.0)),
)  # fmt: skip
CONTROL = msgspec.structs.replace(RUN, rec=Rec(500, 0.03, 0.1, 1.0))
FROZEN = {"frozen": 9, "tower_before": "1" * 64}


def failing(run: Figures, control: Figures | None = CONTROL, least: float = 0.0) -> list[str]:
    return [line.what for line in verdict(run, control, least) if line.good is False]


def test_a_good_run_passes_with_a_number_in_each_line() -> None:
    lines = verdict(RUN, CONTROL, 0.35)
    assert passed(lines) and not failing(RUN)
    assert len(lines) == 10
    told = {line.what: line.found for line in lines}
    assert told["labels are the answers, nothing else"] == "1,600 sequences read back, 0 differ; 3 turns left out"
    assert "6.000 to 2.000, by 4.000" in told["loss falls"]
    assert "right 0.600 (IoU > 0.5, wanted 0.35), mean IoU 0.500" in told["pointing beats the mean box"]
    assert "32.0 sequences/s" in told["speed"] and "10.0% of it waiting for data" in told["speed"]


@pytest.mark.parametrize(
    ("said", "fails"),
    [
        ({"wrong": 1}, "labels are the answers, nothing else"),
        ({"proven": 0}, "labels are the answers, nothing else"),
        ({"tower_after": "0" * 64}, "vision tower"),
        ({"frozen": 9}, "vision tower frozen"),
        ({"unreached": ["llama_proj.bias"]}, "gradients reach all that is trained"),
        ({**FROZEN, "strayed": ["visual_encoder.x"]}, "gradients reach all that is trained"),
        ({"loss": (2.0, 2.0)}, "loss falls"),
        ({"box_loss": (2.0, 2.1)}, "loss on box tokens falls"),
        ({"rec": Rec(500, 0.6, 0.5, 0.89)}, "answers that parse"),
        ({"baseline": Rec(500, 0.52, 0.4, 1.0)}, "pointing beats the mean box"),
        ({"geometry": Geometry(500, 400, 0.1, 0.9, (1.0, 1.0), (1.0, 1.0))}, "boxes lie as they should"),
        ({"geometry": Geometry(500, 400, 0.9, 0.1, (1.3, 1.0), (1.0, 1.0))}, "boxes lie as they should"),
        ({"geometry": Geometry(500, 400, 0.9, 0.1, (1.0, 1.0), (0.75, 1.0))}, "boxes lie as they should"),
    ],
)
def test_each_fault_fails_its_own_line(said: dict[str, Any], fails: str) -> None:
    assert failing(msgspec.structs.replace(RUN, **said)) == [fails]


def test_a_frozen_tower_that_did_not_change_is_good() -> None:
    assert failing(msgspec.structs.replace(RUN, **FROZEN)) == []


def test_a_control_that_points_as_well_or_took_other_steps_fails() -> None:
    fails = ["pointing beats shuffled pictures"]
    assert failing(RUN, msgspec.structs.replace(RUN, rec=Rec(500, 0.55, 0.5, 1.0))) == fails
    assert failing(RUN, msgspec.structs.replace(CONTROL, steps=99)) == fails
    assert failing(RUN, None) == []


def test_an_accuracy_below_what_was_asked_for_fails() -> None:
    assert failing(RUN, least=0.61) == ["pointing beats the mean box"]


def test_what_was_not_asked_is_no_fault() -> None:
    silent = msgspec.structs.replace(RUN, rec=None, baseline=None, geometry=None, box_loss=None)
    assert failing(silent) == []
    assert [line.found for line in verdict(silent, None)][-3:-1] == ["no such tokens", "no held-out questions"]


@pytest.mark.parametrize(
    ("one", "other", "questions", "above"),
    [
        (0.35, 0.03, 500, True),
        (0.12, 0.01, 500, True),
        (0.10, 0.01, 500, False),  # a model of swapped axes is right along the diagonal
        (0.6, 0.45, 500, True),
        (0.6, 0.45, 100, False),
        (1.0, 0.0, 1, True),
        (1.0, 0.0, 0, False),
    ],
)
def test_above_is_more_than_chance_and_more_than_the_diagonal(
    one: float, other: float, questions: int, above: bool
) -> None:
    assert beats(one, other, questions) is above
