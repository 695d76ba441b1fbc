"""An evaluation end to end: which records are asked, what is scored, and what cannot be."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines import evaluate as module
from pipelines.evaluate import evaluate
from pipelines.evaluation.questions import NoQuestionsError, Question, questions
from pipelines.shard import shard
from pipelines.train import Order, train
from schemas.errors import ConfigError, SourceError
from schemas.pool import pool_config

REFER = {"source": "refcoco", "task": "refer", "weight": 1}


@pytest.fixture(scope="module")
def lock(lock_of: Callable[..., Path], demo_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("locks") / "e.lock.json"
    return lock_of(out, [demo_pool], [REFER], train={"steps": 2, "global_batch": 4}, held_out=["refcoco/val"])


@pytest.fixture(scope="module")
def run(lock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train(Order(lock=lock, model="tiny", out=out, control=False, questions=2, settings=("vocabulary=600",)))
    return out


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are what the records say."""

    def told(model: Any, by: Any, asked: Sequence[Question]) -> list[str]:
        return [one.record.messages[1].content for one in asked]

    monkeypatch.setattr(module, "answers", told)


def scores(place: Path, checkpoint: Path, **more: Any) -> dict[tuple[str, str], float]:
    return {(one.part, one.measure): one.value for one in evaluate(str(place), checkpoint, **more)}


def test_a_checkpoint_is_asked_what_a_pool_has_for_evaluation(demo_pool: Path, run: Path) -> None:
    told = scores(demo_pool, run, tasks=["refer"])
    assert {part for part, _ in told} == {"refcoco/val/refer", "coco_instances/val/refer"}
    assert 0 <= told["refcoco/val/refer", "accuracy at IoU > 0.5"] < 0.5


def test_right_answers_score_as_right(demo_pool: Path, run: Path, perfect: None) -> None:
    told = scores(demo_pool, run)
    assert told["refcoco/val/refer", "accuracy at IoU > 0.5"] == told["refcoco/val/refer", "answers that parse"] == 1.0
    assert told["refcoco/val/refer", "mean IoU"] > 0.9
    assert told["coco_caption/val/caption", "CIDEr"] > 1.0
    assert told["coco_caption/val/caption", "CHAIR i"] == told["coco_caption/val/caption", "CHAIR s"] == 0.0
    assert told["coco_caption/val/caption", "words"] > 3


def test_an_answer_most_people_gave_scores_full(demo_files: Path, run: Path, tmp_path: Path, perfect: None) -> None:
    chat = {"name": "vqav2", "root": f"{demo_files}/vqav2", "splits": ["val"]}
    config = {"pool": "vqa", "collections": {"coco": f"{demo_files}/coco"}, "sources": [chat]}
    shard(pool_config(config, "test"), str(tmp_path / "vqa"))
    told = scores(tmp_path / "vqa", run)
    assert list(told) == [("vqav2/val/vqa", "VQA accuracy")]
    assert 0.8 < told["vqav2/val/vqa", "VQA accuracy"] <= 1.0


def test_of_a_lock_only_what_it_holds_out_is_asked(lock: Path, demo_pool: Path) -> None:
    held = questions(str(lock), ["refer"])
    assert {(one.record.source, one.record.split) for one in held} == {("refcoco", "val")}
    assert len(held) < len(questions(str(demo_pool), ["refer"]))


def test_a_picture_is_asked_about_as_often_as_is_said_and_always_the_same(demo_pool: Path) -> None:
    once = questions(str(demo_pool), ["refer"], per_picture=1)
    images = [one.image.id for one in once]
    assert len(set(images)) == len(images) > 3
    assert [one.record.key for one in once] == [
        one.record.key for one in questions(str(demo_pool), ["refer"], per_picture=1)
    ]
    some = questions(str(demo_pool), ["refer"], per_picture=1, limit=3)
    assert [one.image.id for one in some] == images[:3]
    twice = questions(str(demo_pool), ["refer"], per_picture=2)
    assert {one.record.key for one in once} < {one.record.key for one in twice}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"tasks": ["reefer"]}, "did you mean refer"),
        ({"tasks": ["vqa"]}, "no vqa records of a split that is for evaluation"),
        ({"checkpoint": Path("nowhere")}, "wanted the folder of a run"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(demo_pool: Path, run: Path, said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(str(demo_pool), **{"checkpoint": run, **said})


def test_a_released_checkpoint_needs_the_weights_beside_it(demo_pool: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pth").write_bytes(b"")
    with pytest.raises(ConfigError, match="wanted --llama DIR and --eva FILE"):
        evaluate(str(demo_pool), tmp_path / "checkpoint.pth")


def test_a_checkpoint_that_is_none_is_refused(demo_pool: Path, run: Path, tmp_path: Path) -> None:
    for name in ("run.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "checkpoint.pth").write_bytes(b"no weights")
    with pytest.raises(SourceError, match="not read as weights"):
        evaluate(str(demo_pool), tmp_path)


def test_a_pool_without_anything_for_evaluation_has_no_questions(text_pool: Path) -> None:
    with pytest.raises(NoQuestionsError, match="no refer records"):
        questions(str(text_pool), ["refer"])
