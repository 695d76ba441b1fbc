"""Tests of converting a source to records: what comes out, what is counted, and what never half appears."""

import io
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from converters import find
from pipelines.command import written
from pipelines.convert import Converted, convert, job, outcomes_and_lines
from schemas.box import Size, codec
from schemas.errors import ConfigError, SourceError
from schemas.prompt import Wording

WORDING = Wording(seed=0, codec=codec("round-100"))


def refer_files(root: Path, regions: list[Any], sentences: list[list[str]], size: tuple[int, int] | None) -> Path:
    """A published RefCOCO folder: one ref per region, all on picture 42."""
    folder = root / "refcoco"
    folder.mkdir(parents=True)
    picture: dict[str, Any] = {"id": 42, "file_name": "COCO_train2014_000000000042.jpg"}
    if size:
        picture |= {"width": size[0], "height": size[1]}
    annotations = [{"id": n, "image_id": 42, "bbox": box} for n, box in enumerate(regions)]
    (folder / "instances.json").write_text(
        json.dumps({"images": [picture], "annotations": annotations, "categories": []})
    )
    refs = [
        {
            "ref_id": n,
            "ann_id": n,
            "image_id": 42,
            "split": "val",
            "sentences": [{"sent_id": 10 * n + place, "sent": text, "raw": text} for place, text in enumerate(said)],
        }
        for n, said in enumerate(sentences)
    ]
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def converted(root: Path, **options: Any) -> tuple[Converted, list[dict[str, Any]]]:
    out = io.BytesIO()
    told = convert(job("refcoco", str(root), "val"), out, WORDING, **options)
    return told, [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_sentence_gives_one_line_per_task_with_its_picture_and_record(tmp_path: Path) -> None:
    root = refer_files(tmp_path, [[20, 30, 100, 60]], [["the red cup", "a cup"]], (200, 300))
    _, lines = converted(root)
    assert [sorted(line) for line in lines] == [["image", "record"]] * 4
    assert [line["record"]["task"] for line in lines] == ["refer", "identify"] * 2
    assert lines[0]["record"]["messages"][1]["content"] == "{<10><10><60><30>}"
    assert lines[1]["record"]["messages"][1]["content"] == "the red cup"
    assert lines[0]["record"]["boxes"] == [[0.1, 0.1, 0.6, 0.3]]
    assert lines[0]["image"] == {
        "id": "coco/42",
        "aliases": [],
        "width": 200,
        "height": 300,
        "sha256": None,
        "license": None,
        "scores": [],
    }


def test_every_candidate_ends_in_the_ledger_once_and_with_its_reason(tmp_path: Path) -> None:
    root = refer_files(tmp_path, [[0, 0, 10, 10], [0, 0, 0, 5]], [["ok", "  "], ["empty box"]], (100, 100))
    told, lines = converted(root)
    refer = next(tally for tally in told.ledger if tally.task == "refer")
    assert (refer.candidates, refer.written) == (3, 1)
    assert {count.name: count.count for count in refer.rejected} == {"empty phrase": 1, "empty box": 1}
    assert len(lines) == sum(tally.written for tally in told.ledger) == 2


def test_a_repeated_key_is_rejected_and_the_first_record_stays(tmp_path: Path) -> None:
    root = refer_files(tmp_path, [[0, 0, 10, 10]], [["first"]], (100, 100))
    path = root / "refcoco" / "refs(unc).p"
    refs = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(refs * 2, protocol=2))
    told, lines = converted(root)
    assert [line["record"]["key"] for line in lines] == ["refcoco/val/0-0/refer", "refcoco/val/0-0/identify"]
    assert [[(c.name, c.count) for c in tally.rejected] for tally in told.ledger] == [[("duplicate key", 1)]] * 2


def test_duplicate_sentences_of_one_region_are_both_kept(tmp_path: Path) -> None:
    _, lines = converted(refer_files(tmp_path, [[0, 0, 10, 10]], [["same", "same"]], (100, 100)))
    assert [line["record"]["task"] for line in lines] == ["refer", "identify"] * 2


def test_boxes_without_a_known_size_are_rejected_when_no_picture_is_given(tmp_path: Path) -> None:
    told, lines = converted(refer_files(tmp_path, [[0, 0, 10, 10]], [["a"]], None))
    assert lines == []
    assert [count.name for tally in told.ledger for count in tally.rejected] == ["picture size unknown"] * 2


def test_a_size_is_asked_of_the_picture_only_where_the_annotation_has_none(tmp_path: Path) -> None:
    asked: list[str] = []

    def size_of(image: str) -> Size:
        asked.append(image)
        return Size(50, 50)

    _, lines = converted(refer_files(tmp_path / "unknown", [[0, 0, 10, 10]], [["a"]], None), size_of=size_of)
    assert set(asked) == {"coco/42"} and lines[0]["record"]["boxes"] == [[0.0, 0.0, 0.2, 0.2]]
    asked.clear()
    _, lines = converted(refer_files(tmp_path / "known", [[0, 0, 10, 10]], [["a"]], (100, 100)), size_of=size_of)
    assert asked == [] and lines[0]["record"]["boxes"] == [[0.0, 0.0, 0.1, 0.1]]


def test_captions_never_ask_for_a_size(demo_files: Path) -> None:
    def size_of(image: str) -> Size:
        raise AssertionError(f"asked for {image}")

    told = convert(job("coco_caption", str(demo_files / "karpathy"), "val"), io.BytesIO(), WORDING, size_of)
    assert told.ledger[0].written == told.ledger[0].candidates > 0


def test_a_limit_stops_after_so_many_records_and_says_so(demo_files: Path) -> None:
    out = io.BytesIO()
    told = convert(job("refcoco", str(demo_files / "refer"), "val"), out, WORDING, limit=3)
    assert len(out.getvalue().splitlines()) == 3
    assert not told.complete and sum(tally.written for tally in told.ledger) == 3


def test_a_limit_that_is_not_reached_leaves_the_conversion_complete(tmp_path: Path) -> None:
    told, lines = converted(refer_files(tmp_path, [[0, 0, 10, 10]], [["a"]], (100, 100)), limit=2)
    assert told.complete and len(lines) == 2


def test_the_official_count_stands_beside_each_task_that_it_counts(demo_files: Path) -> None:
    told = convert(job("refcoco", str(demo_files / "refer"), "val", tasks=["refer"]), io.BytesIO(), WORDING)
    assert told.official == {"refer": 10_834}
    told = convert(job("coco_instances", str(demo_files / "coco"), "val"), io.BytesIO(), WORDING)
    assert told.official == {"identify": 291_875}
    told = convert(job("coco_caption", str(demo_files / "coco"), "val"), io.BytesIO(), WORDING)
    assert told.official == {}


def test_a_part_without_a_single_candidate_still_has_its_line(tmp_path: Path) -> None:
    told, _ = converted(refer_files(tmp_path, [], [], (10, 10)))
    assert [(tally.task, tally.candidates) for tally in told.ledger] == [("identify", 0), ("refer", 0)]


def test_a_record_that_the_linter_refuses_is_counted_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    root = refer_files(tmp_path, [[0, 0, 10, 10]], [["a"]], (100, 100))
    one = job("refcoco", str(root), "val", tasks=["refer"])
    (variant,) = one.variants

    def forged(row: Any, wording: Wording) -> Any:
        record = variant.record(row, wording)
        turn = msgspec.structs.replace(record.messages[1], content="{<11><11><12><12>}")
        return msgspec.structs.replace(record, messages=[record.messages[0], turn])

    lying = type(variant)(variant.task, variant.candidate, forged, boxed=True)
    told = convert(type(one)(one.source, one.split, one.found, (lying,), one.options), out := io.BytesIO(), WORDING)
    assert out.getvalue() == b""
    assert [(count.name, count.count) for count in told.ledger[0].rejected] == [("tokens differ from boxes", 1)]


def test_a_widened_side_is_noted(tmp_path: Path) -> None:
    told, _ = converted(refer_files(tmp_path, [[0, 0, 1, 500]], [["a"]], (1000, 1000)))
    assert [(count.name, count.count) for count in told.ledger[0].notes] == [("side widened to one bin", 1)]


def test_the_ledger_of_the_demo_world_matches_a_count_of_its_raw_files(demo_files: Path) -> None:
    refs = pickle.loads((demo_files / "refer" / "refcoco" / "refs(unc).p").read_bytes())
    wanted = Counter(ref["split"] for ref in refs for _ in ref["sentences"])
    for split in find("refcoco").splits:
        if split != "test":
            told = convert(job("refcoco", str(demo_files / "refer"), split), io.BytesIO(), WORDING)
            assert [tally.candidates for tally in told.ledger] == [wanted[split]] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "refcocoo"}, "unknown source 'refcocoo'; did you mean refcoco"),
        ({"split": "vall"}, "unknown split 'vall'; did you mean val"),
        ({"form": "und"}, "unknown form 'und'; did you mean unc"),
        ({"tasks": ["reffer"]}, "unknown task 'reffer'; did you mean refer"),
        ({"options": {"txt": "raw"}}, "unknown option 'txt'; did you mean text"),
        ({"options": {"text": "rawr"}}, "unknown text 'rawr'; did you mean raw"),
    ],
)
def test_unknown_words_are_config_errors_that_name_near_ones(
    demo_files: Path, words: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        job(**{"name": "refcoco", "root": str(demo_files / "refer"), "split": "val", **words})
    assert message in str(error.value)


def test_a_root_without_the_files_is_a_source_error_that_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        job("refcoco", str(tmp_path), "val")
    assert "refs(unc).p" in str(error.value) and "https://" in str(error.value)


def test_an_output_file_appears_only_when_it_is_whole(
    tmp_path: Path, demo_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, out = job("refcoco", str(demo_files / "refer"), "val"), tmp_path / "val.jsonl"
    out.write_text("an earlier run\n")

    def broken(*arguments: Any) -> Any:
        yield from outcomes_and_lines(*arguments)
        raise SourceError("the disk was pulled out")

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.convert.outcomes_and_lines", broken)
        with pytest.raises(SourceError):
            written(one, out, Wording(), [], None)
    assert out.read_text() == "an earlier run\n" and list(tmp_path.iterdir()) == [out]
    told = written(one, out, Wording(), [], None)
    assert len(out.read_text().splitlines()) == sum(tally.written for tally in told.ledger)
    assert list(tmp_path.iterdir()) == [out]


def test_sizes_come_from_folders_and_zips_of_pictures_where_asked_for(demo_files: Path, tmp_path: Path) -> None:
    root = tmp_path / "coco"
    root.mkdir()
    for side in ("train", "val"):
        name = f"instances_{side}2014.json"
        raw = json.loads((demo_files / "coco" / "annotations" / name).read_text())
        sizes = {image["id"]: (image.pop("width"), image.pop("height")) for image in raw["images"]}
        (root / name).write_text(json.dumps(raw))
        out = tmp_path / f"{side}.jsonl"
        written(job("coco_instances", str(root), side), out, Wording(), [str(demo_files / "coco")], None)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert lines
        for line in lines:
            number = int(line["image"]["id"].removeprefix("coco/"))
            assert (line["image"]["width"], line["image"]["height"]) == sizes[number]
