"""Where a run computes: its device and precision, and its ranks under torchrun."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn


class Place(NamedTuple):
    """This process's device and precision, its rank and how many there are."""

    device: torch.device
    precision: torch.dtype
    rank: int
    ranks: int

    @property
    def first(self) -> bool:
        """Whether it is this process that writes files and speaks."""
        return self.rank == 0


@contextmanager
def placed() -> Iterator[Place]:
    """The place of this process: a GPU where there is one, in bfloat16 where it has that, else the CPU in float32.

    Under torchrun the ranks find each other, and part at the end.
    """
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if ranks > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(device, torch.bfloat16 if half else torch.float32, rank, ranks)
    finally:
        if ranks > 1:
            dist.destroy_process_group()


def tuned(place: Place, model: str) -> None:
    """Let torch use as many threads as pay: a tiny model's matrices are too small for more than one."""
    if place.device.type == "cpu" and model == "tiny":
        torch.set_num_threads(1)


def summed(place: Place, amounts: Sequence[float]) -> list[float]:
    """The sums of these over all ranks."""
    if place.ranks == 1:
        return list(amounts)
    told = torch.tensor(list(amounts), dtype=torch.float64, device=place.device)
    dist.all_reduce(told)
    return [float(one) for one in told.tolist()]


def share_gradients(place: Place, trained: Mapping[str, nn.Parameter]) -> None:
    """Add up the gradients of all ranks, also where a rank's pictures or text gave a parameter none."""
    if place.ranks == 1:
        return
    for each in trained.values():
        if each.grad is None:
            each.grad = torch.zeros_like(each)
    grads = [each.grad for each in trained.values() if each.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    start = 0
    for grad in grads:
        grad.copy_(flat[start : start + grad.numel()].view_as(grad))
        start += grad.numel()
