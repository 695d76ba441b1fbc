"""That the model learns where things are: sixteen samples by heart, and pictures that it never saw."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from pipelines.demo.learn import (
    learning_mixture,
    learning_pool,
    learning_world,
    pictures_for,
    steps_for,
    write_learning,
)
from pipelines.draw import samples
from pipelines.evaluation.asking import answers
from pipelines.evaluation.questions import Question
from pipelines.evaluation.rec import pointed, rec, truth
from pipelines.load import loader
from pipelines.mix import mix
from pipelines.model.weights import load_checkpoint
from pipelines.shard import shard
from pipelines.train import Order, train
from pipelines.training.figures import read_setting
from pipelines.training.place import Place
from pipelines.training.ready import ready
from pipelines.verdict import verdict
from schemas.mixture import mixture
from schemas.pool import pool_config

SIXTEEN = {"source": "refcoco", "task": "refer", "weight": 1, "max_records": 16}


def test_sixteen_samples_are_learnt_by_heart_to_a_box_accuracy_of_one(
    order: Callable[..., Order], lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path
) -> None:
    lock = lock_of(
        tmp_path / "s.lock.json",
        [demo_pool],
        [SIXTEEN],
        train={"steps": 120, "global_batch": 16},
        render={"reword": False},
    )
    drawn = {key for batch in loader(lock, image_size=8) for (key,) in batch.keys}
    assert len(drawn) == 16
    made = order(lock=lock, settings=("warmup_steps=10", "vocabulary=600"))
    told, _ = train(made)
    assert told is not None and told.box_loss is not None and told.box_loss[1] < 0.1
    place = Place(torch.device("cpu"), torch.float32, 0, 1)
    again = ready(read_setting(made.out), made.out, place)
    load_checkpoint(again.model, made.out / "checkpoint.pth")
    asked = [
        Question(record, sample.image, picture, sample)
        for sample, picture in samples(str(demo_pool))
        for record in sample.records
        if record.key in drawn and sample.image and picture
    ]
    said = answers(again.model, again.by, asked)
    found = rec([pointed(text, truth(one.record, one.image)) for text, one in zip(said, asked, strict=True)])
    assert (found.questions, found.accuracy, found.parsed) == (16, pytest.approx(1.0), pytest.approx(1.0))


@pytest.mark.heavy
def test_a_tiny_model_learns_to_point_and_shuffled_pictures_teach_it_nothing(tmp_path: Path) -> None:
    write_learning(learning_world(pictures_for(3), seed=0), tmp_path / "raw")
    config, stage = (yaml.safe_load(text) for text in (learning_pool(tmp_path / "raw"), learning_mixture(0)))
    shard(pool_config(config, "test"), str(tmp_path / "learn"), 2)
    lock = tmp_path / "learn.lock.json"
    mix(mixture(stage, "test"), [str(tmp_path / "learn")], lock, roots={})
    run, control = train(Order(lock=lock, model="tiny", out=tmp_path / "run", steps=steps_for(3)))
    assert run is not None and control is not None
    assert [line for line in verdict(run, control, 0.35) if line.good is False] == []
    assert control.rec is not None and control.rec.accuracy <= 0.1
    assert run.baseline is not None and run.baseline.accuracy <= 0.1
