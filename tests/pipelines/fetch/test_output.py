"""A finished slice: what img2dataset's readers find in it, and what of it is still known after any crash."""

import gc
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from converters._downloads import entries, pictures
from converters._table import Piece
from pipelines import store
from pipelines.fetch import output
from pipelines.fetch.output import Outcome, Spool
from pipelines.fetch.state import Stats, stats
from schemas.errors import ConfigError

CHUNKS = [[0.0, 5.0, 0.25, 0.5, 0.75, 1.0, 0.91]]
LINKS = pa.table(
    {
        "url": ["http://a.example/ä.jpg", "http://b.example/2", None, "http://d.example/4"],
        "caption": ['a "cat"\t\n', "ein Öl, 猫", None, None],
        "noun_chunks": pa.array([CHUNKS, [], None, CHUNKS], pa.list_(pa.list_(pa.float64()))),
        "similarity": [0.3, float("nan"), None, 0.1],
    }
)
URLS = LINKS["url"].to_pylist()
GOOD = Outcome("success", None, 448, 300, 896, 600, '{"Image Orientation":"Rotated 180"}', "ab" * 32)
GONE, BUSY, BAD = (Outcome("failed_to_download", why) for why in ("HTTP 404", "HTTP 503", "bad link"))
Wanted = Callable[..., Stats]


@pytest.fixture
def put(tmp_path: Path) -> Iterator[Wanted]:
    """``put(outcomes, pictures, number=0)`` publishes a slice in ``out``; None for what an earlier one knows."""
    scratch, out = tmp_path / "scratch", str(tmp_path / "out")
    scratch.mkdir()

    def published(outcomes: list[Outcome | None], images: dict[int, bytes], number: int = 0) -> Stats:
        before = output.known(out, number, URLS)
        with Spool(scratch / "spool") as spool:
            new = {place: (outcomes[place] or GOOD)._replace(piece=spool.add(data)) for place, data in images.items()}
            all_ = [new.get(place) or one or before[place] for place, one in enumerate(outcomes)]
            told = stats(((one.status, one.error_message) for one in all_), 1, 10.0, 12.5)
            return output.publish(out, scratch, number, output.table(number, LINKS, all_), all_, lambda: told)

    yield published


def read(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as file:
        return {one.name: file.extractfile(one).read() for one in file}  # type: ignore[union-attr]


class Entry(msgspec.Struct):
    key: str
    status: str
    url: str | None = None
    noun_chunks: list[list[float]] | None = None
    width: int | None = None


def test_a_slice_has_img2datasets_files_columns_and_keys(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "00000.parquet",
        "00000.tar",
        "00000_stats.json",
    ]
    members = read(tmp_path / "out/00000.tar")
    assert list(members) == [f"00000000{n}.{kind}" for n in (0, 3) for kind in ("jpg", "txt", "json")]
    assert (members["000000000.jpg"], members["000000000.txt"], members["000000003.txt"]) == (
        b"one",
        b'a "cat"\t\n',
        b"",
    )
    table = pq.read_table(tmp_path / "out/00000.parquet")
    columns = ["noun_chunks", "similarity", "caption", "url", "key", "status", "error_message", "width", "height"]
    assert table.column_names == [*columns, "original_width", "original_height", "exif", "sha256"]
    assert table["key"].to_pylist() == [f"00000000{n}" for n in range(4)]
    assert table["error_message"].to_pylist() == [None, "HTTP 404", "bad link", None]
    assert table["noun_chunks"].to_pylist() == [CHUNKS, [], None, CHUNKS]
    assert table.schema.field("width").type == pa.int32()
    row = json.loads(members["000000003.json"])
    assert row == table.to_pylist()[3]
    assert list(row) == table.column_names
    assert row["exif"] == '{"Image Orientation":"Rotated 180"}'


def test_a_score_that_is_no_number_is_null_in_json(put: Wanted, tmp_path: Path) -> None:
    put([GONE, GOOD, BAD, GONE], {1: b"two"})
    row = json.loads(read(tmp_path / "out/00000.tar")["000000001.json"])
    assert (row["similarity"], row["caption"]) == (None, "ein Öl, 猫")


def test_keys_grow_beyond_a_hundred_thousand_slices(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GONE], {0: b"one"}, number=123456)
    assert next(iter(read(tmp_path / "out/123456.tar"))) == "1234560000.jpg"
    assert set(output.known(str(tmp_path / "out"), 123456, URLS)) == {0, 1, 2, 3}


def test_the_stats_count_every_link_once(put: Wanted, tmp_path: Path) -> None:
    told = put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    assert json.loads((tmp_path / "out/00000_stats.json").read_bytes()) == msgspec.to_builtins(told)
    assert (told.count, told.successes, told.failed_to_download, told.failed_to_resize) == (4, 2, 2, 0)
    assert told.status_dict == {"success": 2, "HTTP 404": 1, "bad link": 1}
    assert (told.duration, told.start_time, told.end_time) == (2.5, 10.0, 12.5)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves files to the garbage collector
def test_our_reader_of_downloads_and_webdataset_read_it(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    tar = tmp_path / "out/00000.tar"
    found = {name: tar.read_bytes()[one.offset : one.offset + one.bytes] for name, one in pictures(str(tar)).items()}
    assert found == {"000000000": b"one", "000000003": b"four"}
    typed: list[Any] = list(entries(str(tar), Entry))
    assert [(one.key, one.status, one.url, one.noun_chunks) for one in typed] == [
        (f"00000000{n}", status, URLS[n], LINKS["noun_chunks"][n].as_py())
        for n, status in enumerate(("success", "failed_to_download", "failed_to_download", "success"))
    ]
    samples = list(webdataset.WebDataset(str(tar), shardshuffle=False, empty_check=False))
    gc.collect()
    assert [(one["__key__"], one["jpg"]) for one in samples] == [("000000000", b"one"), ("000000003", b"four")]


def test_the_tar_is_plain_ustar_without_times(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GONE], {0: b"one"})
    with tarfile.open(tmp_path / "out/00000.tar") as file:
        assert {(one.type, one.mtime, one.uid, one.uname) for one in file} == {(tarfile.REGTYPE, 0, 0, "")}
        assert file.pax_headers == {}


def test_a_slice_without_any_picture_has_an_empty_tar(put: Wanted, tmp_path: Path) -> None:
    put([GONE, GONE, BAD, BUSY], {})
    assert read(tmp_path / "out/00000.tar") == {}
    assert set(output.known(str(tmp_path / "out"), 0, URLS)) == {0, 1, 2, 3}


def test_what_is_known_of_a_slice_is_what_was_published(put: Wanted, tmp_path: Path) -> None:
    assert output.known(str(tmp_path / "out"), 0, URLS) == {}
    put([GOOD, GONE, BAD, BUSY], {0: b"one"})
    found = output.known(str(tmp_path / "out"), 0, URLS)
    with output.reading() as read_:
        assert read_(found[0].piece or Piece("", 0, 0)) == b"one"
    assert {place: one._replace(piece=None) for place, one in found.items()} == {0: GOOD, 1: GONE, 2: BAD, 3: BUSY}


def test_a_picture_that_is_gone_from_the_tar_is_not_known(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    rows = (tmp_path / "out/00000.parquet").read_bytes()
    put([GOOD, GONE, BAD, GONE], {0: b"one"})
    (tmp_path / "out/00000.parquet").write_bytes(rows)
    assert set(output.known(str(tmp_path / "out"), 0, URLS)) == {0, 1, 2}


def test_links_that_changed_under_a_folder_are_named(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GONE], {0: b"one"})
    with pytest.raises(ConfigError, match=r"000000001 was http://b\.example/2, in the list it is http://x: choose"):
        output.known(str(tmp_path / "out"), 0, [URLS[0], "http://x", *URLS[2:]])


@pytest.mark.parametrize("gone", ["00000.parquet", "00000.tar", None])
def test_a_slice_of_more_links_than_are_wanted_is_named(put: Wanted, tmp_path: Path, gone: str | None) -> None:
    put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    (tmp_path / "out" / (gone or "00000_stats.json")).unlink()
    assert output.length(str(tmp_path / "out"), 0) == 4
    with pytest.raises(ConfigError, match=r"out: 00000 has 4 links, found 3: choose another --out"):
        output.known(str(tmp_path / "out"), 0, URLS[:3])


def test_pictures_that_no_row_tells_of_are_links_of_a_slice_too(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    table = tmp_path / "out/00000.parquet"
    pq.write_table(pq.read_table(table).slice(0, 2), table)
    assert (output.length(str(tmp_path / "out"), 0), output.length(str(tmp_path / "out"), 1)) == (4, 0)


def test_where_the_tar_is_gone_its_pictures_alone_are_not_known(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, GOOD], {0: b"one", 3: b"four"})
    (tmp_path / "out/00000.tar").unlink()
    assert output.known(str(tmp_path / "out"), 0, URLS) == {1: GONE, 2: BAD}


@pytest.mark.parametrize("failing", range(5))
def test_a_crash_between_any_two_files_loses_no_picture(
    put: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    out, remaining = tmp_path / "out", iter(range(failing))
    put([GOOD, GONE, BAD, BUSY], {0: b"one"})

    def breaking(function: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: Any) -> None:
            if next(remaining, None) is None:
                raise OSError(28, "No space left on device")
            function(*arguments)

        return step

    with monkeypatch.context() as patch:
        for name in ("remove", "publish"):
            patch.setattr(store, name, breaking(getattr(store, name)))
        if failing < 4:
            with pytest.raises(OSError, match="No space"):
                put([None, GONE, BAD, GOOD], {3: b"four"})
        else:
            put([None, GONE, BAD, GOOD], {3: b"four"})
    known = output.known(str(out), 0, URLS)
    with output.reading() as read_:
        assert read_(known[0].piece or Piece("", 0, 0)) == b"one"
        if failing >= 3:
            assert read_(known[3].piece or Piece("", 0, 0)) == b"four"
    assert set(known) == {0, 1, 2, 3}
    assert (out / "00000_stats.json").exists() == (failing in (0, 4))


def test_where_only_the_tar_came_to_be_its_pictures_are_known(put: Wanted, tmp_path: Path) -> None:
    put([GOOD, GONE, BAD, BUSY], {0: b"one"})
    for name in ("00000.parquet", "00000_stats.json"):
        (tmp_path / "out" / name).unlink()
    found = output.known(str(tmp_path / "out"), 0, URLS)
    assert {place: one._replace(piece=None) for place, one in found.items()} == {0: GOOD}
