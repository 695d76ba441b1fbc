"""How weights begin where no file gives them and transformers' plain start is not what the size asks for."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

CYCLES = (0.5, 16.0)  # of the slowest and the fastest wave over 0..100


def smooth_numbers(ids: Sequence[int], table: Tensor, deviation: float) -> None:
    """Write the rows of those ids, in order of their numbers, as sines and cosines of the number: near ones are alike.

    The rows have the deviation that other rows have.
    """
    width = table.shape[1]
    waves = torch.logspace(math.log10(CYCLES[0]), math.log10(CYCLES[1]), (width + 1) // 2)
    angles = torch.linspace(0, 2 * math.pi, len(ids))[:, None] * waves
    rows = torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width] * deviation * math.sqrt(2)
    with torch.no_grad():
        table[torch.tensor(list(ids))] = rows.to(table)


def sine_positions(table: Tensor, scale: float) -> None:
    """Write a tower's positions (1, 1 + side * side, width): CLS zero, patches sines and cosines of row and column."""
    _, places, width = table.shape
    side = math.isqrt(places - 1)
    waves = torch.pow(10000.0, -torch.arange(width // 4) / (width // 4))
    angles = torch.arange(side)[:, None] * waves
    one = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = one[:, None].expand(side, side, -1), one[None].expand(side, side, -1)
    grid = torch.cat([rows, columns], dim=2).reshape(side * side, -1)
    with torch.no_grad():
        table.zero_()
        table[0, 1:, : grid.shape[1]] = scale * grid.to(table)
