"""``boxcar report``: a thin layer over pipelines/report/."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.flags import Json, Workers


def report(
    source: Annotated[str, typer.Argument(metavar="POOL|LOCK", help="A pool's folder or URL, or NAME.lock.json.")],
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("report.html"),
    card: Annotated[Path | None, typer.Option(metavar="CARD.md", help="Write a dataset card too.")] = None,
    croissant: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write Croissant metadata too.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Records of a part to read from tars, about.")] = 20_000,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="PATH", help="What counts tokens; an estimate where not given.")
    ] = None,
    fetched: Annotated[
        list[str] | None, typer.Option(metavar="DIR", help="A folder of downloads, to tell its link rot; repeatable.")
    ] = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Tell what is in a pool or a lock: a page of HTML with its figures, plots and samples, with --json JSON too."""
    from pipelines import show_report
    from pipelines.report.write import Order, write

    order = Order(source, out, card, croissant, samples, tokenizer, tuple(fetched or ()))
    show_report.reported(write(order, workers), out, json)
