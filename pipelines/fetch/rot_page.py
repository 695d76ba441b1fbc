"""The page of a link-rot report: one file of HTML with its plots drawn in it, no scripts, nothing loaded.

Hosts and messages come from strangers: every text is escaped, and the page's own policy forbids scripts.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pipelines import store
from pipelines.fetch.rot import FEWEST, Group, Rot
from pipelines.fetch.state import STATES, SUCCESS

GOOD, PASSING, GONE = "good", "passing", "gone"
_REASONS = 24
_WIDTH, _HEIGHT = 900, 220
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fbfaf7; --line: #dcd8cf; --soft: #6c7480;
  --good: #2f8f6b; --passing: #e0a93b; --gone: #c4573f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --paper: #171a1f; --line: #343a43; --soft: #9aa2ad;
  --good: #4db58c; --passing: #e5b95a; --gone: #dd7560; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.1rem; font-weight: 600; color: var(--soft); margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 .7rem; }
.share { font-size: clamp(3rem, 9vw, 5.5rem); font-weight: 700; line-height: 1.05; letter-spacing: -.03em; }
.said, .note, figcaption { color: var(--soft); } .note { font-size: .9rem; }
.whole { display: flex; height: 1.4rem; border-radius: .4rem; overflow: hidden; margin: 1.2rem 0 .6rem; }
.whole > *, .bar > * { display: block; height: 100%; }
.good { background: var(--good); fill: var(--good); } .passing { background: var(--passing); fill: var(--passing); }
.gone { background: var(--gone); fill: var(--gone); }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; font-size: .92rem; }
.key i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .45rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th { text-align: left; font-weight: 600; color: var(--soft); } th, td { padding: .22rem .6rem .22rem 0; }
td { border-top: 1px solid var(--line); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.name { overflow-wrap: anywhere; } td.plot { width: 45%; }
.bar { display: flex; height: .8rem; border-radius: .2rem; overflow: hidden; }
.rest { background: color-mix(in srgb, var(--gone) 30%, transparent); }
figure { margin: 0; } svg { width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(told: Rot) -> str:
    """The whole page, as HTML."""
    title = escape(f"Link rot of {told.folder}")
    parts = (_head(told), _reasons(told), _years(told), _hosts(told))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>\n<h1>{title}</h1>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )


def write(told: Rot, out: Path) -> None:
    """Write the page to a file that appears when it is whole."""
    aside = out.with_name(f".{out.name}.part")
    store.write_aside(aside, page(told).encode())
    store.publish(aside, str(out))


def _head(told: Rot) -> str:
    good = told.states[SUCCESS]
    passing = sum(one.links for one in told.reasons if one.passing)
    gone = told.links - good - passing
    kinds = (
        (GOOD, "gave a picture", good),
        (PASSING, "failed for a reason that may pass", passing),
        (GONE, "failed for good", gone),
    )
    bar = "".join(f'<span class="{kind}" style="width:{_percent(n, told.links)}"></span>' for kind, _, n in kinds)
    key = "".join(
        f'<span><i class="{kind}"></i>{n:,} {words} ({_percent(n, told.links)})</span>' for kind, words, n in kinds
    )
    return (
        f'<div class="share">{_percent(good, told.links)}</div>\n'
        f'<p class="said">of {told.links:,} links gave a picture. Finished slices: {told.slices:,}.</p>\n'
        f'<div class="whole">{bar}</div>\n<div class="key">{key}</div>\n{_notes(told)}'
    )


def _notes(told: Rot) -> str:
    notes = [f"{told.states[state]:,} {state.replace('_', ' ')}" for state in STATES[1:]]
    if told.unfinished:
        named = ", ".join(told.unfinished[:5]) + (", ..." if len(told.unfinished) > 5 else "")
        notes.append(f"unfinished, so not counted: {named} ({len(told.unfinished):,} in all)")
    return f'<p class="note">{escape("; ".join(notes))}.</p>'


def _reasons(told: Rot) -> str:
    if not told.reasons:
        return ""
    most = told.reasons[0].links
    rows = [
        _row(one.reason, one.links, _percent(one.links, told.links), PASSING if one.passing else GONE, one.links / most)
        for one in told.reasons[:_REASONS]
    ]
    rest = told.reasons[_REASONS:]
    words = f"{sum(one.links for one in rest):,} more links failed for {len(rest):,} rarer reasons."
    more = f'<p class="note">{words}</p>' if rest else ""
    return f"<h2>Why links failed</h2>\n{_table(('reason', 'links', 'of all'), rows)}\n{more}"


def _years(told: Rot) -> str:
    if not told.years:
        return ""
    known = sum(year.links for year in told.years)
    words = f"{known:,} links ({_percent(known, told.links)}) tell a year: {told.years_from}."
    return (
        f"<h2>By the year of the link</h2>\n<figure>{_columns(told.years)}\n<figcaption>Height: links. Green: those "
        f"that gave a picture, with their share above. {escape(words)}</figcaption></figure>"
    )


def _columns(years: Sequence[Group]) -> str:
    most = max(year.links for year in years)
    step = _WIDTH / max(len(years), 8)
    drawn = [_column(year, place * step, step * 0.78, _HEIGHT / most) for place, year in enumerate(years)]
    return f'<svg viewBox="0 -20 {_WIDTH} {_HEIGHT + 42}" role="img">{"".join(drawn)}</svg>'


def _column(year: Group, x: float, width: float, scale: float) -> str:
    whole, good = year.links * scale, year.success * scale
    middle, share = x + width / 2, f"{year.success / year.links:.0%}"
    title = f"{year.name}: {year.success:,} of {year.links:,} links gave a picture ({share})"
    return (
        f"<g><title>{escape(title)}</title>"
        f'<rect class="{GONE}" x="{x:.1f}" y="{_HEIGHT - whole:.1f}" width="{width:.1f}" height="{whole - good:.1f}"/>'
        f'<rect class="{GOOD}" x="{x:.1f}" y="{_HEIGHT - good:.1f}" width="{width:.1f}" height="{good:.1f}"/>'
        f'<text x="{middle:.1f}" y="{_HEIGHT - whole - 5:.1f}" text-anchor="middle">{share}</text>'
        f'<text x="{middle:.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{escape(year.name)}</text></g>'
    )


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
        _row(one.name, one.links, _percent(one.success, one.links), GOOD, one.success / one.links, " rest")
        for one in groups
    ]
    return _table(("host", "links", "gave a picture"), rows)


def _row(name: str, links: int, share: str, kind: str, length: float, ground: str = "") -> str:
    bar = f'<span class="{kind}" style="width:{length:.1%}"></span>'
    return (
        f'<tr><td class="name">{escape(name)}</td><td class="n">{links:,}</td><td class="n">{share}</td>'
        f'<td class="plot"><div class="bar{ground}">{bar}</div></td></tr>'
    )


def _table(heads: tuple[str, str, str], rows: Sequence[str]) -> str:
    first, *numbers = heads
    named = f"<th>{first}</th>" + "".join(f'<th class="n">{head}</th>' for head in numbers) + "<th></th>"
    return f"<table><thead><tr>{named}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.1f}%"
