"""The sizes of the model, a row each: what it is built of, what of it is trained, how it begins.

``minigpt-v2`` is the released model: EVA ViT-g/14 at 448 px and Llama-2-7B-chat, both frozen, a linear layer between
them, and LoRA on the queries and values of the language model (arXiv 2310.09478; Vision-CAIR/MiniGPT-4). ``tiny`` is
the same code in small numbers; nothing in it is pretrained, so all of it is trained, and how it begins decides whether
it learns to point within minutes: wide initial weights, positions that are sines and cosines of row and column, and
numbers whose embeddings lie on a smooth curve, so that 37 begins near 38.
"""

from typing import NamedTuple

from schemas.errors import ConfigError, unknown


class Tower(NamedTuple):
    """A vision transformer: side of its square picture and of a patch in pixels, width, blocks, heads, MLP's width."""

    image: int
    patch: int
    width: int
    blocks: int
    heads: int
    mlp: int


class Llama(NamedTuple):
    """A language model; ``context`` is the longest sequence that its positions are made for."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    vocabulary: int
    context: int


class Lora(NamedTuple):
    """Low-rank updates of the language model's queries and values; they are scaled by alpha / rank."""

    rank: int
    alpha: int
    dropout: float


class Start(NamedTuple):
    """How weights that no file gives begin: deviation; smooth rows for numbers; scale of sine-cosine positions."""

    deviation: float
    smooth_numbers: bool
    positions: float | None


class Size(NamedTuple):
    """One size. ``join`` neighbouring patches of a row become one token; ``freeze`` keeps tower and language model."""

    tower: Tower
    join: int
    llama: Llama
    freeze: bool
    lora: Lora | None
    start: Start

    @property
    def picture_tokens(self) -> int:
        """How many places of a sequence a picture takes."""
        return (self.tower.image // self.tower.patch) ** 2 // self.join


SIZES = {
    "minigpt-v2": Size(
        tower=Tower(image=448, patch=14, width=1408, blocks=39, heads=16, mlp=6144),
        join=4,
        llama=Llama(hidden=4096, layers=32, heads=32, mlp=11008, vocabulary=32000, context=4096),
        freeze=True,
        lora=Lora(rank=64, alpha=16, dropout=0.05),
        start=Start(deviation=0.02, smooth_numbers=False, positions=None),
    ),
    "tiny": Size(
        tower=Tower(image=64, patch=8, width=64, blocks=2, heads=2, mlp=256),
        join=4,
        llama=Llama(hidden=96, layers=2, heads=3, mlp=256, vocabulary=1000, context=2048),
        freeze=False,
        lora=None,
        start=Start(deviation=0.08, smooth_numbers=True, positions=1.0),
    ),
}


def size(name: str) -> Size:
    """The size of that name; ConfigError for an unknown one."""
    if name not in SIZES:
        raise ConfigError(unknown("size", name, SIZES))
    return SIZES[name]
