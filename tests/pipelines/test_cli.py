"""Tests of the command line: exit codes, one clear line for every mistake, and what goes to which stream."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.command_line import Ran, Run, running

Config = dict[str, Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command line in this process."""
    return running(capsys)


@pytest.fixture
def pool_yaml(demo_config: Config, tmp_path: Path) -> Path:
    """The demo pool's config as a file, of captions alone: quick to build."""
    demo_config["sources"] = [{**demo_config["sources"][2], "splits": ["val"]}]
    path = tmp_path / "pool.yaml"
    path.write_text(json.dumps(demo_config))
    return path


def insist_one_line(ran: Ran, code: int, *parts: str) -> None:
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.startswith("boxcar: ") and ran.err.count("\n") == 1 and ran.err.endswith("\n"), ran.err
    for part in parts:
        assert part in ran.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["nosuch"], ["nosuch"]),
        (["shard"], ["POOL.yaml"]),
        (["shard", "coco", "--wrkers", "2"], ["--wrkers"]),
        (["shard", "coco", "--workers", "0"], ["--workers"]),
        (["shard", "coco", "--workers", "many"], ["--workers"]),
        (["shard", "coco", "--max-reject", "1.5"], ["--max-reject"]),
        (["shard", "coco", "--engine", "rey"], ["unknown engine 'rey'", "local"]),
        (["shard", "coca"], ["unknown manifest 'coca'", "did you mean coco"]),
        (["shard", "nowhere.yaml"], ["no such file: nowhere.yaml"]),
        (["shard", "coco", "--set", "seed"], ["--set seed", "key=value"]),
        (["shard", "coco", "--set", "seed=one"], ["seed", "one"]),
        (["shard", "coco", "--set", "image.max_sid=1"], ["unknown key 'image.max_sid'", "image.max_side"]),
        (["shard", "coco", "--set", "sources.0.splitz=[a]"], ["sources.0.splitz", "sources.0.splits"]),
        (["shard", "coco", "--set", "sources.99.root=/x"], ["'99'", "a list of 11"]),
        (["shard", "coco", "--set", "codec=round-10"], ["unknown codec 'round-10'", "round-100"]),
        (["shard", "coco", "--set", "shard.max_bytes=1 furlong"], ["unknown unit 'furlong'"]),
        (["shard", "coco", "--set", "image={max_side: 640, stretch: 448}"], ["exclude each other"]),
        (["shard", "coco", "--set", "sources.0.name=refcocco"], ["unknown source 'refcocco'", "refcoco"]),
        (["shard", "coco", "--set", "sources.0.root=/nowhere"], ["/nowhere", "refs(unc).p", "https://"]),
        (["shard", "coco", "--set", "pool=2020-13-45"], ["--set pool"]),
        (["sources", "refcocco"], ["unknown source 'refcocco'", "did you mean refcoco"]),
        (["sources", "--root", "/"], ["--root needs the name of a source"]),
        (["sources", "refcoco", "--root", "/nowhere"], ["no such folder: /nowhere"]),
        (["sources", "multitask", "--root", "/"], ["multitask has no files of its own: made when a pool is packed"]),
        (["convert", "refcoco", "--root", "/nowhere"], ["--split"]),
        (["convert", "refcoco", "--split", "val"], ["--root"]),
        (["convert", "refcoco", "--root", "/nowhere", "--split", "val"], ["/nowhere", "refs(unc).p", "https://"]),
        (["demo", "--images", "3"], ["--images", "20"]),
        (["verify", "nosuch://bucket/pool"], ["nosuch://bucket/pool"]),
        (["shard", "coco", "--out", "nosuch://bucket/pool"], ["nosuch"]),
        (["shard", "coco", "--set", "sources.0.root=nosuch://x"], ["nosuch"]),
        (["sources", "refcoco", "--root", "nosuch://x"], ["nosuch://x"]),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(run: Run, words: list[str], parts: list[str]) -> None:
    insist_one_line(run(*words), 2, *parts)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--split", "vall"], "unknown split 'vall'; did you mean val"),
        (["--split", "val", "--task", "reffer"], "unknown task 'reffer'; did you mean refer"),
        (["--split", "val", "--form", "und"], "unknown form 'und'; did you mean unc"),
        (["--split", "val", "--form", "google"], "not found under"),
        (["--split", "val", "--codec", "round100"], "unknown codec 'round100'; did you mean round-100"),
        (["--split", "val", "--set", "txt=raw"], "unknown option 'txt'; did you mean text"),
        (["--split", "val", "--set", "text=rawr"], "unknown text 'rawr'; did you mean raw"),
        (["--split", "val", "--set", "text"], "wanted name=value"),
        (["--split", "val", "--images", "nosuch://x"], "nosuch://x"),
        (["--split", "val", "--out", "/nowhere/at/all.jsonl"], "its folder is not there"),
        (["--split", "val", "--out", "/"], "is a folder"),
        (["--split", "val", "--limit", "-1"], "--limit"),
        (["--split", "val", "--images", "/nowhere"], "no such folder of pictures: /nowhere"),
        (["--split", "val", "--out", "/nowhere/x.jsonl"], "/nowhere/"),
    ],
)
def test_a_mistake_in_a_conversion_is_one_clear_line_too(
    run: Run, demo_files: Path, words: list[str], part: str
) -> None:
    insist_one_line(run("convert", "refcoco", "--root", demo_files / "refer", *words), 2, part)


def test_yaml_that_is_none_is_one_clear_line(run: Run, tmp_path: Path) -> None:
    for number, content in enumerate(
        (b"", b"[a]", b"pool: {", b"pool: a\npool: b", b"pool: caf\xe9", b"x: !!python/object:os.system {}", b"\0")
    ):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(content)
        insist_one_line(run("shard", path), 2, str(path))
    insist_one_line(run("shard", tmp_path), 2)


def test_a_missing_collection_is_one_clear_line(run: Run, pool_yaml: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "pool"]
    insist_one_line(run("shard", pool_yaml, *out, "--set", "collections={}"), 2, "coco is not given")
    insist_one_line(run("shard", pool_yaml, *out, "--set", "collections.coco=/nowhere"), 2, "/nowhere")
    insist_one_line(run("shard", pool_yaml, "--out", pool_yaml), 2, "is a file")
    insist_one_line(run("shard", pool_yaml, "--out", "memory://x", "--workers", "2"), 2, "use 1 worker")
    assert not (tmp_path / "pool").exists()


def test_too_many_rejects_are_one_clear_line_and_exit_code_1(run: Run, pool_yaml: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    words = ["shard", pool_yaml, "--out", tmp_path / "pool", "--set", f"collections.coco={tmp_path}/none"]
    insist_one_line(run(*words), 1, "coco_caption val: 60 of 60", "picture missing 60", "missing_images: filter")


def test_what_is_no_pool_is_one_clear_line_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    insist_one_line(run("verify", tmp_path), 1, "pool.json")
    insist_one_line(run("verify", tmp_path / "nowhere"), 1, "pool.json")


def test_a_pool_is_built_and_verified_with_a_table_each(run: Run, pool_yaml: Path, tmp_path: Path) -> None:
    built = run("shard", pool_yaml, "--out", tmp_path / "x[/y] :smile:", "--workers", "1")
    assert built.code == 0 and built.err == ""
    assert "coco_caption/val/caption" in built.out and f"{tmp_path}/x[/y] :smile:: 1 shards, 12 samples" in built.out
    again = run("shard", pool_yaml, "--out", tmp_path / "x[/y] :smile:", "--workers", "1")
    assert "1 shards, 1 of them there already" in again.out
    seen = run("verify", tmp_path / "x[/y] :smile:")
    assert seen.code == 0 and "pool demo: whole; read 1 shards, 12 samples, 60 records" in seen.out


def test_a_damaged_pool_is_a_table_of_problems_and_exit_code_1(run: Run, pool_copy: Path) -> None:
    tar = pool_copy / "demo-000002.tar"
    tar.write_bytes(tar.read_bytes()[:-512])
    seen = run("verify", pool_copy, "--workers", "1")
    assert (seen.code, seen.err) == (1, "")
    assert "demo-000002.tar" in seen.out and "1 problem;" in seen.out
    told = run("verify", pool_copy, "--workers", "1", "--json")
    assert told.code == 1
    assert [problem["file"] for problem in json.loads(told.out)["problems"]] == ["demo-000002.tar"]


def test_every_json_output_parses_and_says_what_the_table_says(run: Run, demo_files: Path, demo_pool: Path) -> None:
    assert {row["name"] for row in json.loads(run("sources", "--json").out)} >= {"refcoco", "coco_caption"}
    assert json.loads(run("sources", "refcoco", "--json").out)["collection"] == "coco"
    states = json.loads(run("sources", "refcoco", "--root", demo_files / "refer", "--json").out)
    assert [state["form"] for state in states if state["found"]] == ["unc"] * 4
    assert json.loads(run("verify", demo_pool, "--workers", "1", "--json").out)["problems"] == []


def test_a_pool_as_json_is_its_manifest_and_where_it_lies(run: Run, pool_yaml: Path, tmp_path: Path) -> None:
    built = run("shard", pool_yaml, "--out", tmp_path / "pool", "--workers", "1", "--json", "--set", "seed=5")
    told = json.loads(built.out)
    assert (told["out"], told["reused"], told["config"]["seed"]) == (str(tmp_path / "pool"), 0, 5)
    manifest = json.loads((tmp_path / "pool" / "pool.json").read_bytes())
    assert {key: told[key] for key in manifest} == manifest


def test_sources_are_listed_with_their_names_and_a_folder_is_checked(
    run: Run, demo_files: Path, tmp_path: Path
) -> None:
    listed = run("sources")
    names = ("refcoco", "coco_instances", "train_all_questions_{0..9}.json, val_all_questions.json, testdev_all")
    assert listed.code == 0 and all(name in listed.out for name in names)
    there = run("sources", "coco_caption", "--root", demo_files / "coco")
    assert there.code == 0 and "captions_train2014.json" in there.out
    (tmp_path / "e[m]pty").mkdir()
    gone = run("sources", "refcoco", "--root", tmp_path / "e[m]pty")
    assert gone.code == 1 and "e[m]pty" in gone.out and "missing: refcoco/refs(unc).p" in gone.out


def test_a_half_downloaded_folder_is_told_file_by_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "annotations.zip").write_bytes(b"")
    (tmp_path / "val.txt").write_bytes(b"1")
    (tmp_path / "below" / "Annotations").mkdir(parents=True)
    zipped = run("sources", "flickr30k_phrase", "--root", tmp_path)
    assert zipped.code == 1 and "missing: annotations.zip (empty) + UNRELATED_CAPTIONS " in zipped.out
    assert "missing: Annotations/ (there is below/Annotations/) + Sentences/ + train.txt" in zipped.out
    (tmp_path / "detail_23k.json").write_bytes(b"<html>")
    cut = run("sources", "llava_detail", "--root", tmp_path)
    assert cut.code == 1 and "detail_23k.json: not the JSON it should be: it begins with '<html>'" in cut.out
    assert "missing" not in cut.out.splitlines()[-1]
    (tmp_path / "detail_23k.json").write_bytes(b"[]")
    other = run("sources", "llava_detail", "--root", tmp_path)
    assert other.code == 1 and "detail_23k.json: there, but its content is not as published" in other.out


def test_records_go_to_standard_output_and_the_ledger_to_standard_error(run: Run, demo_files: Path) -> None:
    ran = run("convert", "refcoco", "--root", demo_files / "refer", "--split", "val")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0 and {line["record"]["task"] for line in lines} == {"refer", "identify"}
    assert "refcoco/val/refer" in ran.err and "10,834" in ran.err and "self-IoU" in ran.err


def test_with_out_the_ledger_goes_to_standard_output_and_the_records_to_the_file(
    run: Run, demo_files: Path, tmp_path: Path
) -> None:
    words = ["convert", "refcoco", "--root", demo_files / "refer", "--split", "val", "--out", tmp_path / "val.jsonl"]
    table = run(*words)
    assert (table.code, table.err) == (0, "") and "refcoco/val/refer" in table.out
    told = json.loads(run(*words, "--json").out)
    written = {line["task"]: line["written"] for line in told["ledger"]}
    lines = [json.loads(line) for line in (tmp_path / "val.jsonl").read_text().splitlines()]
    assert {task: sum(line["record"]["task"] == task for line in lines) for task in written} == written
    assert told["official"] == {"refer": 10_834, "identify": 10_834} and told["complete"]


def test_options_of_a_conversion_reach_it(run: Run, demo_files: Path) -> None:
    words = ["convert", "refcoco", "--root", demo_files / "refer", "--split", "val", "--task", "refer", "--json"]
    ran = run(*words, "--limit", "4", "--codec", "trunc-100", "--set", "text=raw", "--seed", "3")
    told = json.loads(ran.err)
    assert len(ran.out.splitlines()) == 4 and (told["codec"], told["complete"]) == ("trunc-100", False)
    assert [line["task"] for line in told["ledger"]] == ["refer"]
    assert ran.out != run(*words, "--limit", "4", "--codec", "trunc-100", "--set", "text=raw", "--seed", "4").out


@pytest.mark.parametrize("words", [[], ["sources"], ["convert"], ["shard"], ["verify"], ["mix"], ["demo"], ["export"]])
def test_help_fits_a_screen(words: list[str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for flag in ("--help", "-h"):
        ran = run(*words, flag)
        assert (ran.code, ran.err) == (0, "")
        assert len(ran.out.splitlines()) <= 24 and max(map(len, ran.out.splitlines())) <= 80


def test_the_version_is_told(run: Run) -> None:
    from schemas import __version__

    assert run("--version") == (0, f"boxcar {__version__}\n", "")


@pytest.mark.parametrize("module", ["cli", "convert", "shard", "verify", "mix", "sources", "demo", "export"])
def test_each_verb_runs_as_a_module_too(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{module}", "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: boxcar" in done.stdout


def test_a_reader_that_goes_away_ends_a_conversion_quietly(demo_files: Path) -> None:
    words = ["convert", "refcoco", "--root", str(demo_files / "refer"), "--split", "train"]
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout and process.stderr
        assert os.read(process.stdout.fileno(), 10) == b'{"image":{'
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(30) == 0


def test_the_demo_runs_through_and_says_what_to_look_at(tmp_path: Path, without_progress: Callable[[str], str]) -> None:
    out = tmp_path / "a, [b]: #c"
    words = ["demo", "--images", "40", "--out", str(out), "--workers", "2", "--train-minutes", "0"]
    out.mkdir()
    (out / "boxcar-demo.txt").write_text("an earlier demo")
    (out / "stale").write_text("of it")
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, without_progress(done.stderr)) == (0, "")
    assert not (out / "stale").exists()
    for name in ("samples.png", "refcoco_val.jsonl", "pool/pool.json", "pool.yaml"):
        assert (out / name).stat().st_size > 0
    assert "pool demo: whole" in done.stdout and str(out / "samples.png") in done.stdout


def test_the_demo_never_replaces_a_folder_that_is_no_demo(run: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    insist_one_line(run("demo", "--out", tmp_path), 2, "no earlier demo")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
