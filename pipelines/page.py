"""Pages of figures: one file of HTML with its plots drawn in it, light and dark, no scripts, nothing loaded.

What a page tells comes from strangers: every text is escaped, and the page's own policy forbids scripts.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from converters._table import CHAT
from pipelines import store

TASK_COLOURS = {
    "caption": "#e0a93b",
    "grounding": "#2f8f6b",
    "refer": "#2d6ca2",
    "identify": "#74aedb",
    "detection": "#8a69b5",
    "vqa": "#c4573f",
    CHAT: "#8b8577",
}
WIDTH, HEIGHT = 900, 220  # of columns, in units of their SVG
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
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Piece(NamedTuple):
    """A part of a bar or of a column: the class that colours it, and how long it is."""

    kind: str
    length: float


class Column(NamedTuple):
    """A column of a plot, its pieces from the bottom up; what stands below and above it, and what it says in full."""

    name: str
    label: str
    title: str
    pieces: Sequence[Piece]


def document(title: str, body: str, style: str = "", pictures: bool = False) -> str:
    """A whole page; ``pictures`` that lie in the page itself are shown where that is said."""
    policy = f"{_POLICY}; img-src data:" if pictures else _POLICY
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{words(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}{style}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def write(page: str, out: Path) -> None:
    """Write a page to a file that appears when it is whole."""
    aside = out.with_name(f".{out.name}.part")
    store.write_aside(aside, page.encode())
    store.publish(aside, str(out))


def words(text: str) -> str:
    """A text that stands in a page as text, whatever it holds; what no page can hold is replaced."""
    return escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text))


def percent(part: float, whole: float) -> str:
    """The share in percent, to a tenth; of nothing it is none."""
    return f"{100 * part / whole if whole else 0:.1f}%"


def bar(pieces: Iterable[Piece], ground: str = "") -> str:
    """A bar of pieces whose lengths are shares of its whole width."""
    drawn = "".join(f'<span class="{piece.kind}" style="width:{piece.length:.1%}"></span>' for piece in pieces)
    return f'<div class="bar{ground}">{drawn}</div>'


def row(name: str, numbers: Sequence[str], pieces: Iterable[Piece], ground: str = "") -> str:
    """A row of a table: a name, numbers, a bar."""
    cells = "".join(f'<td class="n">{words(number)}</td>' for number in numbers)
    return f'<tr><td class="name">{words(name)}</td>{cells}<td class="plot">{bar(pieces, ground)}</td></tr>'


def table(heads: Sequence[str], rows: Sequence[str], plot: bool = True, texts: int = 1) -> str:
    """A table of rows: so many heads are of texts, the others of numbers, and a bar comes last where there is one."""
    named = "".join(
        f"<th>{words(head)}</th>" if place < texts else f'<th class="n">{words(head)}</th>'
        for place, head in enumerate(heads)
    )
    last = "<th></th>" if plot else ""
    return f"<table><thead><tr>{named}{last}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def columns(some: Sequence[Column], fewest: int = 8, width: int = WIDTH, height: int = HEIGHT) -> str:
    """A plot of columns as SVG, the highest as high as the plot; at most so wide as if there were ``fewest``."""
    most = max(sum(piece.length for piece in column.pieces) for column in some)
    step = width / max(len(some), fewest)
    drawn = [_column(column, n * step, step * 0.78, height, height / (most or 1)) for n, column in enumerate(some)]
    return f'<svg viewBox="0 -20 {width} {height + 42}" role="img">{"".join(drawn)}</svg>'


def _column(column: Column, x: float, width: float, bottom: float, scale: float) -> str:
    middle, top, drawn = x + width / 2, float(bottom), []
    for piece in column.pieces:
        tall = piece.length * scale
        top -= tall
        drawn.append(f'<rect class="{piece.kind}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{tall:.1f}"/>')
    return (
        f"<g><title>{words(column.title)}</title>{''.join(drawn)}"
        f'<text x="{middle:.1f}" y="{top - 5:.1f}" text-anchor="middle">{words(column.label)}</text>'
        f'<text x="{middle:.1f}" y="{bottom + 16}" text-anchor="middle">{words(column.name)}</text></g>'
    )
