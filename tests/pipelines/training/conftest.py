"""Locks of the demo world and orders to train on them, small enough for a handful of steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.model.sizes import SIZES, Lora
from pipelines.train import Order

REFER = {"source": "refcoco", "task": "refer", "weight": 6}
CAPTION = {"source": "coco_caption", "task": "caption", "weight": 2}
QUICK = ("warmup_steps=2", "vocabulary=600", "save_steps=3")


@pytest.fixture(scope="session")
def lock(lock_of: Callable[..., Path], demo_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps of four sequences, each of at most three records of a picture; RefCOCO's val is held out."""
    return lock_of(
        tmp_path_factory.mktemp("locks") / "t.lock.json",
        [demo_pool],
        [REFER, CAPTION],
        train={"steps": 6, "global_batch": 4},
        per_image=3,
        held_out=["refcoco/val"],
    )


@pytest.fixture
def order(lock: Path, tmp_path: Path) -> Callable[..., Order]:
    """A function: an order to train on the lock without a control; anything else by keyword."""

    def make(out: str = "run", **said: Any) -> Order:
        given = {"lock": lock, "model": "tiny", "control": False, "settings": QUICK, "questions": 8, **said}
        return Order(out=tmp_path / out, **given)

    return make


@pytest.fixture
def frozen_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """``tiny`` with the switches of the large model: all frozen but the linear layer, and LoRA, with dropout."""
    monkeypatch.setitem(SIZES, "tiny", SIZES["tiny"]._replace(freeze=True, lora=Lora(4, 8, 0.3)))
