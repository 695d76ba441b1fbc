"""What records say: their words, answers, phrases and boxes, of those that are read from a shard's tar."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np

from pipelines.loss import costs
from pipelines.manifest import UNREADABLE
from pipelines.ranged import samples_at
from pipelines.record_index import ShardOf
from pipelines.report.counts import IOU_PARTS, Counts, PartCounts
from pipelines.report.scope import Scope
from pipelines.tar import Member
from pipelines.token_count import opened
from schemas.box import Box, Codec, widened
from schemas.dialect import Phrase, Span, parse
from schemas.errors import BoxError, RecordError, ShardError, TextError
from schemas.ledger import Part
from schemas.record import IDENTIFIER, Message, Record, Sample

MOST_CHARS = 80  # of an answer or a phrase: what is longer is no frequent one


class Reading(NamedTuple):
    """A shard whose tar is read, and what counts tokens, where that is not estimated."""

    scope: Scope
    shard: ShardOf
    tar: str
    tokenizer: str | None


def read(counts: Counts, reading: Reading, wanted: Mapping[int, Sequence[int]]) -> None:
    """Count records in, given by their places within samples; ShardError where the tar is not what its index says."""
    sides: dict[Part, array[float]] = defaultdict(lambda: array("d"))
    texts = defaultdict[Part, list[list[str]]](list)
    for found, places in zip(
        samples_at(reading.shard.location, reading.tar, list(wanted)), wanted.values(), strict=True
    ):
        records = sample_of(found, reading.tar).records
        if places[-1] >= len(records):
            raise ShardError(f"{reading.tar}: {found[0].stem} has {len(records)} records, its index knows of more")
        for record in (records[place] for place in places):
            part = Part(record.source, record.split, record.task)
            said = _count(counts.part(reading.scope.pool, part), reading.scope, record)
            if said is not None:
                sides[part].extend(chain.from_iterable(map(msgspec.structs.astuple, said.boxes)))
                texts[part].append([turn.content for turn in said.messages])
    for part, some in sides.items():
        if some:
            _measure(counts, counts.part(reading.scope.pool, part), part, np.array(some), reading.scope.codec)
    if reading.tokenizer is not None:
        for part, turns in texts.items():
            _tokenise(counts.part(reading.scope.pool, part), turns, reading.tokenizer)


def sample_of(found: Sequence[Member], tar: str) -> Sample:
    """The sample that its last member holds; ShardError where it is none."""
    try:
        return msgspec.json.decode(found[-1].data, type=Sample)
    except (RecordError, *UNREADABLE) as error:
        raise ShardError(f"{tar}: the sample {found[-1].stem} is none: {error}") from error


def spans(turn: Message) -> list[Span]:
    """What a turn says after its identifier; markup that is none, as text."""
    text = IDENTIFIER.sub("", turn.content, count=1) if turn.role == "user" else turn.content
    try:
        return parse(text)
    except TextError:
        return [text]


def _count(one: PartCounts, scope: Scope, record: Record) -> Record | None:
    one.read += 1
    try:
        said = scope.said(record)
    except (RecordError, BoxError):
        one.unsaid += 1
        return None
    told = [(turn.role, spans(turn)) for turn in said.messages]
    one.words[sum(len(text.split()) for _, some in told for text in _texts(some))] += 1
    phrases = [span.text for _, some in told for span in some if isinstance(span, Phrase)]
    phrases = phrases or [slot.value for slot in said.draw.slots if slot.name == "phrase"]
    one.phrases.update(phrase for phrase in phrases if len(phrase) <= MOST_CHARS)
    for role, some in told:
        if role == "assistant" and len(some) == 1 and isinstance(some[0], str) and len(some[0]) <= MOST_CHARS:
            one.answers[some[0]] += 1
    return said


def _texts(some: Sequence[Span]) -> Iterator[str]:
    for span in some:
        if isinstance(span, str):
            yield span
        elif isinstance(span, Phrase):
            yield span.text


def _measure(
    counts: Counts, one: PartCounts, part: Part, flat: "np.ndarray[tuple[int], np.dtype[np.float64]]", by: Codec
) -> None:
    areas, ious, decoded = costs(flat, by)
    one.read_boxes += len(ious)
    one.ious += int(np.rint(ious * IOU_PARTS).astype(np.int64).sum())
    one.worst = min(one.worst, float(ious.min()))
    narrow = np.flatnonzero((flat.reshape(-1, 4)[:, 2:] - flat.reshape(-1, 4)[:, :2]).min(axis=1) <= 0.02)
    one.widened += sum(widened(Box(*flat.reshape(-1, 4)[place].tolist()), by) for place in narrow.tolist())
    counts.task(part.task).count(decoded, areas)


def _tokenise(one: PartCounts, texts: Sequence[Sequence[str]], tokenizer: str) -> None:
    by = opened(tokenizer)
    for start in range(0, len(texts), 256):
        some = texts[start : start + 256]
        flat = by.encode_batch_fast(list(chain.from_iterable(some)), add_special_tokens=False)
        left = iter(len(found) for found in flat)
        for turns in some:
            tokens = sum(next(left) for _ in turns)
            one.tokens += tokens
            one.most_tokens = max(one.most_tokens, tokens)
