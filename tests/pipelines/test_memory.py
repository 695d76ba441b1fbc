"""Tests that memory does not grow with the dataset: a source of COCO's size is built within stated bounds."""

import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from pipelines.verify import verify

PICTURES = 120_000
CAPTIONS = 600_000
DRIVER_BYTES = 3 * 2**30
WORKER_BYTES = 500 * 2**20
WORDS = (
    "a",
    "the",
    "red",
    "small",
    "large",
    "man",
    "woman",
    "dog",
    "horse",
    "riding",
    "near",
    "street",
    "field",
    "kite",
)


def write_pictures(folder: Path) -> None:
    """120,000 names of eight files: links, as no test needs so many pictures."""
    folder.mkdir(parents=True)
    chance = random.Random(1)
    kinds = []
    for number in range(8):
        image = Image.effect_noise((64, 48), 40 + number).convert("RGB")
        data = io.BytesIO()
        image.save(data, "JPEG")
        kinds.append(folder.parent / f"kind{number}.jpg")
        kinds[-1].write_bytes(data.getvalue())
    for number in range(1, PICTURES + 1):
        os.link(chance.choice(kinds), folder / f"COCO_train2014_{number:012d}.jpg")


def write_captions(path: Path) -> None:
    chance = random.Random(2)
    images = [
        {
            "license": 1,
            "file_name": f"COCO_train2014_{number:012d}.jpg",
            "coco_url": f"http://images.example.org/train2014/COCO_train2014_{number:012d}.jpg",
            "height": 48,
            "width": 64,
            "date_captured": "2013-11-14 16:28:13",
            "flickr_url": f"http://farm.example.org/{number}_z.jpg",
            "id": number,
        }
        for number in range(1, PICTURES + 1)
    ]
    entries = [
        {"image_id": n % PICTURES + 1, "id": n, "caption": " ".join(chance.choices(WORDS, k=11)).capitalize() + "."}
        for n in range(CAPTIONS)
    ]
    chance.shuffle(entries)
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": entries}))


def peak(pid: int) -> int:
    """The largest resident memory that a process has had so far, 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_source_of_cocos_size_is_built_within_the_stated_memory(tmp_path: Path) -> None:
    write_pictures(tmp_path / "coco" / "train2014")
    write_captions(tmp_path / "coco" / "captions_train2014.json")
    config = {
        "pool": "large",
        "collections": {"coco": str(tmp_path / "coco")},
        "sources": [{"name": "coco_caption", "root": str(tmp_path / "coco"), "splits": ["train"]}],
    }
    (tmp_path / "pool.yaml").write_text(json.dumps(config))
    words = ["shard", str(tmp_path / "pool.yaml"), "--out", str(tmp_path / "pool"), "--workers", "2"]
    began, driver, workers = time.monotonic(), 0, dict[int, int]()
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *words], stdout=out, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        while process.poll() is None:
            driver = max(driver, peak(process.pid))
            for pid in children(process.pid):
                workers[pid] = max(workers.get(pid, 0), peak(pid))
            time.sleep(0.05)
        assert process.returncode == 0, process.stderr and process.stderr.read()
    taken = time.monotonic() - began
    print(
        f"\n{CAPTIONS:,} captions of {PICTURES:,} pictures in {taken:.0f} s: driver at most {driver / 2**20:,.0f} MiB,"
    )
    print(f"worker processes at most {', '.join(f'{value / 2**20:,.0f}' for value in workers.values())} MiB")
    assert len(workers) >= 2
    assert driver < DRIVER_BYTES
    assert max(workers.values()) < WORKER_BYTES
    seen = verify(str(tmp_path / "pool"), workers=2)
    assert (seen.problems, seen.samples, seen.records) == ([], PICTURES, CAPTIONS)
