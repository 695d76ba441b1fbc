"""Muon (Keller Jordan, https://kellerjordan.github.io/posts/muon/), float32, matrices of one shape at a time.

``torch.optim.Muon`` orthogonalises in bfloat16 and each matrix by itself. A CPU without bfloat16 instructions takes
28 times as long for that as for float32, longer than the rest of a tiny model's step. Its numbers are kept: what it
gives, this gives, but for what bfloat16 loses.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_LEAST = 1e-7  # norm of a gradient


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal; its rates and weight decay are AdamW's (``match_rms_adamw``)."""

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient; all are matrices."""
        for group in self.param_groups:
            alike = defaultdict[tuple[int, ...], list[nn.Parameter]](list)
            for each in group["params"]:
                if each.grad is not None:
                    alike[tuple(sorted(each.shape))].append(each)
            for some in alike.values():
                self._change(some, group)

    def _change(self, some: list[nn.Parameter], group: dict[str, Any]) -> None:
        turned = [each.shape[0] > each.shape[1] for each in some]
        moved = [self._moved(each, group["momentum"]) for each in some]
        square = orthogonal(torch.stack([one.T if turn else one for one, turn in zip(moved, turned, strict=True)]))
        for each, turn, towards in zip(some, turned, square.unbind(), strict=True):
            each.mul_(1 - group["lr"] * group["weight_decay"])
            each.add_(towards.T if turn else towards, alpha=-group["lr"] * 0.2 * math.sqrt(max(each.shape)))

    def _moved(self, each: nn.Parameter, momentum: float) -> Tensor:
        if each.grad is None:
            return torch.zeros_like(each)
        kept: Tensor = self.state[each].setdefault("momentum_buffer", torch.zeros_like(each))
        kept.lerp_(each.grad, 1 - momentum)
        return each.grad.lerp(kept, momentum)


def orthogonal(some: Tensor) -> Tensor:
    """For each matrix (n, rows, columns), rows not more than columns, one near to U V' of its U S V'."""
    a, b, c = _COEFFICIENTS
    made = some.float() / some.float().norm(dim=(1, 2), keepdim=True).clamp(min=_LEAST)
    for _ in range(_ROUNDS):
        gram = made @ made.mT
        made = torch.baddbmm(made, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), made, beta=a)
    told: Tensor = made.to(some)
    return told
