import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.fetch import rot as rotten
from pipelines.fetch.rot import Group, Reason, Rot, rot
from pipelines.fetch.rot_page import page, write
from schemas.errors import SourceError

Row = tuple[str | None, str, str | None]
GOOD, FAILED, UNREADABLE = "success", "failed_to_download", "failed_to_resize"


def put(folder: Path, number: int, rows: list[Row], finished: bool = True, **more: list[object]) -> None:
    folder.mkdir(exist_ok=True)
    columns = dict(zip(("url", "status", "error_message"), map(list, zip(*rows, strict=True)), strict=True))
    texts = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    pq.write_table(pa.table({**more, **texts}), folder / f"{number:05d}.parquet")
    if finished:
        (folder / f"{number:05d}_stats.json").write_text("{}")


def links(host: str, good: int, bad: int = 0, message: str = "HTTP Error 404: Not Found") -> list[Row]:
    gone: list[Row] = [(f"http://{host}/{place}.jpg", FAILED, message) for place in range(bad)]
    return [(f"https://{host}/{place}.jpg", GOOD, None) for place in range(good)] + gone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


def test_links_are_counted_by_state_and_by_reason(folder: Path) -> None:
    put(folder, 0, [*links("a.example", 3, 2), ("http://a.example/x", UNREADABLE, "Image decoding error")])
    put(folder, 1, [*links("b.example", 1), ("http://b.example/y", FAILED, "<urlopen error timed out>")])
    told = rot(str(folder))
    assert (told.slices, told.links) == (2, 8)
    assert told.states == {GOOD: 4, FAILED: 3, UNREADABLE: 1}
    assert told.reasons == [
        Reason("HTTP 404", 2, passing=False),
        Reason("no readable picture", 1, passing=False),
        Reason("timed out", 1, passing=True),
    ]


def test_our_own_reasons_count_with_those_of_img2dataset(folder: Path) -> None:
    put(folder, 0, links("a.example", 0, 2, "HTTP 404") + links("a.example", 0, 3))
    assert rot(str(folder)).reasons == [Reason("HTTP 404", 5, passing=False)]


def test_every_link_is_in_one_state_and_every_failure_has_a_reason(folder: Path) -> None:
    put(folder, 0, [("http://a/1", "odd state", "x"), (None, FAILED, None), *links("a.example", 1)])
    told = rot(str(folder))
    assert sum(told.states.values()) == told.links == 3
    assert sum(one.links for one in told.reasons) == told.links - told.states[GOOD]
    assert told.states["unknown"] == 1


def test_hosts_are_told_by_size_and_by_what_is_left(folder: Path) -> None:
    put(folder, 0, links("big.example", 40) + links("worn.example", 5, 20) + links("small.example", 0, 19))
    told = rot(str(folder))
    big, worn, small = Group("big.example", 40, 40), Group("worn.example", 25, 5), Group("small.example", 19, 0)
    assert told.largest == [big, worn, small]
    assert told.worst == [worn, big]  # of the small one no share can be told
    assert (told.hosts, told.hosts_exact) == (3, True)


def test_a_host_is_one_however_its_links_are_written(folder: Path) -> None:
    spellings = [
        "HTTP://A.example/1",
        "https://a.example:8443/2",
        "http://u:p@a.example",
        "http://a.example?q=@b.example",
    ]
    put(folder, 0, [(url, GOOD, None) for url in spellings])
    assert rot(str(folder)).largest == [Group("a.example", 4, 4)]


def test_what_is_no_link_has_no_host(folder: Path) -> None:
    put(folder, 0, [(url, FAILED, "bad link") for url in (None, "", "nonsense", "file:///etc/passwd")])
    told = rot(str(folder))
    assert (told.hosts, told.largest, told.links) == (0, [], 4)


def test_the_year_is_that_of_a_year_and_month_in_the_path(folder: Path) -> None:
    told_years = ["http://a/2013/05/x.jpg", "http://a/up/2013/12/x.jpg", "http://a/1999/1/x.jpg"]
    silent = [
        "http://a/2013/x.jpg",
        "http://a/2013/13/x.jpg",
        "http://a/1024/12/x",
        "http://a/?d=/2013/05/",
        "http://a",
    ]
    put(
        folder, 0, [(url, GOOD, None) for url in told_years + silent] + [("http://a/2013/05/y.jpg", FAILED, "HTTP 404")]
    )
    assert rot(str(folder)).years == [Group("1999", 1, 1), Group("2013", 3, 2)]


def test_a_slice_without_stats_is_named_and_not_counted(folder: Path) -> None:
    put(folder, 0, links("a.example", 1))
    put(folder, 1, links("a.example", 5), finished=False)
    told = rot(str(folder))
    assert (told.links, told.slices, told.unfinished) == (1, 1, ["00001.parquet"])
    assert "00001.parquet" in page(told)


def test_hosts_beyond_the_bound_are_forgotten_and_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotten, "MOST_HOSTS", 10)
    monkeypatch.setattr(rotten, "_ROWS", 16)
    put(folder, 0, links("big.example", 16) + [row for n in range(48) for row in links(f"h{n}.example", 1)])
    told = rot(str(folder))
    assert not told.hosts_exact
    assert told.hosts >= 49
    assert told.largest[0] == Group("big.example", 16, 16)
    assert len(told.largest) <= 10
    assert told.links == 64
    assert "At most" in page(told)


def test_other_columns_and_other_kinds_of_text_do_not_matter(folder: Path) -> None:
    put(folder, 0, links("a.example", 2), noun_chunks=[[1.0], []], similarity=[0.3, None])
    table = pq.read_table(folder / "00000.parquet")
    status = table["status"].combine_chunks().dictionary_encode()
    table = table.set_column(table.schema.get_field_index("status"), "status", status)
    url = table["url"].cast(pa.large_string())
    pq.write_table(table.set_column(table.schema.get_field_index("url"), "url", url), folder / "00000.parquet")
    assert rot(str(folder)).states[GOOD] == 2


@pytest.mark.parametrize("wrong", ["nothing there", "no parquet", "no such column", "no text"])
def test_a_folder_that_is_none_of_a_download_is_named(folder: Path, wrong: str) -> None:
    folder.mkdir()
    if wrong != "nothing there":
        (folder / "00000_stats.json").write_text("{}")
        (folder / "00000.parquet").write_bytes(b"PAR1 no")
    if wrong == "no such column":
        pq.write_table(pa.table({"url": ["http://a/"]}), folder / "00000.parquet")
    if wrong == "no text":
        bad = pa.array([b"http://\xff/"], pa.binary())
        pq.write_table(pa.table({"url": bad, "status": [GOOD], "error_message": [""]}), folder / "00000.parquet")
    with pytest.raises(SourceError, match=re.escape(str(folder))):
        rot(str(folder))


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name.startswith("on") or name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(html: str) -> _Seen:
    parser = _Seen()
    parser.feed(html)
    parser.close()
    return parser


def test_hostile_hosts_and_messages_are_text_on_the_page(folder: Path) -> None:
    host, message = "<script>alert(1)<", '"><img src=x onerror=alert(1)>'
    put(folder, 0, [(f"http://{host}/", FAILED, message)] * 30 + links("a.example", 1, 1, "own <b>words: x"))
    told = rot(str(folder))
    html = seen(page(msgspec.structs.replace(told, folder="</title><script>x")))
    assert host in html.text
    assert not {"script", "img", "b", "link", "iframe"} & set(html.tags)
    assert not html.loads
    assert "default-src 'none'" in page(told)


def test_the_page_tells_the_share_and_draws_the_years(folder: Path) -> None:
    put(folder, 0, [("http://a/2013/05/x", GOOD, None), ("http://a/2014/05/x", FAILED, "HTTP 404"), *links("b", 1, 1)])
    html = seen(page(rot(str(folder))))
    assert "50.0%" in html.text
    assert {"svg", "rect"} <= set(html.tags)
    assert "2013: 1 of 1 links gave a picture (100%)" in html.text
    assert "HTTP 404" in html.text


def test_a_folder_of_good_links_alone_has_a_page_too(folder: Path) -> None:
    put(folder, 0, links("a.example", 1))
    html = seen(page(rot(str(folder))))
    assert "100.0%" in html.text
    assert "svg" not in html.tags


def test_the_report_is_json_too_and_the_page_a_file(folder: Path, tmp_path: Path) -> None:
    put(folder, 0, links("a.example", 1, 1))
    told = rot(str(folder))
    assert msgspec.json.decode(msgspec.json.encode(told), type=Rot) == told
    write(told, tmp_path / "rot.html")
    assert (tmp_path / "rot.html").read_text() == page(told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fetched", "rot.html"]
