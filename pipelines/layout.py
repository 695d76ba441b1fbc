"""A pool folder: what lies where, what is it called, and the record index's columns."""

import hashlib
import re
from typing import NamedTuple

import pyarrow as pa

MANIFEST = "pool.json"
BUILD = ".build"

INDEX = pa.schema(
    [
        ("sample", pa.int32()),
        ("stem", pa.string()),
        ("image", pa.string()),
        ("aliases", pa.list_(pa.string())),
        ("sha256", pa.string()),
        ("source_sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("likeness", pa.uint64()),
        ("scores", pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))),
        ("place", pa.int32()),
        ("record", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("task", pa.string()),
        ("use", pa.string()),
        ("boxes", pa.int32()),
        ("min_area", pa.float64()),
        ("turns", pa.int32()),
        ("chars", pa.int32()),
    ]
)

_PLAIN_ID = re.compile(r"[A-Za-z0-9_]+/[A-Za-z0-9_]+")
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 60


class Names(NamedTuple):
    """The files of one shard, relative to the pool."""

    tar: str
    offsets: str
    records: str
    rejects: str
    receipt: str


def names(pool: str, shard: int) -> Names:
    """What the files of a pool's n-th shard are called."""
    tar = f"{pool}-{shard:06d}.tar"
    return Names(
        tar, f"{tar}.idx", f"index/{shard:06d}.arrow", f"rejects/{shard:06d}.jsonl", f"receipts/{shard:06d}.json"
    )


def stem_of(id: str) -> str:
    """The tar stem of an image id (or of a text sample's record key): unique without knowing the other ids.

    ``coco/100667`` is ``coco-100667``. Any other character becomes ``-`` and a hash of the id is added, as two such ids
    may look alike then; the plain form has one ``-`` and the hashed one at least two, so they never meet.
    """
    if _PLAIN_ID.fullmatch(id) and len(id) <= _LONGEST:
        return id.replace("/", "-")
    return f"{_ODD.sub('-', id)[:_LONGEST]}--{hashlib.blake2b(id.encode(), digest_size=6).hexdigest()}"


def is_pool_file(pool: str, name: str) -> bool:
    """Whether a pool of that name may hold a file of that name, relative to its folder."""
    shard = rf"{re.escape(pool)}-[0-9]{{6,}}\.tar(\.idx)?"
    parts = r"index/[0-9]{6,}\.arrow|rejects/[0-9]{6,}\.jsonl|receipts/[0-9]{6,}\.json|\.nv-meta/[a-z.]+"
    return name == MANIFEST or re.fullmatch(f"{shard}|{parts}", name) is not None
