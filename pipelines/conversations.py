"""Making a sample's multi-turn conversations, while it is packed, of the records that lie in it."""

from collections.abc import Iterator, Sequence

import msgspec

from converters.multitask import SOURCE, facts
from pipelines.convert import Outcome, outcome_of
from pipelines.stage import Staged
from schemas.errors import Filtered, ImageError
from schemas.ledger import Part
from schemas.pool import Multitask
from schemas.prompt import Wording
from schemas.record import Record


def conversations(
    policy: Multitask,
    wording: Wording,
    rows: Sequence[Staged],
    kept: Sequence[Staged],
    error: ImageError | Filtered | None,
) -> Iterator[Outcome]:
    """What became of each conversation of a picture, made of the rows that are ``kept``.

    ``rows`` are all that had a record before the picture was looked at; where that ended with an error, so does every
    conversation.
    """
    image, keys = rows[0].image, set[str]()
    if image is None:
        return
    (variant,) = SOURCE.variants
    for split in sorted({row.split for row in rows} & set(policy.splits)):
        records = [_record(row) for row in kept if row.split == split and row.task in policy.tasks]
        for fact in facts(image, split, records, (policy.min_turns, policy.max_turns), policy.per_picture):
            if error:
                part = Part(SOURCE.name, split, None)
                rule = isinstance(error, Filtered)
                yield Outcome(part, fact.key(None), image, None, error.reason, str(error), rule)
            else:
                yield outcome_of(fact, variant, wording, keys)


def _record(row: Staged) -> Record:
    return msgspec.json.decode(row.record, type=Record)
