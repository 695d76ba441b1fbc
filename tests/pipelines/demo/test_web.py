"""The demo world's lists of links and its downloads: as published, true, the same each time, and convertible."""

import tarfile
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from converters._downloads import entries, pictures
from converters._web import Entry
from pipelines.convert import Outcome, job, outcomes
from pipelines.demo.downloads import ROWS, write_downloads, write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.phrases import captions
from pipelines.demo.publish import World, world
from pipelines.demo.web import write_web
from schemas.prompt import Wording
from schemas.text import tidy

BASE = "http://127.0.0.1:8000/pictures"
LISTS = {
    ("laion", "train"): ("laion", 60),
    ("cc3m", "train"): ("cc3m", 48),
    ("cc3m", "val"): ("cc3m", 12),
    ("cc12m", "train"): ("cc12m", 60),
    ("sbu", "train"): ("sbu", 60),
    ("blip_ccs", "train"): ("blip", 60),
    ("blip_laion", "train"): ("blip", 60),
}
FAILED = {"failed to download": 4, "failed to resize": 2}


@pytest.fixture(scope="module")
def shapes() -> World:
    return world(60, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, shapes: World) -> Path:
    folder = tmp_path_factory.mktemp("web")
    write_web(shapes, folder, BASE)
    write_downloads(shapes, folder)
    return folder


def converted(source: str, folder: Path, split: str = "train") -> list[Outcome]:
    return list(outcomes(job(source, str(folder), split), Wording()))


def replies(found: list[Outcome]) -> list[str]:
    return [one.record.messages[1].content for one in found if one.record]


@pytest.mark.parametrize(("source", "split"), LISTS)
def test_every_list_converts_whole_with_one_link_a_scene(root: Path, shapes: World, source: str, split: str) -> None:
    folder, number = LISTS[source, split]
    found = converted(source, root / folder, split)
    assert [one.reason for one in found] == [""] * number
    assert len({one.image.id for one in found if one.image}) == number
    if source not in ("cc12m", "cc3m"):
        assert all(
            reply in map(tidy, captions(scene)) for reply, scene in zip(replies(found), shapes.scenes, strict=True)
        )


def test_what_is_odd_in_the_published_lists_is_odd_in_these(root: Path) -> None:
    said = replies(converted("cc12m", root / "cc12m"))
    assert said[1].endswith("<PERSON>")
    assert said[2].endswith('"')
    assert b"\tPhoto\n" in (root / "cc12m" / "cc12m.tsv").read_bytes()
    assert all(text == text.lower() for text in replies(converted("cc3m", root / "cc3m")))
    scores = [len(one.image.scores) for one in converted("laion", root / "laion") if one.image]
    assert set(scores) == {2, 3}


def test_both_forms_of_sbu_say_the_same(root: Path) -> None:
    assert converted("sbu", root / "sbu") == converted("sbu", root / "sbu" / "old")


@pytest.mark.parametrize(("source", "form"), [("laion", "img2dataset"), ("cc3m", "img2dataset"), ("sbu", "files")])
def test_downloads_hold_the_scenes_own_pictures_and_say_what_failed(
    root: Path, shapes: World, source: str, form: str
) -> None:
    found = job(source, str(root / "downloads" / source), "train").found
    assert (found.form.name, len(found.files)) == (form, 2)
    assert [Path(path).name for path in found.unfinished] == ([] if form == "files" else ["00002.tar"])
    states = Counter(one.reason for one in converted(source, root / "downloads" / source))
    assert states == {"": 54, **FAILED}
    for number, path in enumerate(found.files):
        for key, piece in pictures(path).items():
            data = Path(piece.path).read_bytes()[piece.offset : piece.offset + piece.bytes]
            assert data == jpeg(shapes.scenes[number * ROWS + int(key[-4:])], shapes.seed)


def test_a_tar_is_as_img2dataset_writes_it(root: Path) -> None:
    with tarfile.open(root / "downloads" / "laion" / "00000.tar") as tar:
        members = tar.getmembers()
        keys = [one.name.partition(".")[0] for one in members[::3]]
        assert [one.name for one in members] == [f"{key}.{part}" for key in keys for part in ("jpg", "json", "txt")]
        assert members[3].pax_headers["mtime"] == "1700000000.265625"
    assert keys != sorted(keys)
    table = pq.read_table(root / "downloads" / "laion" / "00000.parquet")
    assert table.column_names[-11:] == [
        "caption", "url", "key", "status", "error_message", "width", "height", "original_width", "original_height",
        "exif", "sha256",
    ]  # fmt: skip
    assert {"NSFW", "LICENSE", "similarity", "punsafe", "pwatermark", "top_caption"} <= {*table.column_names}


def test_rows_beside_the_pictures_say_what_the_table_says(root: Path, tmp_path: Path) -> None:
    tar = root / "downloads" / "cc3m" / "00000.tar"
    (tmp_path / "00000.tar").write_bytes(tar.read_bytes())
    listed = [one for one in entries(str(tar), Entry) if isinstance(one, Entry) and one.status == "success"]
    assert list(entries(str(tmp_path / "00000.tar"), Entry)) == listed


def test_columns_that_are_kept_come_back(tmp_path: Path) -> None:
    rows = [{"url": f"{BASE}/0.jpg", "caption": "a dog", "chunks": [[0.0, 5.0, 0.1, 0.2, 0.3, 0.4, 0.9]]}]
    write_slices(tmp_path, rows, lambda number: jpeg(world(1, 1).scenes[number], 1))
    assert pq.read_table(tmp_path / "00000.parquet")["chunks"].to_pylist() == [rows[0]["chunks"]]


def test_a_world_is_written_the_same_each_time(root: Path, shapes: World, tmp_path: Path) -> None:
    write_web(shapes, tmp_path, BASE)
    write_downloads(shapes, tmp_path)
    digests = [
        {path.relative_to(folder): sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}
        for folder in (root, tmp_path)
    ]
    assert digests[0] == digests[1]
