"""A report as files: the page, and where they are asked for a dataset card and Croissant metadata."""

from pathlib import Path
from typing import NamedTuple

from pipelines import page as pages
from pipelines.chosen import is_lock
from pipelines.command import cores
from pipelines.report.card import card
from pipelines.report.croissant import croissant
from pipelines.report.figures import Report
from pipelines.report.page import page
from pipelines.report.report import report
from schemas.errors import ConfigError


class Order(NamedTuple):
    """What to report, how much of it to read, and where files go; None for those that are not wanted."""

    source: str
    out: Path
    card: Path | None
    croissant: Path | None
    samples: int
    tokenizer: str | None
    fetched: tuple[str, ...]


def write(order: Order, workers: int | None = None) -> Report:
    """Write the files, each whole or not at all; the figures in them. ConfigError where one cannot be written."""
    for flag, path in (("--out", order.out), ("--card", order.card), ("--croissant", order.croissant)):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            why = "is a folder" if path.is_dir() else "its folder is not there"
            raise ConfigError(f"{flag} {path}: {why}, wanted a file")
    if order.croissant is not None and is_lock(order.source):
        raise ConfigError(f"--croissant: {order.source} is a lock, wanted a pool, whose files it describes")
    told, shown = report(order.source, order.samples, order.tokenizer, order.fetched, workers or cores())
    pages.write(page(told, shown), order.out)
    if order.card is not None:
        pages.write(card(told), order.card)
    if order.croissant is not None:
        pages.write(croissant(told), order.croissant)
    return told
