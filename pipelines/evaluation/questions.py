"""What a model is asked: records, with their pictures, that a pool has for evaluation or that a lock holds out."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from converters import find
from pipelines.draw import samples
from pipelines.eligible import LOCK
from pipelines.held_out import asked, holds
from pipelines.locked import read_lock
from pipelines.record_index import Given, given
from schemas.errors import ConfigError, ShardError
from schemas.record import ImageRef, Record, Sample


class NoQuestionsError(ConfigError):
    """There is nothing to be asked of these tasks."""


class Question(NamedTuple):
    """A record to be asked, its picture and the picture's file; ``sample`` is all that is known of the picture."""

    record: Record
    image: ImageRef
    picture: bytes
    sample: Sample


class _Held(NamedTuple):
    """A pool, and which sources and splits of it may be asked about."""

    pool: str
    parts: set[tuple[str, str]]


def questions(
    place: str, tasks: Sequence[str], per_picture: int | None = None, limit: int | None = None
) -> list[Question]:
    """The records of those tasks that a pool has for evaluation, or that the lock file at that place holds out.

    They are those of the first ``limit`` pictures by hash, in that order; of a task's records of one picture at most
    ``per_picture``, chosen by hash. NoQuestionsError where there is none, ShardError where a lock's pool is another.
    """
    found: dict[str, list[Question]] = {}
    for one in (one for held in _held(place) for one in _of_pool(held, tasks)):
        found.setdefault(one.image.id, []).append(one)
    chosen = [one for image in sorted(found, key=_hash)[:limit] for one in _some(found[image], per_picture)]
    if not chosen:
        raise NoQuestionsError(f"{place}: no {' or '.join(tasks)} records of a split that is for evaluation")
    return chosen


def _held(place: str) -> list[_Held]:
    if not place.endswith(LOCK):
        return [_Held(place, {one for one in _written(given(place)) if find(one[0]).splits.get(one[1]) == "eval"})]
    lock = read_lock(Path(place))
    splits = asked([one.split for one in lock.held_out])
    found = []
    for pinned in lock.pools:
        pool = given(pinned.location)
        if pool.manifest.digest != pinned.digest:
            told = f"its digest is {pool.manifest.digest[:12]}, the lock pins {pinned.digest[:12]}"
            raise ShardError(f"{pinned.location}: {told}")
        found.append(_Held(pool.location, {one for split in splits for one in holds(pool, split)}))
    return found


def _written(pool: Given) -> set[tuple[str, str]]:
    return {(part.source, part.split) for part, written in pool.written.items() if written}


def _of_pool(held: _Held, tasks: Sequence[str]) -> Iterator[Question]:
    if not held.parts:
        return
    for sample, picture in samples(held.pool):
        for record in sample.records:
            if sample.image and picture and record.task in tasks and (record.source, record.split) in held.parts:
                yield Question(record, sample.image, picture, sample)


def _some(all_: Iterable[Question], per_picture: int | None) -> list[Question]:
    taken: list[Question] = []
    for one in sorted(all_, key=lambda one: _hash(one.record.key)):
        if per_picture is None or sum(other.record.task == one.record.task for other in taken) < per_picture:
            taken.append(one)
    return taken


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()
