"""What there is to say of a run once it is trained: its log summed up, and held-out questions asked."""

from collections.abc import Sequence

import msgspec
import torch

from pipelines.evaluation.asking import answers
from pipelines.evaluation.geometry import geometry
from pipelines.evaluation.questions import Question
from pipelines.evaluation.rec import Pointed, always, pointed, rec, truth
from pipelines.training.figures import SHARE, Figures, Setting
from pipelines.training.journal import Step
from pipelines.training.keep import Kept
from pipelines.training.loop import Run, Sums
from pipelines.training.ready import digest_of
from schemas import __version__

ANSWERS = "answers.jsonl"


class Answered(msgspec.Struct, frozen=True):
    """One held-out question: what was asked, told and true, and how much of both boxes is common."""

    key: str
    image: str
    asked: str
    told: str
    true: str
    iou: float


def measured(
    run: Run, setting: Setting, steps: Sequence[Step], kept: Kept, sums: Sums, tower: str, asked: Sequence[Question]
) -> Figures:
    """The figures of a run whose tower's bytes had the digest ``tower`` before; answers go to its folder."""
    named = dict(run.model.named_parameters())
    trained = run.model.trained()
    mean = [corner / sums.boxes for corner in sums.corners] if sums.boxes else None
    found = _asked(run, asked)
    truths = [truth(one.record, one.image) for one in asked]
    return Figures(
        setting=setting,
        boxcar=__version__,
        torch=str(torch.__version__),
        device=_device(run),
        ranks=run.place.ranks,
        steps=kept.step,
        seconds=sum(one.seconds for one in steps),
        waited=sum(one.waited for one in steps),
        sequences=sum(one.sequences for one in steps),
        tokens=sum(one.tokens for one in steps),
        trained=sum(each.numel() for each in trained.values()),
        frozen=sum(each.numel() for name, each in named.items() if name not in trained),
        tower_before=tower,
        tower_after=digest_of(run.model.visual_encoder),
        unreached=sorted(trained.keys() - set(sums.reached)),
        strayed=sorted(set(sums.reached) - trained.keys()),
        proven=sums.proven,
        wrong=sums.wrong,
        cut=sums.cut,
        loss=ends([one.loss for one in steps]) or (0.0, 0.0),
        box_loss=ends([one.box_loss for one in steps if one.box_loss is not None]),
        mean_box=mean,
        rec=rec(found) if found else None,
        baseline=always(mean, truths) if mean and truths else None,
        geometry=geometry([(one, true.height > true.width) for one, true in zip(found, truths, strict=True)]),
    )


def ends(values: Sequence[float]) -> tuple[float, float] | None:
    """The means over the first and over the last of so many parts of the values as ``SHARE`` says; None without any."""
    some = max(1, len(values) // SHARE)
    return (sum(values[:some]) / some, sum(values[-some:]) / some) if values else None


def _asked(run: Run, asked: Sequence[Question]) -> list[Pointed]:
    if not asked:
        return []
    said = answers(run.model, run.by, asked)
    found = [pointed(one, truth(question.record, question.image)) for one, question in zip(said, asked, strict=True)]
    lines = [
        msgspec.json.encode(
            Answered(
                question.record.key,
                question.image.id,
                question.record.messages[0].content,
                text,
                question.record.messages[1].content,
                round(one.overlap, 4),
            )
        )
        for question, text, one in zip(asked, said, found, strict=True)
    ]
    (run.folder / ANSWERS).write_bytes(b"\n".join([*lines, b""]))
    return found


def _device(run: Run) -> str:
    if run.place.device.type == "cuda":
        return torch.cuda.get_device_name(run.place.device)
    return f"CPU, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
