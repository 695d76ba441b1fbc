"""Tests of a report's figures: each is counted again here, from the tars and receipts alone."""

import json
import math
import re
import statistics
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines.chosen import source
from pipelines.report.counts import BoxCounts
from pipelines.report.figures import CELLS, PartFigures, Report
from pipelines.report.report import report
from pipelines.shard import shard
from pipelines.token_count import ESTIMATE
from pipelines.tokenizer import trained_tokenizer
from schemas.box import Box, codec, encode, self_iou, widened
from schemas.ledger import Part
from schemas.pool import pool_config
from schemas.record import Record, Sample

MARKUP = re.compile(r"\{(<\d+>){4}\}|<delim>|</?p>|^\[(caption|grounding|refer|identify|detection|vqa)\] ")
ROUND = codec("round-100")
REFER = {"source": "refcoco", "split": "train", "task": "refer"}
IDENTIFY = {"source": "refcoco", "split": "train", "task": "identify"}


@pytest.fixture(scope="module")
def told(demo_pool: Path) -> Report:
    return report(str(demo_pool))[0]


@pytest.fixture(scope="module")
def samples(demo_pool: Path) -> list[tuple[Sample, bytes | None]]:
    return [(one.sample, one.picture) for one in source(str(demo_pool)).chosen]


def by_part(samples: list[tuple[Sample, bytes | None]]) -> dict[Part, list[Record]]:
    found = defaultdict[Part, list[Record]](list)
    for sample, _ in samples:
        for record in sample.records:
            found[Part(record.source, record.split, record.task)].append(record)
    return found


def of(told: Report, *part: str | None) -> PartFigures:
    return next(one for one in told.parts if one.part == part)


def spoken(record: Record) -> int:
    return sum(len(MARKUP.sub(" ", turn.content).split()) for turn in record.messages)


def test_every_part_has_the_records_pictures_boxes_and_turns_that_the_tars_hold(
    told: Report, samples: list[tuple[Sample, bytes | None]]
) -> None:
    parts = by_part(samples)
    assert {one.part for one in told.parts} == parts.keys()
    for one in told.parts:
        records = parts[one.part]
        assert (one.records, one.read, one.unsaid) == (len(records), len(records), 0)
        assert one.boxes == sum(len(record.boxes) for record in records)
        shown = sum(any(Part(r.source, r.split, r.task) == one.part for r in sample.records) for sample, _ in samples)
        assert one.pictures == shown
        assert one.turns.mean == statistics.mean(len(record.messages) // 2 for record in records)
    assert told.records == sum(map(len, parts.values()))
    assert told.pictures == len(samples) and told.text_samples == 0


def test_the_ledger_is_the_manifests_and_the_shards_are_those_of_the_receipts(told: Report, demo_pool: Path) -> None:
    manifest = json.loads((demo_pool / "pool.json").read_bytes())
    assert msgspec.to_builtins(told.ledger) == manifest["ledger"]
    receipts = [json.loads(path.read_bytes()) for path in sorted((demo_pool / "receipts").iterdir())]
    tars = [file for receipt in receipts for file in receipt["files"] if file["name"].endswith(".tar")]
    assert msgspec.to_builtins(told.pools[0].tars) == tars and len(tars) == manifest["shards"] > 3


def test_words_are_those_of_all_turns_without_identifiers_and_box_tokens(
    told: Report, samples: list[tuple[Sample, bytes | None]]
) -> None:
    for part, records in by_part(samples).items():
        one, counts = of(told, *part).words, [spoken(record) for record in records]
        assert one is not None
        assert (one.mean, one.most) == (round(statistics.mean(counts), 4), max(counts))
        assert one.median == statistics.median_low(counts)
        ends = [low for low, _ in one.ranges[1:]] + [math.inf]
        assert [count for _, count in one.ranges] == [
            sum(low <= count < end for count in counts) for (low, _), end in zip(one.ranges, ends, strict=True)
        ]


def test_what_the_grid_costs_is_what_the_codec_costs_each_box(
    told: Report, samples: list[tuple[Sample, bytes | None]]
) -> None:
    for part, records in by_part(samples).items():
        one, boxes = of(told, *part).loss, [box for record in records for box in record.boxes]
        if not boxes:
            assert one is None
            continue
        assert one is not None and one.boxes == len(boxes)
        ious = [self_iou(box, ROUND) for box in boxes]
        assert one.mean == pytest.approx(statistics.mean(ious), abs=1e-6)
        assert one.worst == pytest.approx(min(ious), abs=1e-6)
        assert one.widened == sum(widened(box, ROUND) for box in boxes)


def test_boxes_lie_on_the_maps_where_their_tokens_say(told: Report, samples: list[tuple[Sample, bytes | None]]) -> None:
    centres, sizes = (defaultdict[str | None, Counter[tuple[int, int]]](Counter) for _ in range(2))
    for part, records in by_part(samples).items():
        for x1, y1, x2, y2 in (encode(box, ROUND) for record in records for box in record.boxes):
            centres[part.task][min((y1 + y2) // 4, 49), min((x1 + x2) // 4, 49)] += 1
            sizes[part.task][(y2 - y1 + 1) // 2 - 1, (x2 - x1 + 1) // 2 - 1] += 1
    assert {one.task for one in told.maps} == centres.keys() == {"refer", "identify", "detection"}
    for one in told.maps:
        for grid, wanted in ((one.centres, centres[one.task]), (one.sizes, sizes[one.task])):
            found = {(y, x): count for y, line in enumerate(grid) for x, count in enumerate(line) if count}
            assert found == wanted and len(grid) == CELLS
        assert sum(count.count for count in one.classes) == one.boxes == centres[one.task].total()


def test_the_most_frequent_answers_and_phrases_are_told(
    told: Report, samples: list[tuple[Sample, bytes | None]]
) -> None:
    parts = by_part(samples)
    said = Counter(record.messages[1].content for record in parts[Part("coco_instances", "train", "identify")])
    one = of(told, "coco_instances", "train", "identify")
    assert {count.name: count.count for count in one.answers} == dict(said) and one.distinct_answers == len(said)
    assert [count.count for count in one.answers] == sorted(said.values(), reverse=True)
    phrases = Counter(slot.value for record in parts[Part("refcoco", "train", "refer")] for slot in record.draw.slots)
    told_of = of(told, "refcoco", "train", "refer")
    assert told_of.distinct_phrases == len(phrases)
    assert all(phrases[count.name] == count.count for count in told_of.phrases)
    assert sum(count.count for count in told_of.phrases) == sum(count for _, count in phrases.most_common(20))


def test_tokens_are_estimated_or_counted_by_a_tokenizer(
    told: Report, samples: list[tuple[Sample, bytes | None]], demo_pool: Path, tmp_path: Path
) -> None:
    assert told.tokens == ESTIMATE
    parts = by_part(samples)
    for part, records in parts.items():
        outside = [(sum(len(turn.content) for turn in record.messages), len(record.boxes)) for record in records]
        wanted = [-(-max(chars - 18 * boxes, 0) // 4) + 15 * boxes for chars, boxes in outside]
        one = of(told, *part).tokens
        assert (one.total, one.most) == (sum(wanted), max(wanted))
    tokenizer = trained_tokenizer((turn.content for some in parts.values() for r in some for turn in r.messages), 700)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    counted = report(str(demo_pool), tokenizer=str(tmp_path))[0]
    for part, records in parts.items():
        lengths = [
            sum(len(tokenizer.encode(turn.content, add_special_tokens=False)) for turn in record.messages)
            for record in records
        ]
        one = of(counted, *part).tokens
        assert (one.total, one.most) == (sum(lengths), max(lengths))
    assert "tokenizer.json" in counted.tokens


def test_a_picture_that_comes_again_is_counted_once_by_its_bytes(
    demo_files: Path, tmp_path: Path, told: Report, samples: list[tuple[Sample, bytes | None]]
) -> None:
    images = [sample.image.sha256 for sample, _ in samples if sample.image]
    assert told.duplicates.exact == len(images) - len(set(images)) == 0
    pool = mixed(demo_files, tmp_path)
    contents = [sha256(one.picture).hexdigest() for one in source(str(pool)).chosen if one.picture]
    both = report(str(pool))[0].duplicates
    assert (both.pictures, both.exact) == (len(contents), len(contents) - len(set(contents)))
    assert both.exact > 40


def mixed(files: Path, out: Path) -> Path:
    """A pool of pictures that lie in two collections, with the same bytes; one of them has their other names."""
    sources = [
        {"name": "coco_caption", "root": f"{files}/coco", "splits": ["train", "val"]},
        {"name": "flickr30k_caption", "root": f"{files}/flickr30k", "splits": ["train"], "form": "folders"},
        {"name": "vg", "root": f"{files}/vg", "splits": ["train"], "max_reject": 0.05},
    ]
    collections = {name: f"{files}/{name}" for name in ("coco", "flickr30k", "vg")}
    shard(pool_config({"pool": "mixed", "collections": collections, "sources": sources}, "test"), str(out / "mixed"))
    return out / "mixed"


def test_pictures_of_training_parts_that_evaluation_shows_are_told(
    told: Report, samples: list[tuple[Sample, bytes | None]]
) -> None:
    assert {one.part for one in told.parts if one.use == "eval"} >= {Part("refcoco", "val", "refer")}
    evaluated = sorted({(one.source, one.split) for one in told.parts if one.use == "eval"})
    trained = {one.part for one in told.parts if one.use == "train"}
    wanted = Counter[tuple[Part, str]]()
    for sample, _ in samples:
        there = {(record.source, record.split) for record in sample.records}
        first = next((split for split in evaluated if split in there), None)
        if first is not None:
            parts = (Part(record.source, record.split, record.task) for record in sample.records)
            wanted.update((part, "/".join(first)) for part in parts if part in trained)
    assert told.leaks is not None and wanted
    found = {(Part(one.source, one.split, one.task), one.shown_by): one.records for one in told.leaks}
    assert found == wanted


def test_pictures_are_followed_under_their_other_names(demo_files: Path, tmp_path: Path) -> None:
    pool = mixed(demo_files, tmp_path)
    samples = [one.sample for one in source(str(pool)).chosen]
    named = [(one.image, {record.split for record in one.records}) for one in samples if one.image]
    evaluated = {name for image, splits in named if "val" in splits for name in (image.id, image.sha256)}
    of_genome = [image for image, _ in named if image.id.startswith("vg/")]
    shown = [image for image in of_genome if evaluated & {image.sha256, *image.aliases}]
    found = report(str(pool))[0].leaks
    assert found is not None and shown
    of_vg = {(one.task, one.shown_by): one.pictures for one in found if one.source == "vg"}
    assert of_vg == dict.fromkeys([("identify", "coco_caption/val"), ("refer", "coco_caption/val")], len(shown))


def test_some_records_are_chosen_by_their_picture_whatever_the_shards(
    demo_config: dict[str, Any], demo_pool: Path, tmp_path: Path
) -> None:
    shard(pool_config(demo_config | {"shard": {"max_samples": 9}}, "test"), str(tmp_path / "other"))
    one, other = (report(str(pool), samples=40)[0] for pool in (demo_pool, tmp_path / "other"))
    assert one.parts == other.parts and one.maps == other.maps
    assert [shown.stem for shown in one.shown] == [shown.stem for shown in other.shown]
    many = of(one, "refcoco", "train", "refer")
    assert 0 < many.read < many.records


def test_nothing_is_read_from_tars_where_no_samples_are_asked_for(demo_pool: Path) -> None:
    told = report(str(demo_pool), samples=0)[0]
    assert {(one.read, one.words, one.loss) for one in told.parts} == {(0, None, None)} and told.maps == []
    assert told.records > 0


def test_the_number_of_workers_changes_nothing(demo_pool: Path, told: Report) -> None:
    assert report(str(demo_pool), workers=2)[0] == told


def test_a_source_is_told_with_its_terms(told: Report) -> None:
    found = {one.name: one for one in told.sources}
    assert found.keys() == {"refcoco", "refcocog", "coco_caption", "coco_instances"}
    assert all(one.licence and one.citation and one.homepage.startswith("http") for one in told.sources)


def test_boxes_of_a_record_need_not_be_within_the_maps_middle() -> None:
    counts = BoxCounts()
    whole, dot = Box(0.0, 0.0, 1.0, 1.0), Box(0.99, 0.99, 1.0, 1.0)
    sides = np.array([list(whole), list(dot)]).T
    counts.count(sides, np.array([whole.area, dot.area]))
    assert (counts.sizes[49, 49], counts.sizes[0, 0], counts.centres[25, 25], counts.centres[49, 49]) == (1, 1, 1, 1)


def test_the_samples_that_are_shown_are_of_each_part_in_turn_and_begin_with_it(demo_pool: Path, told: Report) -> None:
    _, shown = report(str(demo_pool), samples=0)
    assert len({(one.shown.tar, one.shown.sample) for one in shown}) == 24
    firsts = [Part(one.records[0].source, one.records[0].split, one.records[0].task) for one in shown]
    parts = [one.part for one in told.parts]
    assert firsts[: len(parts)] == parts
