"""The page of a report: one file of HTML with plots and pictures in it, no scripts, nothing loaded."""

from collections.abc import Sequence

from pipelines.fetch.rot_page import rotten
from pipelines.page import document, percent, words
from pipelines.report.cards import card
from pipelines.report.figures import Report
from pipelines.report.plots import task_kind
from pipelines.report.samples import Chosen
from pipelines.report.sections import SECTIONS
from pipelines.report.style import STYLE

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def page(told: Report, shown: Sequence[Chosen]) -> str:
    """The whole page, as HTML; the same figures and samples give the same bytes."""
    made = [(place, title, section(told)) for place, title, section in SECTIONS]
    if told.rot:
        made.append(("rot", "Link rot", "".join(f"<h3>{words(one.folder)}</h3>{rotten(one)}" for one in told.rot)))
    made.append(("samples", "Samples", _samples(shown)))
    links = "".join(f'<a href="#{place}">{title}</a>' for place, title, _ in made)
    body = "\n".join(f'<h2 id="{place}">{title}</h2>\n{drawn}' for place, title, drawn in made)
    title = f"{told.kind.capitalize()} {told.name}"
    return document(title, f"{_head(told, title)}\n<nav>{links}</nav>\n{body}\n{_foot(told)}", STYLE, pictures=True)


def _head(told: Report, title: str) -> str:
    by_task: dict[str | None, int] = {}
    for part in told.parts:
        by_task[part.task] = by_task.get(part.task, 0) + part.records
    ordered = sorted(by_task.items(), key=lambda item: -item[1])
    bars = "".join(
        f'<span class="{task_kind(task)}" style="width:{100 * count / told.records:.2f}%"></span>'
        for task, count in ordered
    )
    key = "".join(
        f'<span><i class="{task_kind(task)}"></i>{task or "chat"} {count:,} ({percent(count, told.records)})</span>'
        for task, count in ordered
    )
    return (
        f'<h1>{words(title)}</h1>\n<div class="share">{told.records:,}</div>\n<p class="said">{_what(told)}</p>\n'
        f'<div class="whole">{bars}</div>\n<div class="key">{key}</div>\n{_facts(told)}'
    )


def _what(told: Report) -> str:
    text = f", {told.text_samples:,} samples without one" if told.text_samples else ""
    pools = f"{len(told.pools):,} pools" if len(told.pools) != 1 else f"pool {words(told.pools[0].name)}"
    may = "records" if told.kind == "pool" else f"records that may be drawn, of {pools},"
    return f"{may} about {told.pictures:,} pictures{text}."


def _facts(told: Report) -> str:
    boxes = sum(part.boxes for part in told.parts)
    shards, size = (sum(getattr(pool, name) for pool in told.pools) for name in ("shards", "bytes"))
    left = sum(tally.rejects + tally.left_out for tally in told.ledger)
    facts = (
        (f"{len(told.parts):,}", "parts"),
        (f"{boxes:,}", "boxes"),
        (f"{sum(part.tokens.total for part in told.parts):,}", "tokens of text"),
        (f"{shards:,}", "shard" if shards == 1 else "shards"),
        (_sized(size), "on disk"),
        (f"{left:,}", "rows left out"),
        (f"{told.duplicates.exact + told.duplicates.near:,}", "pictures that come again"),
    )
    return '<div class="facts">' + "".join(f"<div><b>{n}</b><span>{what}</span></div>" for n, what in facts) + "</div>"


def _sized(size: float) -> str:
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:,.1f} {_UNITS[unit]}" if unit else f"{size:,.0f} {_UNITS[0]}"


def _samples(shown: Sequence[Chosen]) -> str:
    return (
        f"<p>{len(shown):,} samples, chosen by hash, of each part in turn. Boxes are drawn where their tokens say, "
        f'each in the colour of its tokens.</p><div class="samples">{"".join(map(card, shown))}</div>'
    )


def _foot(told: Report) -> str:
    read, whole = (sum(getattr(part, name) for part in told.parts) for name in ("read", "records"))
    some = (
        "all records"
        if read == whole
        else f"{read:,} of {whole:,} records (about {told.asked:,} a part, or all it has, by the hash of their picture)"
    )
    unsaid = sum(part.unsaid for part in told.parts)
    told_of = f" {unsaid:,} of them the lock's stage cannot say." if unsaid else ""
    pools = "; ".join(f"pool {pool.name} {pool.digest}" for pool in told.pools)
    return (
        '<h2 id="method">How this was counted</h2><p>Records, pictures, boxes, turns, repeats and leaks are of the '
        f"whole record index. Words, answers, phrases, maps and losses are of {some} as read from tars.{told_of}</p>"
        f'<p class="note">{words(told.kind)} {words(told.name)}, digest {told.digest}. {words(pools)}. '
        f"Boxcar {words(told.boxcar)}.</p>"
    )
