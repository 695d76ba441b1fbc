"""The page of a link-rot report: one file of HTML with its plots drawn in it, no scripts, nothing loaded.

Hosts and messages come from strangers: every text is escaped, and the page's own policy forbids scripts.
"""

from collections.abc import Iterable
from pathlib import Path

from pipelines import page as pages
from pipelines.fetch.rot import FEWEST, Group, Rot
from pipelines.fetch.state import STATES, SUCCESS
from pipelines.page import Column, Piece, columns, document, percent, row, table, words

GOOD, PASSING, GONE = "good", "passing", "gone"
_REASONS = 24


def page(told: Rot) -> str:
    """The whole page, as HTML."""
    title = f"Link rot of {told.folder}"
    return document(title, f"<h1>{words(title)}</h1>\n{rotten(told)}")


def rotten(told: Rot) -> str:
    """What the page tells, below its title."""
    parts = (_head(told), _reasons(told), _years(told), _hosts(told))
    return "\n".join(part for part in parts if part)


def write(told: Rot, out: Path) -> None:
    """Write the page to a file that appears when it is whole."""
    pages.write(page(told), out)


def _head(told: Rot) -> str:
    good = told.states[SUCCESS]
    passing = sum(one.links for one in told.reasons if one.passing)
    gone = told.links - good - passing
    kinds = (
        (GOOD, "gave a picture", good),
        (PASSING, "failed for a reason that may pass", passing),
        (GONE, "failed for good", gone),
    )
    bar = "".join(f'<span class="{kind}" style="width:{percent(n, told.links)}"></span>' for kind, _, n in kinds)
    key = "".join(
        f'<span><i class="{kind}"></i>{n:,} {what} ({percent(n, told.links)})</span>' for kind, what, n in kinds
    )
    return (
        f'<div class="share">{percent(good, told.links)}</div>\n'
        f'<p class="said">of {told.links:,} links gave a picture. Finished slices: {told.slices:,}.</p>\n'
        f'<div class="whole">{bar}</div>\n<div class="key">{key}</div>\n{_notes(told)}'
    )


def _notes(told: Rot) -> str:
    notes = [f"{told.states[state]:,} {state.replace('_', ' ')}" for state in STATES[1:]]
    if told.unfinished:
        named = ", ".join(told.unfinished[:5]) + (", ..." if len(told.unfinished) > 5 else "")
        notes.append(f"unfinished, so not counted: {named} ({len(told.unfinished):,} in all)")
    return f'<p class="note">{words("; ".join(notes))}.</p>'


def _reasons(told: Rot) -> str:
    if not told.reasons:
        return ""
    most = told.reasons[0].links
    rows = [
        row(
            one.reason,
            (f"{one.links:,}", percent(one.links, told.links)),
            [Piece(PASSING if one.passing else GONE, one.links / most)],
        )
        for one in told.reasons[:_REASONS]
    ]
    rest = told.reasons[_REASONS:]
    told_of = f"{sum(one.links for one in rest):,} more links failed for {len(rest):,} rarer reasons."
    more = f'<p class="note">{told_of}</p>' if rest else ""
    return f"<h2>Why links failed</h2>\n{table(('reason', 'links', 'of all'), rows)}\n{more}"


def _years(told: Rot) -> str:
    if not told.years:
        return ""
    known = sum(year.links for year in told.years)
    tell = f"{known:,} links ({percent(known, told.links)}) tell a year: {told.years_from}."
    plot = columns(list(map(_column, told.years)))
    return (
        f"<h2>By the year of the link</h2>\n<figure>{plot}\n<figcaption>Height: links. Green: those "
        f"that gave a picture, with their share above. {words(tell)}</figcaption></figure>"
    )


def _column(year: Group) -> Column:
    share = f"{year.success / year.links:.0%}"
    title = f"{year.name}: {year.success:,} of {year.links:,} links gave a picture ({share})"
    return Column(year.name, share, title, [Piece(GOOD, year.success), Piece(GONE, year.links - year.success)])


def _hosts(told: Rot) -> str:
    number = f"{told.hosts:,} hosts" if told.hosts_exact else f"At most {told.hosts:,} hosts, small ones not all kept"
    worst = _groups(told.worst) if told.worst else f'<p class="note">No host has {FEWEST} links.</p>'
    return (
        f'<h2>The largest hosts</h2>\n<p class="note">{number}.</p>\n{_groups(told.largest)}\n'
        f"<h2>Where least is left</h2>\n"
        f'<p class="note">Of the hosts with at least {FEWEST} links.</p>\n{worst}'
    )


def _groups(groups: Iterable[Group]) -> str:
    rows = [
        row(
            one.name,
            (f"{one.links:,}", percent(one.success, one.links)),
            [Piece(GOOD, one.success / one.links)],
            " rest",
        )
        for one in groups
    ]
    return table(("host", "links", "gave a picture"), rows)
