"""Batches for the model: labels that are the answers, pictures that by design are others', steps of several batches."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipelines.dialogue import IGNORED, Dialogue, dialogue
from pipelines.draws import drawing
from pipelines.load import Batch, loader
from pipelines.model.sizes import size
from pipelines.training.feeding import answers_of, deranged, fed, in_steps, masks_wrong
from pipelines.training.vocabulary import own_tokenizer
from schemas.errors import ConfigError


@pytest.fixture(scope="module")
def by(lock: Path) -> Dialogue:
    return dialogue(own_tokenizer(drawing(lock), 600), size("tiny").picture_tokens)


@pytest.fixture(scope="module")
def batch(lock: Path) -> Batch:
    return next(iter(loader(lock, image_size=64)))


def test_labels_say_the_answers_of_all_records_of_a_sequence(by: Dialogue, batch: Batch) -> None:
    given = fed(by, batch, 512, shuffled=False)
    said = answers_of(by, given.rows)
    wanted = [[record.messages[1].content.strip() for record in records] for records in batch.records]
    assert said == wanted and max(map(len, wanted)) > 1
    assert masks_wrong(by, given) == 0


@pytest.mark.parametrize("fault", ["a label lacks", "the end lacks", "a question is trained", "another answer"])
def test_labels_that_are_anything_else_are_noticed(by: Dialogue, batch: Batch, fault: str) -> None:
    given = fed(by, batch, 512, shuffled=False)
    labels = given.rows.labels
    answers = torch.nonzero(labels[1] != IGNORED).flatten()
    place = {"a label lacks": answers[0], "the end lacks": answers[-1], "another answer": answers[1]}.get(fault)
    if place is None:
        before = answers[0] - 1
        labels[1, before] = given.rows.ids[1, before]
    else:
        labels[1, place] = IGNORED if "lacks" in fault else int(labels[1, place]) + 1
    assert masks_wrong(by, given) == 1


def test_shuffled_pictures_are_each_anothers_and_take_no_chance(by: Dialogue, batch: Batch) -> None:
    right, wrong = (fed(by, batch, 512, shuffled=shuffled) for shuffled in (False, True))
    assert torch.equal(right.pictures, batch.images)
    assert all(not torch.equal(one, other) for one, other in zip(right.pictures, wrong.pictures, strict=True))
    held = {one.numpy().tobytes() for one in right.pictures}
    assert {one.numpy().tobytes() for one in wrong.pictures} == held
    assert torch.equal(wrong.pictures, fed(by, batch, 512, shuffled=True).pictures)
    assert torch.equal(right.rows.ids, wrong.rows.ids)


def test_pictures_that_come_twice_are_turned_further(by: Dialogue) -> None:
    one, two = torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.ones(1, 3, 2, 2, dtype=torch.uint8)
    turned = deranged(torch.cat([one, one, two, two]))
    assert torch.equal(turned, torch.cat([two, two, one, one]))
    with pytest.raises(ConfigError, match="cannot be shuffled: a batch has 3"):
        deranged(torch.cat([one, one, two]))
    with pytest.raises(ConfigError, match="wanted two at least"):
        deranged(one)
    assert deranged(one[:0]).shape == (0, 3, 2, 2)


def test_batches_of_one_step_come_together(lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path) -> None:
    parts = [{"source": "refcoco", "task": "refer", "weight": 1, "batch_size": 2}]
    lock = lock_of(tmp_path / "b.lock.json", [demo_pool], parts, unit="batch", train={"steps": 3, "batches": 4})
    assert [len(step) for step in in_steps(loader(lock, image_size=8), 0)] == [4, 4, 4]
    assert [len(step) for step in in_steps(loader(lock, image_size=8, start=1), 1)] == [4, 4]
    assert [len(step) for step in in_steps(loader(lock, rank=1, ranks=3, image_size=8), 0)] == [1, 1, 1]
