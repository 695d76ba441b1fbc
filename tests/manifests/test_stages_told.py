"""docs/stages.md tells what the stages come to: every figure of its tables is computed anew."""

import re
from pathlib import Path

import pytest

import converters
from manifests import load
from schemas.mixture import PartEntry, mixture
from schemas.pool import pool_config

DOCS = Path(__file__).parents[2] / "docs" / "stages.md"
STAGES = ("stage1", "stage2", "stage3")


def told(number: int) -> list[list[str]]:
    """The cells of the rows of a stage's table."""
    section = DOCS.read_text(encoding="utf-8").split(f"## Stage {number}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\| \w+ \w+ \|.*$", section, re.M)
    ]


def number(cell: str) -> float:
    return float(cell.strip("~%").replace(",", ""))


def published(source: str) -> int | None:
    """How many records there are to draw, where files or our own pool of them say so."""
    kept = {entry.name: entry.max_records for entry in pool_config(load("flickr30k"), "flickr30k").sources}
    counts = [form.counts["train"] for form in converters.find(source).forms if "train" in form.counts]
    return kept.get(source) or min(counts, default=None)


@pytest.mark.parametrize("name", STAGES)
def test_the_table_of_a_stage_has_its_parts_weights_and_batch_sizes_in_order(name: str) -> None:
    stage = mixture(load(name), name)

    def row(entry: PartEntry) -> list[str]:
        size = [str(entry.batch_size)] if entry.batch_size else []
        return [f"{entry.source} {entry.task or 'chat'}", f"{entry.weight:g}", *size]

    rows = told(int(name[-1]))
    assert [cells[:-3] for cells in rows] == [row(entry) for entry in stage.parts]


@pytest.mark.parametrize("name", STAGES)
def test_shares_and_passes_are_those_that_weights_and_records_come_to(name: str) -> None:
    stage = mixture(load(name), name)
    amounts = [(entry.weight or 0) * (entry.batch_size or 1) for entry in stage.parts]
    weights = sum(entry.weight or 0 for entry in stage.parts)
    draws = (stage.train.steps or 0) * (stage.train.batches or stage.train.global_batch or 0)
    for amount, cells in zip(amounts, told(int(name[-1])), strict=True):
        share, records, passes = map(number, cells[-3:])
        assert share == round(100 * amount / sum(amounts), 2), cells
        assert passes == float(f"{draws * amount / weights / records:.3g}"), cells


@pytest.mark.parametrize("name", STAGES)
def test_records_are_those_published_and_marked_where_nobody_says_how_many(name: str) -> None:
    for entry, cells in zip(mixture(load(name), name).parts, told(int(name[-1])), strict=True):
        known = published(entry.source)
        assert cells[-2].startswith("~") == (known is None), cells
        assert known is None or number(cells[-2]) == known, cells


@pytest.mark.parametrize("name", STAGES)
def test_of_no_set_but_flickrs_three_are_there_more_than_five_passes(name: str) -> None:
    often = {cells[0].split()[0] for cells in told(int(name[-1])) if number(cells[-1]) > 5}
    assert often == ({"flickr30k_grounded", "flickr30k_parsing", "flickr30k_phrase"} if name == "stage3" else set())
