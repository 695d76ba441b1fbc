"""Tests of pages: what a filter finds is what an independent look at all samples finds, wherever a page is cut."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.draw import samples
from pipelines.record_index import given
from pipelines.view.opened import Opened
from pipelines.view.pages import Page, Pages
from pipelines.view.query import Cursor, Query, query
from schemas.box import codec, self_iou
from schemas.ledger import Part
from schemas.record import Record, Sample

Held = dict[tuple[int, int], Sample]
BY = codec("round-100")


@pytest.fixture(scope="module")
def held(demo_pool: Path) -> Held:
    """Every sample of the demo pool by shard and number, read from the tars alone."""
    counts = [json.loads(path.read_bytes())["samples"] for path in sorted((demo_pool / "receipts").iterdir())]
    places = [(shard, number) for shard, count in enumerate(counts) for number in range(count)]
    return dict(zip(places, (sample for sample, _ in samples(str(demo_pool))), strict=True))


@pytest.fixture(scope="module")
def pages(demo_pool: Path) -> Pages:
    return Pages(Opened(given(str(demo_pool))))


def walk(pages: Pages, asked: Query, size: int, seconds: float = 9.0) -> Iterator[Page]:
    """All pages of a query, each from where the one before says."""
    at: Cursor | None = Cursor()
    while at is not None:
        page = pages.page(asked, at, size, seconds)
        yield page
        assert page.next is None or page.next > at, "every page gets on"
        at = page.next


def area(record: Record) -> float:
    return min(round(box.area, 12) for box in record.boxes)


def chars(record: Record) -> int:
    return sum(len(turn.content) for turn in record.messages)


def text(record: Record) -> str:
    return " ".join([record.key, *(turn.content for turn in record.messages)]).casefold()


FILTERS: list[tuple[dict[str, str], Callable[[Record], bool]]] = [
    ({}, lambda one: True),
    ({"source": "refcoco"}, lambda one: one.source == "refcoco"),
    ({"split": "val"}, lambda one: one.split == "val"),
    ({"task": "identify"}, lambda one: one.task == "identify"),
    ({"boxes_min": "3"}, lambda one: len(one.boxes) >= 3),
    ({"boxes_max": "0"}, lambda one: not one.boxes),
    ({"area_max": "2"}, lambda one: bool(one.boxes) and area(one) <= 0.02),
    ({"area_min": "5", "area_max": "9"}, lambda one: bool(one.boxes) and 0.05 <= area(one) <= 0.09),
    ({"q": "GREEN Circle"}, lambda one: "green circle" in text(one)),
    ({"q": "refcoco/val"}, lambda one: "refcoco/val" in text(one)),
    (
        {"source": "refcoco", "task": "refer", "q": "left"},
        lambda one: (one.source, one.task) == ("refcoco", "refer") and "left" in text(one),
    ),
    ({"q": "nothing says this"}, lambda one: False),
]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("words", "wanted"), FILTERS, ids=[str(words) for words, _ in FILTERS])
def test_a_filter_finds_what_looking_at_every_sample_finds(
    pages: Pages, held: Held, words: dict[str, str], wanted: Callable[[Record], bool], size: int
) -> None:
    parts = [Part(*line) for line in ((one.source, one.split, one.task) for s in held.values() for one in s.records)]
    found = list(walk(pages, query(words, parts), size))
    assert all(len(page.hits) == size for page in found[:-1])
    told = {(hit.shard, hit.sample): hit.places for page in found for hit in page.hits}
    matching = {
        place: [number for number, record in enumerate(sample.records) if wanted(record)]
        for place, sample in held.items()
    }
    assert told == {place: numbers for place, numbers in matching.items() if numbers}
    assert list(told) == sorted(told), "as stored"


@pytest.mark.parametrize(
    ("order", "worst"),
    [
        ("smallest", lambda record: area(record) if record.boxes else None),
        ("most", lambda record: -len(record.boxes)),
        ("longest", lambda record: -chars(record)),
    ],
)
def test_worst_first_is_what_sorting_every_sample_gives(
    pages: Pages, held: Held, order: str, worst: Callable[[Record], Any]
) -> None:
    hits = [hit for page in walk(pages, Query(order=order), 10) for hit in page.hits]
    found = [worst(held[hit.shard, hit.sample].records[hit.places[0]]) for hit in hits]
    each = {
        place: [w for record in sample.records if (w := worst(record)) is not None] for place, sample in held.items()
    }
    assert found == pytest.approx(sorted(min(values) for values in each.values() if values))
    assert len({(hit.shard, hit.sample) for hit in hits}) == len(hits)


def test_the_largest_loss_comes_first_among_the_smallest_boxes(pages: Pages, held: Held) -> None:
    hits = [hit for page in walk(pages, Query(order="loss"), 50) for hit in page.hits][:50]
    losses = {place: loss(sample) for place, sample in held.items() if loss(sample) > 0}
    found = [losses[hit.shard, hit.sample] for hit in hits]
    assert found == sorted(losses.values(), reverse=True)[:50]


def loss(sample: Sample) -> float:
    return max((1 - self_iou(box, BY) for record in sample.records for box in record.boxes), default=0.0)


def test_a_search_that_finds_nothing_ends_in_time_and_goes_on(pages: Pages, held: Held) -> None:
    found = list(walk(pages, Query(text="nothing says this"), 24, seconds=0.0))
    assert len(found) >= len(held), "out of time after each sample"
    assert not any(page.hits for page in found)


def test_a_page_reads_no_shard_behind_it(pool_copy: Path) -> None:
    for name in sorted((pool_copy / "index").iterdir())[1:]:
        name.write_bytes(b"never read")
    pages = Pages(Opened(given(str(pool_copy))))
    assert len(pages.page(Query(), Cursor(), 3).hits) == 3


def test_a_pool_elsewhere_shows_the_same_pages(demo_pool: Path, pages: Pages) -> None:
    there = fsspec.filesystem("memory")
    there.put(str(demo_pool), "/viewed", recursive=True)
    far = Pages(Opened(given("memory://viewed")))
    for asked in (Query(), Query(text="circle"), Query(order="loss"), Query(source="refcoco", order="smallest")):
        assert far.page(asked, Cursor(), 20, 9.0) == pages.page(asked, Cursor(), 20, 9.0)
    assert far.opened.members(0, 1) == pages.opened.members(0, 1)
    assert far.opened.rejects(0) == pages.opened.rejects(0)
    there.rm("/viewed", recursive=True)
