"""Checkpoints: all that a run needs to go on, bit for bit, in one file that appears whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from pipelines.model.minigpt import MiniGPT
from pipelines.training.place import Place
from schemas.errors import ConfigError, ShardError

CHECKPOINT = "checkpoint.pth"


class Kept(NamedTuple):
    """Where a run stands: the step to go on with, seconds spent, and its sums (see ``loop``)."""

    step: int
    seconds: float
    sums: dict[str, Any]


def keep(
    folder: Path, model: MiniGPT, optimisers: Sequence[torch.optim.Optimizer], kept: Kept, lock: str, place: Place
) -> None:
    """Write a checkpoint over the one before. ``lock`` is its lock's digest. All ranks call it, the first writes."""
    random = _random(place)
    if not place.first:
        return
    held = {
        "model": model.state(),
        "optimisers": [one.state_dict() for one in optimisers],
        "random": random,
        "lock": lock,
        **kept._asdict(),
    }
    aside = folder / f".{CHECKPOINT}.part"
    torch.save(held, aside)
    aside.replace(folder / CHECKPOINT)


def restored(
    folder: Path, model: MiniGPT, optimisers: Sequence[torch.optim.Optimizer], lock: str, place: Place
) -> Kept:
    """Put back what ``keep`` wrote; ConfigError where there is none, ShardError where it is of another run."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise ConfigError(f"{path}: no checkpoint to resume from")
    held = torch.load(path, map_location="cpu", weights_only=True)
    if held["lock"] != lock:
        raise ShardError(f"{path}: is of lock {held['lock'][:12]}, wanted {lock[:12]}")
    model.restore(held["model"])
    for optimiser, state in zip(optimisers, held["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    # With other ranks than before, dropout is drawn anew; samples are the same all the same.
    if len(held["random"]) == place.ranks:
        torch.set_rng_state(held["random"][place.rank]["cpu"])
        if place.device.type == "cuda":
            torch.cuda.set_rng_state(held["random"][place.rank]["cuda"])
    return Kept(held["step"], held["seconds"], held["sums"])


def _random(place: Place) -> list[dict[str, Tensor]]:
    own = {"cpu": torch.get_rng_state()}
    if place.device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state()
    if place.ranks == 1:
        return [own]
    every: list[Any] = [None] * place.ranks
    dist.all_gather_object(every, own)
    return every
