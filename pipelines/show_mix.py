"""What a lock says, for people and machines: its parts, and what holding splits out cost."""

from collections.abc import Sequence

import msgspec
from rich.table import Table

from pipelines.show import grouped, print_json, table_of, terminal
from schemas.lock import HeldOutSplit, Lock, LockedPart

TIMES = "\N{MULTIPLICATION SIGN}"


def mixed(lock: Lock, out: str, as_json: bool) -> None:
    """Print a finished lock, which lies at ``out``: its parts, its held-out splits, its stage and digest."""
    if as_json:
        print_json({"out": out, **msgspec.to_builtins(lock)})
        return
    console = terminal()
    console.print(table(lock))
    if lock.held_out:
        console.print(held_out(lock.held_out))
    for line in (f"{out}: {summary(lock)}", f"tokens counted by {lock.tokens}", f"digest {lock.digest}"):
        console.print(line, highlight=False, soft_wrap=True)


def checked(lock: str, problems: Sequence[str], as_json: bool) -> bool:
    """What is wrong with the lock that lies at ``lock``; whether nothing is."""
    if as_json:
        print_json({"lock": lock, "problems": list(problems)})
        return not problems
    for problem in problems:
        terminal().print(problem, highlight=False, soft_wrap=True)
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}" if problems else "proven again from scratch"
    terminal().print(f"{lock}: {count}", highlight=False, soft_wrap=True)
    return not problems


def table(lock: Lock) -> Table:
    """A row for each part: what may be drawn of it, and what the stage will draw."""
    batched = ["batch"] if lock.unit == "batch" else []
    names = ["part", "pool", "weight", *batched, "records", "images", "lost", "filtered"]
    shown = table_of(*names, "samples", "tokens", "draws", "epochs", "tokens each", title=f"stage {lock.stage}")
    for column in shown.columns[2:]:
        column.justify = "right"
    for part in lock.parts:
        shown.add_row(str(part.part), lock.pools[part.pool].name, *_amounts(part, lock))
    return shown


def _amounts(part: LockedPart, lock: Lock) -> list[str]:
    return [
        f"{part.weight:g}" if part.weight is not None else f"{part.epochs_wanted or 0:g} {TIMES}",
        *([grouped(part.batch_size)] if lock.unit == "batch" else []),
        *map(grouped, (part.records, part.images, lost(part), sum(count.count for count in part.filtered))),
        f"{part.sample_share:.2%}",
        f"{part.token_share:.2%}",
        grouped(round(part.draws)),
        passes(part.epochs),
        f"{part.mean_tokens:.1f}, {part.max_tokens:,}",
    ]


def lost(part: LockedPart) -> int:
    """How many records a part lost to held-out splits, all together."""
    return sum(count.count for count in part.lost)


def passes(epochs: float) -> str:
    """How often a part is seen, short."""
    return f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"


def held_out(splits: Sequence[HeldOutSplit]) -> Table:
    """A row for each split: where its pictures are known from, how many they are, and the records that they cost."""
    shown = table_of("held out", "known from", "pictures", "records lost", title="held-out splits")
    for column in shown.columns[2:]:
        column.justify = "right"
    for one in splits:
        shown.add_row(one.split, one.origin, grouped(one.images), grouped(one.records))
    return shown


def summary(lock: Lock) -> str:
    """The stage in a line: steps, what makes a step, samples in all."""
    unit = "batches of one part each" if lock.unit == "batch" else "draws"
    samples = sum(part.draws * (part.batch_size or 1) for part in lock.parts)
    records = sum(part.records for part in lock.parts)
    pools = f"{len(lock.pools)} pool{'s' * (len(lock.pools) != 1)}"
    return (
        f"{len(lock.parts)} parts, {records:,} records of {pools}; "
        f"{lock.steps:,} steps of {lock.step:,} {unit}, {round(samples):,} items in all"
    )
