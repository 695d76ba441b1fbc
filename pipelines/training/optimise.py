"""Optimisers of a recipe over a model's trained parameters."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from pipelines.training.muon import Muon
from pipelines.training.recipe import Recipe

_TABLES = ("embed_tokens", "lm_head", "embeddings")  # matrices that are lists of vectors, which Muon is not for


def optimisers(trained: Mapping[str, nn.Parameter], by: Recipe) -> list[torch.optim.Optimizer]:
    """The optimisers that together change all of these; each group's ``base`` is its rate at the recipe's highest."""
    muon = {name for name, each in trained.items() if by.optimiser == "muon" and _is_muons(name, each)}
    decayed = [each for name, each in trained.items() if name not in muon and each.ndim >= 2]
    plain = [each for name, each in trained.items() if name not in muon and each.ndim < 2]
    groups = [{"params": decayed, "weight_decay": by.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(
        [group | {"base": by.max_lr} for group in groups if group["params"]],
        lr=by.max_lr,
        betas=(by.betas[0], by.betas[1]),
    )
    if not muon:
        return [adamw]
    matrices = [{"params": [trained[name] for name in trained if name in muon], "base": by.muon_lr}]
    return [adamw, Muon(matrices, lr=by.muon_lr, weight_decay=by.weight_decay)]


def set_rate(all_: Sequence[torch.optim.Optimizer], rate: float, by: Recipe) -> None:
    """Give every group its rate, where AdamW's is ``rate``."""
    for optimiser in all_:
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * rate / by.max_lr


def _is_muons(name: str, each: nn.Parameter) -> bool:
    return each.ndim == 2 and not any(table in name for table in _TABLES)
