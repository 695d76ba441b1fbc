"""``boxcar evaluate``: a trained model asked about held-out pictures, and its answers scored."""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from pipelines.evaluation.asking import answers
from pipelines.evaluation.captions import chair, cider, coco_names
from pipelines.evaluation.questions import NoQuestionsError, Question, questions
from pipelines.evaluation.rec import pointed, rec, truth
from pipelines.evaluation.vqa import accuracy
from pipelines.model.weights import load_checkpoint
from pipelines.training.figures import SETTING, Setting, read_setting
from pipelines.training.keep import CHECKPOINT
from pipelines.training.place import placed, tuned
from pipelines.training.ready import PRETRAINED, ready
from pipelines.training.recipe import recipe
from schemas.errors import ConfigError, unknown

COCO = "coco/"  # how ids of pictures begin whose instances are of COCO's categories


class Score(msgspec.Struct, frozen=True):
    """One figure: of which part (source/split/task), over how many questions, what it is called, between 0 and 1."""

    part: str
    questions: int
    measure: str
    value: float


def evaluate(
    place: str,
    checkpoint: Path,
    *,
    llama: Path | None = None,
    eva: Path | None = None,
    tasks: Sequence[str] = (),
    per_picture: int | None = None,
    limit: int | None = None,
) -> list[Score]:
    """The scores of a model on the evaluation splits of a pool or of a lock's pools.

    ``checkpoint`` is a run's folder, or a file of a released MiniGPT-v2, which needs ``llama`` and ``eva`` beside it.
    ConfigError for a task that is not scored, or where there is nothing to ask.
    """
    for task in tasks:
        if task not in SCORED:
            raise ConfigError(unknown("task", task, SCORED))
    asked = [one for task in tasks or SCORED for one in _asked(place, task, per_picture, limit)]
    if not asked:
        raise ConfigError(f"{place}: no {' or '.join(tasks or SCORED)} records of a split that is for evaluation")
    setting, folder, weights = _setting(checkpoint, llama, eva)
    with placed() as where:
        tuned(where, setting.model)
        made = ready(setting, folder, where)
        load_checkpoint(made.model, weights)
        said = answers(made.model, made.by, asked)
    by_part = defaultdict[str, list[tuple[Question, str]]](list)
    for one, text in zip(asked, said, strict=True):
        by_part[f"{one.record.source}/{one.record.split}/{one.record.task}"].append((one, text))
    return [score for part, some in by_part.items() for score in SCORED[part.rpartition("/")[2]](part, some)]


def _asked(place: str, task: str, per_picture: int | None, limit: int | None) -> list[Question]:
    try:
        return questions(place, [task], 1 if task == "caption" else per_picture, limit)
    except NoQuestionsError:
        return []


def _setting(checkpoint: Path, llama: Path | None, eva: Path | None) -> tuple[Setting, Path, Path]:
    """What to build, the folder of its tokenizer, and the file of its trained weights."""
    given = {name: str(path) for name, path in (("llama", llama), ("eva", eva)) if path}
    if (checkpoint / SETTING).is_file():
        setting = msgspec.structs.replace(read_setting(checkpoint), **given, checkpoint=None)
        return setting, checkpoint, checkpoint / CHECKPOINT
    if not checkpoint.is_file():
        raise ConfigError(f"{checkpoint}: wanted the folder of a run, or the file of a released checkpoint")
    by = recipe(PRETRAINED, {}, ["rules=released"]).model_dump(mode="json")
    setting = Setting("", "", PRETRAINED, by, None, None, None, False)
    return msgspec.structs.replace(setting, **given), checkpoint.parent, checkpoint


def _refer(part: str, said: Sequence[tuple[Question, str]]) -> list[Score]:
    told = rec([pointed(text, truth(one.record, one.image)) for one, text in said])
    figures = {"accuracy at IoU > 0.5": told.accuracy, "mean IoU": told.mean_iou, "answers that parse": told.parsed}
    return [Score(part, len(said), name, value) for name, value in figures.items()]


def _vqa(part: str, said: Sequence[tuple[Question, str]]) -> list[Score]:
    worth = [accuracy(text, one.record.draw.answers) for one, text in said]
    return [Score(part, len(said), "VQA accuracy", sum(worth) / len(worth))]


def _caption(part: str, said: Sequence[tuple[Question, str]]) -> list[Score]:
    people = {one.image.id: _captions(one) for one, _ in said}
    scores = [Score(part, len(said), "CIDEr", cider({one.image.id: text for one, text in said}, people))]
    if not all(image.startswith(COCO) for image in people):
        return scores
    there = {one.image.id: _instances(one) for one, _ in said}
    own = {category: category for categories in there.values() for category in categories}
    told = chair([(text, there[one.image.id], people[one.image.id]) for one, text in said], {**own, **coco_names()})
    named = {"CHAIR i": told.objects, "CHAIR s": told.sentences, "words": told.words}
    return [*scores, *(Score(part, len(said), name, value) for name, value in named.items())]


def _captions(one: Question) -> list[str]:
    same = (one.record.source, one.record.split, "caption")
    return [
        record.messages[1].content
        for record in one.sample.records
        if (record.source, record.split, record.task) == same
    ]


def _instances(one: Question) -> list[str]:
    return [
        slot.value
        for record in one.sample.records
        if record.source == "coco_instances" and record.task == "detection"
        for slot in record.draw.slots
        if slot.name == "phrase"
    ]


SCORED: Mapping[str, Callable[[str, Sequence[tuple[Question, str]]], list[Score]]] = {
    "refer": _refer,
    "vqa": _vqa,
    "caption": _caption,
}


if __name__ == "__main__":
    from pipelines.cli import main

    main(["evaluate", *sys.argv[1:]])
