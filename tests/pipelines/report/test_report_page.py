"""Tests of a report's page: it tells the figures, stands alone, and shows whatever records hold as text."""

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.page import words
from pipelines.report.cards import MOST_BOXES, MOST_CHARS
from pipelines.report.page import page
from pipelines.report.report import report
from pipelines.report.samples import SIDE
from tests.pipelines.locks import locked
from tests.pipelines.test_verify_forged import members, rewrite

Json = dict[str, Any]
Seal = Callable[[Path], None]


class Read(HTMLParser):
    """What stands on a page: its tags with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "


@pytest.fixture(scope="module")
def html(demo_pool: Path) -> str:
    return page(*report(str(demo_pool)))


def test_the_page_tells_the_figures(html: str, demo_pool: Path) -> None:
    told, _ = report(str(demo_pool))
    read = Read(html)
    text = " ".join(read.text.split())
    for part in told.parts:
        assert part.words and f"mean {part.words.mean:.1f}, median {part.words.median:,}" in text
        row = f"{part.source}/{part.split} {part.task} {part.use} {part.records:,} {part.pictures:,} {part.boxes:,}"
        assert row in text
        name = f"{part.source}/{part.split} {part.task}"
        assert f"{name} {part.tokens.mean:.1f} {part.tokens.most:,} {part.tokens.total:,}" in text
        if part.loss:
            assert f"{name} {part.loss.boxes:,} {part.loss.mean:.3f} {part.loss.worst:.3f}" in text
    for tally in told.ledger:
        ends = f"{tally.candidates:,} {tally.written:,} {tally.rejects:,} {tally.left_out:,}"
        assert f"{tally.source}/{tally.split} {tally.task} {ends}" in text
    assert told.digest in text and read.open == []


def test_the_page_stands_alone_and_runs_nothing(html: str) -> None:
    read = Read(html)
    policy = next(found["content"] for tag, found in read.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert {tag for tag, _ in read.tags} & {"script", "link", "iframe", "object", "form", "base"} == set()
    links = [value or "" for _, found in read.tags for name, value in found.items() if name in ("href", "src")]
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert not any(name.startswith("on") for _, found in read.tags for name in found)
    assert "url(" not in html and "@import" not in html


def test_equal_pools_give_equal_pages(html: str, demo_pool: Path) -> None:
    assert page(*report(str(demo_pool), workers=2)) == html


def test_samples_show_their_pictures_small_and_boxes_where_tokens_say(html: str, demo_pool: Path) -> None:
    pictures = re.findall(r'href="data:image/jpeg;base64,([^"]+)"', html)
    _, shown = report(str(demo_pool))
    assert len(pictures) == len(shown) == 24
    for data, one in zip(pictures, shown, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == one.size and max(image.size) <= SIDE
        record = next((record for record in one.records if record.task == "refer"), None)
        if record is None:
            continue
        x1, y1, x2, y2 = map(int, re.findall(r"\d+", record.messages[-1].content))
        width, height = one.size
        corner = f'x="{x1 * width / 100:.1f}" y="{y1 * height / 100:.1f}"'
        right, bottom = x2 * width / 100 - x1 * width / 100, y2 * height / 100 - y1 * height / 100
        side = f'width="{right:.1f}" height="{bottom:.1f}"'
        assert f'<rect class="box" {corner} {side}/>' in html


def forged(pool: Path, seal: Seal, change: Callable[[Json], None], picture: bytes | None = None) -> str:
    """The page of a pool whose first shown sample says something else, as a forger would have it."""
    first = report(str(pool))[0].shown[0]
    listed = members(pool, first.tar)
    for place, (name, data) in enumerate(listed):
        if name == f"{first.stem}.json":
            sample = json.loads(data)
            change(sample)
            listed[place] = name, json.dumps(sample).encode()
        elif name == f"{first.stem}.jpg" and picture is not None:
            listed[place] = name, picture
    rewrite(pool, listed, first.tar)
    seal(pool)
    told, shown = report(str(pool))
    assert told.shown[0].stem == first.stem
    return page(told, shown)


def say(*texts: str) -> Callable[[Json], None]:
    """Have every record of a sample say these, user first, in turn."""
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]

    def change(sample: Json) -> None:
        for record in sample["records"]:
            record["messages"] = turns

    return change


def test_record_text_is_never_markup(pool_copy: Path, seal: Seal) -> None:
    texts = (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</div></article><style>*{}</style>",
        "&lt;",
    )
    html = forged(pool_copy, seal, say(*texts))
    read = Read(html)
    tags = {tag for tag, _ in read.tags}
    assert "script" not in tags and "img" not in tags and [tag for tag, _ in read.tags].count("style") == 1
    assert all(text in read.text for text in texts) and read.open == []


def test_text_of_any_script_and_emoji_show_as_they_are_each_apart(pool_copy: Path, seal: Seal) -> None:
    family, hebrew, override = (
        "\U0001f469\u200d\U0001f467",
        "\u05d0\u05d9\u05e9 <p>\u05d7\u05ea\u05d5\u05dc</p>",
        "a\u202eb",
    )
    html = forged(pool_copy, seal, say(family, f"{hebrew} {{<1><2><30><40>}}", override, "nul\x00\x9b\ufffe"))
    assert f'<div class="user" dir="auto">{family}</div>' in html
    assert re.search(r'<bdi class="phrase k\d">\u05d7\u05ea\u05d5\u05dc</bdi>', html)
    assert f'<div class="user" dir="auto">{override}</div>' in html
    assert "nul\ufffd\ufffd\ufffd" in html and "\x00" not in html and "\x9b" not in html


def test_what_is_long_is_cut_and_told(pool_copy: Path, seal: Seal) -> None:
    boxes = "<delim>".join(f"{{<{n // 100}><{n % 100}><100><100>}}" for n in range(9900))
    html = forged(pool_copy, seal, say("x" * 50_000, f"<p>many</p> {boxes}", "y" * MOST_CHARS))
    assert "x" * MOST_CHARS in html and "x" * (MOST_CHARS + 1) not in html
    assert f"and {50_000 - MOST_CHARS:,} more characters" in html
    assert f"and {9900 - MOST_BOXES:,} more boxes" in html
    assert f'<div class="user" dir="auto">{"y" * MOST_CHARS}</div>' in html
    assert len(html) < 3_000_000


def test_markup_that_is_none_is_text(pool_copy: Path, seal: Seal) -> None:
    html = forged(pool_copy, seal, say("{<1><2><3>} <p>no end", "{<9><9><1><1>}"))
    assert "{&lt;1&gt;&lt;2&gt;&lt;3&gt;} &lt;p&gt;no end" in html


@pytest.mark.parametrize("picture", [b"", b"\xff\xd8\xff", b"<html>not found</html>"])
def test_a_broken_picture_is_told(pool_copy: Path, seal: Seal, picture: bytes) -> None:
    html = forged(pool_copy, seal, lambda sample: None, picture)
    assert html.count('<div class="broken">The picture cannot be shown: ') == 1
    assert html.count("<image ") == 23


def test_a_cut_picture_is_told(pool_copy: Path, seal: Seal) -> None:
    whole = next(data for name, data in members(pool_copy, report(str(pool_copy))[0].shown[0].tar) if "jpg" in name)
    html = forged(pool_copy, seal, lambda sample: None, whole[: len(whole) // 2])
    assert html.count('<div class="broken">') == 1


def test_a_picture_too_large_to_be_decoded_is_not(pool_copy: Path, seal: Seal) -> None:
    out = io.BytesIO()
    Image.new("L", (9000, 9000)).save(out, "JPEG")
    html = forged(pool_copy, seal, lambda sample: None, out.getvalue())
    assert "too large to be shown: 9000x9000" in html


def test_a_locks_page_tells_what_it_holds_out(lock_of: Callable[..., Path], demo_pool: Path, tmp_path: Path) -> None:
    parts = [{"source": "refcoco", "task": "refer", "weight": 1.0}]
    lock = lock_of(tmp_path / "a.lock.json", [demo_pool], parts, held_out=["refcoco/val"])
    text = " ".join(Read(page(*report(str(lock)))).text.split())
    held = json.loads(lock.read_bytes())["held_out"][0]
    assert f"refcoco/val {held['origin']} {held['images']:,} {held['records']:,}" in text
    assert "Lock a" in text and "records that may be drawn" in text


def test_records_that_a_lock_cannot_say_are_counted(demo_pool: Path, tmp_path: Path) -> None:
    part = {"source": "refcoco", "split": "train", "task": "refer", "wording": "vqa"}
    told, shown = report(str(locked(demo_pool, tmp_path / "lock", [part])))
    assert told.parts[0].unsaid == told.parts[0].read == told.parts[0].records > 0
    assert f"{told.parts[0].unsaid:,} of them the lock's stage cannot say." in page(told, shown)


def test_texts_of_a_page_hold_nothing_that_a_page_cannot() -> None:
    assert words("a\ud800\x07<&>\"'\ufdd0") == "a\ufffd\ufffd&lt;&amp;&gt;&quot;&#x27;\ufffd"
