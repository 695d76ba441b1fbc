"""A user's own template pools: they stand in for ours, decide the bytes, and are told where they are wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.draw import samples
from pipelines.shard import shard
from pipelines.wording import worded
from schemas.errors import ConfigError, SourceError
from schemas.pool import pool_config
from schemas.prompt import templates

OWN = "refer: ['whither is {phrase}']\ncaption: [tell, 'say it']\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_own_pools_replace_ours_of_the_same_names_and_no_others(own: Path) -> None:
    pools = worded(0, "round-100", str(own)).pools
    assert pools["refer"] == ("whither is {phrase}",) and pools["caption"] == ("tell", "say it")
    assert {name: pool for name, pool in pools.items() if name not in ("refer", "caption")} == {
        name: pool for name, pool in templates().items() if name not in ("refer", "caption")
    }


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("referr: [a]", "unknown template pool 'referr'; did you mean refer"),
        ("refer: [where]", "template 'where' of pool 'refer'"),
        ("refer: []", "template pool 'refer' is empty"),
        ("refer: '{phrase}'", "template pool 'refer' is no list of texts"),
        ("refer: [5]", "template pool 'refer' is no list of texts"),
        ("refer: ['{phrase} {phrase}']", "once each"),
        ("vqa: ['[vqa] {question}']", r"holds .\[vqa\].: it would be taken for markup"),
        ("vqa: ['<p>{question}</p>']", "holds '<p>'"),
        ("vqa: ['{Question} {question}']", "holds '[{}]'"),
        ("- a", "wanted a mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_pool_is_told_with_its_file(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"^{path}: .*{wrong}"):
        worded(0, "round-100", str(path))


def test_bytes_that_are_no_text_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not YAML"):
        worded(0, "round-100", str(tmp_path / "own.yaml"))
    with pytest.raises(SourceError, match="cannot read"):
        worded(0, "round-100", str(tmp_path / "gone.yaml"))


def test_a_pool_is_worded_by_them_and_its_manifest_holds_them(
    own: Path, demo_config: dict[str, Any], tmp_path: Path
) -> None:
    built = shard(pool_config(demo_config | {"templates": str(own)}, "test"), str(tmp_path / "pool"))
    assert built.manifest.config["templates"] == {"refer": ["whither is {phrase}"], "caption": ["tell", "say it"]}
    asked = {
        record.messages[0].content
        for sample, _ in samples(str(tmp_path / "pool"))
        for record in sample.records
        if record.task in ("refer", "caption")
    }
    assert asked and all(text.startswith("[refer] whither is ") or text[10:] in ("tell", "say it") for text in asked)


def test_the_commands_take_them(own: Path, demo_files: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out.jsonl"
    words = ["convert", "refcoco", "--root", f"{demo_files}/refer", "--split", "val", "--max-records", "3", "--json"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--templates", str(own), "--out", str(out)])
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert [line["written"] for line in told["ledger"]] == [3, 3]
    asked = [json.loads(line)["record"]["messages"][0]["content"] for line in out.read_text().splitlines()]
    assert sum(text.startswith("[refer] whither is ") for text in asked) == 3
