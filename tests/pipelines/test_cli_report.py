"""Tests of ``boxcar report``: which files it writes, what it prints, and one clear line for every mistake."""

import json
from pathlib import Path

import msgspec
import pytest

from pipelines.cli import main
from pipelines.report.report import report
from tests.pipelines.command_line import Run, running
from tests.pipelines.locks import locked

PARTS = [{"source": "refcoco", "split": "train", "task": "refer"}]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs ``boxcar report`` in this process."""
    begun = running(capsys, "report")
    return lambda *words: begun(*words, "--workers", 1)


def test_a_report_is_a_page_a_card_metadata_and_json_of_the_same_figures(
    run: Run, demo_pool: Path, tmp_path: Path
) -> None:
    words = ["--out", tmp_path / "a.html", "--card", tmp_path / "a.md", "--croissant", tmp_path / "a.json"]
    ran = run(demo_pool, *words, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == json.loads(msgspec.json.encode(report(str(demo_pool))[0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json", "a.md"]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ran = run(demo_pool, *words)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert ran.out.startswith("pool demo: ") and ran.out.strip().endswith(f"about 60 pictures: {tmp_path / 'a.html'}")


def test_mistakes_are_one_line_and_leave_nothing(run: Run, demo_pool: Path, tmp_path: Path) -> None:
    lock = locked(demo_pool, tmp_path / "locks", PARTS)
    out = ("--out", tmp_path / "a.html")
    for code, words, message in (
        (2, [demo_pool, "--out", tmp_path], "is a folder, wanted a file"),
        (2, [demo_pool, "--out", tmp_path / "no" / "a.html"], "its folder is not there, wanted a file"),
        (2, [lock, *out, "--croissant", tmp_path / "c.json"], "is a lock, wanted a pool, whose files it describes"),
        (2, [demo_pool, *out, "--tokenizer", tmp_path / "none"], "wanted a tokenizer.json or a folder that holds one"),
        (1, [tmp_path / "nothing", *out], "cannot read"),
    ):
        ran = run(*words)
        assert (ran.code, len(ran.err.splitlines())) == (code, 1) and message in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]


def test_the_help_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    assert len(capsys.readouterr().out.splitlines()) <= 24
