"""Samples drawn for a person to look at: frames stand where the tokens say, not where the floats do."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from PIL import Image

from pipelines.draw import COLOURS, LINE, PANEL, drawn, samples, sheet, tokens
from pipelines.tar import TarWriter
from schemas.box import Box
from schemas.errors import ShardError
from schemas.record import Draw, Message, Record, Sample, Task

BLANK = Image.new("RGB", (200, 100), "white")
RED, BLUE = (0xE6, 0x19, 0x4B), (0x00, 0x82, 0xC8)


def jpeg(image: Image.Image = BLANK) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def record(reply: str, task: Task = "refer", source: str = "refcoco", question: str = "where is it?") -> Record:
    """A record whose floats say something else than its tokens: only the tokens are to be drawn."""
    turns = [Message("user", f"[{task}] {question}"), Message("assistant", reply)]
    floats = [Box(0.0, 0.0, 0.01, 0.01)]
    return Record("r/val/1/refer", source, "val", task, turns, floats, Draw(None, [], []), [])


def sample(*records: Record) -> Sample:
    return Sample("boxcar/1", None, list(records))


def framed(page: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The outermost pixels of that colour on the picture's part of a page: left, top, right and bottom, all inside."""
    picture = np.asarray(page)[:100, :200]
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_a_frame_stands_where_the_tokens_say() -> None:
    page = drawn(sample(record("{<25><10><75><60>}")), jpeg())
    assert framed(page, RED) == (50, 10, 149, 59)


def test_a_frame_around_the_whole_picture_is_all_visible() -> None:
    page = np.asarray(drawn(sample(record("{<0><0><100><100>}")), jpeg()))
    for edge in (page[:100, 0], page[:100, 199], page[0, :200], page[99, :200]):
        assert (edge == RED).all()


def test_boxes_in_the_question_are_drawn_too_and_the_picture_lies_beneath() -> None:
    asked = record("the red one", task="identify", question="what is at {<0><0><50><100>}?")
    page = drawn(sample(asked), jpeg(Image.new("RGB", (200, 100), (1, 2, 3))))
    assert framed(page, RED) == (0, 0, 99, 99)
    assert page.getpixel((150, 50)) == (1, 2, 3)


def test_each_record_has_its_colour_in_the_picture_and_beside_it() -> None:
    page = drawn(sample(record("{<0><0><20><20>}"), record("{<50><50><90><90>}", task="detection")), jpeg())
    assert framed(page, RED) == (0, 0, 39, 19)
    assert framed(page, BLUE) == (100, 50, 179, 89)
    beside = np.asarray(page)[:, 200:]
    assert (beside == RED).all(axis=2).any()
    assert (beside == BLUE).all(axis=2).any()


def test_every_box_of_a_record_is_read_in_order() -> None:
    several = record("<p>a cat</p> {<1><2><3><4>}<delim>{<5><6><7><8>} and {<0><0><100><100>}", task="detection")
    assert tokens(several) == [(1, 2, 3, 4), (5, 6, 7, 8), (0, 0, 100, 100)]
    assert tokens(record("no boxes")) == []


def test_the_first_record_of_each_task_comes_before_the_second_of_any() -> None:
    many = [record(f"{{<{n}><0><{n + 10}><10>}}") for n in (0, 20, 40)]
    other = record("{<70><70><90><90>}", task="grounding")
    page = drawn(sample(*many, other), jpeg(), most=2)
    assert framed(page, RED) == (0, 0, 19, 9)
    assert framed(page, BLUE) == (140, 70, 179, 89)


def test_a_page_is_wide_enough_for_the_words_and_as_high_as_they_need() -> None:
    page = drawn(sample(*[record("{<0><0><9><9>}")] * 8), jpeg())
    assert page.size == (200 + PANEL, 16 * LINE + 12)
    assert drawn(sample(), jpeg()).size == (200 + PANEL, 100)


def test_a_long_reply_is_cut_to_a_few_lines() -> None:
    page = drawn(sample(record("word " * 500)), jpeg())
    assert page.height == 5 * LINE + 12


def test_more_records_than_colours_use_them_again() -> None:
    page = drawn(sample(*[record("{<0><0><100><100>}")] * (len(COLOURS) + 1)), jpeg(), most=len(COLOURS) + 1)
    assert framed(page, RED) == (0, 0, 199, 99)


def test_a_sheet_holds_its_pages_row_by_row() -> None:
    pages = [Image.new("RGB", size, colour) for size, colour in (((30, 10), RED), ((20, 40), BLUE), ((10, 10), RED))]
    whole = sheet(pages)
    assert whole.size == (30 + 8 + 20 + 8, 40 + 8 + 10 + 8)
    assert [whole.getpixel(place) for place in ((4, 4), (33, 13), (4 + 38, 4), (4, 52))] == [RED, RED, BLUE, RED]


def test_every_sample_of_a_pool_comes_with_its_own_picture_in_the_order_of_its_tars(demo_pool: Path) -> None:
    stored = []
    for path in sorted(demo_pool.glob("*.tar")):
        with tarfile.open(path) as tar:
            stored += [json.load(tar.extractfile(one)) for one in tar if one.name.endswith(".json")]  # type: ignore[arg-type]
    found = list(samples(str(demo_pool)))
    assert [one.image.id for one, _ in found if one.image] == [one["image"]["id"] for one in stored]
    assert len(found) == len(stored) == len({one.image.id for one, _ in found if one.image})
    for one, picture in found:
        assert one.image
        assert picture
        assert hashlib.sha256(picture).hexdigest() == one.image.sha256


def test_a_sample_without_a_picture_is_not_given_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = msgspec.json.encode(sample(record("no boxes")))
    writer = TarWriter(tmp_path / "chats-000000.tar")
    for stem, files in (("a", [("jpg", b"a picture")]), ("b", []), ("c", [("jpg", b"another")])):
        writer.add(stem, [*files, ("json", text)])
    writer.close()
    monkeypatch.setattr("pipelines.draw.read_manifest", lambda pool: SimpleNamespace(pool="chats", shards=1))
    assert [picture for _, picture in samples(str(tmp_path))] == [b"a picture", None, b"another"]


def test_a_sample_of_a_pool_can_be_drawn(demo_pool: Path) -> None:
    one, picture = next(samples(str(demo_pool)))
    assert picture
    assert one.image
    assert drawn(one, picture).width == (one.image.width or 0) + PANEL


def test_a_cut_tar_gives_an_error_and_not_fewer_samples(pool_copy: Path) -> None:
    last = sorted(pool_copy.glob("*.tar"))[-1]
    last.write_bytes(last.read_bytes()[: -last.stat().st_size // 2 // 512 * 512])
    with pytest.raises(ShardError, match=last.name):
        list(samples(str(pool_copy)))
