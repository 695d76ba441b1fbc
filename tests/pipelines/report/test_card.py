"""Tests of dataset cards: the hub's own reader takes the front matter, the figures are the report's."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from pipelines.report.card import card
from pipelines.report.figures import Report, SourceLine
from pipelines.report.report import report


@pytest.fixture(scope="module")
def told(demo_pool: Path) -> Report:
    return report(str(demo_pool))[0]


def test_the_hubs_reader_takes_the_front_matter(told: Report) -> None:
    found = DatasetCard(card(told)).data.to_dict()
    assert found["pretty_name"] == "demo" and found["license"] == "other"
    assert found["size_categories"] == ["n<1K"]
    assert found["task_categories"] == ["image-to-text", "object-detection"]
    assert found["configs"][0]["data_files"] == [{"split": "train", "path": "demo-*.tar"}]


def test_a_line_for_each_part_has_its_figures(told: Report) -> None:
    text = DatasetCard(card(told)).content
    for part in told.parts:
        assert part.words
        start = f"| {part.source} | {part.split} | {part.task} | {part.use} | {part.records:,} | {part.pictures:,} |"
        line = next(line for line in text.replace("\\", "").splitlines() if line.startswith(start))
        assert line.endswith(f"| {part.words.mean:.1f} | {part.tokens.mean:.1f} |")
    leaked = sum(one.records for one in told.leaks or ())
    assert f"{leaked:,} records of training parts are about pictures that its splits" in text
    assert all(one.citation.split(",")[0] in text.replace("\\", "") for one in told.sources)


def test_what_sources_are_called_is_no_markup(told: Report) -> None:
    import msgspec

    odd = SourceLine("odd", "<b>[x](y)</b>\n# title | `z`", "terms_of_*use*", "", "")
    line = card(msgspec.structs.replace(told, sources=[odd])).splitlines()[-1]
    assert line.startswith(r"* **\<b\>\[x\](y)\</b\> \# title \| \`z\`** (odd): terms\_of\_\*use\*")


def test_a_locks_card_names_what_is_held_out(lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path) -> None:
    parts = [{"source": "refcoco", "task": "refer", "weight": 1.0}]
    lock = lock_of(tmp_path / "a.lock.json", [demo_pool], parts, held_out=["refcoco/val"])
    text = card(report(str(lock))[0])
    assert "Splits held out: refcoco/val." in text
    assert not re.search("configs:|data_files", text)
