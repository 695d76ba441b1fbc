"""Tests of exports of a lock: each record that may be drawn, once, as its stage says it; of its own pools alone."""

import json
import struct
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipelines.export import export
from schemas.errors import RejectsError, ShardError
from schemas.pool import FileDigest
from tests.pipelines.exported import llava, stored
from tests.pipelines.locks import Row, index, locked, seal, unsealed

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


def test_a_lock_with_template_pools_of_its_own_is_exported_in_their_words(
    lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text('refer: ["point at {phrase}"]\n')
    part = {"source": "refcoco", "task": "refer", "weight": 1}
    lock = lock_of(tmp_path / "own.lock.json", [demo_pool], [part], templates=str(own))
    export(str(lock), str(tmp_path / "out"), "messages")
    lines = map(json.loads, (tmp_path / "out" / "records.jsonl").read_text().splitlines())
    asked = [line["messages"][0]["content"] for line in lines]
    assert asked and all(text.startswith("[refer] point at ") for text in asked)


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
