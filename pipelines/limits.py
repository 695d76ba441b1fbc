"""How much of a source may be rejected before a build fails, and what the failure tells."""

from collections import Counter
from collections.abc import Iterable, Mapping

from converters.multitask import SOURCE as MULTITASK
from schemas.errors import RejectsError
from schemas.ledger import Tally
from schemas.pool import PoolConfig

TOP = 3

Split = tuple[str, str]


def bounds(config: PoolConfig, override: float | None) -> dict[Split, float]:
    """The largest share of candidates that may be rejected, per (source, split).

    Conversations are rejected with the pictures they are about, whose own sources have their bounds.
    """
    made = {(MULTITASK.name, split): 1.0 for split in (config.multitask.splits if config.multitask else ())}
    return made | {
        (entry.name, split): entry.max_reject if override is None else override
        for entry in config.sources
        for split in entry.splits
    }


def insist_within(
    limits: Mapping[Split, float],
    candidates: Mapping[Split, int],
    tallies: Iterable[Tally],
    examples: Mapping[tuple[str, str, str], str],
) -> None:
    """RejectsError naming the top reasons, each with an example, where a split's rejects pass its bound."""
    reasons: dict[Split, Counter[str]] = {}
    for tally in tallies:
        counter = reasons.setdefault((tally.source, tally.split), Counter())
        counter.update({count.name: count.count for count in tally.rejected})
    for split, counter in reasons.items():
        rejected, total = counter.total(), candidates[split]
        if rejected and rejected / total > limits[split]:  # a product would be off by a rounding: 0.29 x 100 < 29
            raise RejectsError(_told(split, counter, total, limits[split], examples))


def candidates_of(tallies: Iterable[Tally]) -> dict[Split, int]:
    """How many candidates there are per (source, split), over all tasks."""
    counter: Counter[Split] = Counter()
    for tally in tallies:
        counter[tally.source, tally.split] += tally.candidates
    return dict(counter)


def _told(
    split: Split, counter: Counter[str], total: int, limit: float, examples: Mapping[tuple[str, str, str], str]
) -> str:
    rejected = counter.total()
    share = f"{rejected:,} of {total:,} candidates rejected ({rejected / total:.1%}, at most {limit:.1%})"
    top = (
        f"{reason} {count:,}{_example(examples.get((*split, reason)))}" for reason, count in counter.most_common(TOP)
    )
    return f"{split[0]} {split[1]}: {share}: {'; '.join(top)}{_advice(counter)}"


def _example(detail: str | None) -> str:
    return f" (such as: {detail.partition(': ')[2]})" if detail else ""


def _advice(counter: Counter[str]) -> str:
    missing = counter.most_common(1)[0][0] == "picture missing"
    return "; missing_images: filter would leave such rows out" if missing else "; --max-reject would let them pass"
