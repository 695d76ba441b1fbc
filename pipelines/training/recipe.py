"""How a model is trained: the numbers of each size's run, and the learning rate over its course.

``minigpt-v2`` takes its numbers from the mixture's ``train`` where that says any; what it does not say is the released
recipe's (github.com/Vision-CAIR/MiniGPT-4: minigpt4/runners/runner_base.py, train_configs/minigptv2_finetune.yaml).
``tiny`` has numbers of its own: what suits a pretrained model of seven billion would leave it where it began.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from manifests import override
from schemas.config import Config, validated
from schemas.errors import ConfigError, unknown


class Recipe(Config):
    """The numbers of a run; any of them can be set on the command line.

    ``adamw`` is AdamW for everything; ``muon`` is Muon, at ``muon_lr``, for the matrices of blocks and the linear layer
    between tower and language model, and AdamW for the rest. Rates rise from ``warmup_lr`` to ``max_lr`` in
    ``warmup_steps`` and fall to ``min_lr`` along a cosine; Muon's go with them. Weights decay where they are matrices.
    Of a conversation longer than ``max_length`` tokens, later turns are left out and counted. ``recompute`` trades time
    for memory. ``save_steps`` is how often a checkpoint is written. ``vocabulary`` is that of a tokenizer trained here.
    """

    optimiser: Literal["adamw", "muon"] = "adamw"
    max_lr: float = Field(1e-5, gt=0)
    min_lr: float = Field(1e-6, ge=0)
    warmup_lr: float = Field(1e-6, ge=0)
    warmup_steps: int = Field(1000, ge=0)
    weight_decay: float = Field(0.05, ge=0)
    betas: list[float] = Field([0.9, 0.999], min_length=2, max_length=2)
    muon_lr: float = Field(3.5e-3, gt=0)
    clip: float | None = Field(None, gt=0)
    rules: str = "clean"
    max_length: int = Field(1024, ge=16)
    recompute: bool = True
    save_steps: int = Field(500, ge=1)
    vocabulary: int = Field(1000, ge=1)
    seed: int = 0


RECIPES: Mapping[str, Mapping[str, Any]] = {
    "minigpt-v2": {},
    "tiny": {
        "optimiser": "muon",
        "max_lr": 3e-3,
        "min_lr": 9e-5,
        "warmup_lr": 3e-5,
        "warmup_steps": 100,
        "weight_decay": 0.01,
        "betas": [0.9, 0.98],
        "clip": 1.0,
        "recompute": False,
    },
}
_OF_A_STAGE = ("max_lr", "min_lr", "warmup_lr", "warmup_steps", "weight_decay")


def recipe(model: str, stage: Mapping[str, Any], settings: Sequence[str] = ()) -> Recipe:
    """The recipe of that model for a mixture's ``train``, with ``key=value`` settings; ConfigError for a wrong one."""
    if model not in RECIPES:
        raise ConfigError(unknown("model", model, RECIPES))
    own = RECIPES[model]
    said = {} if own else {key: stage[key] for key in _OF_A_STAGE if stage.get(key) is not None}
    return validated(Recipe, override({**own, **said}, list(settings)), "recipe")


def rate(by: Recipe, step: int, done: float) -> float:
    """AdamW's learning rate at a step, ``done`` of the run's budget (0 to 1) behind it."""
    if step < by.warmup_steps:
        return by.warmup_lr + (by.max_lr - by.warmup_lr) * step / by.warmup_steps
    return by.min_lr + (by.max_lr - by.min_lr) * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
