"""Tests of exports: every record once, as another trainer reads it, or refused and counted; whole or not at all."""

import json
import struct
import tarfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest
from msgspec.structs import replace

from pipelines.draw import samples
from pipelines.export import Exported, export
from pipelines.shard import shard
from schemas.box import Box, Size
from schemas.dialects import NAMES
from schemas.errors import ConfigError, RejectsError, ShardError
from schemas.pool import FileDigest, pool_config
from schemas.record import Message, Record
from schemas.translate import Boxed, flat, parse, turns
from tests.pipelines.locks import Row, index, locked, seal, unsealed

Json = dict[str, Any]
Tree = dict[str, bytes]


def stored(pool: Path) -> dict[str, tuple[Record, Size | None, bytes | None]]:
    """Every record of a pool by its key, with its picture and that picture's size."""
    found = {}
    for sample, picture in samples(str(pool)):
        image = sample.image
        size = Size(image.width, image.height) if image and image.width and image.height else None
        found |= {record.key: (record, size, picture) for record in sample.records}
    return found


def llava(folder: Path) -> dict[str, Json]:
    rows = json.loads((folder / "records.json").read_bytes())
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row for row in rows}


def refused(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "refused.jsonl").read_text().splitlines()]


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


PARTS = [
    {"source": "refcoco", "split": "train", "task": "refer", "count": 3},
    {"source": "coco_instances", "split": "train", "task": "detection"},
]


def some(row: Row) -> bool:
    return bool(int(row["image"].removeprefix("coco/")) % 3)


@pytest.mark.parametrize("joined", [False, True])
def test_of_a_lock_every_record_that_may_be_drawn_is_exported_once(
    demo_pool: Path, tmp_path: Path, joined: bool
) -> None:
    lock = locked(demo_pool, tmp_path / "locks", PARTS, some, joined=joined)
    told = export(str(lock), str(tmp_path / "out"), "llava", "shikra", images=True)
    wanted = {
        key for key, (record, _, _) in stored(demo_pool).items()
        if any((part["source"], part["split"], part["task"]) == (record.source, record.split, record.task)
               for part in PARTS)
    }  # fmt: skip
    allowed = {row["record"] for rows in index(demo_pool) for row in rows if some(row)}
    found = llava(tmp_path / "out")
    assert found.keys() == wanted & allowed and 0 < len(found) < len(wanted)
    assert (told.kind, told.name, told.records) == ("lock", "test", len(found))
    assert told.pictures == len({row["image"] for row in found.values()})


def test_a_locks_records_are_worded_as_its_stage_says(demo_pool: Path, tmp_path: Path) -> None:
    parts = [{**PARTS[0], "wording": "refer_eval"}]
    render = {"identifiers": False, "codec": "trunc-100"}
    lock = locked(demo_pool, tmp_path / "locks", parts, render=render)
    export(str(lock), str(tmp_path / "out"), "messages")
    wanted = stored(demo_pool)
    for text in (tmp_path / "out" / "records.jsonl").read_text().splitlines():
        line = json.loads(text)
        record = wanted[line["id"]][0]
        phrase = next(slot.value for slot in record.draw.slots if slot.name == "phrase")
        assert line["messages"][0]["content"] == f"give me the location of {phrase}"
        bins = [int(value * 100) for value in record.boxes[0]]
        assert line["messages"][1]["content"] == "{" + "".join(f"<{bin}>" for bin in bins) + "}"


def test_a_pool_that_is_not_the_one_that_was_locked_is_refused(demo_pool: Path, tmp_path: Path) -> None:
    lock = locked(demo_pool, tmp_path / "locks", PARTS)
    read = unsealed(lock)
    seal(lock, replace(read, pools=[replace(read.pools[0], digest="0" * 64), read.pools[1]]))
    with pytest.raises(ShardError, match=r"^pool demo at .*: its digest is .*, the lock was made for 000000000000"):
        export(str(lock), str(tmp_path / "out"))
    lock.write_text("{}")
    with pytest.raises(ShardError, match="not a lock"):
        export(str(lock), str(tmp_path / "out"))


def test_a_lock_that_allows_what_is_not_there_is_refused(demo_pool: Path, tmp_path: Path) -> None:
    for number, (place, beyond) in enumerate(((1, 9_999), (0, 9_999))):
        lock = locked(demo_pool, tmp_path / f"locks{number}", PARTS[:1])
        rows = next((tmp_path / f"locks{number}" / "test.lock").glob("*.rows"))
        data = bytearray(rows.read_bytes())
        struct.pack_into("<I", data, 4 * place, beyond)
        rows.write_bytes(data)
        read = unsealed(lock)
        forged = replace(read.parts[0], rows=FileDigest(rows.name, len(data), sha256(data).hexdigest()))
        seal(lock, replace(read, parts=[forged]))
        with pytest.raises(ShardError, match=r"has no record 9999|it has no sample 9999"):
            export(str(lock), str(tmp_path / "out"))


def test_where_a_dialect_can_say_nothing_nothing_is_exported(demo_pool: Path, tmp_path: Path) -> None:
    lock = locked(demo_pool, tmp_path / "locks", PARTS[1:], lambda row: row["boxes"] > 1)
    with pytest.raises(RejectsError, match=r"llava-1\.5 can say none of them"):
        export(str(lock), str(tmp_path / "out"), "llava", "llava-1.5")
    assert not (tmp_path / "out").exists()
