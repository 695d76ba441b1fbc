"""Small models of every make, and pictures of noise. One thread: two are slower on a busy machine."""

from collections.abc import Iterator

import pytest
import torch
from tokenizers import Tokenizer

from pipelines.dialogue import Dialogue, dialogue
from pipelines.model.sizes import SIZES, Llama, Lora, Size, Tower
from pipelines.tokenizer import trained_tokenizer
from schemas.text import TASKS

TEXTS = [f"[INST] <Img> </Img> [{task}] where is the large red star, dog, cat or hat? [/INST]" for task in TASKS] * 3

SMALL = SIZES["tiny"]._replace(
    tower=Tower(image=16, patch=2, width=16, blocks=2, heads=2, mlp=32),
    llama=Llama(hidden=24, layers=2, heads=2, mlp=32, vocabulary=500, context=256),
)
ADAPTED = SMALL._replace(freeze=True, lora=Lora(rank=4, alpha=2, dropout=0.0))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def words() -> Tokenizer:
    """A tokenizer of few words and all numbers."""
    return trained_tokenizer(TEXTS, 500)


@pytest.fixture(scope="session")
def clean(words: Tokenizer) -> Dialogue:
    """The clean rules for a picture of the small size."""
    return dialogue(words, SMALL.picture_tokens)


@pytest.fixture(scope="session")
def small() -> Size:
    """A size trained whole: 16 px, 64 patches in 16 tokens."""
    return SMALL


@pytest.fixture(scope="session")
def adapted() -> Size:
    """The same with tower and language model frozen, and LoRA."""
    return ADAPTED


@pytest.fixture(scope="session")
def pictures() -> torch.Tensor:
    """Three pictures of noise."""
    return torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
