"""The commands: a verdict as a table and as JSON, and the exit code that it gives."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.cli import main

FEW = ("--steps", "2", "--no-control", "--questions", "4", "--set", "vocabulary=600")


def ended(words: Sequence[str | Path]) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def test_a_run_too_short_to_learn_fails_its_verdict_with_numbers(
    lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["train", lock, "--out", tmp_path / "run", *FEW]) == 1
    told = capsys.readouterr().out
    assert "labels are the answers, nothing else" in told and "8 sequences read back, 0 differ" in told
    assert "NO   pointing beats the mean box" in told and "no control was run" in told
    assert ended(["evaluate", lock, "--checkpoint", tmp_path / "run", "--limit", "2"]) == 0
    assert "refcoco/val/refer" in capsys.readouterr().out


def test_machines_read_the_verdict_and_the_scores_as_json(
    lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["train", lock, "--out", tmp_path / "run", *FEW, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is False and told["control"] is None and told["run"]["steps"] == 2
    assert {line["what"] for line in told["verdict"] if line["good"]} >= {"gradients reach all that is trained"}
    assert ended(["evaluate", lock, "--checkpoint", tmp_path / "run", "--task", "refer", "--limit", "2", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert [score["measure"] for score in scores] == ["accuracy at IoU > 0.5", "mean IoU", "answers that parse"]


def test_a_wrong_wish_is_one_line_and_exit_2_and_leaves_nothing(
    lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(["train", lock, "--model", "tinny", "--out", tmp_path / "run"]) == 2
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().err == "boxcar: unknown model 'tinny'; did you mean tiny?\n"


@pytest.mark.parametrize("module", ["train", "evaluate"])
def test_both_run_as_modules_too(module: str) -> None:
    words = [sys.executable, "-m", f"pipelines.{module}", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: boxcar {module}" in done.stdout
