"""Ray Data and Megatron-Energon read a pool as it lies, and a lock's metadataset; each in an environment of its own."""

import subprocess
from collections import Counter
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from pipelines.energon import energon
from pipelines.tar import members
from tests.pipelines.locks import Row, index, locked
from tests.pipelines.readers import installed, told

pytestmark = pytest.mark.heavy

Digests = dict[str, dict[str, str]]

RAY = """
import hashlib, json, sys, tempfile
import ray
with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as temp:  # sockets lie below it, and their names are short
    ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=10**8, _temp_dir=temp, _node_ip_address="127.0.0.2",
        log_to_driver=False, logging_level="ERROR")
    rows = ray.data.read_webdataset(sys.argv[1:], decoder=None).take_all()
    ray.shutdown()
print(json.dumps([[row["__key__"], {name: hashlib.sha256(data).hexdigest() for name, data in row.items()
    if not name.startswith("__") and data is not None}] for row in rows]))
"""

ENERGON = """
import hashlib, json, sys
from dataclasses import dataclass
from megatron.energon import Cooker, DefaultTaskEncoder, Sample, WorkerConfig, basic_sample_keys
from megatron.energon import get_loader, get_train_dataset, stateless

@dataclass
class Raw(Sample):
    parts: dict

@stateless
def cook(sample):
    return Raw(**basic_sample_keys(sample), parts={name: value for name, value in sample.items() if name[0] != "_"})

class Encoder(DefaultTaskEncoder):
    cookers = [Cooker(cook)]
    decoder = None

    def batch(self, samples):
        return samples

draws = int(sys.argv[2])
dataset = get_train_dataset(
    sys.argv[1], batch_size=1, shuffle_buffer_size=None, max_samples_per_sequence=None, repeat=draws > 0,
    worker_config=WorkerConfig(rank=0, world_size=1, num_workers=0), task_encoder=Encoder())
seen = []
for (sample,) in get_loader(dataset):
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sample.parts.items()}
    seen.append([sample.__key__, digests if not draws else sample.__subflavors__])
    if len(seen) == draws:
        break
print(json.dumps(seen))
"""


def own(pool: Path) -> Digests:
    """Every sample by Boxcar's own reader: stem, and the digests of its members by extension."""
    found: Digests = {}
    for path in sorted(pool.glob("*.tar")):
        with path.open("rb") as file:
            for stem, parts in groupby(members(file, path.name), key=lambda member: member.stem):
                assert stem not in found
                found[stem] = {part.extension: sha256(part.data).hexdigest() for part in parts}
    return found


def as_dict(read: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in read}) == len(read)
    return dict(read)


def test_ray_data_reads_the_same_keys_and_bytes(demo_pool: Path) -> None:
    assert as_dict(told(RAY, *sorted(demo_pool.glob("*.tar")))) == own(demo_pool)


def test_energon_reads_the_same_keys_and_bytes_in_a_full_pass(demo_pool: Path) -> None:
    assert as_dict(told(ENERGON, demo_pool, "0")) == own(demo_pool)


PARTS = [
    {"source": "refcoco", "split": "train", "task": "refer", "count": 3, "batch_size": 2},
    {"source": "coco_instances", "split": "train", "task": "detection", "batch_size": 1},
    {"source": "coco_caption", "split": "train", "task": "caption", "batch_size": 1},
]


def kept(row: Row) -> bool:
    return bool(int(row["image"].removeprefix("coco/")) % 3) and (row["task"] != "detection" or row["boxes"] < 3)


def test_energon_draws_a_locks_parts_by_their_weights_and_no_picture_that_is_held_out(
    demo_pool: Path, tmp_path: Path
) -> None:
    splits = energon(str(locked(demo_pool, tmp_path / "locks", PARTS, kept, unit="batch")), str(tmp_path / "out"))
    draws = 4000
    seen = told(ENERGON, tmp_path / "out" / "metadataset.yaml", str(draws))
    rows = [row for shard in index(demo_pool) for row in shard if kept(row)]
    shares = Counter(flavors["source"] for _, flavors in seen)
    for part, weight, split in zip(PARTS, (6, 1, 1), splits, strict=True):
        wanted = {name: part[name] for name in ("source", "split", "task")}
        stems = {row["stem"] for row in rows if wanted.items() <= row.items()}
        assert {key for key, flavors in seen if flavors == wanted} == stems
        assert split.samples == len(stems) > 0
        # Drawn independently: four standard deviations of a binomial count.
        share = weight / 8
        assert abs(shares[part["source"]] - draws * share) < 4 * (draws * share * (1 - share)) ** 0.5
    assert sum(shares.values()) == draws


def test_energons_own_info_tells_of_a_pool_as_it_lies(demo_pool: Path) -> None:
    words = [installed() / "energon", "info", demo_pool, "--dataset-config", "info.yaml"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout
    assert "(60 samples, " in said and "`train`: 100%, 60 samples in" in said
