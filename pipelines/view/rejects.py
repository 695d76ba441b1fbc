"""A page of rejects: the candidates of a pool that became no record, read shard by shard."""

import time
from typing import Any, NamedTuple

import msgspec

from pipelines.view.opened import Opened
from pipelines.view.pages import SECONDS
from pipelines.view.query import Cursor, Query
from schemas.pool import RejectLine


class RejectsPage(NamedTuple):
    """What was found, where to go on (None at the end), and how many shards were looked at."""

    lines: list[dict[str, Any]]
    next: Cursor | None
    looked: int


def rejects(
    opened: Opened, query: Query, reason: str, start: Cursor, size: int, seconds: float = SECONDS
) -> RejectsPage:
    """The next so many rejects of a part, for that reason, with that text; of a query no more is looked at."""
    until = time.monotonic() + seconds
    first, end = (query.shard, query.shard + 1) if query.shard is not None else (0, opened.shards)
    found: list[dict[str, Any]] = []
    at = max(start, Cursor(first))
    while at.shard < min(end, opened.shards):
        for number, line in enumerate(opened.rejects(at.shard)[at.skip :], at.skip):
            if not _wanted(line, query, reason):
                continue
            if len(found) == size:
                return RejectsPage(found, Cursor(at.shard, number), at.shard - first + 1)
            found.append({"shard": at.shard, **msgspec.to_builtins(line)})
        at = Cursor(at.shard + 1)
        if time.monotonic() > until:
            break
    over = at.shard >= min(end, opened.shards)
    return RejectsPage(found, None if over else at, at.shard - first)


def _wanted(line: RejectLine, query: Query, reason: str) -> bool:
    task = line.task or "chat"
    asked = ((query.source, line.source), (query.split, line.split), (query.task, task), (reason or None, line.reason))
    if any(wanted is not None and wanted != found for wanted, found in asked):
        return False
    return query.text in f"{line.key}\n{line.image or ''}\n{line.detail}".casefold()
