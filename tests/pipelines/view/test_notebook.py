"""Tests of a sample that draws itself in a notebook: what Jupyter calls, without Jupyter."""

import base64
import re
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from pipelines.draw import Shown, samples, tokens
from schemas.record import SCHEMA, ImageRef, Record, Sample
from tests.pipelines.view.conftest import EVIL, hostile_records


class _Parts(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_samples_draw_themselves_with_picture_boxes_and_words(demo_pool: Path) -> None:
    seen = 0
    for shown in islice(samples(str(demo_pool)), 8):
        html = shown._repr_html_()
        parts = _Parts(html)
        pictures = [attrs["src"] for tag, attrs in parts.tags if tag == "img"]
        assert [base64.b64decode(src.partition("base64,")[2]) for src in pictures] == [shown.picture]
        most = max(([*map(tuple, tokens(record))] for record in shown.sample.records[:12]), key=len)
        rects = [attrs for tag, attrs in parts.tags if tag == "rect"]
        drawn = [[float(rect[side]) for side in ("x", "y", "width", "height")] for rect in rects]
        assert [tuple(map(round, (x, y, x + w, y + h))) for x, y, w, h in drawn] == most
        assert shown.sample.records[0].messages[0].content in parts.text
        seen += len(drawn)
    assert seen


def test_a_sample_is_still_a_pair() -> None:
    sample, picture = Shown(Sample(SCHEMA, None, []), None)
    assert (sample.records, picture) == ([], None)


def test_hostile_records_are_text_in_a_notebook_too() -> None:
    image = ImageRef(f'"><script>{EVIL}', [], 9, 9, None, EVIL, [])
    for one in hostile_records():
        sample = Sample(SCHEMA, image, [msgspec.convert(one, Record)])
        for picture in (b"\xff\xd8\xff<script>", b"<svg onload=alert(1)>", None):
            parts = _Parts(Shown(sample, picture)._repr_html_())
            assert {tag for tag, _ in parts.tags} <= {"div", "img", "svg", "rect", "small", "span", "p"}
            assert not [name for _, attrs in parts.tags for name in attrs if name.startswith("on")]
            assert all(src.startswith("data:image/jpeg;") for src in _sources(parts))


def _sources(parts: _Parts) -> list[str]:
    return [attrs["src"] for _, attrs in parts.tags if "src" in attrs]


def test_the_ten_lines_of_the_docs_run(demo_pool: Path, lock_of: Any, tmp_path: Path) -> None:
    part = {"source": "coco_caption", "split": "train", "task": "caption", "weight": 1}
    lock = lock_of(tmp_path / "stage3.lock.json", [demo_pool], [part])
    page = (Path(__file__).parents[3] / "docs" / "viewer.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    assert len(code.strip().splitlines()) <= 10
    code = code.replace('"pools/coco"', repr(str(demo_pool))).replace('"stage3.lock.json"', repr(str(lock)))
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["batch"].images.shape[1:] == (3, 448, 448)
