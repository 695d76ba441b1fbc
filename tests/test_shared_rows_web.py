"""Real rows of web pictures, where there are any: BOXCAR_REAL_ROWS names a folder with cc3m, cc12m, sbu and laion."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.convert import Outcome, job, outcomes
from schemas.prompt import Wording
from schemas.text import tidy

ROWS = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere")
PUBLISHED = {
    ("cc3m", "train"): ("cc3m/Train_GCC-training.first5.tsv", "Train_GCC-training.tsv", 5),
    ("cc3m", "val"): ("cc3m/Validation.first1000.tsv", "Validation_GCC-1.1.0-Validation.tsv", 1000),
    ("cc12m", "train"): ("cc12m/cc12m.tsv", "cc12m.tsv", 5),
    ("sbu", "train"): ("sbu/sbu-captions-all.json", "sbu-captions-all.json", 5),
    ("laion", "train"): ("laion/test_1000.parquet", "part-00000-x-c000.snappy.parquet", 1000),
}

pytestmark = pytest.mark.skipif(
    not all((ROWS / file).is_file() for file, _, _ in PUBLISHED.values()),
    reason="BOXCAR_REAL_ROWS names no folder with cc3m/, cc12m/, sbu/ and laion/ in it",
)


def converted(root: Path, source: str, split: str) -> list[Outcome]:
    file, name, _ = PUBLISHED[source, split]
    (root / name).symlink_to(ROWS / file)
    return list(outcomes(job(source, str(root), split), Wording()))


def said(source: str, split: str) -> list[str]:
    """The captions, read without any of our own code."""
    path = ROWS / PUBLISHED[source, split][0]
    if path.suffix == ".parquet":
        return [str(text) for text in pq.read_table(path)["TEXT"].to_pylist()]
    if path.suffix == ".json":
        found: Any = json.loads(path.read_bytes())["captions"]
        return list(found)
    place = 0 if source == "cc3m" else 1
    return [line.split("\t")[place] for line in path.read_bytes().decode().removesuffix("\n").split("\n")]


@pytest.mark.parametrize(("source", "split"), PUBLISHED)
def test_every_published_row_gives_a_record_with_its_caption_intact(tmp_path: Path, source: str, split: str) -> None:
    found = converted(tmp_path, source, split)
    assert len(found) == PUBLISHED[source, split][2]
    assert [one.reason for one in found if not one.record] == []
    assert len({one.key for one in found}) == len(found)
    assert [one.record.messages[1].content for one in found if one.record] == list(map(tidy, said(source, split)))
