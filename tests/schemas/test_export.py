import json
from typing import Any

import msgspec
import pytest

from schemas import export
from schemas.box import Box
from schemas.record import Answer, Draw, ImageRef, Message, Pair, Record, Sample, Score

FULL = Sample(
    schema="boxcar/1",
    image=ImageRef("coco/5", ["vg/7"], 640, 427, "ab" * 32, "CC0", [Score("similarity", 0.31)]),
    records=[
        Record(
            key="a/b/1/vqa",
            source="a",
            split="b",
            task="vqa",
            messages=[Message("user", "[vqa] why {<0><0><50><50>}?"), Message("assistant", "so")],
            boxes=[Box(0.0, 0.0, 0.5, 0.5)],
            draw=Draw("vqa", [Pair("question", "why")], [Answer("so", 7)]),
            meta=[Pair("ann_id", "9")],
        )
    ],
)
BARE = Sample(
    schema="boxcar/1",
    image=None,
    records=[
        Record(
            "a/b/2/chat", "a", "b", None, [Message("user", "x"), Message("assistant", "y")], [], Draw(None, [], []), []
        )
    ],
)
COLUMNS = {
    "Sample": ["schema", "image", "records"],
    "ImageRef": ["id", "aliases", "width", "height", "sha256", "license", "scores"],
    "Record": ["key", "source", "split", "task", "messages", "boxes", "draw", "meta"],
    "Message": ["role", "content"],
    "Draw": ["pool", "slots", "answers"],
    "Answer": ["text", "count"],
    "Score": ["name", "value"],
    "Pair": ["name", "value"],
}


def test_the_json_schema_beside_the_code_is_fresh() -> None:
    assert export.PATH.read_text(encoding="utf-8") == export.json_schema()


def test_the_json_schema_requires_every_field_and_allows_no_other() -> None:
    schema = json.loads(export.PATH.read_text(encoding="utf-8"))
    assert schema["$ref"] == "#/$defs/Sample"
    for name, columns in COLUMNS.items():
        assert list(schema["$defs"][name]["properties"]) == columns
        assert schema["$defs"][name]["required"] == columns
        assert schema["$defs"][name]["additionalProperties"] is False


@pytest.fixture(scope="module")
def features() -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Features.from_dict(export.features())


def test_datasets_takes_the_features_of_a_tars_members(features: Any) -> None:
    assert set(features) == {"jpg", "json", "__key__", "__url__"}


@pytest.mark.parametrize("sample", [FULL, BARE], ids=["full", "bare"])
def test_a_sample_passes_through_arrow_with_the_exported_features_unchanged(features: Any, sample: Sample) -> None:
    import pyarrow as pa

    row = msgspec.to_builtins(sample)
    table = pa.Table.from_pylist([{"json": row}], schema=pa.schema([features.arrow_schema.field("json")]))
    assert table.to_pylist() == [{"json": row}]


def test_the_features_hold_every_field_in_its_order(features: Any) -> None:
    sample = features["json"]
    record = sample["records"].feature
    assert list(sample) == COLUMNS["Sample"]
    assert list(sample["image"]) == COLUMNS["ImageRef"]
    assert list(record) == COLUMNS["Record"]
    assert list(record["messages"].feature) == COLUMNS["Message"]
    assert list(record["draw"]) == COLUMNS["Draw"]
    assert list(record["draw"]["answers"].feature) == COLUMNS["Answer"]
    assert list(sample["image"]["scores"].feature) == COLUMNS["Score"]
    assert list(record["meta"].feature) == COLUMNS["Pair"]
