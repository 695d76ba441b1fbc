"""Tests of verification where an index, a receipt or the manifest was forged and every digest mended."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.verify import verify
from schemas.errors import ShardError

Json = dict[str, Any]
Seal = Callable[[Path], None]
SealManifest = Callable[[Path, Json], None]
INDEX = "index/000000.arrow"
RECEIPT = "receipts/000000.json"


@pytest.mark.parametrize("column", ["task", "boxes", "min_area", "use", "stem", "sha256", "record"])
def test_a_forged_index_is_found(pool_copy: Path, seal: Seal, column: str) -> None:
    table = pa.ipc.open_file((pool_copy / INDEX).read_bytes()).read_all()
    rows = table.column(column).to_pylist()
    place = next(place for place, value in enumerate(rows) if value is not None)
    rows[place] = rows[place] + "x" if isinstance(rows[place], str) else rows[place] + 1
    field = table.schema.field(column)
    changed = table.set_column(table.schema.get_field_index(column), field, pa.array(rows, field.type))
    with pa.ipc.new_file(str(pool_copy / INDEX), table.schema) as writer:
        writer.write_table(changed)
    seal(pool_copy)
    assert {problem.file for problem in verify(str(pool_copy)).problems} >= {INDEX}


@pytest.mark.parametrize("name", [INDEX, "demo-000000.tar.idx", "rejects/000000.jsonl", RECEIPT])
def test_bytes_that_are_no_such_file_at_all_are_found_and_never_a_crash(pool_copy: Path, seal: Seal, name: str) -> None:
    for data in (
        b"\xff\xfe rubbish",
        b"ARROW1\0\0" + b"\xff" * 64 + b"ARROW1",
        b'{"key": 1}\n',
        b"[" * 50_000,
        b"\0" * 7,
    ):
        (pool_copy / name).write_bytes(data)
        seal(pool_copy)
        assert name in {problem.file for problem in verify(str(pool_copy)).problems}


def test_a_forged_receipt_is_found(pool_copy: Path, seal: Seal) -> None:
    whole = (pool_copy / RECEIPT).read_bytes()

    def more_written(receipt: Json) -> None:
        receipt["ledger"][0]["written"] += 1
        receipt["ledger"][0]["candidates"] += 1

    def lost(receipt: Json) -> None:
        receipt["ledger"][0]["candidates"] += 1

    def more_rejected(receipt: Json) -> None:
        receipt["ledger"][0]["candidates"] += 1
        receipt["ledger"][0]["rejected"] = [{"name": "damaged picture", "count": 1}]

    changes: list[Callable[[Json], None]] = [
        more_written,
        lost,
        more_rejected,
        lambda receipt: receipt.update(samples=receipt["samples"] + 1),
        lambda receipt: receipt.update(records=0),
        lambda receipt: receipt.update(shard=1),
        lambda receipt: receipt["files"].pop(),
        lambda receipt: receipt["files"].reverse(),
        lambda receipt: receipt["files"][0].update(name="../outside"),
    ]
    for number, change in enumerate(changes):
        (pool_copy / RECEIPT).write_bytes(whole)
        receipt = json.loads(whole)
        change(receipt)
        (pool_copy / RECEIPT).write_text(json.dumps(receipt))
        seal(pool_copy)
        assert {problem.file for problem in verify(str(pool_copy)).problems} & {RECEIPT, "rejects/000000.jsonl"}, number


def test_a_receipt_of_another_build_is_found(pool_copy: Path, seal: Seal) -> None:
    receipt = json.loads((pool_copy / RECEIPT).read_text())
    (pool_copy / RECEIPT).write_text(json.dumps({**receipt, "plan": "0" * 64}))
    seal(pool_copy)
    assert "its plan is not that of its shards" in verify(str(pool_copy)).problems[-1].what


def add_filtered(manifest: Json) -> None:
    manifest["ledger"][0]["candidates"] += 1
    manifest["ledger"][0]["filtered"] = [{"name": "a rule", "count": 1}]


def lose_candidate(manifest: Json) -> None:
    manifest["ledger"][0]["candidates"] += 1


def lose_part(manifest: Json) -> None:
    del manifest["ledger"][0]


def lose_shard(manifest: Json) -> None:
    del manifest["receipts"][-1]
    manifest["shards"] -= 1


def more_of(key: str) -> Callable[[Json], None]:
    return lambda manifest: manifest.update({key: manifest[key] + 1})


def outside(manifest: Json) -> None:
    manifest["receipts"][0]["name"] = "../../../../../../../../dev/zero"


def outside_file(manifest: Json) -> None:
    manifest["files"][0]["name"] = "../../../../../../../../dev/zero"


def guessed_features(manifest: Json) -> None:
    manifest["features"]["json"].pop("image")


CHANGES: list[Callable[[Json], None]] = [
    add_filtered,
    lose_candidate,
    lose_part,
    lose_shard,
    outside,
    outside_file,
    guessed_features,
]
CHANGES += [more_of(key) for key in ("samples", "records", "bytes", "shards")]
CHANGES += [lambda manifest: manifest.update(schema="boxcar/0"), lambda manifest: manifest.update(arrow="")]
CHANGES += [lambda manifest: manifest["config"].pop("codec"), lambda manifest: manifest["config"].update(codec=["a"])]
CHANGES += [
    lambda manifest: manifest["config"].update(codec="trunc-100"),
    lambda manifest: manifest.update(pool="../x"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_forged_manifest_is_found(
    pool_copy: Path, seal_manifest: SealManifest, change: Callable[[Json], None]
) -> None:
    manifest = json.loads((pool_copy / "pool.json").read_bytes())
    change(manifest)
    seal_manifest(pool_copy, manifest)
    try:
        assert verify(str(pool_copy)).problems
    except ShardError as error:
        assert str(error).startswith("pool.json: ")
