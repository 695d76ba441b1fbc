"""Tests of what becomes of pictures that are absent, damaged, or not the ones that the annotations speak of."""

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from pipelines.draw import samples
from pipelines.shard import Built, shard
from pipelines.verify import verify
from schemas.errors import RejectsError
from schemas.pool import PoolManifest, pool_config
from schemas.record import Sample

Config = dict[str, Any]


@pytest.fixture
def coco(demo_files: Path, tmp_path: Path) -> Path:
    """A copy of the demo world's coco/ whose pictures may be damaged."""
    return Path(shutil.copytree(demo_files / "coco", tmp_path / "coco"))


@pytest.fixture
def config(coco: Path, demo_files: Path) -> Config:
    """A pool of captions and boxes of the train pictures, that lets any share of rejects pass."""
    return {
        "pool": "damaged",
        "collections": {"coco": str(coco)},
        "sources": [
            {"name": "coco_caption", "root": str(coco), "splits": ["train"], "max_reject": 1.0},
            {"name": "refcoco", "root": f"{demo_files}/refer", "splits": ["train"], "max_reject": 1},
        ],
        "shard": {"max_samples": 20},
    }


def build(config: Config, out: Path, max_reject: float | None = None) -> Built:
    return shard(pool_config(config, "test"), str(out), max_reject=max_reject)


def a_picture(config: Config, demo_files: Path) -> tuple[int, Path, dict[str, int]]:
    """A train picture that has captions and expressions: its id, its file, and how many candidates each part has."""
    import pickle

    refs = pickle.loads((demo_files / "refer" / "refcoco" / "refs(unc).p").read_bytes())
    number = next(ref["image_id"] for ref in refs if ref["split"] == "train")
    sentences = sum(len(ref["sentences"]) for ref in refs if (ref["split"], ref["image_id"]) == ("train", number))
    path = Path(config["collections"]["coco"]) / "train2014" / f"COCO_train2014_{number:012d}.jpg"
    return number, path, {"caption": 5, "refer": sentences, "identify": sentences}


def rejected(manifest: PoolManifest) -> dict[str, dict[str, int]]:
    found = {tally.task or "": {count.name: count.count for count in tally.rejected} for tally in manifest.ledger}
    return {task: reasons for task, reasons in found.items() if reasons}


def read(pool: Path, number: int) -> Sample | None:
    return next((one for one, _ in samples(str(pool)) if one.image and one.image.id == f"coco/{number}"), None)


def noted(manifest: PoolManifest, note: str) -> int:
    return sum(count.count for tally in manifest.ledger for count in tally.notes if count.name == note)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def half_zero(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def html(data: bytes) -> bytes:
    return b"<!DOCTYPE html><p>404"


def empty(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncated, "damaged picture"),
        (half_zero, "damaged picture"),
        (html, "no picture"),
        (empty, "no picture"),
    ],
)
def test_every_record_of_a_damaged_picture_is_rejected_with_its_reason(
    config: Config, demo_files: Path, tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    number, path, parts = a_picture(config, demo_files)
    path.write_bytes(damage(path.read_bytes()))
    manifest = build(config, tmp_path / "pool").manifest
    assert rejected(manifest) == {task: {reason: count} for task, count in parts.items()}
    assert read(tmp_path / "pool", number) is None
    files = sorted((tmp_path / "pool" / "rejects").iterdir())
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert Counter(line["task"] for line in lines) == parts
    assert {line["image"] for line in lines} == {f"coco/{number}"}
    assert verify(str(tmp_path / "pool")).problems == []


def test_a_picture_of_swapped_sides_keeps_its_captions_and_loses_its_boxes(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    number, path, parts = a_picture(config, demo_files)
    with Image.open(path) as image:
        width, height = image.size
        image.transpose(Image.Transpose.ROTATE_90).save(path, "JPEG")
    assert width != height
    manifest = build(config, tmp_path / "pool").manifest
    wanted = {task: {"picture of another shape": parts[task]} for task in ("refer", "identify")}
    assert rejected(manifest) == wanted
    sample = read(tmp_path / "pool", number)
    assert sample and [record.task for record in sample.records] == ["caption"] * 5
    assert verify(str(tmp_path / "pool")).problems == []


def test_a_copy_of_half_the_size_keeps_everything_and_boxes_stay_fractions(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    number, path, parts = a_picture(config, demo_files)
    build(config, tmp_path / "whole")
    before = read(tmp_path / "whole", number)
    with Image.open(path) as image:
        size = (image.width // 2, image.height // 2)
        image.resize(size).save(path, "JPEG")
    manifest = build(config, tmp_path / "half").manifest
    after = read(tmp_path / "half", number)
    assert rejected(manifest) == {}
    assert noted(manifest, "picture is a scaled copy of the annotated one") == parts["refer"] + parts["identify"]
    assert before and after and after.records == before.records
    assert after.image and (after.image.width, after.image.height) == size


def test_a_turned_picture_is_stored_as_it_lies_with_its_tag_set_to_one(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    number, path, parts = a_picture(config, demo_files)
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        size = image.size
        image.save(path, "JPEG", exif=exif)
    data = path.read_bytes()
    manifest = build(config, tmp_path / "pool").manifest
    sample, picture = next(
        (s, p) for s, p in samples(str(tmp_path / "pool")) if s.image and s.image.id[5:] == str(number)
    )
    assert rejected(manifest) == {} and len(sample.records) == sum(parts.values())
    assert noted(manifest, "orientation neutralised") == sum(parts.values())
    assert picture and len(picture) == len(data)
    assert sum(a != b for a, b in zip(picture, data, strict=True)) == 1
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == size and image.getexif()[0x0112] == 1


def test_a_shrinking_policy_shrinks_every_larger_picture_and_leaves_records_alone(
    config: Config, tmp_path: Path
) -> None:
    build(config, tmp_path / "whole")
    config["image"] = {"max_side": 64, "min_short_side": 16}
    manifest = build(config, tmp_path / "small").manifest
    whole = {one.image.id: one for one, _ in samples(str(tmp_path / "whole")) if one.image}
    for sample, picture in samples(str(tmp_path / "small")):
        assert sample.image and picture
        first = whole[sample.image.id]
        assert sample.records == first.records and first.image
        with Image.open(io.BytesIO(picture)) as image:
            assert max(image.size) == 64 == max(sample.image.width or 0, sample.image.height or 0)
            assert abs(image.width / image.height - (first.image.width or 0) / (first.image.height or 1)) < 0.05
    assert noted(manifest, "shrunk") == manifest.records
    assert verify(str(tmp_path / "small")).problems == []


def test_files_that_are_no_pictures_of_the_collection_are_left_alone(
    config: Config, coco: Path, tmp_path: Path
) -> None:
    build(config, tmp_path / "clean")
    for name in ("README.txt", "COCO_train2014_000000000042.jpg.txt", "COCO_train2014_12.jpg", ".DS_Store", "x.jpg"):
        (coco / "train2014" / name).write_text("no picture")
    (coco / "train2014" / "000000000001.jpg").mkdir()
    build(config, tmp_path / "littered")
    assert (tmp_path / "littered" / "pool.json").read_bytes() == (tmp_path / "clean" / "pool.json").read_bytes()


def test_an_absent_picture_fails_the_build_beyond_the_bound_and_the_error_says_what_to_do(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    number, path, _ = a_picture(config, demo_files)
    path.unlink()
    config["sources"][0]["max_reject"] = 0.01
    with pytest.raises(RejectsError) as error:
        build(config, tmp_path / "pool")
    message = str(error.value)
    assert message.startswith(
        "coco_caption train: 5 of 240 candidates rejected (2.1%, at most 1.0%): picture missing 5"
    )
    assert f"coco/{number}" in message and "missing_images: filter" in message
    assert not (tmp_path / "pool").exists()


def test_an_absent_picture_is_filtered_by_name_where_the_pool_says_so(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    number, path, parts = a_picture(config, demo_files)
    path.unlink()
    config["missing_images"] = "filter"
    for entry in config["sources"]:
        entry["max_reject"] = 0
    manifest = build(config, tmp_path / "pool").manifest
    filtered = {tally.task: {count.name: count.count for count in tally.filtered} for tally in manifest.ledger}
    assert filtered == {task: {"picture missing": count} for task, count in parts.items()}
    assert read(tmp_path / "pool", number) is None
    assert not any(file.read_bytes() for file in (tmp_path / "pool" / "rejects").iterdir())


def test_the_bound_is_kept_per_source_and_split_and_the_override_is_for_all(
    config: Config, demo_files: Path, tmp_path: Path
) -> None:
    _, path, parts = a_picture(config, demo_files)
    path.write_bytes(truncated(path.read_bytes()))
    config["sources"][1]["max_reject"] = 0.001
    with pytest.raises(RejectsError, match=r"^refcoco train: .*: damaged picture "):
        build(config, tmp_path / "pool")
    assert not (tmp_path / "pool" / "pool.json").exists()
    with pytest.raises(RejectsError, match=r"^coco_caption train: .*--max-reject would let them pass"):
        config["sources"][1]["max_reject"] = 1.0
        build(config, tmp_path / "pool", max_reject=0.02)
    built = build(config, tmp_path / "pool", max_reject=0.5)
    assert sum(sum(reasons.values()) for reasons in rejected(built.manifest).values()) == sum(parts.values())


def test_the_error_of_too_many_rejects_names_the_top_reasons_with_their_counts(
    config: Config, coco: Path, tmp_path: Path
) -> None:
    path = coco / "annotations" / "captions_train2014.json"
    raw = json.loads(path.read_text())
    for place, entry in enumerate(raw["annotations"][:9]):
        entry["caption"] = (" ", "x" * 20_001, 7)[place % 3] if place < 6 else " "
    path.write_text(json.dumps(raw))
    config["sources"][0]["max_reject"] = 0.01
    with pytest.raises(RejectsError) as error:
        build(config, tmp_path / "pool")
    for part in ("9 of 240", "empty caption 5", "over-long caption 2", "malformed row 2"):
        assert part in str(error.value)


def test_a_pool_of_rejects_alone_has_nothing_to_pack(config: Config, coco: Path, tmp_path: Path) -> None:
    from schemas.errors import SourceError

    shutil.rmtree(coco / "train2014")
    with pytest.raises(SourceError, match="nothing to pack"):
        build(config, tmp_path / "pool")
    assert not (tmp_path / "pool").exists()


def test_a_pool_whose_every_picture_is_damaged_is_empty_and_still_whole(
    config: Config, coco: Path, tmp_path: Path
) -> None:
    for path in (coco / "train2014").iterdir():
        path.write_bytes(b"")
    manifest = build(config, tmp_path / "pool").manifest
    assert (manifest.samples, manifest.records) == (0, 0) and manifest.shards == 3
    assert verify(str(tmp_path / "pool")).problems == []
    receipts = [msgspec.json.decode(path.read_bytes()) for path in (tmp_path / "pool" / "receipts").iterdir()]
    assert [receipt["samples"] for receipt in receipts] == [0, 0, 0]
