"""The loader: a lock's draws as batches of pictures and words, for PyTorch's own DataLoader.

    for batch in loader("stage3.lock.json", rank=rank, ranks=ranks, start=step, workers=8):
        ...                        # batch.images (n, 3, 448, 448) uint8, batch.records, batch.next

The k-th draw is a pure function of (lock, k): no generator anywhere has a say, and what ``batch.next`` says is all it
takes to go on, on any number of ranks and workers. Pictures stay uint8: the device normalises them for nothing, and a
batch is a quarter of the bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset, default_collate

from pipelines.cache import cache_of
from pipelines.draws import Draws, drawing
from pipelines.images import size_of
from pipelines.steps import Index, Steps
from schemas.errors import ImageError, ShardError
from schemas.ledger import Part
from schemas.record import Record

IMAGE_SIZE = 448  # MiniGPT-v2's


class Drawn(NamedTuple):
    """One sequence: where it stands in the run, its part and that part's epoch, its records as they are said.

    ``image`` is uint8 (3, S, S), RGB, the whole picture stretched to the square; None where there is only text.
    Of several records, all speak of that picture.
    """

    k: int
    place: int
    part: Part
    epoch: int
    records: tuple[Record, ...]
    image: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class Batch:
    """A rank's share of a step, in unit ``batch`` one batch of it: lists are of its sequences, in order.

    ``images`` is uint8 (pictures, 3, S, S), RGB, in the memory format ``channels_last``; ``image_of``, int64
    (sequences,), says which of them a sequence speaks of, -1 for none. ``next`` is the step from which the run goes on
    once this batch is done with.
    """

    images: torch.Tensor
    image_of: torch.Tensor
    records: list[tuple[Record, ...]]
    parts: list[Part]
    epochs: list[int]
    next: int

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The keys of each sequence's records."""
        return [tuple(record.key for record in records) for records in self.records]

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, from which a device copies while it computes."""
        return replace(self, images=self.images.pin_memory(), image_of=self.image_of.pin_memory())


class Feed(Dataset[Drawn]):
    """A lock's sequences by (draw, place within the draw), in any order; the place is 0 but in unit ``batch``."""

    def __init__(self, draws: Draws, image_size: int = IMAGE_SIZE) -> None:
        self.draws, self.image_size = draws, image_size

    def __len__(self) -> int:
        return self.draws.lock.steps * self.draws.lock.step

    def __getitem__(self, index: Index) -> Drawn:
        """The sequence; ShardError, naming pool, shard and key, where it cannot be read whole."""
        part, epoch, records, data, where = self.draws.fetch(*index)
        try:
            image = None if data is None else picture(data, self.image_size)
        except ImageError as error:
            raise ShardError(f"{where}, record {records[0].key}: {error}") from error
        return Drawn(*index, part, epoch, records, image)


def picture(data: bytes, size: int = IMAGE_SIZE) -> torch.Tensor:
    """A stored picture as uint8 (3, size, size), RGB, stretched as Pillow's bicubic does; ImageError where damaged."""
    size_of(data)  # before anything is decoded: a header may speak of any number of pixels
    try:
        # What libjpeg does faster but less exactly is left off: with it, 42 dB from Pillow's pixels, without, over 70.
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB", fastdct=False, fastupsample=False, strict=True
        )
    except ValueError as error:
        raise ImageError(f"damaged picture: {error}") from error
    # In the order in which pixels lie, colours innermost, torch takes a third less time for the same numbers.
    planes = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    if planes.shape[2:] != (size, size):
        planes = interpolate(planes, (size, size), mode="bicubic", antialias=True)
    return planes[0]


@dataclass(frozen=True)
class _Together:
    # What the DataLoader calls with the sequences of a batch.
    steps: Steps
    image_size: int

    def __call__(self, drawn: Sequence[Drawn]) -> Batch:
        rows = [one.image.permute(1, 2, 0) for one in drawn if one.image is not None]
        none = torch.empty((0, self.image_size, self.image_size, 3), dtype=torch.uint8)
        numbers = iter(range(len(rows)))
        return Batch(
            # As rows of pixels, which is how they lie; in a worker this stacks into shared memory.
            images=(default_collate(rows) if rows else none).permute(0, 3, 1, 2),
            image_of=torch.tensor([-1 if one.image is None else next(numbers) for one in drawn]),
            records=[one.records for one in drawn],
            parts=[one.part for one in drawn],
            epochs=[one.epoch for one in drawn],
            next=self.steps.after(drawn[-1].k),
        )


def loader(
    lock: str | Path,
    rank: int = 0,
    ranks: int = 1,
    start: int = 0,
    workers: int = 0,
    pools: Mapping[str, str] | None = None,
    image_size: int = IMAGE_SIZE,
    cache: str | Path | None = None,
    cache_bytes: str | int | None = None,
    **more: Any,
) -> "DataLoader[Batch]":
    """Batches of this rank from step ``start`` to the stage's last; ``more`` goes to the DataLoader as it is.

    ``pools`` says by name where pools lie, where not as the lock says. A step's draws are dealt to ranks in runs that
    differ by one draw at most. Of pools that are not on this machine, shards are kept in the folder ``cache``, whose
    files have ``cache_bytes`` (``200GiB``) together at most. ConfigError for a rank or start there is not, and for a
    cache that is missing or too small; ShardError, naming what differs, where a pool or file is not the one that the
    lock pins.
    """
    draws = drawing(Path(lock), pools, cache_of(cache, cache_bytes))
    pinned = draws.lock
    sizes = [part.batch_size or 1 for part in pinned.parts] if pinned.unit == "batch" else None
    steps = Steps(draws.schedule, sizes, pinned.step, pinned.steps, start, ranks, rank)
    fed = DataLoader(
        Feed(draws, image_size),
        batch_sampler=steps,
        num_workers=workers,
        collate_fn=_Together(steps, image_size),
        generator=torch.Generator(),  # else the global one would be asked for workers' seeds, and differ afterwards
        **more,
    )
    return cast("DataLoader[Batch]", fed)
