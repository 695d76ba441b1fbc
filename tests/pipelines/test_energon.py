"""Megatron-Energon reads a pool as it lies; needs ``pip install megatron-energon``, which brings torch with it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipelines.shard import shard
from schemas.pool import pool_config

SCRIPT = """
import sys
from dataclasses import dataclass
from megatron.energon import Cooker, DefaultTaskEncoder, Sample, WorkerConfig, basic_sample_keys
from megatron.energon import get_loader, get_train_dataset, stateless

@dataclass
class Picture(Sample):
    json: dict

@stateless
def cook(sample):
    return Picture(**basic_sample_keys(sample), json=sample["json"])

class Encoder(DefaultTaskEncoder):
    cookers = [Cooker(cook)]

    def batch(self, samples):
        return samples

dataset = get_train_dataset(
    sys.argv[1], batch_size=1, shuffle_buffer_size=None, max_samples_per_sequence=None, repeat=False,
    worker_config=WorkerConfig(rank=0, world_size=1, num_workers=0), task_encoder=Encoder())
for (sample,) in get_loader(dataset):
    print(sample.__key__, len(sample.json["records"]))
"""


@pytest.mark.skipif(find_spec("megatron") is None, reason="megatron-energon is not installed: it would bring torch")
def test_energon_sees_every_sample_of_a_pool_with_all_its_records(demo_files: Path, tmp_path: Path) -> None:
    source: dict[str, Any] = {"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["val"]}
    config = {"pool": "little", "collections": {"coco": f"{demo_files}/coco"}, "sources": [source]}
    built = shard(pool_config({**config, "shard": {"max_samples": 5}}, "test"), str(tmp_path / "pool"))
    words = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path / "pool")]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    seen = dict(line.split() for line in told)
    assert len(told) == len(seen) == built.manifest.samples
    assert sum(map(int, seen.values())) == built.manifest.records
