"""``boxcar demo``: the world, written as the published datasets, then the real commands on it, one after another.

Its pictures are served on loopback for the while, as links to pictures on the web, so that they can be fetched.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from pipelines.demo.draw import jpeg
from pipelines.demo.grit import write_grit
from pipelines.demo.learn import (
    learning_mixture,
    learning_pool,
    learning_world,
    pictures_for,
    steps_for,
    write_learning,
)
from pipelines.demo.publish import World, world
from pipelines.demo.server import misbehaving
from pipelines.demo.sources import write_world
from pipelines.demo.web import write_web
from pipelines.draw import drawn, samples, sheet
from pipelines.fetch.command import NEEDED
from schemas.errors import BoxcarError, ConfigError

MARK = "boxcar-demo.txt"
COLLECTIONS = {
    "coco": ["coco"],
    "vg": ["vg", "gqa"],
    "flickr30k": ["flickr30k"],
    "openimages": ["textcaps"],
    "ocrvqa": ["ocrvqa"],
}
# Where each source lies below the world, and what its entry in the pool says beyond that.
SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "refcoco": ("refer", {"splits": ["train", "val"]}),
    "refcocoplus": ("refer", {}),
    "refcocog": ("refer", {}),
    "coco_caption": ("coco", {"splits": ["train", "val"]}),
    "coco_instances": ("coco", {"splits": ["train", "val"]}),
    "vqav2": ("vqav2", {}),
    "okvqa": ("okvqa", {}),
    "aokvqa": ("aokvqa", {}),
    "aokvqa_mc": ("aokvqa", {}),
    "llava_conversation": ("llava", {}),
    "llava_detail": ("llava", {}),
    "llava_reason": ("llava", {}),
    "vg": ("vg", {"max_reject": 0.02}),  # a region of it lies outside its picture
    "gqa": ("gqa", {"form": "balanced"}),
    "flickr30k_grounded": ("flickr30k", {"options": {"min_phrases": 2}}),
    "flickr30k_parsing": ("flickr30k", {"options": {"min_phrases": 2}}),
    "flickr30k_phrase": ("flickr30k", {"options": {"min_phrases": 2}}),
    "flickr30k_caption": ("flickr30k", {"form": "folders"}),
    "textcaps": ("textcaps", {}),
    "ocrvqa": ("ocrvqa", {"max_reject": 0.5}),  # a cover of it is missing, another a placeholder
    "unnatural": ("unnatural", {"form": "core"}),
}
WANTED = ((10, 0.7), (3, 0.35))  # of how many held-out questions are answered right after about so many minutes
LINKS = {"grit": {}, "cc3m": {"max_reject": 0.02}}  # sources whose pictures are fetched, and what their entries say


def demo(out: Path, images: int, seed: int, workers: int, train_minutes: float = 0.0) -> None:
    """Make everything anew under ``out`` and say what to look at; ConfigError where something else lies there.

    With ``train_minutes`` a tiny model learns for about that long from a pool of its own; BoxcarError if it failed.
    """
    began = time.monotonic()
    _prepare(out)
    raw = out / "raw"
    _say(f"Drawing {images} pictures of coloured shapes and writing them as the published datasets: {raw}")
    made = world(images, seed)
    write_world(made, raw)
    config = out / "pool.yaml"
    config.write_text(_pool(raw), encoding="utf-8")
    records = out / "refcoco_val.jsonl"
    _boxcar("sources", "refcoco", "--root", str(raw / "refer"))
    _boxcar("convert", "refcoco", "--root", str(raw / "refer"), "--split", "val", "--out", str(records))
    _boxcar("shard", str(config), "--out", str(out / "pool"), "--workers", str(workers))
    _boxcar("verify", str(out / "pool"), "--workers", str(workers))
    fetched = _fetch(made, raw, out / "fetched", workers)
    for name in fetched:
        _stream(name, out, workers)
    run = _learn(out, seed, workers, train_minutes)
    picture = out / "samples.png"
    _draw([str(out / pool) for pool in ("pool", *fetched)], picture)
    _say(f"Done in {time.monotonic() - began:.0f} s. Look at:")
    for path, what in (
        (picture, "samples of the pool, their boxes drawn from the tokens"),
        (records, "the records of one source, as JSON lines"),
        (out / "pool", "the pool: tars, offsets, record index, receipts, rejects and pool.json"),
        *((out / name, f"a pool of {name}, streamed from {out / 'fetched' / name}") for name in fetched),
        (config, "the YAML that made it; change it and run boxcar shard again with another --out"),
        *((path, "what a tiny model learnt: figures.json, loss.png, answers.jsonl") for path in run),
    ):
        print(f"  {path}  {what}")  # noqa: T201
    print(f"Or in a browser:\n  boxcar view {out / 'pool'}  filters, worst first, rejects", flush=True)  # noqa: T201


def _fetch(made: World, raw: Path, out: Path, workers: int) -> list[str]:
    """Get the pictures of published links, from a server on loopback; the sources of which they were got."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        _say("No pictures are fetched, as boxcar[fetch] is not installed")
        return []
    files = {f"{one.index}.jpg": jpeg(one, made.seed) for one in made.scenes}
    with misbehaving(files) as server:
        base_url = server.url("").rstrip("/")
        write_web(made, raw, base_url)
        write_grit(made, raw, base_url)
        for name in LINKS:
            where = ("--root", str(raw / name), "--out", str(out / name), "--allow-host", server.host)
            _boxcar("fetch", name, *where, "--workers", str(workers), "--per-host", "32")
    return list(LINKS)


def _stream(name: str, out: Path, workers: int) -> None:
    entry = {"name": name, "root": str((out / "fetched" / name).absolute()), "splits": ["train"], **LINKS[name]}
    config = out / f"{name}.yaml"
    config.write_text(f"pool: {name}\ncollections: {{}}\nsources:\n  - {json.dumps(entry)}\n", encoding="utf-8")
    _boxcar("shard", str(config), "--out", str(out / name), "--workers", str(workers))
    _boxcar("verify", str(out / name), "--workers", str(workers))


def _learn(out: Path, seed: int, workers: int, minutes: float) -> list[Path]:
    """Train a tiny model on small pictures, and its control beside it; where the run is, nowhere without any time."""
    if not minutes:
        return []
    if importlib.util.find_spec("transformers") is None:
        _say("No model is trained, as boxcar[train] is not installed")
        return []
    raw, config, mixture = out / "learn-raw", out / "learn.yaml", out / "learn-mixture.yaml"
    images = pictures_for(minutes)
    _say(f"Drawing {images:,} small pictures to learn from, published as COCO and RefCOCO: {raw}")
    write_learning(learning_world(images, seed), raw)
    config.write_text(learning_pool(raw), encoding="utf-8")
    mixture.write_text(learning_mixture(seed), encoding="utf-8")
    pool, lock, run = out / "learn", out / "learn.lock.json", out / "run"
    _boxcar("shard", str(config), "--out", str(pool), "--workers", str(workers))
    _boxcar("mix", str(mixture), "--pools", str(pool), "--out", str(lock))
    least = next((least for floor, least in WANTED if minutes >= floor), 0.0)
    budget = ("--steps", str(steps_for(minutes)), "--at-least", str(least), "--set", f"seed={seed}")
    _boxcar("train", str(lock), "--model", "tiny", "--out", str(run), *budget)
    return [run]


def _prepare(out: Path) -> None:
    if out.exists() and not (out / MARK).is_file():
        raise ConfigError(f"{out} is there and is no earlier demo: choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).write_text("Made by boxcar demo, which replaces this folder when it runs again.\n", encoding="utf-8")


def _pool(raw: Path) -> str:
    """The pool's YAML, of which JSON is a part, so that a path may hold commas or brackets."""
    collections = {name: [str((raw / folder).absolute()) for folder in at] for name, at in COLLECTIONS.items()}
    entries = [
        {"name": name, "root": str((raw / folder).absolute()), "splits": ["train"], **more}
        for name, (folder, more) in SOURCES.items()
    ]
    lines = ["pool: demo", f"collections: {json.dumps(collections)}", "sources:"]
    lines += [f"  - {json.dumps(entry)}" for entry in entries]
    return "\n".join([*lines, "multitask: {per_picture: 1}", "shard: {max_bytes: 2MiB}", ""])


def _boxcar(*arguments: str) -> None:
    _say(f"$ boxcar {' '.join(arguments)}")
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BoxcarError(f"boxcar {arguments[0]} ended with exit code {done.returncode}")


def _draw(pools: Sequence[str], path: Path) -> None:
    """Two samples of each set of pictures, and where there are fewer, those."""
    pages: dict[str, list[Image.Image]] = {}
    for sample, picture in chain.from_iterable(map(samples, pools)):
        shown = pages.setdefault(sample.image.id.partition("/")[0], []) if sample.image else None
        if picture and shown is not None and len(shown) < 2:
            shown.append(drawn(sample, picture))
    sheet([page for shown in pages.values() for page in shown]).save(path)


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)  # noqa: T201
