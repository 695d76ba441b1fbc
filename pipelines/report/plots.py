"""Plots of a report, as SVG: heat maps on the grid of box tokens, and how numbers are spread."""

from collections.abc import Sequence
from itertools import pairwise

from converters._table import CHAT
from pipelines.page import Column, Piece, columns, percent, words
from pipelines.report.figures import CELLS, Spread
from schemas.ledger import Count

LEVELS = 8
_SIDE, _ROOM = 100, 12
_TICKS = (0, 25, 50, 75, 100)


def task_kind(task: str | None) -> str:
    """The class that colours what belongs to a task."""
    return f"task-{task or CHAT}"


def heat(grid: Sequence[Sequence[int]], title: str, across: str, down: str, up: bool = False) -> str:
    """A map of counts, lines from the top or ``up``: the darker, the more (by the root: few are seen beside many)."""
    most = max(map(max, grid)) or 1
    paths: dict[int, list[str]] = {}
    cell = _SIDE / CELLS
    for y, line in enumerate(reversed(grid) if up else grid):
        for x, end, level in _runs([_level(count, most) for count in line]):
            paths.setdefault(level, []).append(f"M{x * cell:g} {y * cell:g}h{(end - x) * cell:g}v{cell:g}H{x * cell:g}")
    drawn = "".join(f'<path class="heat{level}" d="{"".join(paths[level])}"/>' for level in sorted(paths) if level)
    ticks = "".join(
        f'<text x="{tick}" y="{_SIDE + 8}" text-anchor="middle">{tick}</text>'
        f'<text x="-3" y="{(_SIDE - tick if up else tick) + 2}" text-anchor="end">{tick}</text>'
        for tick in _TICKS
    )
    return (
        f'<svg class="map" viewBox="{-_ROOM - 10} -6 {_SIDE + _ROOM + 16} {_SIDE + _ROOM + 14}" role="img" '
        f'aria-label="{words(title)}"><title>{words(title)}</title>'
        f'<rect class="frame" width="{_SIDE}" height="{_SIDE}"/>{drawn}{ticks}'
        f'<text class="axis" x="50" y="{_SIDE + 16}" text-anchor="middle">{words(across)}</text>'
        f'<text class="axis" transform="translate(-15 50) rotate(-90)" text-anchor="middle">{words(down)}</text></svg>'
    )


def _level(count: int, most: int) -> int:
    return max(1, round(LEVELS * (count / most) ** 0.5)) if count else 0


def _runs(levels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Where cells of one level begin and end along a line."""
    found: list[tuple[int, int, int]] = []
    for x, level in enumerate(levels):
        if found and found[-1][2] == level:
            found[-1] = (found[-1][0], x + 1, level)
        else:
            found.append((x, x + 1, level))
    return found


def spread(numbers: Spread, kind: str, what: str) -> str:
    """Columns of the ranges of a spread, each with its share; from the first range to the last that has any."""
    total = sum(count for _, count in numbers.ranges)
    used = [place for place, (_, count) in enumerate(numbers.ranges) if count]
    lows = [f"{low}" for low, _ in numbers.ranges]
    names = [*(f"{low} to {int(end) - 1}" for low, end in pairwise(lows)), f"{lows[-1]} or more"]
    shown = range(used[-1] + 1) if used else range(0)
    drawn = [
        Column(lows[place], _share(count, total), f"{names[place]} {what}: {count:,}", [Piece(kind, count)])
        for place in shown
        for count in (numbers.ranges[place][1],)
    ]
    return columns(drawn, fewest=8, width=320, height=80) if drawn else ""


def classes(counts: Sequence[Count], kind: str) -> str:
    """Columns of size classes, each with its share."""
    total = sum(one.count for one in counts)
    drawn = [
        Column(
            one.name.removesuffix(" %").replace("-", "\N{EN DASH}"),
            _share(one.count, total),
            f"side of {one.name} of the picture: {one.count:,}",
            [Piece(kind, one.count)],
        )
        for one in counts
    ]
    return columns(drawn, fewest=7, width=320, height=80)


def _share(count: int, total: int) -> str:
    if not count:
        return ""
    return percent(count, total) if count < total / 10 else f"{100 * count / total:.0f}%"
