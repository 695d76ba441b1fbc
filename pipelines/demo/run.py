"""``boxcar demo``: the world, written as the published datasets, then the real commands on it, one after another."""

import json
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

from pipelines.demo.publish import world
from pipelines.demo.sources import write_world
from pipelines.draw import drawn, samples, sheet
from schemas.errors import BoxcarError, ConfigError

MARK = "boxcar-demo.txt"
POOL = """\
pool: demo
collections: {{coco: {coco}}}
sources:
  - {{name: refcoco, root: {refer}, splits: [train, val]}}
  - {{name: refcocoplus, root: {refer}, splits: [train]}}
  - {{name: refcocog, root: {refer}, splits: [train]}}
  - {{name: coco_caption, root: {coco}, splits: [train, val]}}
  - {{name: coco_instances, root: {coco}, splits: [train, val]}}
shard: {{max_bytes: 1MiB}}
"""


def demo(out: Path, images: int, seed: int, workers: int) -> None:
    """Make everything anew under ``out`` and say what to look at; ConfigError where something else lies there."""
    began = time.monotonic()
    _prepare(out)
    raw = out / "raw"
    _say(f"Drawing {images} pictures of coloured shapes and writing them as the published datasets: {raw}")
    write_world(world(images, seed), raw)
    config = out / "pool.yaml"
    config.write_text(POOL.format(coco=_quoted(raw / "coco"), refer=_quoted(raw / "refer")), encoding="utf-8")
    records = out / "refcoco_val.jsonl"
    _boxcar("sources", "refcoco", "--root", str(raw / "refer"))
    _boxcar("convert", "refcoco", "--root", str(raw / "refer"), "--split", "val", "--out", str(records))
    _boxcar("shard", str(config), "--out", str(out / "pool"), "--workers", str(workers))
    _boxcar("verify", str(out / "pool"), "--workers", str(workers))
    picture = out / "samples.png"
    _draw(str(out / "pool"), picture)
    _say(f"Done in {time.monotonic() - began:.0f} s. Look at:")
    for path, what in (
        (picture, "samples of the pool, their boxes drawn from the tokens"),
        (records, "the records of one source, as JSON lines"),
        (out / "pool", "the pool: tars, offsets, record index, receipts, rejects and pool.json"),
        (config, "the YAML that made it; change it and run boxcar shard again with another --out"),
    ):
        print(f"  {path}  {what}")  # noqa: T201


def _prepare(out: Path) -> None:
    if out.exists() and not (out / MARK).is_file():
        raise ConfigError(f"{out} is there and is no earlier demo: choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).write_text("Made by boxcar demo, which replaces this folder when it runs again.\n", encoding="utf-8")


def _quoted(path: Path) -> str:
    return json.dumps(str(path.absolute()))  # YAML takes any JSON string, so a path may hold commas or brackets


def _boxcar(*arguments: str) -> None:
    _say(f"$ boxcar {' '.join(arguments)}")
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BoxcarError(f"boxcar {arguments[0]} ended with exit code {done.returncode}")


def _draw(pool: str, path: Path) -> None:
    pages = [drawn(sample, picture) for sample, picture in islice(samples(pool), 6) if picture]
    sheet(pages).save(path)


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)  # noqa: T201
