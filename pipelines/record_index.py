"""A pool that was given to be mixed, and the record index of each of its shards, proven against its receipt."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec
import pyarrow as pa

from pipelines import store
from pipelines.layout import INDEX, names
from pipelines.manifest import UNREADABLE, read_manifest, read_receipt
from schemas.errors import ShardError
from schemas.ledger import Part
from schemas.pool import FileDigest, PoolManifest, RejectLine

AT_ONCE = 16  # shards of one task: what it costs to send one is shared by so many


class Given(NamedTuple):
    """A pool and where it lies."""

    location: str
    manifest: PoolManifest

    @property
    def name(self) -> str:
        """What the pool is called."""
        return self.manifest.pool

    @property
    def written(self) -> Mapping[Part, int]:
        """How many records it has of each part."""
        return {tally.part: tally.written for tally in self.manifest.ledger}

    def shards(self) -> Iterator["ShardOf"]:
        """Its shards, in order."""
        for number, receipt in enumerate(self.manifest.receipts):
            yield ShardOf(self.location, self.name, number, receipt)


class ShardOf(NamedTuple):
    """One shard of a pool, and the receipt that the manifest lists for it; it pickles."""

    location: str
    pool: str
    number: int
    receipt: FileDigest

    def __str__(self) -> str:
        return names(self.pool, self.number).records

    def rows(self) -> pa.Table:
        """Its record index; ShardError where its bytes are not those of its receipt, or another build's columns."""
        name = names(self.pool, self.number).records
        table = pa.ipc.open_file(self._proven(name)).read_all()
        if table.schema != INDEX:
            raise ShardError(f"{self.location}/{name}: not the columns of this version: build the pool anew")
        return table

    def rejects(self) -> list[RejectLine]:
        """The candidates that became no record; ShardError where its bytes are not those of its receipt."""
        name = names(self.pool, self.number).rejects
        try:
            return [msgspec.json.decode(line, type=RejectLine) for line in self._proven(name).splitlines()]
        except UNREADABLE as error:
            raise ShardError(f"{self.location}/{name}: not a list of rejects: {error}") from error

    def _proven(self, name: str) -> bytes:
        listed = {file.name: file for file in read_receipt(self.location, self.receipt).files}
        data = store.read(store.join(self.location, name))
        wanted = listed.get(name)
        if wanted is None or (len(data), store.sha256(data)) != (wanted.bytes, wanted.sha256):
            raise ShardError(f"{self.location}/{name}: not what its receipt says: its sha256 or size differs")
        return data


class Shards(tuple[ShardOf, ...]):
    """Some shards of one pool, which a worker process goes through."""

    def __str__(self) -> str:
        more = f" and {len(self) - 1} more" if len(self) > 1 else ""
        return f"{self[0]}{more} of {self[0].location}"


def batched(shards: Iterable[ShardOf], at_once: int = AT_ONCE) -> Iterator[Shards]:
    """The shards, so many together."""
    left = iter(shards)
    while some := Shards(islice(left, at_once)):
        yield some


def given(location: str) -> Given:
    """The pool at that place; ShardError where there is none, or a byte of its manifest was changed."""
    location = store.absolute(location)
    try:
        return Given(location, read_manifest(location))
    except ShardError as error:
        raise ShardError(f"{location}: {error}") from error
