"""Several records of one picture in one sequence, none of which sees another.

    picture tokens | record 1 | record 2 | ...        ids and labels, one after another
    0 0 0 0 0 0 0  | 1 1 1 1  | 2 2 2 2 2            segments
    0 1 2 3 4 5 6  | 7 8 9 10 | 7 8 9 10 11          positions: each record's begin where the picture ends

Under ``block_mask`` a record then is computed as if it stood alone after the picture, which is looked at once. Packed
without it, later turns copy from earlier ones what they should find in the picture.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

IGNORED = -100  # the label of a token that no loss is taken of, as PyTorch's cross entropy has it
PADDING = -1  # the segment of what only fills up

Numbers = npt.NDArray[np.int64]
Array = TypeVar("Array")


class Joined(NamedTuple):
    """A sequence, each (tokens,), or several of one length, each (sequences, tokens); int64."""

    ids: Numbers
    labels: Numbers
    segments: Numbers
    positions: Numbers


def joined(turns: Sequence[tuple[Sequence[int], Sequence[int]]], picture_tokens: Sequence[int]) -> Joined:
    """The records of one picture in one sequence.

    ``picture_tokens`` are the ids of all that the records share: what the trainer puts in front of a picture, and
    whatever stands for it. ``turns`` are each record's own ids after that, and their labels, as the trainer's tokenizer
    gives them for the record alone; ValueError where the two differ in length.
    """
    shared = len(picture_tokens)
    ids, labels = list(picture_tokens), [IGNORED] * shared
    segments, positions = [0] * shared, list(range(shared))
    for number, (said, learnt) in enumerate(turns, 1):
        if len(said) != len(learnt):
            raise ValueError(f"record {number} has {len(said)} ids and {len(learnt)} labels")
        ids += said
        labels += learnt
        segments += [number] * len(said)
        positions += range(shared, shared + len(said))
    return Joined(*(np.array(one, np.int64) for one in (ids, labels, segments, positions)))


def padded(sequences: Sequence[Joined], pad_id: int) -> Joined:
    """The sequences on top of each other, shorter ones filled up at their ends; nothing sees or learns the filling."""
    longest = max(len(one.ids) for one in sequences)
    columns = zip(zip(*sequences, strict=True), Joined(pad_id, IGNORED, PADDING, 0), strict=True)  # type: ignore[arg-type]
    return Joined(*(np.stack([_filled(one, longest, fill) for one in many]) for many, fill in columns))  # type: ignore[arg-type]


def block_mask(segments: Array) -> Array:
    """Which token (second to last axis) sees which (last axis), from segments (..., tokens): bool, True where it does.

    What came before it in its own segment and in the picture's, and itself. Filling is seen by filling alone, so that
    every row of the mask has something. For numpy arrays and torch tensors, which stay what and where they are.
    """
    of: Any = segments
    places = (of == of).cumsum(-1)  # 1, 2, 3, ... in either library, on whatever device
    before = places[..., :, None] >= places[..., None, :]
    shared = (of == 0)[..., None, :]
    mask: Array = before & (shared | (of[..., :, None] == of[..., None, :]))
    return mask


def _filled(values: Numbers, length: int, fill: int) -> Numbers:
    return np.concatenate([values, np.full(length - len(values), fill, np.int64)])
