"""How many tokens the text of a part's records has, without its pictures."""

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from pipelines.eligible import Eligible
from pipelines.record_index import Given
from schemas.ledger import Part
from schemas.pool import PoolManifest

ESTIMATE = "estimate: a token per 4 characters outside boxes, 15 per box"
_BOX_CHARS, _BOX_TOKENS, _CHARS = 18, 15, 4


class Measured(NamedTuple):
    """Tokens a record: on average and at most."""

    mean: float
    most: int


def described(tokenizer: str | None) -> str:
    """What counts the tokens, as a lock says it."""
    return ESTIMATE


def measured(pool: str, manifest: PoolManifest, part: Part, eligible: Eligible, tokenizer: str | None) -> Measured:
    """The tokens of a part's eligible records, estimated from the record index."""
    total, most, records = 0, 0, 0
    for shard in Given(pool, manifest).shards():
        rows = eligible.of_shard(shard.number)
        if not len(rows):
            continue
        index = shard.rows()
        first = np.flatnonzero(pc.equal(index["place"], 0).to_numpy())
        at = first[rows[:, 0]] + rows[:, 1]
        chars, boxes = (index[name].to_numpy()[at].astype(np.int64) for name in ("chars", "boxes"))
        tokens = -(-np.maximum(chars - _BOX_CHARS * boxes, 0) // _CHARS) + _BOX_TOKENS * boxes
        total, most, records = total + int(tokens.sum()), max(most, int(tokens.max())), records + len(rows)
    return Measured(total / records, most)
