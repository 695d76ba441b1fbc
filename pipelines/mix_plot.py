"""The plot of a lock: one SVG with nothing loaded and no scripts, a row for each part, coloured by task.

Shares of samples and of tokens, passes on a logarithmic axis, and of the candidates what filters and held-out splits
took. Names come from YAML: every text is escaped, and what XML cannot hold is replaced.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from converters._table import CHAT
from pipelines.page import TASK_COLOURS
from pipelines.show_mix import lost, passes, summary
from schemas.lock import Lock, LockedPart

_STYLE = """
text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1c2430; }
.title { font-size: 22px; font-weight: 700; } .soft { fill: #6c7480; } .head { font-weight: 600; fill: #6c7480; }
.end { text-anchor: end; } .middle { text-anchor: middle; } .small { font-size: 11px; }
.paper { fill: #fbfaf7; } .line { stroke: #dcd8cf; } .once { stroke: #6c7480; stroke-dasharray: 3 3; }
.kept { fill: #e9e5dc; } .filtered { fill: #b5ad9c; } .lost { fill: #1c2430; } .tokens { fill-opacity: .45; }
.over { paint-order: stroke; stroke: #fbfaf7; stroke-width: 3px; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
  text { fill: #e8e6e1; } .soft, .head { fill: #9aa2ad; } .paper { fill: #171a1f; } .line { stroke: #343a43; }
  .once { stroke: #9aa2ad; } .kept { fill: #2a2f37; } .filtered { fill: #5a616b; } .lost { fill: #e8e6e1; }
  .over { stroke: #171a1f; }
}
"""
_WIDTH, _MARGIN, _TOP, _FOOT, _ROW, _GAP = 1180, 32, 190, 100, 26, 12
_NAME_CHARS, _LINE = 30, 165


class _Panel(NamedTuple):
    left: int
    width: int


_NAME, _SHARE, _EPOCHS, _KEPT = _Panel(32, 200), _Panel(244, 290), _Panel(640, 220), _Panel(920, 160)


def plot(lock: Lock) -> str:
    """The whole SVG."""
    groups = _groups(lock.parts)
    height = _TOP + len(lock.parts) * _ROW + len(groups) * _GAP + _FOOT
    body = [
        *_header(lock, groups),
        *_axes(lock.parts, height - _FOOT),
        *_rows(lock.parts, groups),
        *_footer(lock, height),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img"><title>{_words(_title(lock))}</title><style>{_STYLE}</style>'
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _groups(parts: Sequence[LockedPart]) -> dict[str, list[LockedPart]]:
    """The parts by task, in the order of the colours, those of the largest share first."""
    found = defaultdict[str, list[LockedPart]](list)
    for part in sorted(parts, key=lambda part: -part.sample_share):
        found[part.task or CHAT].append(part)
    return {task: found[task] for task in TASK_COLOURS if task in found}


def _title(lock: Lock) -> str:
    return f"Mixture of stage {lock.stage}"


def _header(lock: Lock, groups: dict[str, list[LockedPart]]) -> Iterator[str]:
    yield _text(_MARGIN, 48, _title(lock), "title")
    yield _text(_MARGIN, 70, _short(summary(lock), _LINE), "soft")
    x = float(_MARGIN)
    for task, parts in groups.items():
        share = sum(part.sample_share for part in parts)
        width = share * (_WIDTH - 2 * _MARGIN)
        yield _bar(x, 88, width, 16, task, f"{task}: {share:.2%} of samples")
        x += width
    step = (_WIDTH - 2 * _MARGIN) / len(TASK_COLOURS)
    for place, (task, parts) in enumerate(groups.items()):
        x = _MARGIN + place * step
        yield _bar(x, 118, 11, 11, task, "", 2)
        yield _text(x + 17, 128, f"{task} {sum(part.sample_share for part in parts):.1%}")


def _axes(parts: Sequence[LockedPart], bottom: int) -> Iterator[str]:
    heads = (
        (_NAME, "part"),
        (_SHARE, "share of samples (above) and of tokens"),
        (_EPOCHS, "passes"),
        (_KEPT, "kept, filtered, held out"),
    )
    for panel, words in heads:
        yield _text(panel.left, _TOP - 30, words, "head")
    low, high = _decades(parts)
    for decade in range(low, high + 1):
        x = _along(10.0**decade, (low, high))
        yield f'<path class="{"once" if decade == 0 else "line"}" d="M{x:.1f} {_TOP - 4}V{bottom}"/>'
        yield _text(x, _TOP - 10, f"{10.0**decade:g}", "soft small middle")
    yield f'<path class="line" d="M{_MARGIN} {_TOP - 4}H{_WIDTH - _MARGIN}"/>'


def _rows(parts: Sequence[LockedPart], groups: dict[str, list[LockedPart]]) -> Iterator[str]:
    most = max(max(part.sample_share, part.token_share) for part in parts)
    decades, y = _decades(parts), float(_TOP)
    for task, grouped in groups.items():
        y += _GAP / 2
        for part in grouped:
            yield f"<g><title>{_words(_told(part))}</title>"
            yield _text(_NAME.left, y + 17, _short(f"{part.source}/{part.split}", _NAME_CHARS))
            yield from _shares(part, task, y, _SHARE.width / most)
            yield from _passes(part, task, y, decades)
            yield f"{''.join(_taken(part, y))}</g>"
            y += _ROW
        y += _GAP / 2


def _shares(part: LockedPart, task: str, y: float, scale: float) -> Iterator[str]:
    yield _bar(_SHARE.left, y + 4, part.sample_share * scale, 9, task, "", 1.5)
    yield _bar(_SHARE.left, y + 14, part.token_share * scale, 7, task, "", 1.5, "tokens")
    longer = max(part.sample_share, part.token_share) * scale
    yield _text(_SHARE.left + longer + 6, y + 17, f"{part.sample_share:.1%}, {part.token_share:.1%}", "soft small")


def _passes(part: LockedPart, task: str, y: float, decades: tuple[int, int]) -> Iterator[str]:
    x, colour = _along(part.epochs, decades), TASK_COLOURS[task]
    yield f'<path stroke="{colour}" stroke-width="2" d="M{_EPOCHS.left} {y + 13}H{x:.1f}"/>'
    yield f'<circle cx="{x:.1f}" cy="{y + 13}" r="4.5" fill="{colour}"/>'
    yield _text(x + 9, y + 17, passes(part.epochs), "small over")


def _taken(part: LockedPart, y: float) -> Iterator[str]:
    gone, x = lost(part), float(_KEPT.left)
    left_out = sum(count.count for count in part.filtered)
    for name, count in (("kept", part.candidates - left_out - gone), ("filtered", left_out), ("lost", gone)):
        width = _KEPT.width * count / part.candidates
        yield f'<rect class="{name}" x="{x:.2f}" y="{y + 8}" width="{width:.2f}" height="9"/>'
        x += width
    yield _text(_WIDTH - _MARGIN, y + 17, f"{gone:,}", "small soft end")


def _footer(lock: Lock, height: int) -> Iterator[str]:
    costs = sorted((one for one in lock.held_out if one.records), key=lambda one: -one.records)
    told = ", ".join(f"{one.split} {one.records:,}" for one in costs[:5]) + (", ..." if len(costs) > 5 else "")
    yield f'<path class="line" d="M{_MARGIN} {height - 88}H{_WIDTH - _MARGIN}"/>'
    yield _text(_MARGIN, height - 66, _short(f"Records lost to held-out splits: {told or 'none'}", _LINE), "soft")
    yield _text(_MARGIN, height - 46, _short(f"Tokens counted by {lock.tokens}", _LINE), "soft")
    yield _text(_MARGIN, height - 26, f"Digest {lock.digest}", "soft")


def _decades(parts: Sequence[LockedPart]) -> tuple[int, int]:
    """The powers of ten between which all passes lie, one always within them."""
    logs = [math.log10(part.epochs) for part in parts]
    return min(-1, math.floor(min(logs))), max(1, math.ceil(max(logs)))


def _along(epochs: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return _EPOCHS.left + _EPOCHS.width * (math.log10(epochs) - low) / (high - low)


def _told(part: LockedPart) -> str:
    return (
        f"{part.part}: {part.records:,} of {part.candidates:,} records, {part.images:,} pictures, "
        f"{part.sample_share:.2%} of samples, {part.token_share:.2%} of tokens, {passes(part.epochs)} passes, "
        f"{lost(part):,} lost to held-out splits, {sum(count.count for count in part.filtered):,} filtered"
    )


def _bar(
    x: float, y: float, width: float, height: float, task: str, title: str, round_: float = 0, name: str = "share"
) -> str:
    told = f"<title>{_words(title)}</title>" if title else ""
    return (
        f'<rect class="{name}" x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height}" rx="{round_}" '
        f'fill="{TASK_COLOURS[task]}">{told}</rect>'
    )


def _text(x: float, y: float, words: str, name: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{name}">{_words(words)}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _words(text: str) -> str:
    return escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))
