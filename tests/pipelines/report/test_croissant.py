"""Tests of Croissant metadata: files by their digests, and mlcroissant, in an environment of its own, reads samples."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines.draw import samples
from pipelines.report.croissant import croissant
from pipelines.report.report import report
from tests.pipelines.report.mlcroissant import told

READ = """
import itertools, json, sys
import mlcroissant as ml
dataset = ml.Dataset(jsonld=sys.argv[1])
found = {name: list(itertools.islice(dataset.records(name), 5)) for name in sys.argv[2:]}
keys = {name: [row[f"{name}/key"].decode() for row in rows] for name, rows in found.items()}
texts = [json.loads(row["samples/json"]) for row in found["samples"]]
sizes = [row["pictures/jpg"].size for row in found.get("pictures", ())]
issues = dataset.metadata.ctx.issues
print(json.dumps([sorted(issues.errors), sorted(issues.warnings), keys, texts, sizes]))
"""


def test_every_shard_is_a_file_with_its_digest(demo_pool: Path) -> None:
    found = json.loads(croissant(report(str(demo_pool), samples=0)[0]))
    files = {one["@id"]: one for one in found["distribution"] if one["@type"] == "cr:FileObject"}
    assert files.keys() == {path.name for path in demo_pool.glob("*.tar")}
    for name, one in files.items():
        data = (demo_pool / name).read_bytes()
        assert (one["contentUrl"], one["contentSize"]) == (name, f"{len(data)} B")
        assert one["sha256"] == sha256(data).hexdigest()
    members = {one["includes"] for one in found["distribution"] if one["@type"] == "cr:FileSet"}
    assert members == {"*.json", "*.jpg"}


def test_a_pool_of_text_has_no_pictures(text_pool: Path) -> None:
    found = json.loads(croissant(report(str(text_pool), samples=0)[0]))
    assert [one["@id"] for one in found["recordSet"]] == ["samples"]


@pytest.mark.heavy
def test_mlcroissant_finds_nothing_wrong_and_reads_samples(demo_pool: Path, text_pool: Path, tmp_path: Path) -> None:
    stored = {sample.image.id: sample for sample, _ in samples(str(demo_pool)) if sample.image}
    for pool, sets in ((demo_pool, ("samples", "pictures")), (text_pool, ("samples",))):
        copy = Path(shutil.copytree(pool, tmp_path / pool.name))
        (copy / "croissant.json").write_text(croissant(report(str(pool), samples=0)[0]), encoding="utf-8")
        errors, warnings, keys, texts, sizes = told(READ, tmp_path, copy / "croissant.json", *sets)
        assert errors == []
        assert all("datePublished" in warning for warning in warnings)  # a pool knows no dates
        assert all(len(found) == 5 for found in keys.values())
        if pool == demo_pool:
            assert keys["samples"] == keys["pictures"]
            wanted = [stored[text["image"]["id"]] for text in texts]
            assert [[record["key"] for record in text["records"]] for text in texts] == [
                [record.key for record in sample.records] for sample in wanted
            ]
            assert sizes == [[one.image.width, one.image.height] for one in wanted if one.image]
