"""Sequences side by side, as the tensors that the model takes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipelines.dialogue import IGNORED, Dialogue, Encoded, encoded, joined
from schemas.record import Record

PADDING = -1  # the segment of a place behind the end of a sequence


class Sequences(NamedTuple):
    """Rows filled up on the right: ids, labels, segments, positions int64 and boxed bool, each (rows, length).

    ``image_of`` int64 (rows,) is the picture of each row, -1 for none. Segments and positions are None where no row
    holds two records: plain causal attention is right for them then.
    """

    ids: Tensor
    labels: Tensor
    boxed: Tensor
    segments: Tensor | None
    positions: Tensor | None
    image_of: Tensor

    def to(self, device: torch.device | str) -> "Sequences":
        """The same on that device."""
        there = {name: each.to(device, non_blocking=True) for name, each in self._asdict().items() if each is not None}
        return self._replace(**there)


def written(
    by: Dialogue, sequences: Sequence[Sequence[Record]], image_of: Sequence[int] | Tensor, max_length: int | None = None
) -> tuple[Sequences, int]:
    """Records to train on, and how many later turns were left out; the records of one sequence do not see each other.

    ``image_of`` is each sequence's picture, -1 for none; ``max_length`` what one record with its picture may take, else
    TextError as from ``encoded``.
    """
    rows = [
        joined([encoded(by, each.messages, picture=at >= 0, key=each.key, max_length=max_length) for each in records])
        for records, at in zip(sequences, image_of, strict=True)
    ]
    return padded(rows, image_of), sum(row.cut for row in rows)


def padded(rows: Sequence[Encoded], image_of: Sequence[int] | Tensor) -> Sequences:
    """The rows as one batch; ``image_of`` says which of the step's pictures each is about, -1 for text alone."""
    length = max(len(row.ids) for row in rows)
    apart = any(row.segments[-1] > 1 for row in rows)
    return Sequences(
        ids=_filled([row.ids for row in rows], length, 0),
        labels=_filled([row.labels for row in rows], length, IGNORED),
        boxed=_filled([row.boxed for row in rows], length, 0).bool(),
        segments=_filled([row.segments for row in rows], length, PADDING) if apart else None,
        positions=_filled([row.positions for row in rows], length, 0) if apart else None,
        image_of=torch.as_tensor(image_of),
    )


def seen(segments: Tensor) -> Tensor:
    """Which place sees which, bool (rows, 1, length, length): itself and earlier ones of segment 0 and of its own."""
    asks, gives = segments[:, :, None], segments[:, None, :]
    places = torch.arange(segments.shape[1], device=segments.device)
    earlier = places[:, None] >= places[None, :]
    return (((gives == asks) | (gives == 0)) & earlier)[:, None]


def _filled(rows: Sequence[Sequence[int]], length: int, filling: int) -> Tensor:
    return torch.tensor([[*row, *[filling] * (length - len(row))] for row in rows])
