"""Tests that others read a pool as it lies: plain webdataset, Hugging Face datasets, and one pread by the offsets."""

import base64
import gc
import io
import json
import os
import struct
import tarfile
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from pipelines.shard import shard
from pipelines.stage import order_of
from schemas.pool import pool_config

Json = dict[str, Any]


@pytest.fixture
def foreign() -> Iterator[None]:
    """Around readers that leave files open until they are collected: that is theirs to mend, not ours to fail on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="module")
def lopsided_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool whose first shards hold only captions, one a picture, and whose later ones hold only boxes."""
    root = tmp_path_factory.mktemp("lopsided")
    ordered = sorted(range(1, 25), key=lambda number: order_of(0, f"coco/{number}"))
    (root / "train2014").mkdir()
    for number in ordered:
        image = Image.new("L" if number % 5 == 0 else "RGB", (40 + number, 30), number * 9)
        image.save(root / "train2014" / f"COCO_train2014_{number:012d}.jpg")
    images = [{"id": number, "width": 40 + number, "height": 30} for number in ordered]
    captions = [{"id": number, "image_id": number, "caption": f"picture {number} 🦕"} for number in ordered[:12]]
    regions = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 10 + number, 20], "iscrowd": 0}
        for number in ordered[12:]
    ]
    (root / "captions_train2014.json").write_text(json.dumps({"images": images, "annotations": captions}))
    (root / "instances_train2014.json").write_text(
        json.dumps({"images": images, "annotations": regions, "categories": [{"id": 1, "name": "dinosaur"}]})
    )
    config = {
        "pool": "lopsided",
        "collections": {"coco": str(root)},
        "sources": [
            {"name": name, "root": str(root), "splits": ["train"]} for name in ("coco_caption", "coco_instances")
        ],
        "shard": {"max_samples": 6},
    }
    manifest = shard(pool_config(config, "test"), str(root / "pool")).manifest
    assert (manifest.shards, manifest.samples) == (4, 24)
    tasks = [{record["task"] for record in sample["records"]} for _, sample, _ in in_tars(root / "pool")]
    assert tasks == [{"caption"}] * 12 + [{"detection", "refer", "identify"}] * 12
    return root / "pool"


@pytest.fixture(params=["demo_pool", "lopsided_pool"])
def pool(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def in_tars(pool: Path) -> Iterator[tuple[str, Json, bytes]]:
    """Every sample by the standard library alone: stem, the JSON, the picture's bytes."""
    for path in sorted(pool.glob("*.tar")):
        with tarfile.open(path) as tar:
            parts: dict[str, dict[str, bytes]] = {}
            for info in tar:
                stem, _, extension = info.name.partition(".")
                parts.setdefault(stem, {})[extension] = tar.extractfile(info).read()  # type: ignore[union-attr]
        for stem, part in parts.items():
            yield stem, json.loads(part["json"]), part["jpg"]


def pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size, image.convert("RGB").tobytes()


@pytest.mark.usefixtures("foreign")
def test_plain_webdataset_reads_the_samples_of_the_tars(pool: Path) -> None:
    import webdataset

    urls = [str(path) for path in sorted(pool.glob("*.tar"))]
    read = list(webdataset.WebDataset(urls, shardshuffle=False))
    wanted = list(in_tars(pool))
    assert [(one["__key__"], json.loads(one["json"]), one["jpg"]) for one in read] == wanted


@pytest.mark.usefixtures("foreign")
def test_webdatasets_own_decoders_take_both_members(lopsided_pool: Path) -> None:
    import webdataset

    urls = [str(path) for path in sorted(lopsided_pool.glob("*.tar"))]
    dataset = webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("jpg", "json")
    for (picture, sample), (_, wanted, data) in zip(dataset, in_tars(lopsided_pool), strict=True):
        assert sample == wanted and picture.size == pixels(data)[0]


@pytest.mark.usefixtures("foreign")
def test_hugging_face_datasets_reads_the_samples_with_the_features_of_the_manifest(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = offline_datasets(tmp_path, monkeypatch)
    manifest = json.loads((pool / "pool.json").read_bytes())
    features = datasets.Features.from_dict(manifest["features"])
    urls = [str(path) for path in sorted(pool.glob("*.tar"))]
    read = datasets.load_dataset(
        "webdataset", data_files=urls, features=features, split="train", cache_dir=str(tmp_path / "cache")
    )
    wanted = list(in_tars(pool))
    assert len(read) == len(wanted) == manifest["samples"]
    assert [one["__key__"] for one in read] == [stem for stem, _, _ in wanted]
    for row, (_, sample, picture) in zip(read, wanted, strict=True):
        assert row["json"] == sample
        assert (row["jpg"].size, row["jpg"].convert("RGB").tobytes()) == pixels(picture)


@pytest.mark.usefixtures("foreign")
def test_hugging_face_datasets_streams_a_pool_too(
    lopsided_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = offline_datasets(tmp_path, monkeypatch)
    manifest = json.loads((lopsided_pool / "pool.json").read_bytes())
    features = datasets.Features.from_dict(manifest["features"])
    urls = [str(path) for path in sorted(lopsided_pool.glob("*.tar"))]
    read = datasets.load_dataset("webdataset", data_files=urls, features=features, split="train", streaming=True)
    assert [row["json"] for row in read] == [sample for _, sample, _ in in_tars(lopsided_pool)]


def test_the_exported_arrow_schema_is_the_struct_that_hugging_face_makes_of_the_features(
    demo_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = offline_datasets(tmp_path, monkeypatch)
    manifest = json.loads((demo_pool / "pool.json").read_bytes())
    exported = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(manifest["arrow"])))
    theirs = datasets.Features.from_dict(manifest["features"]).arrow_schema.field("json").type
    assert pa.struct(list(exported)) == theirs
    assert exported.names == ["image", "records", "schema"]
    assert exported.field("image").type.field("width").type == pa.int64()


def test_every_sample_of_a_pool_fits_the_exported_arrow_schema(pool: Path) -> None:
    manifest = json.loads((pool / "pool.json").read_bytes())
    exported = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(manifest["arrow"])))
    samples = [sample for _, sample, _ in in_tars(pool)]
    assert pa.Table.from_pylist(samples, exported).to_pylist() == samples


def test_the_offsets_beside_a_tar_give_each_sample_with_one_read(pool: Path) -> None:
    wanted = {stem: (sample, picture) for stem, sample, picture in in_tars(pool)}
    seen = []
    for path in sorted(pool.glob("*.tar")):
        raw = Path(f"{path}.idx").read_bytes()
        offsets = struct.unpack(f"<{len(raw) // 8}Q", raw)
        handle = os.open(path, os.O_RDONLY)
        try:
            for first, last in pairwise(offsets):
                with tarfile.open(fileobj=io.BytesIO(os.pread(handle, last - first, first))) as tar:
                    parts = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
                stem = next(iter(parts)).partition(".")[0]
                assert (json.loads(parts[f"{stem}.json"]), parts[f"{stem}.jpg"]) == wanted[stem]
                seen.append(stem)
        finally:
            os.close(handle)
    assert seen == list(wanted)


def test_the_record_index_has_a_row_for_every_record_in_its_place(pool: Path) -> None:
    wanted = [
        (stem, place, record["key"], record["task"], len(record["boxes"]), sample["image"]["id"])
        for stem, sample, _ in in_tars(pool)
        for place, record in enumerate(sample["records"])
    ]
    found = []
    for path in sorted((pool / "index").iterdir()):
        rows = pa.ipc.open_file(path.read_bytes()).read_all().to_pylist()
        found += [tuple(row[name] for name in ("stem", "place", "record", "task", "boxes", "image")) for row in rows]
    assert found == wanted


def offline_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    datasets.disable_progress_bars()
    return datasets
