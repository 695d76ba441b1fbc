"""The tokenizer of a model that begins from nothing: trained on what its run will be told, and kept beside it."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from pipelines.draws import Draws
from pipelines.tokenizer import FILE, trained_tokenizer

DRAWS = 2000  # whose text it is trained on


def own_tokenizer(draws: Draws, vocabulary: int) -> Tokenizer:
    """A tokenizer of at most that many tokens, trained on the first draws of a lock with the prompt around them."""
    return trained_tokenizer(_texts(draws), vocabulary)


def saved(tokenizer: Tokenizer, folder: Path) -> Path:
    """Write it to the folder, under the name that a Llama folder gives it."""
    tokenizer.save(str(folder / FILE))
    return folder / FILE


def _texts(draws: Draws) -> Iterator[str]:
    for k in range(min(DRAWS, draws.lock.steps * draws.lock.step)):
        for record in draws.fetch(k).records:
            yield "[INST] <Img>"
            for asked, said in zip(record.messages[::2], record.messages[1::2], strict=True):
                yield f"</Img> {asked.content} [/INST]"
                yield said.content
