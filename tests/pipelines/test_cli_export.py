"""Tests of ``boxcar export``: what it prints, where, and one clear line for every mistake."""

import json
from pathlib import Path

import pytest

from tests.pipelines.command_line import Run, running
from tests.pipelines.locks import locked

PARTS = [{"source": "refcoco", "split": "train", "task": "refer"}]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs ``boxcar export`` in this process."""
    return running(capsys, "export")


def test_an_export_tells_what_was_written_and_what_was_refused(run: Run, demo_pool: Path, tmp_path: Path) -> None:
    words = [demo_pool, "--form", "messages", "--dialect", "llava-1.5", "--images"]
    ran = run(*words, "--to", tmp_path / "one")
    assert ran.code == 0, ran.err
    assert "several boxes of one thing" in ran.out and f"{tmp_path / 'one'}: " in ran.out
    told = json.loads(run(*words, "--to", tmp_path / "two", "--json").out)
    assert told == json.loads((tmp_path / "two" / "export.json").read_bytes())
    lines = (tmp_path / "two" / "records.jsonl").read_text().splitlines()
    assert (told["records"], told["form"], told["dialect"]) == (len(lines), "messages", "llava-1.5")
    assert told["pictures"] == len(list((tmp_path / "two" / "images").rglob("*.jpg"))) > 0


def test_a_lock_is_exported_in_our_own_dialect_where_nothing_else_is_said(
    run: Run, demo_pool: Path, tmp_path: Path
) -> None:
    lock = locked(demo_pool, tmp_path / "locks", PARTS)
    assert run(lock, "--to", tmp_path / "out").code == 0
    rows = json.loads((tmp_path / "out" / "records.json").read_bytes())
    assert rows and all(row["conversations"][0]["value"].startswith("<image>\n[refer] ") for row in rows)


def test_a_lock_becomes_a_metadataset(run: Run, demo_pool: Path, tmp_path: Path) -> None:
    lock = locked(demo_pool, tmp_path / "locks", PARTS)
    ran = run(lock, "--form", "energon", "--to", tmp_path / "one")
    assert ran.code == 0 and "refcoco/train/refer" in ran.out
    (told,) = json.loads(run(lock, "--form", "energon", "--to", tmp_path / "two", "--json").out)
    assert told["part"] == "refcoco/train/refer" and told["samples"] > told["unseen"] == 0
    assert (tmp_path / "two" / "metadataset.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["--dialect", "qwen"], 2, "did you mean qwen-vl?"),
        (["--form", "enrgon"], 2, "did you mean energon"),
        (["--form", "energon", "--images"], 2, "wanted neither --images nor --dialect"),
        (["--form", "energon"], 2, "wanted a name that ends in .lock.json"),
    ],
)
def test_a_mistake_is_one_clear_line(
    words: list[str], code: int, part: str, run: Run, demo_pool: Path, tmp_path: Path
) -> None:
    ran = run(demo_pool, "--to", tmp_path / "out", *words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("boxcar: ") and ran.err.count("\n") == 1 and part in ran.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_pool_fails_the_check_that_it_is_one(run: Run, tmp_path: Path) -> None:
    ran = run(tmp_path, "--to", tmp_path / "out")
    assert ran.code == 1 and "cannot read" in ran.err
