"""A model's answers to questions, many at a time."""

from collections.abc import Sequence

import torch

from pipelines.dialogue import Dialogue
from pipelines.evaluation.questions import Question
from pipelines.load import picture
from pipelines.model.generate import generate
from pipelines.model.minigpt import MiniGPT
from pipelines.progress import progress

AT_ONCE = 64
LONGEST = {"caption": 64}  # tokens of an answer; the released evaluation takes 20 for all others
_SHORT = 20


def answers(model: MiniGPT, by: Dialogue, asked: Sequence[Question]) -> list[str]:
    """What the model says to each question, greedily."""
    said: list[str] = []
    with progress("answering", len(asked)) as done:
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            longest = max(LONGEST.get(one.record.task or "", _SHORT) for one in some)
            pictures = torch.stack([picture(one.picture, model.size.tower.image) for one in some])
            messages = [one.record.messages[:1] for one in some]
            said += generate(model, by, pictures, messages, max_new_tokens=longest, rows=AT_ONCE)
            done.step(len(some))
    return said
