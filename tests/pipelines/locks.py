"""Locks for tests, made by the layout that schemas/lock.py states and by nothing that makes them for users."""

import json
import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from schemas.lock import LOCK_SCHEMA, Lock, LockedPart, PinnedPool
from schemas.pool import FileDigest
from schemas.prompt import templates

Row = dict[str, Any]
Given = dict[str, Any]


def index(pool: Path) -> list[list[Row]]:
    """The rows of the record index, shard by shard."""
    return [pa.ipc.open_file(path.read_bytes()).read_all().to_pylist() for path in sorted((pool / "index").iterdir())]


def locked(
    pool: Path,
    at: Path,
    parts: Sequence[Given],
    allowed: Callable[[Row], bool] = lambda row: True,
    unit: str = "sample",
    render: Given | None = None,
    joined: bool = False,
) -> Path:
    """Write a lock of these parts (source, split, task and what else a part of it says) of the records allowed."""
    at.mkdir()
    folder = at / "test.lock"
    folder.mkdir()
    manifest = json.loads((pool / "pool.json").read_bytes())
    shards = index(pool)
    pinned = PinnedPool(
        name=manifest["pool"],
        digest=manifest["digest"],
        location=str(pool),
        shards=manifest["shards"],
        samples=manifest["samples"],
        records=manifest["records"],
        seed=manifest["config"]["seed"],
        codec=manifest["config"]["codec"],
        templates={name: list(pool) for name, pool in templates().items()},
    )
    step = {"batches": 1} if unit == "batch" else {"global_batch": 8}
    entries = [{"weight": 1, **{k: v for k, v in part.items() if k not in ("count",)}} for part in parts]
    mixture = {"stage": 3, "unit": unit, "parts": entries, "render": render or {}, "train": {"steps": 10, **step}}
    lines = [_part(folder, pinned.name, shards, part, allowed, joined) for part in parts]
    block = sum(line.count for line in lines)
    pools = [pinned, msgspec.structs.replace(pinned, name="elsewhere", location="/nowhere")]  # that no part is of
    lock = Lock(LOCK_SCHEMA, "", "0", "3", unit, 0, None, block, 8, 10, mixture, {}, "estimate", pools, lines, [])
    path = at / "test.lock.json"
    seal(path, lock)
    return path


def seal(path: Path, lock: Lock) -> None:
    """Write a lock, changed or not, with the digest that it then has."""
    sealed = msgspec.structs.replace(lock, digest="")
    bare = msgspec.structs.replace(
        sealed, pools=[msgspec.structs.replace(pool, location="") for pool in lock.pools], roots={}
    )
    path.write_bytes(_text(msgspec.structs.replace(sealed, digest=sha256(_text(bare)).hexdigest())))


def unsealed(path: Path) -> Lock:
    """The lock that lies there."""
    return msgspec.json.decode(path.read_bytes(), type=Lock)


def _text(lock: Lock) -> bytes:
    return msgspec.json.format(msgspec.json.encode(lock, order="deterministic"), indent=1) + b"\n"


def _part(
    folder: Path, pool: str, shards: list[list[Row]], part: Given, allowed: Callable[[Row], bool], joined: bool
) -> LockedPart:
    wanted = {name: part[name] for name in ("source", "split", "task")}
    found = [[row for row in rows if wanted.items() <= row.items() and allowed(row)] for rows in shards]
    items = [_items(rows, joined) for rows in found]
    firsts = [sum(len(shard) for shard in items[:number]) for number in range(len(shards) + 1)]
    sizes = [len(item) for shard in items for item in shard]
    begins = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    rows = [row for shard in found for row in shard]
    name = f"{part['source']}-{part['split']}-{part['task'] or 'chat'}-{pool}"
    pairs = [value for row in rows for value in (row["sample"], row["place"])]
    return LockedPart(
        **wanted,
        pool=0,
        weight=1.0,
        epochs_wanted=None,
        batch_size=part.get("batch_size"),
        wording=part.get("wording"),
        count=part.get("count", 1),
        candidates=sum(wanted.items() <= row.items() for rows in shards for row in rows),
        records=len(rows),
        images=len({row["image"] for row in rows}),
        items=len(sizes),
        filtered=[],
        lost=[],
        **dict.fromkeys(("draws", "epochs", "sample_share", "image_share", "token_share", "mean_tokens"), 1.0),
        max_tokens=1,
        rows=_file(folder / f"{name}.rows", struct.pack(f"<{len(pairs)}I", *pairs)),
        shards=_file(folder / f"{name}.shards", struct.pack(f"<{len(firsts)}Q", *firsts)),
        joined=_file(folder / f"{name}.items", struct.pack(f"<{len(begins)}Q", *begins)) if joined else None,
    )


def _items(rows: list[Row], joined: bool) -> list[list[Row]]:
    if not joined:
        return [[row] for row in rows]
    return [[row for row in rows if row["sample"] == sample] for sample in dict.fromkeys(row["sample"] for row in rows)]


def _file(path: Path, data: bytes) -> FileDigest:
    path.write_bytes(data)
    return FileDigest(path.name, len(data), sha256(data).hexdigest())
