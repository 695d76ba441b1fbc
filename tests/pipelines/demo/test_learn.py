"""The small world to learn from: published like the large one, its own scenes, and held out where it says."""

import json
import pickle
from pathlib import Path

import pytest
import yaml
from PIL import Image

from pipelines.demo.learn import (
    learning_mixture,
    learning_pool,
    learning_world,
    pictures_for,
    steps_for,
    write_learning,
)
from pipelines.demo.publish import world
from schemas.mixture import mixture
from schemas.pool import pool_config


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("learn")
    write_learning(learning_world(60, seed=2, held=7), out)
    return out


def test_pictures_are_small_and_other_ones_than_the_large_worlds() -> None:
    small, large = learning_world(50, seed=2).scenes, world(50, seed=2).scenes
    assert all(64 <= min(one.width, one.height) < max(one.width, one.height) <= 102 for one in small)
    assert all(min(one.width, one.height) >= 160 for one in large)
    assert sum(len(one.shapes) != len(other.shapes) for one, other in zip(small, large, strict=True)) > 10


def test_val_and_tests_hold_out_so_many_pictures_each_and_all_lie_on_the_train_side(root: Path) -> None:
    held: dict[str, set[int]] = {}
    for ref in pickle.loads((root / "refer" / "refcoco" / "refs(unc).p").read_bytes()):
        held.setdefault(ref["split"], set()).add(ref["image_id"])
    assert all(5 <= len(held[split]) <= 7 for split in ("val", "testA", "testB"))  # of some nothing can be told apart
    assert len(set.union(*held.values())) == sum(map(len, held.values()))
    pictures = sorted((root / "coco" / "train2014").glob("*.jpg"))
    assert len(pictures) == 60
    told = json.loads((root / "coco" / "annotations" / "instances_train2014.json").read_text())["images"]
    for path, one in zip(pictures, sorted(told, key=lambda one: str(one["file_name"])), strict=True):
        with Image.open(path) as picture:
            assert picture.size == (one["width"], one["height"])


def test_pool_and_mixture_are_what_boxcar_takes(root: Path) -> None:
    pool = pool_config(yaml.safe_load(learning_pool(root)), "learn")
    assert [one.name for one in pool.sources] == ["refcoco", "coco_instances", "coco_caption"]
    made = mixture(yaml.safe_load(learning_mixture(5)), "learn")
    assert (made.seed, made.per_image, made.held_out) == (5, 4, ["refcoco/val"])
    assert [entry.weight for entry in made.parts] == [6, 2, 1, 0.5]


def test_minutes_are_steps_that_any_machine_takes() -> None:
    assert [steps_for(minutes) for minutes in (0.001, 3, 10, 99)] == [1, 1500, 5000, 20_000]


def test_more_minutes_have_more_pictures_up_to_a_bound() -> None:
    assert [pictures_for(minutes) for minutes in (1, 3, 10, 60)] == [4000, 8000, 20_000, 20_000]
