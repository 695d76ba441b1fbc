"""Some samples of a shard, read by their places in its tar and nothing else of it."""

import io
from collections.abc import Iterator, Sequence
from itertools import islice

from converters._read import filesystem
from pipelines import store
from pipelines.tar import Member, members, read_index
from schemas.errors import ShardError

_AT_ONCE = 64  # samples in memory at a time, pictures and all


def samples_at(pool: str, tar: str, numbers: Sequence[int]) -> Iterator[list[Member]]:
    """The members of each of these samples of a tar, given by their numbers in it, ascending.

    ShardError where it cannot be read, or its index has no such sample.
    """
    if not numbers:
        return
    url = store.join(pool, tar)
    offsets = read_index(store.read(f"{url}.idx"), f"{tar}.idx")
    if numbers[-1] + 1 >= len(offsets):
        known = f"the record index knows of number {numbers[-1]}"
        raise ShardError(f"{tar}.idx: {len(offsets) - 1:,} samples, {known}")
    left = iter(numbers)
    while some := list(islice(left, _AT_ONCE)):
        yield from _read(url, tar, [offsets[one] for one in some], [offsets[one + 1] for one in some])


def _read(url: str, tar: str, begins: list[int], ends: list[int]) -> Iterator[list[Member]]:
    fs, path = filesystem(url)
    try:
        pieces: list[bytes] = fs.cat_ranges([path] * len(begins), begins, ends, on_error="raise")
    except (OSError, ValueError) as error:
        raise ShardError(f"cannot read {url}: {error or type(error).__name__}") from error
    for piece, begin in zip(pieces, begins, strict=True):
        yield _members(piece, begin, tar)


def _members(piece: bytes, begin: int, tar: str) -> list[Member]:
    found: list[Member] = []
    for member in members(io.BytesIO(piece), tar):
        found.append(member._replace(offset=begin + member.offset))
        if member.extension == "json":  # the last of a sample; no end of a tar comes after it here
            break
    return found
