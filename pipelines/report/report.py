"""The report of a pool or of a lock: one pass over its shards in worker processes, then what needs all of them."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from converters import find
from pipelines import engine
from pipelines.duplicates import REASONS, duplicates
from pipelines.fetch.rot import Rot, rot
from pipelines.fetch.state import told
from pipelines.loss import NAMES
from pipelines.progress import progress
from pipelines.record_index import Given, batched
from pipelines.report.counts import IOU_PARTS, BoxCounts, Counts, PartCounts, Pick
from pipelines.report.figures import (
    SCHEMA,
    BoxMap,
    Duplicates,
    Loss,
    PartFigures,
    PoolLine,
    Report,
    SourceLine,
    Spread,
    Tokens,
)
from pipelines.report.leaks import leaks
from pipelines.report.samples import Chosen, chosen
from pipelines.report.scope import Subject, subject
from pipelines.report.survey import Survey, hashes_of, survey
from pipelines.store import in_process
from pipelines.token_count import ESTIMATE, described
from schemas import __version__
from schemas.errors import ConfigError
from schemas.ledger import Count, Part
from schemas.lock import LockedPart

SAMPLES = 20_000
RADIUS = 4
LISTED = 20  # answers and phrases of a part
WORD_RANGES = (0, 4, 8, 12, 20, 40, 80, 160)
TURN_RANGES = (1, 2, 3, 4, 5, 6, 8, 12)
_AT_ONCE = 4  # shards of one task: each is read from its tar too


def report(
    at: str, samples: int = SAMPLES, tokenizer: str | None = None, fetched: Sequence[str] = (), workers: int = 1
) -> tuple[Report, list[Chosen]]:
    """The figures of the pool or lock at ``at``, and samples to be shown.

    About ``samples`` records of a part are read from tars, chosen by the hash of their picture; the rest is told from
    the record index. ``fetched`` are folders of downloads whose link rot is told. ShardError for what is not whole,
    ConfigError for a tokenizer that is not there.
    """
    about = subject(at)
    alone = any(in_process(pool.location) for pool in about.pools)
    workers = 1 if alone else min(workers, -(-sum(pool.manifest.shards for pool in about.pools) // _AT_ONCE))
    how = described(tokenizer)
    rotten = [_rot(folder, about) for folder in fetched]
    with tempfile.TemporaryDirectory(prefix="boxcar-report-") as folder:
        scratch = Path(folder)
        counts = _surveyed(about, samples, tokenizer, scratch, workers)
        if not counts.parts:
            raise ConfigError(f"{at}: it has no records, wanted some to report")
        files = [
            hashes_of(scratch, number, shard)
            for number, pool in enumerate(about.pools)
            for shard in range(pool.manifest.shards)
        ]
        again = duplicates(files, "near", RADIUS, scratch).counts
        leaked = None if about.lock else leaks(about.pools[0], counts, scratch, workers)
    shown = list(chosen(about, _picks(counts)))
    figures = Report(
        schema=SCHEMA,
        boxcar=__version__,
        kind=about.kind,
        name=about.name,
        digest=about.digest,
        pools=[_pool(pool, number, counts) for number, pool in enumerate(about.pools)],
        records=sum(one.records for one in counts.parts.values()),
        pictures=counts.pictures,
        text_samples=counts.text_samples,
        ledger=[tally for pool in about.pools for tally in pool.manifest.ledger],
        parts=[_part(about, pool, part, one, tokenizer) for (pool, part), one in _sorted(counts)],
        asked=samples,
        tokens=ESTIMATE if tokenizer is None else how.partition(":")[0] + ", of the records that were read",
        maps=[_map(task, counts.tasks[task]) for task in sorted(counts.tasks, key=lambda task: task or "")],
        duplicates=Duplicates(counts.pictures, again.get(REASONS["exact"], 0), again.get(REASONS["near"], 0), RADIUS),
        leaks=leaked,
        held_out=about.lock.held_out if about.lock else None,
        sources=[_source(name) for name in sorted({part.source for _, part in counts.parts})],
        rot=rotten,
        shown=[one.shown for one in shown],
    )
    return figures, shown


def _rot(folder: str, about: Subject) -> Rot:
    known = {part.source for scope in about.scopes for part in scope.records}
    begun = told(folder)
    if begun and begun[0] not in known:
        raise ConfigError(f"--fetched {folder}: it was fetched as {begun[0]}, of which {about.name} has no records")
    return rot(folder)


def _surveyed(about: Subject, samples: int, tokenizer: str | None, scratch: Path, workers: int) -> Counts:
    counts = Counts()
    tasks = (
        Survey(scope, some, samples, tokenizer, about.lock is None, scratch)
        for scope, pool in zip(about.scopes, about.pools, strict=True)
        for some in batched(pool.shards(), _AT_ONCE)
    )
    shards = sum(pool.manifest.shards for pool in about.pools)
    with progress("reading", shards) as bar:
        for found in engine.run(survey, tasks, workers):
            counts.add(found)
            bar.step(len(found.tars))
    return counts


def _sorted(counts: Counts) -> list[tuple[tuple[int, Part], PartCounts]]:
    return sorted(counts.parts.items(), key=lambda item: (str(item[0][1]), item[0][0]))


def _picks(counts: Counts) -> dict[Part, list[Pick]]:
    found: dict[Part, list[Pick]] = {}
    for (_, part), one in _sorted(counts):
        found.setdefault(part, []).extend(one.picks)
    return {part: sorted(picks) for part, picks in found.items()}


def _pool(pool: Given, number: int, counts: Counts) -> PoolLine:
    of = pool.manifest
    tars = [counts.tars[number, shard] for shard in range(of.shards)]
    return PoolLine(of.pool, of.digest, of.config["codec"], of.shards, of.samples, of.records, of.bytes, tars)


def _part(about: Subject, pool: int, part: Part, one: PartCounts, tokenizer: str | None) -> PartFigures:
    locked = _locked(about, pool, part)
    counted = one.records if tokenizer is None else one.read - one.unsaid
    mean = round(one.tokens / counted, 4) if counted else 0.0
    total = one.tokens if counted == one.records else round(mean * one.records)
    boxes = one.read_boxes
    return PartFigures(
        *part,
        use=one.use,
        pool=about.pools[pool].name,
        records=one.records,
        pictures=one.pictures,
        boxes=one.boxes,
        left_out=locked.filtered if locked else [],
        lost=locked.lost if locked else [],
        turns=_spread(one.turns, TURN_RANGES),
        tokens=Tokens(mean, one.most_tokens, total),
        read=one.read,
        unsaid=one.unsaid,
        words=_spread(one.words, WORD_RANGES) if one.words else None,
        loss=Loss(boxes, round(one.ious / IOU_PARTS / boxes, 6), round(one.worst, 6), one.widened) if boxes else None,
        answers=_most(one.answers),
        distinct_answers=len(one.answers),
        phrases=_most(one.phrases),
        distinct_phrases=len(one.phrases),
    )


def _locked(about: Subject, pool: int, part: Part) -> LockedPart | None:
    found = about.lock.parts if about.lock else []
    name = about.pools[pool].name
    mine = (one for one in found if one.part == part and about.lock and about.lock.pools[one.pool].name == name)
    return next(mine, None)


def _spread(numbers: Counter[int], ranges: Sequence[int]) -> Spread:
    total, half = numbers.total(), 0
    median = 0
    for number in sorted(numbers):
        half += numbers[number]
        if 2 * half >= total:
            median = number
            break
    ends = [*ranges, max(ranges[-1], *numbers) + 1]
    within = [
        (low, sum(count for number, count in numbers.items() if low <= number < high)) for low, high in pairwise(ends)
    ]
    mean = sum(number * count for number, count in numbers.items()) / total
    return Spread(round(mean, 4), median, max(numbers), within)


def _most(texts: Counter[str]) -> list[Count]:
    return [Count(text, count) for text, count in sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:LISTED]]


def _map(task: str | None, boxes: BoxCounts) -> BoxMap:
    classes = [Count(name, count) for name, count in zip(NAMES, boxes.classes.tolist(), strict=True)]
    return BoxMap(task, int(boxes.classes.sum()), boxes.centres.tolist(), boxes.sizes.tolist(), classes)


@cache
def _source(name: str) -> SourceLine:
    try:
        found = find(name)
    except ConfigError:  # of a pool that a later version has built
        return SourceLine(name, name, "", "", "")
    return SourceLine(name, found.title, found.licence, found.citation, found.homepage)
