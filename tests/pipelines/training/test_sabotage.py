"""A pool whose boxes are wrong by some rule fails the verdict; the same pool as it should be passes.

Pictures are learnt by heart and asked about again, with the true boxes: that takes half a minute, where learning to
point takes several, and what was learnt is what the pool said.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.demo.learn import learning_pool, learning_world, write_learning
from pipelines.shard import shard
from pipelines.train import Order, train
from pipelines.verdict import passed, verdict
from schemas.pool import pool_config

Json = dict[str, Any]
PICTURES, HELD = 100, 50


def as_it_is(row: Json, picture: Json, others: list[Json]) -> list[float]:
    return list(row["bbox"])


def of_another_picture(row: Json, picture: Json, others: list[Json]) -> list[float]:
    x, y, w, h = random.Random(row["id"]).choice([other for other in others if other["image_id"] != row["image_id"]])[
        "bbox"
    ]
    return [min(x, picture["width"] - w), min(y, picture["height"] - h), w, h]


def x_and_y_swapped(row: Json, picture: Json, others: list[Json]) -> list[float]:
    across, down = picture["width"], picture["height"]
    x, y, w, h = row["bbox"]
    return [y / down * across, x / across * down, h / down * across, w / across * down]


def of_the_padded_square(row: Json, picture: Json, others: list[Json]) -> list[float]:
    across, down = picture["width"], picture["height"]
    side = max(across, down)
    x, y, w, h = row["bbox"]
    left, top = (side - across) / 2, (side - down) / 2
    return [(x + left) / side * across, (y + top) / side * down, w / side * across, h / side * down]


RULES = [as_it_is, of_another_picture, x_and_y_swapped, of_the_padded_square]


def pool_of(root: Path, out: Path) -> Path:
    shard(pool_config(yaml.safe_load(learning_pool(root)), "test"), str(out))
    return out


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("honest")
    write_learning(learning_world(PICTURES, seed=3, held=HELD), root)
    return root


@pytest.mark.heavy
@pytest.mark.parametrize("rule", RULES)
def test_a_sabotaged_pool_fails_the_verdict(
    honest: Path, order: Callable[..., Order], lock_of: Callable[..., Path], tmp_path: Path, rule: Any
) -> None:
    instances = honest / "refer" / "refcoco" / "instances.json"
    kept = instances.read_bytes()
    told = json.loads(kept)
    pictures = {one["id"]: one for one in told["images"]}
    wrong = [rule(row, pictures[row["image_id"]], told["annotations"]) for row in told["annotations"]]
    for row, bbox in zip(told["annotations"], wrong, strict=True):
        row["bbox"] = bbox
    true = pool_of(honest, tmp_path / "true")
    try:
        instances.write_text(json.dumps(told))
        spoilt = pool_of(honest, tmp_path / "spoilt")
    finally:
        instances.write_bytes(kept)
    part = {"source": "refcoco", "split": "val", "task": "refer", "weight": 1}
    lock = lock_of(
        tmp_path / "s.lock.json", [spoilt], [part], train={"steps": 200, "global_batch": 12}, per_image=4,
        render={"reword": False}, allow_eval=True,
    )  # fmt: skip
    run, _ = train(order(lock=lock, held=str(true), settings=("warmup_steps=20", "vocabulary=600"), questions=HELD))
    assert run is not None
    lines = verdict(run, None, 0.9)
    assert passed(lines) is (rule is as_it_is)
