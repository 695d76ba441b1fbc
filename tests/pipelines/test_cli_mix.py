"""``boxcar mix`` on the command line: the table, the proof, the plot, and every mistake in one line."""

import json
from pathlib import Path

import pytest

from manifests import load
from pipelines.locked import read_lock
from schemas.mixture import mixture
from tests.pipelines.command_line import Run, running

Pools = dict[str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs ``boxcar mix`` in this process."""
    return running(capsys, "mix")


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "stage: mine\nunit: sample\nheld_out: [refcoco/val, vsr/test]\ntrain: {steps: 10, global_batch: 8}\n"
        "parts:\n  - {source: coco_caption, task: caption, weight: 1}\n  - {source: vg, task: refer, weight: 3}\n"
    )
    return path


def given(pools: Pools) -> list[str]:
    return [word for pool in pools.values() for word in ("--pools", pool)]


def test_a_stage_becomes_a_lock_a_table_and_a_plot_and_is_proven(
    run: Run, stage: Path, mix_pools: Pools, demo_files: Path, tmp_path: Path
) -> None:
    out, plot = tmp_path / "mine.lock.json", tmp_path / "mine.svg"
    root = ("--root", f"vsr={demo_files}/vsr")
    ran = run(stage, *given(mix_pools), "--out", out, *root, "--plot", plot)
    assert ran.code == 0, ran.err
    lock = read_lock(out)
    rows = [line.split() for line in ran.out.splitlines()]
    for part in lock.parts:
        assert [str(part.part), lock.pools[part.pool].name] in [row[:2] for row in rows]
    for split in lock.held_out:
        assert [split.split, split.origin, str(split.images), str(split.records)] in rows
    assert f"digest {lock.digest}" in ran.out
    assert plot.read_text().startswith("<svg ")
    proven = run("--check", out)
    assert (proven.code, proven.out) == (0, f"{out}: proven again from scratch\n")


def test_a_lock_that_is_not_proven_is_an_exit_code_of_one(
    run: Run, stage: Path, mix_pools: Pools, tmp_path: Path
) -> None:
    out = tmp_path / "mine.lock.json"
    said = json.loads(run(stage, *given(mix_pools), "--out", out, "--set", "held_out=[refcoco/val]", "--json").out)
    assert said["out"] == str(out) and [part["source"] for part in said["parts"]] == ["coco_caption", "vg"]
    next((tmp_path / "mine.lock").glob("*.rows")).unlink()
    ran = run("--check", out, "--json")
    problems = json.loads(ran.out)["problems"]
    assert ran.code == 1 and len(problems) == 1 and problems[0].endswith(".rows: not there, and the lock says it is")
    plain = run("--check", out)
    assert plain.code == 1 and plain.out.splitlines() == [problems[0], f"{out}: 1 problem"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "wanted STAGE and --out NAME.lock.json, or --check NAME.lock.json"),
        (["stage3"], "wanted STAGE and --out NAME.lock.json, or --check NAME.lock.json"),
        (["stage33", "--out", "a.lock.json"], "unknown manifest 'stage33'; did you mean stage3"),
        (["stage3", "--out", "a.json", "--pools", "a"], "wanted a name that ends in .lock.json"),
        (["stage3", "--out", "a.lock.json"], "no pool is given: --pools DIR"),
        (["stage3", "--out", "a.lock.json", "--pools", "/nowhere"], "/nowhere: cannot read"),
        (["stage3", "--out", "a.lock.json", "--root", "vsr"], "--root vsr: wanted SOURCE=DIR"),
        (["stage3", "--out", "a.lock.json", "--set", "units=batch"], "unknown key 'units'; did you mean unit"),
        (["stage3", "--check", "a.lock.json"], "--check LOCK takes no STAGE and no --out"),
        (["--check", "a.lock.json"], ""),
    ],
)
def test_every_mistake_is_told_in_one_line(run: Run, words: list[str], message: str) -> None:
    ran = run(*words)
    if not message:
        assert ran.code == 1 and ran.out.startswith("cannot read a.lock.json: ")
        return
    assert ran.code == (1 if "cannot read" in message else 2) and ran.out == ""
    assert ran.err.startswith("boxcar: ") and ran.err.count("\n") == 1 and message in ran.err


def test_a_training_config_of_minigpt_4_becomes_a_mixture_that_never_replaces_a_file(run: Run, tmp_path: Path) -> None:
    config, out = tmp_path / "tune.yaml", tmp_path / "mine.yaml"
    config.write_text(
        "datasets: {gqa: {batch_size: 6, sample_ratio: 50}, ok_vqa: {batch_size: 6, sample_ratio: 8}}\n"
        "run: {init_lr: 1e-5, max_epoch: 5, iters_per_epoch: 10}\n"
    )
    before = config.read_text()
    assert run("--import", config, "--out", out) == (0, "", "")
    found = mixture(load(str(out)), "mine")
    assert [(entry.source, entry.weight) for entry in found.parts] == [("gqa", 50), ("okvqa", 8)]
    again = run("--import", config, "--out", config)
    assert again.code == 2 and again.err.count("\n") == 1 and "tune.yaml" in again.err
    assert config.read_text() == before


@pytest.mark.parametrize("words", [["--out", "a.lock.json"], [], ["stage3", "--out", "a.yaml"]])
def test_an_import_wants_a_yaml_to_write_and_no_stage(run: Run, words: list[str]) -> None:
    ran = run("--import", "tune.yaml", *words)
    assert (ran.code, ran.err) == (2, "boxcar: --import CONFIG: wanted --out NAME.yaml, and no STAGE\n")
