"""Several processes under torchrun: the same steps as one, and one voice."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.train import Order, train
from pipelines.training.journal import steps


@pytest.mark.heavy
@pytest.mark.parametrize("unit", ["sample", "batch"])
def test_two_ranks_take_the_steps_that_one_takes(
    order: Callable[..., Order], lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path, unit: str
) -> None:
    size = {"batch_size": 3} if unit == "batch" else {}
    parts = [{"source": "refcoco", "task": "refer", "weight": 2, **size},
             {"source": "coco_caption", "task": "caption", "weight": 1, **size}]  # fmt: skip
    many = {"batches": 2} if unit == "batch" else {"global_batch": 5}
    lock = lock_of(tmp_path / "r.lock.json", [demo_pool], parts, unit=unit, train={"steps": 6, **many})
    alone = order("alone", lock=lock)
    told, _ = train(alone)
    assert told is not None
    words = ["train", str(lock), "--out", str(tmp_path / "two"), "--no-control", "--json"]
    words += [word for setting in alone.settings for word in ("--set", setting)]
    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "pipelines.cli", *words]
    done = subprocess.run(launched, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    both = json.loads(done.stdout)["run"]
    assert (both["ranks"], both["steps"], both["sequences"]) == (2, 6, told.sequences)
    assert (both["proven"], both["wrong"]) == (told.proven, 0)
    assert both["mean_box"] == pytest.approx(told.mean_box)
    one, other = steps(alone.out), steps(tmp_path / "two")
    assert [step.tokens for step in one] == [step.tokens for step in other]
    assert [step.loss for step in one] == pytest.approx([step.loss for step in other], rel=1e-3)
