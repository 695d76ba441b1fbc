"""Pictures from the web: what makes two links one, what is known of a picture, and which rows come of a list."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters._table import Carried, LinkList, Malformed, Reading, Row
from converters._web import (
    Entry,
    Web,
    download_forms,
    insist_loaded,
    link_form,
    link_of,
    normalised,
    told,
    web_id,
    web_ref,
    whence,
    whence_id,
)
from schemas.errors import Filtered, RecordError, TextError
from schemas.record import ImageRef, Score

SPLITS = {"train": ""}


def made(reading: Reading, entry: Entry) -> Row:
    url = link_of(entry)
    image = web_ref(entry, web_id(url))
    return Web(source=reading.source, split=reading.split, id=url, image=image, entry=entry)


def placed(reading: Reading, entry: Entry) -> Row:
    id = whence(reading, entry)
    return Web(source=reading.source, split=reading.split, id=id, image=web_ref(entry, whence_id(id)), entry=entry)


@pytest.mark.parametrize(
    "other",
    [
        "https://a.example/x.jpg",
        "HTTP://A.Example/x.jpg",
        "http://a.example:80/x.jpg",
        "https://a.example:443/x.jpg",
        "http://a.example./x.jpg",
        "http://me:secret@a.example/x.jpg",
        " http://a.example/x.jpg#part\r",
        "http://a.example/x.jpg?",
    ],
)
def test_ways_to_write_one_link_are_one_picture(other: str) -> None:
    assert normalised(other) == "a.example/x.jpg"
    assert web_id(other) == web_id("http://a.example/x.jpg")


@pytest.mark.parametrize(
    "other",
    [
        "http://a.example/X.jpg",
        "http://a.example/x.jpg?size=2",
        "http://a.example:8080/x.jpg",
        "http://a.example:443/x.jpg",
        "http://b.example/x.jpg",
        "http://a.example/x.jpg/",
        "http://a.example",
    ],
)
def test_other_links_are_other_pictures(other: str) -> None:
    assert web_id(other) != web_id("http://a.example/x.jpg")


def test_an_id_is_128_bits_in_hex_and_stays_what_it_was() -> None:
    assert web_id("http://a.example/x.jpg") == "web/20856e254cca24fc63ea681d8f26e35b"
    assert re.fullmatch("web/[0-9a-f]{32}", web_id("http://a.example/\u00e9\udc80.jpg"))


@pytest.mark.parametrize(
    "url",
    ["", "a.example/x.jpg", "ftp://a.example/x.jpg", "file:///etc/passwd", "data:image/png;base64,xx", "http://", "http:///x",
     "http://a.example:x/", "http://a.example:99999/", "http://[::1/x", "url"],
)  # fmt: skip
def test_what_is_no_link_of_the_web_is_a_bad_link(url: str) -> None:
    with pytest.raises(RecordError, match="bad link: "):
        normalised(url)


@pytest.mark.parametrize("url", [None, ""])
def test_a_row_without_a_link_has_a_bad_one(url: str | None) -> None:
    with pytest.raises(RecordError, match="bad link: the row has none"):
        link_of(Entry(url=url))


def test_only_known_sizes_and_scores_stand_in_what_is_said_of_a_picture() -> None:
    entry = Entry(width=40, height=30, original_width=80, original_height=60)
    scores = {"similarity": 0.0, "punsafe": None, "pwatermark": math.nan, "other": math.inf, "more": -math.inf}
    wanted = ImageRef("web/x", ["web/y"], 40, 30, None, "CC0", [Score("similarity", 0.0)])
    assert web_ref(entry, "web/x", ["web/y"], scores, "CC0") == wanted
    assert web_ref(Entry(width=0, height=0), "web/x", licence="") == ImageRef("web/x", [], None, None, None, None, [])


def test_the_first_of_several_captions_is_told_and_none_is_missing() -> None:
    assert told(Entry(caption="one")) == told(Entry(caption=["one", "two"])) == "one"
    for none in (None, []):
        with pytest.raises(TextError, match="caption missing: the row has none"):
            told(Entry(caption=none))


@pytest.mark.parametrize(
    ("status", "why", "reason"),
    [
        ("failed_to_download", "HTTP Error 404: Not Found", "failed to download"),
        ("failed_to_resize", None, "failed to resize"),
    ],
)
def test_a_picture_that_was_not_loaded_is_left_out_by_rule(status: str, why: str | None, reason: str) -> None:
    insist_loaded(Entry())
    with pytest.raises(Filtered) as told_why:
        insist_loaded(Entry(status=status, error_message=why))
    assert told_why.value.reason == reason
    assert str(why) in str(told_why.value)


@pytest.mark.parametrize("status", ["", "ok", "failed_to_imagine\n<b>", "x" * 10_000])
def test_a_status_that_no_downloader_has_is_a_reject(status: str) -> None:
    with pytest.raises(
        RecordError, match=r"^unknown status: .*, wanted success or failed_to_download or failed"
    ) as why:
        insist_loaded(Entry(status=status))
    assert why.value.reason == "unknown status"
    assert len(str(why.value)) < 250


def rows(form: str, *files: Path) -> Sequence[Row]:
    links = LinkList("tsv", "url", "caption", columns=("url", "caption"))
    forms = [link_form("links", ("a.tsv",), SPLITS, links, Entry, made), *download_forms(("train",), Entry, made)]
    found = next(one for one in forms if one.name == form)
    return list(found.rows(Reading("toy", "train", tuple(map(str, files)), {})))


def test_a_list_gives_a_row_for_each_line_and_a_malformed_one_says_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("converters._web.ROWS", 2)
    path = tmp_path / "a.tsv"
    path.write_text("http://a.example/0\tone\nno tab\nhttp://a.example/2\ttwo\nftp://a.example/3\tthree\n")
    first, second, third, fourth = rows("links", path)
    assert (first.id, third.id) == ("http://a.example/0", "http://a.example/2")
    assert isinstance(first, Carried)
    assert first.member == ""
    assert isinstance(second, Malformed)
    assert isinstance(fourth, Malformed)
    assert (second.id, second.why) == ("row1", "bad link: the row has none")
    assert (fourth.id, fourth.why) == ("row3", "bad link: 'ftp://a.example/3' is not http or https")


def test_downloads_give_a_row_for_each_link_with_what_its_picture_is_called(tmp_path: Path) -> None:
    for stem in ("00000", "00001"):
        told_of = [
            {"url": f"http://a.example/{stem}", "caption": "x", "key": f"{stem}0000", "status": "success"},
            {"url": "nowhere", "caption": "x", "key": f"{stem}0001", "status": "success"},
            {"url": "http://a.example/2", "caption": "x", "key": f"{stem}0002", "status": "failed_to_download"},
            {"url": "http://a.example/2", "caption": "x", "key": None, "status": "success"},
        ]
        pq.write_table(pa.Table.from_pylist(told_of), tmp_path / f"{stem}.parquet")
    found = rows("img2dataset", tmp_path / "00000.tar", tmp_path / "00001.tar")
    assert [row.member for row in found if isinstance(row, Carried)] == ["000000000", "", "000010000", ""]
    assert [row.id for row in found if isinstance(row, Malformed)] == [
        "row00000-1", "row00000-3", "row00001-1", "row00001-3",
    ]  # fmt: skip
    folders = rows("files", Path(f"{tmp_path}/00000/"), Path(f"{tmp_path}/00001/"))
    assert [row.id for row in folders] == [row.id for row in found]


@pytest.mark.parametrize("url", [None, "", "nowhere", "file:///etc/passwd"])
def test_a_picture_that_was_not_loaded_needs_no_link(tmp_path: Path, url: str | None) -> None:
    told_of = [{"url": url, "key": str(place), "status": "failed_to_download"} for place in range(2)]
    for stem in ("00000", "00001"):
        pq.write_table(
            pa.Table.from_pylist([*told_of, {**told_of[0], "key": "9", "status": "x"}]), tmp_path / f"{stem}.parquet"
        )
    (form, _) = download_forms(("train",), Entry, placed)
    files = tuple(f"{tmp_path}/{stem}.tar" for stem in ("00000", "00001"))
    found = list(form.rows(Reading("toy", "train", files, {})))
    assert [row.id for row in found] == [f"/{stem}/{key}" for stem in ("00000", "00001") for key in "019"]
    assert len({row.image.id for row in found if row.image}) == 6
    assert all(isinstance(row, Carried) and not row.member for row in found)


def test_a_picture_that_was_loaded_needs_its_link_and_another_has_it_where_it_is_good() -> None:
    reading = Reading("toy", "train", ("d/00000.tar",), {})
    with pytest.raises(RecordError, match="bad link"):
        whence(reading, Entry(url="nowhere", key="1"))
    failed = Entry(url="http://a.example/1", key="1", status="failed_to_download")
    assert whence(reading, failed) == "a.example/1"
    assert whence_id("a.example/1") == web_id("http://a.example/1")


@pytest.mark.parametrize("form", ["img2dataset", "files"])
def test_rows_that_are_gone_from_a_download_are_malformed_ones(tmp_path: Path, form: str) -> None:
    told_of = {"url": "http://a.example/1", "caption": "x", "key": "000000000", "status": "success"}
    pq.write_table(pa.Table.from_pylist([told_of]), tmp_path / "00000.parquet")
    (tmp_path / "00000_stats.json").write_text('{"count": 2}')
    file = Path(f"{tmp_path}/00000.tar" if form == "img2dataset" else f"{tmp_path}/00000")
    there, gone = rows(form, file)
    assert not isinstance(there, Malformed)
    assert isinstance(gone, Malformed) and gone.why == "lost row: the table has 1 of 2"


def test_both_layouts_of_a_download_carry_pictures_and_want_their_proof() -> None:
    for form in download_forms(("train", "val"), Entry, made):
        assert (form.proof, set(form.splits), form.links) == ("#_stats.json", {"train", "val"}, None)
        assert form.carried is not None
