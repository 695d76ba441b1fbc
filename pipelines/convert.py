"""Rows to records: what every candidate of a source and split became, and ``boxcar convert`` on top of it."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, NamedTuple

import msgspec

from converters import find
from converters._files import Found, resolve
from converters._table import Malformed, Option, Pictured, Reading, Real, Row, Source, Variant, Whole
from pipelines.loss import Loss
from pipelines.progress import Progress, progress
from pipelines.sampling import at_most
from schemas.box import Size, widened
from schemas.errors import ConfigError, Filtered, RecordError, unknown
from schemas.ledger import Ledger, Part, Tally
from schemas.prompt import Wording
from schemas.record import ImageRef, Record, lint

SizeOf = Callable[[str], Size | None]
STEP = 1000
_CHUNK_BYTES = 2**16
_DECIMAL = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
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
    found: Found
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
    chosen = _options(source, options or {})
    return Job(source, split, resolve(source, root, split, form), variants, chosen, max_records)


def _options(source: Source, given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if name not in source.options:
            raise ConfigError(f"{source.name}: {unknown('option', name, source.options)}")
        _insist_possible(source, name, value)
    return {name: given.get(name, _default(values)) for name, values in source.options.items()}


def _default(values: Option) -> str:
    return values[0] if isinstance(values, tuple) else values.text


def _insist_possible(source: Source, name: str, value: str) -> None:
    values = source.options[name]
    if isinstance(values, tuple):
        if value not in values:
            raise ConfigError(f"{source.name}: {unknown(name, value, values)}")
    elif value != values.text and not _within(value, values):
        bounds = f"at least {values.least}" if isinstance(values, Whole) else f"{values.least} to {values.most}"
        raise ConfigError(
            f"{source.name}: {name}={value}: wanted a {'whole ' * isinstance(values, Whole)}number of {bounds}"
        )


def _within(value: str, bounds: Whole | Real) -> bool:
    if isinstance(bounds, Whole):
        return value.isascii() and value.isdigit() and int(value[:18]) >= bounds.least
    return _DECIMAL.fullmatch(value) is not None and bounds.least <= float(value) <= bounds.most


def outcomes(job: Job, wording: Wording, size_of: SizeOf | None = None) -> Iterator[Outcome]:
    """What every candidate of the job became, in the order of its files.

    ``size_of`` gives the size of a picture at hand; it is asked only for boxes whose annotation states none.
    """
    reading = Reading(job.source.name, job.split, job.found.files, job.options)
    # Of many millions of links the keys would not fit in memory: a pool finds those that come again.
    keys = None if job.found.form.links or job.found.form.carried else set[str]()
    for row in job.found.form.rows(reading):
        for variant in job.variants:
            yield from ended(_sized(row, variant, size_of), variant, wording, keys)


def ended(row: Row, variant: Variant, wording: Wording, keys: set[str] | None) -> Iterator[Outcome]:
    """What every candidate of the row became, as that variant."""
    if isinstance(row, Malformed):
        yield _rejected(row, variant, RecordError(f"{MALFORMED}: {row.why}"))
        return
    for candidate in variant.candidates(row):
        yield outcome_of(candidate, variant, wording, keys)


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


def followed(found: Iterable[Outcome], shown: Progress, name: str) -> Iterator[Outcome]:
    """The outcomes as they come, progress shown of them and of how many are rejects."""
    number = rejected = 0
    for number, outcome in enumerate(found, 1):
        rejected += outcome.record is None and not outcome.rule
        if number % STEP == 0:
            shown.step(STEP, f"{name}, {rejected:,} rejected")
        yield outcome
    shown.step(number % STEP, f"{name}, {rejected:,} rejected")


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
    ledger, loss, encoder = Ledger(), Loss(wording.codec), msgspec.json.Encoder()
    for variant in job.variants:
        ledger.open(Part(job.source.name, job.split, variant.task))
    written, complete, lines = 0, True, bytearray()
    with progress("candidates read", None) as shown:
        found = at_most(job.max_records, lambda: outcomes(job, wording, size_of), wording.seed)
        for outcome in followed(found, shown, f"{job.source.name} {job.split}"):
            if limit is not None and written >= limit:
                complete = False
                break
            count(ledger, outcome)
            if outcome.record is not None:
                encoder.encode_into(Line(outcome.image, outcome.record), lines, -1)
                lines += b"\n"
                if len(lines) > _CHUNK_BYTES:
                    out.write(lines)
                    lines.clear()
                loss.add(outcome.record.boxes)
                written += 1
    out.write(lines)
    return _told(job, ledger, loss, wording, complete)


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
