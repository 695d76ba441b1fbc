"""Tests of exports: every record once, as another trainer reads it, or refused and counted; whole or not at all."""

import json
import struct
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import msgspec
import pytest

from pipelines import export as export_module
from pipelines.export import Exported, export
from pipelines.shard import shard
from schemas.box import Box, Size
from schemas.dialects import NAMES
from schemas.errors import ConfigError, ShardError
from schemas.pool import pool_config
from schemas.record import Message
from schemas.translate import Boxed, flat, parse, turns
from tests.pipelines.exported import llava, refused, stored

Json = dict[str, Any]
Tree = dict[str, bytes]


@pytest.fixture(scope="module")
def text_pool(demo_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of text alone."""
    out = tmp_path_factory.mktemp("text") / "text"
    source = {"name": "unnatural", "root": f"{demo_files}/unnatural", "splits": ["train"], "max_reject": 1}
    shard(pool_config({"pool": "text", "collections": {}, "sources": [source]}, "test"), str(out))
    return out


@pytest.mark.parametrize("dialect", NAMES)
def test_every_record_of_a_pool_is_in_a_llava_list_and_says_the_same_there(
    demo_pool: Path, tmp_path: Path, dialect: str
) -> None:
    told = export(str(demo_pool), str(tmp_path / "out"), "llava", dialect)
    wanted, found, left = stored(demo_pool), llava(tmp_path / "out"), refused(tmp_path / "out")
    assert found.keys() | {line["key"] for line in left} == wanted.keys()
    assert (told.records, len(found) + len(left)) == (len(found), len(wanted))
    for key, row in found.items():
        record, size, _ = wanted[key]
        roles = [turn["from"] for turn in row["conversations"]]
        assert roles == ["human", "gpt"] * (len(record.messages) // 2)
        assert row["conversations"][0]["value"].startswith("<image>\n")
        texts = [turn["value"].removeprefix("<image>\n") for turn in row["conversations"]]
        messages = [Message(turn.role, text) for turn, text in zip(record.messages, texts, strict=True)]
        for said, back in zip(turns(record), parse(messages, size, dialect), strict=True):
            assert unboxed(back) == unboxed(flat(said, dialect))
            assert all(near(a, b, size) for a, b in zip(boxes(said), boxes(back), strict=True))
    reasons = Counter(line["reason"] for line in left)
    assert set(reasons) <= ({"several boxes of one thing"} if dialect == "llava-1.5" else set())
    assert bool(left) == (dialect == "llava-1.5")


def unboxed(said: list[Any]) -> list[Any]:
    return [(piece.phrase, len(piece.boxes)) if isinstance(piece, Boxed) else piece for piece in said]


def boxes(said: list[Any]) -> list[Box]:
    return [box for piece in said if isinstance(piece, Boxed) for box in piece.boxes]


def near(one: Box, other: Box, size: Size | None) -> bool:
    """Within a cell of the coarsest grid, or a step of a hundredth of the longer side."""
    assert size is not None
    reach = max(1 / 32, 0.01 * max(size) / min(size))
    return all(abs(a - b) <= reach + 1e-6 for a, b in zip(one, other, strict=True))


def test_messages_are_a_line_a_record_with_boxes_size_and_part(demo_pool: Path, tmp_path: Path) -> None:
    export(str(demo_pool), str(tmp_path / "out"), "messages", "qwen-vl")
    wanted = stored(demo_pool)
    lines = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == list(wanted)
    for line in lines:
        record, size, _ = wanted[line["id"]]
        assert (line["width"], line["height"]) == size
        assert (line["source"], line["split"], line["task"]) == (record.source, record.split, record.task)
        assert [Box(*box) for box in line["boxes"]] == record.boxes
        messages = msgspec.convert(line["messages"], list[Message])
        assert [len(boxes(turn)) for turn in parse(messages, size, "qwen-vl")] == [len(boxes(t)) for t in turns(record)]


def test_without_pictures_a_record_names_its_tar_and_member(demo_pool: Path, tmp_path: Path) -> None:
    export(str(demo_pool), str(tmp_path / "out"), "messages")
    named: dict[str, set[str]] = {}
    for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines():
        tar, _, member = json.loads(line)["image"].partition("/")
        named.setdefault(tar, set()).add(member)
    for path in demo_pool.glob("*.tar"):
        with tarfile.open(path) as tar_file:
            assert named.pop(path.name) == {name for name in tar_file.getnames() if not name.endswith(".json")}
    assert named == {}


def test_pictures_are_written_once_a_sample_as_they_are(demo_pool: Path, tmp_path: Path) -> None:
    told = export(str(demo_pool), str(tmp_path / "out"), "llava", images=True)
    wanted = stored(demo_pool)
    for key, row in llava(tmp_path / "out").items():
        assert (tmp_path / "out" / row["image"]).read_bytes() == wanted[key][2]
    written = list((tmp_path / "out" / "images").rglob("*.jpg"))
    assert len(written) == told.pictures == len({row["image"] for row in llava(tmp_path / "out").values()})


def test_text_alone_has_no_image_in_any_form(text_pool: Path, tmp_path: Path) -> None:
    export(str(text_pool), str(tmp_path / "llava"), "llava", "kosmos-2", images=True)
    rows = llava(tmp_path / "llava").values()
    assert rows and all(row.keys() == {"id", "conversations"} for row in rows)
    assert not any(
        turn["value"].startswith(("<image>", "<grounding>")) for row in rows for turn in row["conversations"]
    )
    export(str(text_pool), str(tmp_path / "messages"), "messages", "shikra")
    lines = [json.loads(line) for line in (tmp_path / "messages" / "records.jsonl").read_text().splitlines()]
    assert len(lines) == len(rows)
    assert {(line["image"], line["width"], tuple(line["boxes"])) for line in lines} == {(None, None, ())}


def test_the_ledger_tells_where_every_record_went(demo_pool: Path, tmp_path: Path) -> None:
    told = export(str(demo_pool), str(tmp_path / "out"), "messages", "llava-1.5")
    assert told == msgspec.json.decode((tmp_path / "out" / "export.json").read_bytes(), type=Exported)
    manifest = json.loads((demo_pool / "pool.json").read_bytes())
    assert {tally.part: tally.candidates for tally in told.ledger} == {
        (line["source"], line["split"], line["task"]): line["written"] for line in manifest["ledger"]
    }
    assert sum(tally.rejects for tally in told.ledger) == len(refused(tmp_path / "out")) > 0
    assert (told.digest, told.dialect) == (manifest["digest"], "llava-1.5")


def test_equal_pools_are_exported_to_equal_bytes(demo_pool: Path, tmp_path: Path, tree: Callable[[Path], Tree]) -> None:
    for name in ("one", "two"):
        export(str(demo_pool), str(tmp_path / name), "llava", "shikra", images=True)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_folder_that_is_there_is_left_alone(demo_pool: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="is there already, wanted a new folder"):
        export(str(demo_pool), str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="its folder is not there"):
        export(str(demo_pool), str(tmp_path / "no" / "out"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


@pytest.mark.parametrize(
    ("form", "dialect", "near_one"), [("lava", "shikra", "llava"), ("llava", "kosmos2", "kosmos-2")]
)
def test_unknown_forms_and_dialects_are_answered_with_near_ones(
    demo_pool: Path, tmp_path: Path, form: str, dialect: str, near_one: str
) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {near_one}"):
        export(str(demo_pool), str(tmp_path / "out"), form, dialect)
    assert list(tmp_path.iterdir()) == []


def test_a_pool_whose_name_leads_out_of_a_folder_is_refused(
    pool_copy: Path, tmp_path: Path, seal_manifest: Callable[[Path, Json], None]
) -> None:
    manifest = json.loads((pool_copy / "pool.json").read_bytes())
    name = "../demo"  # its tars are found there, and pictures would be written there
    seal_manifest(pool_copy, {**manifest, "pool": name, "config": {**manifest["config"], "pool": name}, "files": []})
    for path in pool_copy.glob("demo-*"):
        path.rename(pool_copy.parent / path.name)
    with pytest.raises(ShardError, match=r"pool\.json: not a manifest of this schema: .*'\.\./demo'"):
        export(str(pool_copy), str(tmp_path / "out"), images=True)
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_of_an_export_that_a_damaged_tar_ended(pool_copy: Path, tmp_path: Path) -> None:
    last = sorted(pool_copy.glob("*.tar"))[-1]
    offsets = struct.unpack(f"<{len(Path(f'{last}.idx').read_bytes()) // 8}Q", Path(f"{last}.idx").read_bytes())
    whole = last.read_bytes()
    for cut, message in (
        (whole[: offsets[-2]], "no tar header"),
        (whole[: offsets[-2]] + bytes(1024), "no end of tar"),
    ):
        last.write_bytes(cut)
        with pytest.raises(ShardError, match=message):
            export(str(pool_copy), str(tmp_path / "out"), images=True)
    last.write_bytes(whole[: offsets[-2]] + bytes(-(-(offsets[-2] + 1024) // 10240) * 10240 - offsets[-2]))
    with pytest.raises(ShardError, match=r"samples, its receipt says"):
        export(str(pool_copy), str(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool"]


def test_what_a_killed_export_left_is_no_part_of_the_next(demo_pool: Path, tmp_path: Path) -> None:
    (tmp_path / ".out.part" / "images").mkdir(parents=True)
    (tmp_path / ".out.part" / "images" / "old.jpg").write_bytes(b"old")
    export(str(demo_pool), str(tmp_path / "out"), images=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").rglob("old.jpg"))


def test_an_export_goes_to_any_store_its_ledger_last(demo_pool: Path, tmp_path: Path) -> None:
    export(str(demo_pool), "memory://exports/out", "messages", "kosmos-2")
    export(str(demo_pool), str(tmp_path / "out"), "messages", "kosmos-2")
    for path in (tmp_path / "out").iterdir():
        with fsspec.open(f"memory://exports/out/{path.name}", "rb") as file:
            assert file.read() == path.read_bytes()
    with pytest.raises(ConfigError, match="there are files already"):
        export(str(demo_pool), "memory://exports/out")


def test_an_export_keeps_nothing_of_the_samples_that_it_has_written(
    demo_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    @contextmanager
    def measured(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(step=lambda **_: held.append(tracemalloc.get_traced_memory()[0]))

    monkeypatch.setattr(export_module, "progress", measured)
    export(str(demo_pool), str(tmp_path / "first"), images=True)  # what is made once and kept is made now
    held.clear()
    tracemalloc.start()
    try:
        export(str(demo_pool), str(tmp_path / "second"), images=True)
    finally:
        tracemalloc.stop()
    records = (tmp_path / "second" / "records.json").stat().st_size
    assert len(held) == 60 and records > 300_000
    assert max(held[30:]) - max(held[:30]) < records / 10
