"""What the loader feeds as what the model takes: records as sequences, and pictures, or by design wrong ones."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from pipelines import load
from pipelines.dialogue import IGNORED, Dialogue, answer_text
from pipelines.model.sequences import Sequences, written
from pipelines.tokenizer import EOS
from schemas.errors import ConfigError
from schemas.record import Record


class Fed(NamedTuple):
    """A batch for the model: its sequences, pictures uint8 (n, 3, S, S), the records, how many turns were left out."""

    rows: Sequences
    pictures: Tensor
    records: Sequence[tuple[Record, ...]]
    cut: int


def fed(by: Dialogue, given: load.Batch, max_length: int, *, shuffled: bool) -> Fed:
    """The loader's batch; of a record longer than that many tokens later turns are left out.

    ``shuffled`` gives every sequence the picture of another.
    """
    rows, cut = written(by, given.records, given.image_of, max_length)
    return Fed(rows, deranged(given.images) if shuffled else given.images, given.records, cut)


def deranged(pictures: Tensor) -> Tensor:
    """The pictures in another order, in which none is the same as before; ConfigError where there is no such order.

    The order is a turn, the smallest there is: it takes no chance.
    """
    for turn in range(1, len(pictures)):
        turned = pictures.roll(turn, 0)
        if bool((turned != pictures).flatten(1).any(1).all()):
            return turned
    if not len(pictures):
        return pictures
    raise ConfigError(
        f"pictures cannot be shuffled: a batch has {len(pictures)} that do not all differ, wanted two at least"
    )


def in_steps(feed: Iterable[load.Batch], start: int) -> Iterator[list[load.Batch]]:
    """The loader's batches, those of one step together: of unit ``batch`` a rank may have several of each."""
    step: list[load.Batch] = []
    for one in feed:
        step.append(one)
        if one.next > start:
            yield step
            step, start = [], one.next


def answers_of(by: Dialogue, rows: Sequences) -> list[list[str]]:
    """What the labels of each row say, answer by answer: the text between what is not trained."""
    eos = by.tokenizer.token_to_id(EOS)
    told = []
    for labels in rows.labels.tolist():
        said: list[str] = []
        answer: list[int] = []
        for label in labels:
            if label != IGNORED:
                answer.append(label)
            if answer and (label in (eos, IGNORED)):
                said.append(answer_text(by, answer) if label == eos else f"{answer_text(by, answer)} (no end)")
                answer = []
        told.append(said)
    return told


def masks_wrong(by: Dialogue, given: Fed) -> int:
    """How many rows have labels that say anything but the answers of their records; turns left out may lack."""
    wrong = 0
    for said, records in zip(answers_of(by, given.rows), given.records, strict=True):
        wanted = [turn.content.strip() for record in records for turn in record.messages[1::2]]
        wrong += said != wanted if not given.cut else not _within(said, wanted)
    return wrong


def _within(said: Sequence[str], wanted: Sequence[str]) -> bool:
    left = iter(wanted)
    return bool(said) and all(one in left for one in said)
