"""The verdict on a run, and scores of an evaluation, as tables and as JSON."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipelines.evaluate import Score
from pipelines.show import print_json, table_of, terminal
from pipelines.training.figures import Figures
from pipelines.verdict import Line, passed

PERCENT = {"CIDEr": 1.0, "words": 1.0, "mean IoU": 1.0}  # what is told as it is, not by the hundred


def judged(lines: Sequence[Line], run: Figures, control: Figures | None, out: Path, as_json: bool) -> None:
    """The verdict, a line each, and where the run lies."""
    if as_json:
        said = {"passed": passed(list(lines)), "verdict": [line._asdict() for line in lines]}
        print_json({"out": str(out), **said, "run": msgspec.to_builtins(run), "control": msgspec.to_builtins(control)})
        return
    console = terminal()
    table = table_of("", "verdict", "found")
    for line in lines:
        table.add_row({True: "yes", False: "NO", None: ""}[line.good], line.what, line.found)
    console.print(table)
    failed = sum(line.good is False for line in lines)
    console.print(f"{out}: {f'{failed} of it failed' if failed else 'passed'}", highlight=False, soft_wrap=True)


def scored(scores: Sequence[Score], as_json: bool) -> None:
    """Scores, a line each; those that are shares as percent, as published tables have them."""
    if as_json:
        print_json(msgspec.to_builtins(scores))
        return
    console = terminal()
    table = table_of("part", "questions", "measure", "score")
    for score in scores:
        table.add_row(
            score.part, f"{score.questions:,}", score.measure, f"{score.value * PERCENT.get(score.measure, 100):.2f}"
        )
    console.print(table)
