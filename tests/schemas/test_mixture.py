"""A mixture YAML: what it may say, and in which words it is refused."""

from typing import Any

import pytest

from schemas.errors import ConfigError
from schemas.ledger import Part
from schemas.mixture import mixture


def said(**more: Any) -> dict[str, Any]:
    part = {"source": "refcoco", "task": "refer", "weight": 1.0}
    return {
        "stage": 3,
        "unit": "sample",
        "parts": [part],
        "train": {"steps": 10, "global_batch": 4},
        **more,
    }


def batches(**part: Any) -> dict[str, Any]:
    one = {"source": "refcoco", "task": "refer", "weight": 1.0, **part}
    return said(unit="batch", parts=[one], train={"steps": 10, "batches": 4})


def test_a_mixture_says_its_parts() -> None:
    made = mixture(said(), "test")
    assert made.parts[0].part == Part("refcoco", "train", "refer")
    assert (made.held_out, made.per_image, made.temperature) == ("strict", 1, 1.0)


def test_chat_is_said_by_null_and_never_by_leaving_the_task_out() -> None:
    assert mixture(said(parts=[{"source": "llava_detail", "task": None, "weight": 1.0}]), "test").parts[0].task is None
    with pytest.raises(ConfigError, match=r"parts\.0\.task: Field required"):
        mixture(said(parts=[{"source": "llava_detail", "weight": 1.0}]), "test")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (said(unti="sample"), r"unknown key 'unti'; did you mean unit"),
        (
            said(parts=[{"source": "a", "task": "refer", "wieght": 1.0}]),
            r"'parts\.0\.wieght'; did you mean parts\.0\.weight",
        ),
        (
            said(parts=[{"source": "a", "taks": "refer", "weight": 1.0}]),
            r"'parts\.0\.taks'; did you mean parts\.0\.task",
        ),
        (said(train={"steps": 1, "global_batch": 1, "batchs": 2}), r"did you mean train\.batches"),
        (
            said(parts=[{"source": "a", "task": None, "weight": 1.0, "filters": {"max_aera": 0.1}}]),
            r"did you mean parts\.0\.filters\.max_area",
        ),
        (said(parts=[{"source": "a", "task": "refre", "weight": 1.0}]), r"unknown task 'refre'; did you mean refer"),
        (said(parts=[{"source": "a", "task": "refer"}]), r"a/train/refer: wanted one of weight and epochs"),
        (said(parts=[{"source": "a", "task": "refer", "weight": 0.0}]), r"greater than 0"),
        (said(parts=[]), r"at least 1 item"),
        (said(parts=[{"source": "a", "task": "refer", "weight": 1.0}] * 2), r"a/train/refer is listed twice"),
        (
            said(parts=[{"source": "a", "task": None, "weight": 1.0, "wording": "vqa"}]),
            r"a/train/chat: wording 'vqa': nothing of plain chat is worded",
        ),
        (said(per_image=0), r"per_image: Input should be greater than or equal to 1, found 0$"),
        (said(per_image=2**64), r"per_image: Input should be less than or equal to "),
        (said(train={"steps": 10**400, "global_batch": 4}), r"train\.steps: Input should be less than or equal to "),
        (said(train={"steps": 10}), r"wanted train\.global_batch"),
        (said(train={"steps": 10, "global_batch": 4, "batches": 2}), r"no batches"),
        (said(train={"global_batch": 4}), r"train\.steps: wanted a number"),
        (batches(), r"part refcoco/train/refer has no batch_size"),
        (said(render={"codec": "round-10"}), r"unknown codec 'round-10'; did you mean round-100"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        mixture(raw, "test")
    assert "\n" not in str(raised.value)


def test_batches_say_their_size_and_how_many_make_a_step() -> None:
    assert mixture(batches(batch_size=6), "test").train.batches == 4


def test_steps_may_be_left_to_epochs_where_every_part_says_its_own() -> None:
    parts = [{"source": "refcoco", "task": "refer", "epochs": 2.0}]
    assert mixture(said(parts=parts, train={"global_batch": 4}), "test").train.steps is None
