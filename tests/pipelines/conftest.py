"""Pools of the demo world: their configs, a finished one that all tests may read, and what a folder holds in bytes."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image, UnidentifiedImageError

from pipelines.mix import mix
from pipelines.shard import shard
from schemas.ledger import Count
from schemas.lock import LOCK_SCHEMA, HeldOutSplit, Lock, LockedPart, PinnedPool
from schemas.mixture import Mixture, mixture
from schemas.pool import FileDigest, pool_config

Config = dict[str, Any]
Tree = dict[str, bytes]


def _config(files: Path) -> Config:
    return {
        "pool": "demo",
        "collections": {"coco": f"{files}/coco"},
        "sources": [
            {"name": "refcoco", "root": f"{files}/refer", "splits": ["train", "val"]},
            {"name": "refcocog", "root": f"{files}/refer", "splits": ["train"]},
            {"name": "coco_caption", "root": f"{files}/coco", "splits": ["train", "val"]},
            {"name": "coco_instances", "root": f"{files}/coco", "splits": ["train", "val"]},
        ],
        "shard": {"max_bytes": "400KiB"},
    }


@pytest.fixture(scope="session")
def without_progress() -> Callable[[str], str]:
    """Takes what a command said on standard error, gives all but the lines of progress, which only slow ones print."""
    line = re.compile(r"^[^:\n]+: [\d,]+( of [\d,]+)?, [\d,.]+/s(, .*)?\n", re.MULTILINE)
    return lambda told: line.sub("", told)


@pytest.fixture
def demo_config(demo_files: Path) -> Config:
    """A pool of four sources of the demo world in several shards, as parsed YAML: change it as you like."""
    return _config(demo_files)


@pytest.fixture(scope="session")
def demo_pool(demo_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pool of ``demo_config``, built by one worker. Read only."""
    out = tmp_path_factory.mktemp("pools") / "demo"
    shard(pool_config(_config(demo_files), "test"), str(out))
    return out


@pytest.fixture(scope="session")
def text_pool(demo_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of samples without pictures, called ``text``. Read only."""
    out = tmp_path_factory.mktemp("pools") / "text"
    chat = {"name": "unnatural", "root": f"{demo_files}/unnatural", "splits": ["train"], "form": "core"}
    config = {"pool": "text", "collections": {}, "sources": [chat], "shard": {"max_samples": 7}}
    shard(pool_config(config, "test"), str(out))
    return out


@pytest.fixture(scope="session")
def lock_of() -> Callable[..., Path]:
    """A function: the lock of these parts of these pools, at that path, with 8 steps of 12 draws and nothing held out.

    The key ``train``, and any other key of a mixture, may say otherwise.
    """

    def make(
        path: Path,
        pools: list[Path],
        parts: list[Config],
        *,
        train: Config | None = None,
        allow_eval: bool = False,
        **said: Any,
    ) -> Path:
        sized = {"steps": 8, "batches" if said.get("unit") == "batch" else "global_batch": 12, **(train or {})}
        raw = {"stage": 3, "unit": "sample", "seed": 11, "held_out": "released", "parts": parts, "train": sized, **said}
        mix(mixture(raw, "test"), [str(pool) for pool in pools], path, roots={}, workers=1, allow_eval=allow_eval)
        return path

    return make


def _entry(files: Path, name: str, folder: str, *splits: str, **more: Any) -> Config:
    return {"name": name, "root": f"{files}/{folder}", "splits": list(splits or ("train",)), **more}


def _encoded_anew(files: Path, out: Path) -> Path:
    shutil.copytree(files, out)
    for path in out.rglob("*.jpg"):
        with suppress(UnidentifiedImageError), Image.open(path) as image:  # one of them is a page that says no
            image.load()
            image.save(path, quality=70)
    return out


@pytest.fixture(scope="session")
def mix_pools(demo_files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pools to mix, by name: coco in several shards, vg, lang, and refcoco's splits for evaluation. Read only.

    Pictures of vg have other bytes than COCO's that are the same: only their aliases tell.
    """
    out, files = tmp_path_factory.mktemp("mix"), demo_files
    vg = {"vg": str(_encoded_anew(files / "vg", out / "vg-files"))}
    coco = {"coco_caption": "coco", "refcoco": "refer", "llava_detail": "llava"}
    pools: list[Config] = [
        {"pool": "coco", "sources": [_entry(files, *one) for one in coco.items()], "multitask": {}},
        {"pool": "vg", "sources": [_entry(files, "vg", "vg", max_reject=0.05)], "collections": vg},
        {"pool": "lang", "sources": [_entry(files, "unnatural", "unnatural", form="core")]},
        {"pool": "eval", "sources": [_entry(files, "refcoco_eval", "refer", "val", "testA", "testB")]},
    ]
    for one in pools:
        config = {"collections": {"coco": f"{files}/coco"}, "shard": {"max_bytes": "100KiB"}, **one}
        shard(pool_config(config, "test"), str(out / one["pool"]))
    return {one["pool"]: str(out / one["pool"]) for one in pools}


@pytest.fixture
def staged() -> Callable[..., Mixture]:
    """A function: the mixture of parts, each (source, task) or (source, task, more), and of what else is said."""

    def make(*parts: tuple[Any, ...], **more: Any) -> Mixture:
        entries = [{"source": name, "task": task, "weight": 1.0, **dict(*rest)} for name, task, *rest in parts]
        raw = {"stage": "test", "unit": "sample", "parts": entries, "train": {"steps": 10, "global_batch": 8}}
        return mixture({**raw, "held_out": "released", **more}, "test")

    return make


@pytest.fixture
def pool_copy(demo_pool: Path, tmp_path: Path) -> Path:
    """A copy of ``demo_pool`` to be damaged."""
    return Path(shutil.copytree(demo_pool, tmp_path / "pool"))


@pytest.fixture
def locked() -> Callable[..., LockedPart]:
    """A function: a part of a lock, from its source and task; anything else by keyword."""

    def part(source: str, task: str | None, **changed: Any) -> LockedPart:
        file = FileDigest("part", 8, "0" * 64)
        lost, filtered = [Count("refcoco/val", 150), Count("vsr/test", 50)], [Count("max_area", 100)]
        told = LockedPart(
            *(source, "train", task, 0, 1.0, None, None, None, 1, 1000, 700, 350, 700, filtered, lost),
            *(1400.0, 2.0, 0.5, 0.5, 0.25, 20.0, 90, file, file, None),
        )
        return msgspec.structs.replace(told, **changed)

    return part


@pytest.fixture
def lock(locked: Callable[..., LockedPart]) -> Lock:
    """A lock of two parts in samples, with two held-out splits."""
    parts = [locked("refcoco", "refer"), locked("llava_detail", None, token_share=0.75, epochs=0.125)]
    held = [
        HeldOutSplit("refcoco/val", "pool", 1500, "0" * 64, 12_345),
        HeldOutSplit("vsr/test", "annotations", 9, "", 0),
    ]
    pool = PinnedPool("coco", "1" * 64, "/pools/coco", 2, 1000, 2000, 0, "round-100", {})
    return Lock(
        *(LOCK_SCHEMA, "abcd" * 16, "0.1.0", "3", "sample", 42, None, 2, 28, 100, {}, {}, "estimate: so and so"),
        *([pool], parts, held),
    )


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], Tree]:
    """A function: every file below a folder by its relative path."""

    def read(folder: Path) -> Tree:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read


@pytest.fixture(scope="session")
def seal_manifest() -> Callable[[Path, Config], None]:
    """A function that publishes a changed manifest with the digest that it then has."""

    def seal(pool: Path, manifest: Config) -> None:
        manifest["digest"] = ""
        manifest["digest"] = sha256(_text(manifest)).hexdigest()
        (pool / "pool.json").write_bytes(_text(manifest))

    return seal


@pytest.fixture(scope="session")
def seal(seal_manifest: Callable[[Path, Config], None]) -> Callable[[Path], None]:
    """A function that mends every digest and size in a pool, from the files up, as a forger would."""

    def mend(pool: Path) -> None:
        manifest = json.loads((pool / "pool.json").read_bytes())
        manifest["bytes"] = 0
        for listed in manifest["receipts"]:
            path = pool / listed["name"]
            manifest["bytes"] += _mend_receipt(pool, path)
            listed |= {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
        seal_manifest(pool, manifest)

    return mend


def _mend_receipt(pool: Path, path: Path) -> int:
    try:
        receipt = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # forged beyond JSON
        return 0
    for file in receipt.get("files", ()):
        data = (pool / file["name"]).read_bytes() if (pool / file["name"]).is_file() else b""
        file |= {"bytes": len(data), "sha256": sha256(data).hexdigest()}
    path.write_bytes(_text(receipt))
    return sum(file["bytes"] for file in receipt.get("files", ()))


def _text(value: Config) -> bytes:
    # As receipts and manifests are published: keys as they stand, one blank of indent, a line feed at the end.
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
