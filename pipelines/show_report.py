"""What a report says on a terminal."""

from pathlib import Path

import msgspec

from pipelines.report.figures import Report
from pipelines.show import print_json, terminal


def reported(told: Report, page: Path, as_json: bool) -> None:
    """The figures as JSON, or what was looked at and where the page about it is."""
    if as_json:
        print_json(msgspec.to_builtins(told))
        return
    what = f"{told.records:,} records of {len(told.parts):,} parts about {told.pictures:,} pictures"
    terminal().print(f"{told.kind} {told.name}: {what}: {page}", highlight=False, soft_wrap=True)
