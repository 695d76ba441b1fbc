"""Tests of pictures that come again in a streamed pool: under one link, with the same bytes, or nearly the same."""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from PIL import Image

from pipelines import store
from pipelines.demo.downloads import write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.world import scene
from pipelines.manifest import digest_of
from pipelines.shard import Built, shard
from pipelines.verify import verify
from schemas.pool import PoolManifest, pool_config

ROWS = 53  # in inputs of 50 and 3; the second holds what comes again
LINK, BYTES, NEAR = 50, 51, 52
SCORED = (("too low", 0.1), ("first of two", 0.4), ("second", 0.5))


def original(number: int) -> bytes:
    return jpeg(scene(0, number % 50), 0)


def picture(number: int) -> bytes:
    if number != NEAR:
        return original(number)
    file, image = io.BytesIO(), Image.open(io.BytesIO(original(NEAR)))
    image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(file, "JPEG", quality=70)
    return file.getvalue()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    rows = [{"url": f"http://a.example/{n}.jpg", "caption": f"picture {n}"} for n in range(ROWS)]
    rows[LINK]["url"] = "HTTPS://A.example:443/0.jpg#again"
    write_slices(folder, rows, picture)
    return folder


def build(folder: Path, out: Path, **more: Any) -> Built:
    entry = {"name": "cc3m", "root": str(folder), "splits": ["train"]}
    return shard(pool_config({"pool": "web", "collections": {}, "sources": [entry], **more}, "test"), str(out))


def left_out(built: Built) -> dict[str, int]:
    rules = {count.name: count.count for count in built.manifest.ledger[0].filtered}
    return {name: count for name, count in rules.items() if "earlier" in name}


def test_a_link_that_comes_again_in_another_input_is_left_out_however_it_is_written(
    downloads: Path, tmp_path: Path
) -> None:
    assert left_out(build(downloads, tmp_path / "pool")) == {"same link as an earlier picture": 1}


def test_equal_bytes_are_left_out_where_asked(downloads: Path, tmp_path: Path) -> None:
    built = build(downloads, tmp_path / "pool", dedupe="exact")
    assert left_out(built) == {"same link as an earlier picture": 1, "same bytes as an earlier picture": 1}


def test_a_picture_that_was_shrunk_and_encoded_again_is_left_out_where_asked(downloads: Path, tmp_path: Path) -> None:
    built = build(downloads, tmp_path / "pool", dedupe="near", near_radius=4)
    found = left_out(built)
    assert found["nearly the same as an earlier picture"] >= 1 and found["same bytes as an earlier picture"] == 1
    assert not verify(str(tmp_path / "pool")).problems
    assert all("picture 52" not in str(path.read_bytes()) for path in (tmp_path / "pool").glob("*.tar"))


def test_the_index_holds_the_likeness_of_every_picture(downloads: Path, tmp_path: Path) -> None:
    build(downloads, tmp_path / "pool")
    tables = [pa.ipc.open_file(path).read_all() for path in sorted((tmp_path / "pool" / "index").iterdir())]
    first, copy = tables[0]["likeness"].to_pylist(), tables[1]["likeness"].to_pylist()
    assert copy[0] == first[1]  # the row of equal bytes
    assert len(set(first)) > 40


def test_pictures_looked_at_by_their_header_alone_have_no_likeness_and_the_same_bytes(
    downloads: Path, tmp_path: Path
) -> None:
    build(downloads, tmp_path / "strict")
    build(downloads, tmp_path / "header", image={"check": "header"})
    index = pa.ipc.open_file(tmp_path / "header" / "index" / "000000.arrow").read_all()
    assert set(index["likeness"].to_pylist()) == {None}
    one, other = (sorted((tmp_path / name).glob("*.tar")) for name in ("strict", "header"))
    assert [tar.read_bytes() for tar in one] == [tar.read_bytes() for tar in other]
    assert not verify(str(tmp_path / "header")).problems


def test_a_row_that_a_rule_leaves_out_keeps_no_other_of_its_link_out(tmp_path: Path) -> None:
    rows = [{"url": "http://a.example/0.jpg", "caption": name, "similarity": score} for name, score in SCORED]
    write_slices(tmp_path / "downloads", rows, original)
    entry = {"name": "laion", "root": str(tmp_path / "downloads"), "splits": ["train"], "options": {"similarity": 0.3}}
    config = {"pool": "web", "collections": {}, "sources": [entry]}
    built = shard(pool_config(config, "test"), str(tmp_path / "pool"))
    assert built.manifest.records == 1 and left_out(built) == {"same link as an earlier picture": 1}


def test_equal_pictures_in_a_pool_that_should_have_none_are_found(downloads: Path, tmp_path: Path) -> None:
    build(downloads, tmp_path / "pool")
    manifest = json.loads((tmp_path / "pool" / "pool.json").read_text())
    manifest["config"]["dedupe"], manifest["digest"] = "exact", ""
    sealed = msgspec.json.decode(json.dumps(manifest), type=PoolManifest)
    sealed = msgspec.structs.replace(sealed, digest=digest_of(sealed))
    (tmp_path / "pool" / "pool.json").write_bytes(store.canonical(sealed))
    assert [problem.what for problem in verify(str(tmp_path / "pool")).problems] == [
        "1 pictures lie in the pool more than once, by the bytes they were made of"
    ]
