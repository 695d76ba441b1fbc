"""Tables and JSON for people and machines: what commands print."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from converters._glance import EMPTY
from converters._table import CHAT
from pipelines.convert import Converted
from pipelines.fetch.answer import REASONS
from pipelines.fetch.rot import Rot
from pipelines.fetch.state import Fetched
from pipelines.shard import Built
from pipelines.sources import FormState, Wanted
from pipelines.verify import Verified
from schemas.ledger import Count, Tally


def sources(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """All sources, a line each."""
    if as_json:
        print_json(list(rows))
        return
    console = terminal()
    for row in rows:
        what = f"{row['title']}; {' '.join(row['tasks'])}; {_splits(row)}; pictures: {row['collection'] or 'none'}"
        console.print(Text.assemble((row["name"], "bold"), "  ", what), highlight=False, soft_wrap=True)
        for line in (_names(row), f"{row['licence']}. {row['citation']}"):
            console.print(f"    {line}", highlight=False, soft_wrap=True)


def _names(row: Mapping[str, Any]) -> str:
    return " | ".join(dict.fromkeys(_files(form) for form in row["forms"])) or row["notes"]


def _files(form: Mapping[str, Any]) -> str:
    if form["names"] == ["{split}"]:  # each split has a name of its own
        return ", ".join(name for (name,) in form["files"].values())
    return " + ".join(form["names"])


def _splits(row: Mapping[str, Any]) -> str:
    counts = {split: count for form in reversed(row["forms"]) for split, count in form["counts"].items()}
    told = [f"{split} {grouped(counts.get(split))}".strip() for split in row["splits"]]
    return f"{', '.join(told)}{' ' + row['unit'] if counts else ''}"


def source(row: Mapping[str, Any], as_json: bool) -> None:
    """One source in full."""
    if as_json:
        print_json(row)
        return
    console = terminal()
    console.print(Text.assemble((row["name"], "bold"), "  ", row["title"]), highlight=False)
    for name in ("collection", "licence", "citation", "homepage", "notes"):
        console.print(f"  {name + ':':<12}{row[name]}", highlight=False)
    for name in ("splits", "tasks", "options"):
        console.print(f"  {name + ':':<12}{_pairs(row[name])}", highlight=False)
    table = table_of("form", "split", "files under the root", row["unit"])
    for form in row["forms"]:
        for split, files in form["files"].items():
            table.add_row(form["name"], split, " + ".join(files), grouped(form["counts"].get(split)))
    console.print(table)


def states(name: str, root: str, rows: Sequence[FormState], as_json: bool) -> bool:
    """What of a source lies in a folder; whether any of it does."""
    if as_json:
        print_json(msgspec.to_builtins(rows))
    else:
        console = terminal()
        console.print(f"{name} under {root}", style="italic", markup=False, highlight=False, soft_wrap=True)
        table = table_of("split", "form", "there", "files, or what is missing")
        for row in rows:
            there = "yes" if row.found else "no"
            what = _several([_below(root, file) for file in row.files], " + ") if row.found else _absence(row)
            table.add_row(row.split, row.form, there, what)
        console.print(table)
    return any(row.found for row in rows)


def _several(names: Sequence[str], between: str) -> str:
    """The names, or of more than a few the first, the last, and how many there are."""
    return between.join(names) if len(names) < 4 else f"{names[0]} .. {names[-1]} ({len(names):,})"


def _below(root: str, file: str) -> str:
    return file.removeprefix(root).lstrip("/")


def _absence(row: FormState) -> str:
    missing = " + ".join(f"{one.name}{_how(one)}" for one in row.wanted if one.absent)
    wrong = [f"{one.name}: {one.why}" for one in row.wanted if not one.absent]
    return "; ".join([*([f"missing: {missing}"] if missing else []), *wrong])


def _how(wanted: Wanted) -> str:
    if wanted.why == EMPTY:
        return " (empty)"
    return f" (there is {wanted.near})" if wanted.near else ""


def converted(told: Converted, file: IO[str], as_json: bool) -> None:
    """The ledger of a conversion, official counts beside it, and the codec's loss."""
    if as_json:
        print_json(msgspec.to_builtins(told), file)
        return
    console = terminal(file)
    partial = "" if told.complete else " (broken off at the limit)"
    console.print(ledger_table(told.ledger, f"{told.source} {told.split}, form {told.form}{partial}", told.official))
    _unfinished(console, told.unfinished)
    if told.loss:
        table = table_of("side, share of picture", "boxes", "mean self-IoU", title=f"loss of {told.codec}")
        for row in told.loss:
            table.add_row(str(row["size"]), grouped(int(row["boxes"])), f"{row['self_iou']:.4f}")
        console.print(table)


def built(build: Built, as_json: bool) -> None:
    """A finished pool and its ledger."""
    manifest = build.manifest
    if as_json:
        said = {"changed": dict(build.changed), "unfinished": list(build.unfinished), "idle": list(build.idle)}
        print_json({"out": build.out, "reused": build.reused, **said, **msgspec.to_builtins(manifest)})
        return
    console = terminal()
    console.print(ledger_table(manifest.ledger, f"pool {manifest.pool}"))
    size = f"{manifest.samples:,} samples, {manifest.records:,} records, {manifest.bytes:,} bytes"
    reused = f", {build.reused} of them there already" if build.reused else ""
    console.print(f"{build.out}: {manifest.shards} shards{reused}, {size}", highlight=False, soft_wrap=True)
    _unfinished(console, build.unfinished)
    if build.idle:
        names = f"{len(build.idle):,} of the pictures to remove are not in this pool: {_several(build.idle, ', ')}"
        console.print(names, highlight=False, soft_wrap=True)
    for name, (before, after) in build.changed.items():
        console.print(f"rebuilt {name}: {before} is now {after}", highlight=False, soft_wrap=True)
    console.print(f"digest {manifest.digest}", highlight=False, soft_wrap=True)


def _unfinished(console: Console, inputs: Sequence[str]) -> None:
    if inputs:
        names = _several(inputs, ", ")
        console.print(f"passed over, as their download has not ended: {names}", highlight=False, soft_wrap=True)


def rotten(told: Rot, page: Path, as_json: bool) -> None:
    """How many links gave a picture, and where the page about it is."""
    if as_json:
        print_json(msgspec.to_builtins(told))
        return
    good = told.states.get("success", 0)
    terminal().print(f"{good:,} of {told.links:,} links gave a picture: {page}", highlight=False, soft_wrap=True)


def verified(seen: Verified, as_json: bool) -> bool:
    """What a verification saw; whether the pool is whole."""
    if as_json:
        print_json(msgspec.to_builtins(seen))
        return not seen.problems
    console = terminal()
    read = f"{seen.shards} shards, {seen.samples:,} samples, {seen.records:,} records, {seen.boxes:,} boxes"
    if seen.problems:
        table = table_of("file", "problem")
        for problem in seen.problems:
            table.add_row(problem.file, problem.what)
        console.print(table)
    verdict = f"{len(seen.problems)} problem{'s' * (len(seen.problems) > 1)}" if seen.problems else "whole"
    console.print(f"pool {seen.pool}: {verdict}; read {read}", highlight=False, soft_wrap=True)
    return not seen.problems


def fetched(told: Fetched, as_json: bool) -> None:
    """How the links of a folder of downloads ended, by what became of them."""
    if as_json:
        print_json(msgspec.to_builtins(told))
        return
    console, total = terminal(), told.total
    table = table_of("links", "became of them", "may pass", title=f"{told.source} {told.split}, form {told.form}")
    for state, links in total.states.items():
        table.add_row(grouped(links), state, "yes" if REASONS.get(state) else "")
    console.print(table)
    reused = f", {told.reused:,} of them there already" if told.reused else ""
    slices = f"{total.slices:,} slice{'s' * (total.slices != 1)}{reused}"
    what = f"{slices}, {total.links:,} links, {total.successes:,} pictures"
    console.print(f"{told.out}: {what}", highlight=False, soft_wrap=True)
    if total.passing:
        hint = "for a reason that may pass: ask again for them with --retry-failed"
        console.print(f"{total.passing:,} failed {hint}", highlight=False, soft_wrap=True)


def ledger_table(tallies: Sequence[Tally], title: str, official: Mapping[str, int] | None = None) -> Table:
    """A table of a ledger, official counts beside it where there are any."""
    columns = ["part", "candidates", *(["official"] if official else []), "written", "rejected", "filtered", "notes"]
    table = table_of(*columns, title=title)
    for tally in tallies:
        known = [grouped(official.get(tally.task or CHAT))] if official else []
        numbers = [grouped(tally.candidates), *known, grouped(tally.written)]
        table.add_row(str(tally.part), *numbers, *map(_counts, (tally.rejected, tally.filtered, tally.notes)))
    return table


def _counts(counts: Sequence[Count]) -> str:
    return "\n".join(f"{count.count:,} {count.name}" for count in counts) or "0"


def grouped(value: int | None) -> str:
    """The number with its thousands apart; nothing for None."""
    return "" if value is None else f"{value:,}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({' | '.join(v) if isinstance(v, list) else v})" for name, v in values.items()) or "none"


def table_of(*columns: str, title: str | None = None) -> Table:
    """An empty table with these columns."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def terminal(file: IO[str] | None = None) -> Console:
    """Where tables are printed: a file, or else standard output."""
    # Off a terminal rich would fold everything to 80 columns. Paths and reasons are text, whatever brackets they hold.
    out = file or sys.stdout
    return Console(file=out, width=None if out.isatty() else 160, markup=False, emoji=False)


def print_json(value: Any, file: IO[str] | None = None) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=1), file=file or sys.stdout)
