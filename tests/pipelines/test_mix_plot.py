import re
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree

import msgspec
import pytest

from pipelines.mix_plot import plot
from schemas.ledger import Count
from schemas.lock import Lock, LockedPart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lock: Lock) -> ElementTree.Element:
    return ElementTree.fromstring(plot(lock))


def rows(lock: Lock) -> list[ElementTree.Element]:
    return drawn(lock).findall(f"{SVG}g")


def width(row: ElementTree.Element, name: str) -> float:
    (bar,) = (rect for rect in row.iter(f"{SVG}rect") if rect.get("class") == name)
    return float(bar.get("width", ""))


def texts(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def test_the_longest_bar_is_the_largest_share_and_all_others_are_in_proportion(lock: Lock) -> None:
    refer, chat = rows(lock)
    assert [texts(row)[0] for row in (refer, chat)] == ["refcoco/train", "llava_detail/train"]
    longest = width(chat, "tokens")
    assert longest == max(width(row, name) for row in (refer, chat) for name in ("share", "tokens"))
    assert width(refer, "share") == pytest.approx(longest * 0.5 / 0.75, abs=0.01)
    assert width(refer, "tokens") == pytest.approx(longest * 0.25 / 0.75, abs=0.01)


def test_what_was_kept_filtered_and_held_out_makes_up_the_candidates(lock: Lock) -> None:
    for row in rows(lock):
        parts = [width(row, name) for name in ("kept", "filtered", "lost")]
        assert [part / sum(parts) for part in parts] == pytest.approx([0.7, 0.1, 0.2])
        assert "200" in texts(row)


def test_passes_lie_on_a_logarithmic_axis(lock: Lock, locked: Callable[..., LockedPart]) -> None:
    parts = [locked(f"part{place}", "vqa", epochs=epochs) for place, epochs in enumerate((0.01, 0.1, 1, 10, 100))]
    places = [
        float(circle.get("cx", "")) for circle in drawn(msgspec.structs.replace(lock, parts=parts)).iter(f"{SVG}circle")
    ]
    steps = [after - before for before, after in pairwise(places)]
    assert len(steps) == 4
    assert steps == pytest.approx([steps[0]] * 4, abs=0.2)
    assert steps[0] > 10


def test_parts_are_grouped_by_task_with_the_largest_first(lock: Lock, locked: Callable[..., LockedPart]) -> None:
    given = [("a", "vqa", 0.1), ("b", None, 0.2), ("c", "caption", 0.3), ("d", "vqa", 0.4)]
    parts = [locked(source, task, sample_share=share) for source, task, share in given]
    page = msgspec.structs.replace(lock, parts=parts)
    assert [texts(row)[0] for row in rows(page)] == ["c/train", "d/train", "a/train", "b/train"]
    assert {"caption 30.0%", "vqa 50.0%", "chat 20.0%"} <= set(texts(drawn(page)))


def test_each_task_has_a_colour_of_its_own(lock: Lock, locked: Callable[..., LockedPart]) -> None:
    tasks = ("caption", "grounding", "refer", "identify", "detection", "vqa", None)
    page = rows(msgspec.structs.replace(lock, parts=[locked("one", task) for task in tasks]))
    colours = {rect.get("fill") for row in page for rect in row.iter(f"{SVG}rect") if rect.get("class") == "share"}
    assert len(page) == len(colours) == 7


def test_names_from_outside_stay_text(lock: Lock, locked: Callable[..., LockedPart]) -> None:
    evil = "<script>alert('x')</script>\x07\n&"
    page = drawn(msgspec.structs.replace(lock, stage=evil, tokens=evil, parts=[locked(evil, "vqa")]))
    assert {element.tag.removeprefix(SVG) for element in page.iter()} <= {
        *("svg", "title", "style", "rect", "text", "path", "circle", "g")
    }
    assert (
        texts(page)[0]
        == "Mixture of stage <script>alert('x')</script>\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}&"
    )


def test_nothing_is_loaded_from_elsewhere(lock: Lock) -> None:
    page = plot(lock).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"href|url\(|import|http", page)


def test_the_foot_names_the_splits_that_cost_most(lock: Lock) -> None:
    assert "Records lost to held-out splits: refcoco/val 12,345" in texts(drawn(lock))
    nothing = msgspec.structs.replace(lock, held_out=[])
    assert "Records lost to held-out splits: none" in texts(drawn(nothing))


def test_a_part_that_lost_nothing_is_drawn_too(lock: Lock, locked: Callable[..., LockedPart]) -> None:
    whole = locked("refcoco", "refer", records=1000, lost=[], filtered=[Count("max_area", 0)])
    (row,) = rows(msgspec.structs.replace(lock, parts=[whole]))
    assert width(row, "lost") == width(row, "filtered") == 0
    assert width(row, "kept") > 100


def test_a_line_too_long_for_the_page_is_cut(lock: Lock, locked: Callable[..., LockedPart]) -> None:
    long = msgspec.structs.replace(lock, tokens="x" * 500, parts=[locked("y" * 90, "vqa")])
    page = texts(drawn(long))
    assert [text for text in page if "xxx" in text] == [f"Tokens counted by {'x' * 146}\N{HORIZONTAL ELLIPSIS}"]
    assert f"{'y' * 29}\N{HORIZONTAL ELLIPSIS}" in page
    assert f"Digest {lock.digest}" in page
