"""Rows to records: what every candidate of a source and split became, and ``boxcar convert`` on top of it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, NamedTuple, TypeVar

import msgspec

from converters import find
from converters._block import InBlocks
from converters._files import Found as Files
from converters._files import resolve
from converters._table import Malformed, Pictured, Reading, Row, Source, Variant
from pipelines.loss import Loss
from pipelines.options import chosen_options
from pipelines.progress import Progress, progress
from pipelines.rendered import Ids, Lines, compiled_all, next_rendered
from pipelines.sampling import at_most
from schemas.box import Size, widened
from schemas.errors import ConfigError, Filtered, RecordError, unknown
from schemas.ledger import Ledger, Part, Tally
from schemas.prompt import Wording
from schemas.record import ImageRef, Record, lint

SizeOf = Callable[[str], Size | None]
Found = TypeVar("Found", "Outcome", "Outcome | Lines")
_JSON = msgspec.json.Encoder()
STEP = 1000
_CHUNK_BYTES = 2**19
MALFORMED = "malformed row"
_COUNTED = {
    "crowd_regions": "crowd region left out of a record",
    "empty_answers": "empty answer left out of a record",
    "clipped_boxes": "box clipped",
    "duplicate_boxes": "duplicate box left out of a record",
    "low_phrases": "phrase below min_score left plain in a record",
    "overlapping_phrases": "overlapping phrase left plain in a record",
}


@dataclass(frozen=True)
class Job:
    """One split of one source to be converted: the form that was found, the tasks and the options chosen."""

    source: Source
    split: str
    found: Files
    variants: tuple[Variant, ...]
    options: Mapping[str, str]
    max_records: int | None = None


class Outcome(NamedTuple):
    """Where one candidate ended: ``record`` if written, else ``reason`` (and ``rule`` if a stated rule left it out)."""

    part: Part
    key: str
    image: ImageRef | None
    record: Record | None
    reason: str = ""
    detail: str = ""
    rule: bool = False
    notes: tuple[str, ...] = ()
    folder: str = ""


def job(
    name: str,
    root: str,
    split: str,
    form: str = "auto",
    tasks: Sequence[str] | None = None,
    options: Mapping[str, str] | None = None,
    max_records: int | None = None,
) -> Job:
    """The job that the words of a command or a pool entry mean; ConfigError or SourceError where they mean none."""
    source = find(name)
    known = {variant.name: variant for variant in source.variants}
    for task in tasks or ():
        if task not in known:
            raise ConfigError(f"{name}: {unknown('task', task, known)}")
    variants = tuple(variant for variant in source.variants if tasks is None or variant.name in tasks)
    chosen = chosen_options(source, options or {})
    return Job(source, split, resolve(source, root, split, form), variants, chosen, max_records)


def outcomes(job: Job, wording: Wording, size_of: SizeOf | None = None) -> Iterator[Outcome]:
    """What every candidate of the job became, in the order of its files.

    ``size_of`` gives the size of a picture at hand; it is asked only for boxes whose annotation states none.
    """
    # Of many millions of links the keys would not fit in memory: a pool finds those that come again.
    keys = None if job.found.form.links or job.found.form.carried else set[str]()
    for row in job.found.form.rows(_reading(job)):
        yield from _of_row(row, job.variants, wording, size_of, keys)


def _reading(job: Job) -> Reading:
    return Reading(job.source.name, job.split, job.found.files, job.options)


def _of_row(
    row: Row, variants: Sequence[Variant], wording: Wording, size_of: SizeOf | None, keys: set[str] | None
) -> Iterator[Outcome]:
    for variant in variants:
        yield from ended(_sized(row, variant, size_of), variant, wording, keys)


def ended(row: Row, variant: Variant, wording: Wording, keys: set[str] | None) -> Iterator[Outcome]:
    """What every candidate of the row became, as that variant."""
    if isinstance(row, Malformed):
        yield _rejected(row, variant, RecordError(f"{MALFORMED}: {row.why}"))
        return
    for candidate in variant.candidates(row):
        yield outcome_of(candidate, variant, wording, keys)


def outcomes_and_lines(job: Job, wording: Wording, size_of: SizeOf | None = None) -> Iterator[Outcome | Lines]:
    """What ``outcomes`` gives, at most ``max_records``; but rows that can be are written as lines, many at once."""
    form, keys, ids = job.found.form, set[str](), Ids()
    variants = compiled_all(form, job.variants, job.source.name, job.split, wording)
    if not variants or job.max_records is not None or not isinstance(form.rows, InBlocks):
        yield from _fewer(job, wording, size_of)
        return
    blocks = iter(form.rows.blocks(_reading(job)))
    while (run := next_rendered(blocks, variants, ids, wording.codec)) is not None:
        for found in run:
            if isinstance(found, Lines):
                yield found
                continue
            if found.id in ids.written:
                keys.update(found.key(variant.task) for variant in job.variants)
            yield from _of_row(found, job.variants, wording, size_of, keys)


def _fewer(job: Job, wording: Wording, size_of: SizeOf | None) -> Iterator[Outcome]:
    return at_most(job.max_records, lambda: outcomes(job, wording, size_of), wording.seed)


def _sized(row: Row, variant: Variant, size_of: SizeOf | None) -> Row:
    if not variant.boxed or size_of is None or row.image is None or row.image.width:
        return row
    size = size_of(row.image.id)
    if size is None:
        return row
    return msgspec.structs.replace(row, image=msgspec.structs.replace(row.image, width=size.width, height=size.height))


def outcome_of(row: Row, variant: Variant, wording: Wording, keys: set[str] | None) -> Outcome:
    """What one candidate became: a linted record, whose key is new to ``keys`` and then among them, or why none.

    Without ``keys`` it is not asked whether the key is new.
    """
    try:
        record = variant.record(row, wording)
        lint(record, wording.codec)
        if keys is not None and record.key in keys:
            raise RecordError(f"duplicate key: {record.key} occurs twice in its files")
    except (Filtered, RecordError) as error:
        return _rejected(row, variant, error)
    if keys is not None:
        keys.add(record.key)
    notes, folder = _notes(record, wording), row.folder if isinstance(row, Pictured) else ""
    part = _part(row.source, row.split, variant.task)
    return Outcome(part, record.key, row.image, record, "", "", False, notes, folder)


def _rejected(row: Row, variant: Variant, error: Filtered | RecordError) -> Outcome:
    rule, part = isinstance(error, Filtered), _part(row.source, row.split, variant.task)
    return Outcome(part, row.key(variant.task), row.image, None, error.reason, str(error), rule)


_part = lru_cache(Part)  # one for all outcomes of a part


def _notes(record: Record, wording: Wording) -> tuple[str, ...]:
    notes = ["side widened to one bin" for box in record.boxes if widened(box, wording.codec)]
    for pair in record.meta:
        if pair.name == "clipped_px":
            notes.append("box clipped")
        elif pair.name in _COUNTED:
            notes += [_COUNTED[pair.name]] * int(pair.value)
    return tuple(notes)


def count(ledger: Ledger, outcome: Outcome) -> None:
    """Enter one outcome into the ledger."""
    if outcome.record is not None:
        ledger.written(outcome.part, outcome.notes)
    elif outcome.rule:
        ledger.filtered(outcome.part, outcome.reason)
    else:
        ledger.rejected(outcome.part, outcome.reason)


def followed(found: Iterable[Found], shown: Progress, name: str) -> Iterator[Found]:
    """The outcomes as they come, progress shown of them and of how many are rejects."""
    unshown = rejected = 0
    for one in found:
        unshown += one.records if isinstance(one, Lines) else 1
        rejected += isinstance(one, Outcome) and one.record is None and not one.rule
        if unshown >= STEP:
            shown.step(unshown, f"{name}, {rejected:,} rejected")
            unshown = 0
        yield one
    shown.step(unshown, f"{name}, {rejected:,} rejected")


class Line(msgspec.Struct, frozen=True):
    """One line of ``boxcar convert``'s output."""

    image: ImageRef | None
    record: Record


class Converted(msgspec.Struct, frozen=True):
    """What ``boxcar convert`` tells: the form it read, its ledger, the official counts, and the codec's loss."""

    source: str
    split: str
    form: str
    files: list[str]
    unfinished: list[str]
    codec: str
    complete: bool
    ledger: list[Tally]
    official: dict[str, int]
    loss: list[dict[str, float | int | str]]


def convert(
    job: Job, out: IO[bytes], wording: Wording, size_of: SizeOf | None = None, limit: int | None = None
) -> Converted:
    """Write the job's records to ``out`` as JSON lines, at most ``limit`` of them, and tell what became of the rest."""
    ledger, loss = Ledger(), Loss(wording.codec)
    for variant in job.variants:
        ledger.open(_part(job.source.name, job.split, variant.task))
    written, complete, lines, held = 0, True, list[bytes](), 0
    # A few records are looked at one by one, so that no more are read than are asked for.
    read = outcomes_and_lines if limit is None else _fewer
    with progress("candidates read", None) as shown:
        for found in followed(read(job, wording, size_of), shown, f"{job.source.name} {job.split}"):
            if limit is not None and written >= limit:
                complete = False
                break
            line = _counted(found, ledger, loss)
            lines.append(line)
            written, held = written + bool(line), held + len(line)
            if held > _CHUNK_BYTES:
                out.write(b"".join(lines))
                lines, held = [], 0
    out.write(b"".join(lines))
    return _told(job, ledger, loss, wording, complete)


def _counted(found: Outcome | Lines, ledger: Ledger, loss: Loss) -> bytes:
    if isinstance(found, Lines):
        loss.add_sides(found.sides)
        for part in found.parts:
            ledger.written(part, count=found.rows)
        return found.text.encode()
    count(ledger, found)
    if found.record is None:
        return b""
    loss.add(found.record.boxes)
    return _JSON.encode(Line(found.image, found.record)) + b"\n"


def _told(job: Job, ledger: Ledger, loss: Loss, wording: Wording, complete: bool) -> Converted:
    official = job.found.form.counts.get(job.split)
    counted = [variant.name for variant in job.variants if variant.name in job.source.counted]
    return Converted(
        source=job.source.name,
        split=job.split,
        form=job.found.form.name,
        files=list(job.found.files),
        unfinished=list(job.found.unfinished),
        codec=wording.codec.name,
        complete=complete,
        ledger=ledger.tallies(),
        official=dict.fromkeys(counted, official) if official is not None else {},
        loss=loss.report(),
    )


if __name__ == "__main__":
    from pipelines.cli import main

    main(["convert", *sys.argv[1:]])
