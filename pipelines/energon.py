"""A lock as Megatron-Energon reads it: a blend of its parts, each the same pool under a split of its own.

Energon (7.4.1 was tried) weighs datasets, and draws samples: pictures with all their records. Of a part it is told, in
a split file beside the metadataset, which samples hold records that may be drawn, so held-out pictures stay out; a
cooker takes those records, by the part that the subflavors name. What this cannot say stands in the YAML's comment.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import store
from pipelines.chosen import pinned
from pipelines.eligible import Eligible, folder_of, mapped, stem
from pipelines.export import new_folder
from pipelines.layout import names
from pipelines.locked import read_lock
from pipelines.progress import progress
from schemas.errors import ConfigError
from schemas.ledger import Part
from schemas.lock import Lock, LockedPart, PinnedPool
from schemas.pool import PoolManifest

METADATASET = "metadataset.yaml"

COMMENT = """\
# Lock {name!a}, {digest}
#
# Energon draws a sample: a picture with all its records. A cooker takes of them those whose source, split and task are
# the subflavors'. What this blend does not say of the lock:
# * Weights are the lock's share of draws (of batches times their size, in unit batch), met on average, not per block;
#   batches are not of one part. They hold where a cooker gives one record a draw, or where the lock joins all records
#   of a picture; then a record of a crowded picture is drawn less often than one of a bare picture.
# * Order, epochs and resuming are Energon's, as are wordings: a record has the stored one.
# * Of a picture that may be drawn a cooker sees every record, those too that the lock left out by a filter on records.
"""


class Split(NamedTuple):
    """What became of a part: how many samples may be drawn, and how many records of them may not."""

    part: LockedPart
    samples: int
    unseen: int


def energon(at: str, to: str) -> list[Split]:
    """Write a metadataset of the lock, and a split file for each of its parts, to the new folder ``to``.

    Paths in it are absolute: of the pools as the lock names them, of the split files as they lie in ``to``. Raises
    ConfigError where that is there already or is not local, ShardError where a pool is not the one that was locked.
    """
    folder = folder_of(Path(at))
    lock = read_lock(Path(at))
    if not store.is_local(to):
        raise ConfigError(f"--to {to}: wanted a local folder: Energon is told of absolute paths")
    manifests = pinned(lock)
    with new_folder(to) as aside, progress("splitting", len(lock.parts)) as bar:
        splits = []
        for part in lock.parts:
            pool = lock.pools[part.pool]
            splits.append(
                _split(aside / split_name(part, pool), pool, manifests[part.pool], part, mapped(folder, part))
            )
            bar.step()
        store.write_aside(aside / METADATASET, _metadataset(lock, splits, Path(at), Path(store.absolute(to))).encode())
    return splits


def split_name(part: LockedPart, pool: PinnedPool) -> str:
    """The file that says which samples of the pool are the part's."""
    return f"{stem(part.part, pool.name)}.split.json"


def _split(path: Path, pool: PinnedPool, manifest: PoolManifest, part: LockedPart, found: Eligible) -> Split:
    # A whole list of names may be long, so it is written as it is found; JSON is what Energon reads fastest.
    samples = unseen = 0
    tars: list[str] = []
    with path.open("w", encoding="ascii") as file:
        file.write('{"exclude": [')
        between = ""
        for shard in range(manifest.shards):
            allowed = np.unique(rows := found.of_shard(shard)[:, 0])
            if not len(allowed):
                continue
            index, tar = _index(pool.location, manifest, shard), names(manifest.pool, shard).tar
            for stem_ in index.stems(allowed):
                file.write(f'{between}"{tar}/{stem_}"')
                between = ", "
            tars.append(tar)
            samples += len(allowed)
            unseen += index.records(part, allowed) - len(rows)
        file.write(f'],\n"split_parts": {json.dumps({"train": tars})}}}\n')
    return Split(part, samples, unseen)


class _Index(NamedTuple):
    table: pa.Table

    def stems(self, allowed: npt.NDArray[np.uint32]) -> list[str]:
        """The tar stems of the shard's other samples, in order."""
        numbers, first = np.unique(self.table["sample"].to_numpy(), return_index=True)
        stems: list[str] = self.table["stem"].take(first[~np.isin(numbers, allowed)]).to_pylist()
        return stems

    def records(self, part: LockedPart, allowed: npt.NDArray[np.uint32]) -> int:
        """How many records the part has in the allowed samples."""
        ours = np.isin(self.table["sample"].to_numpy(), allowed)
        for name, value in zip(Part._fields, part.part, strict=True):
            column = self.table[name]
            same = pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, value), False)
            ours &= same.to_numpy(zero_copy_only=False)
        return int(ours.sum())


def _index(location: str, manifest: PoolManifest, shard: int) -> _Index:
    data = store.read(store.join(location, names(manifest.pool, shard).records))
    return _Index(pa.ipc.open_file(data).read_all().select(["sample", "stem", *Part._fields]))


def _metadataset(lock: Lock, splits: Sequence[Split], at: Path, to: Path) -> str:
    head = COMMENT.format(name=at.name, digest=lock.digest)
    blend = "".join(_entry(split, lock.pools[split.part.pool], to) for split in splits)
    return f"{head}__module__: megatron.energon\n__class__: MetadatasetV2\nsplits:\n  train:\n    blend:\n{blend}"


def _entry(split: Split, pool: PinnedPool, to: Path) -> str:
    part = split.part
    notes = [f"{part.part}: {part.records:,} records of {split.samples:,} samples"]
    if split.unseen:
        notes.append(f"{split.unseen:,} more records of these samples are left out by the lock and not by this blend")
    fields = {
        "path": store.absolute(pool.location),
        "split_config": str(to / split_name(part, pool)),
        "weight": part.count * (part.batch_size or 1),
        "subflavors": part.part._asdict(),
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]  # JSON is YAML, however odd a path
    return "".join(f"      # {note}\n" for note in notes) + "      - " + "\n        ".join(lines) + "\n"
