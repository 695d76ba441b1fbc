"""GRIT's published example, where it is at hand: BOXCAR_REAL_ROWS names a folder with doc_samples/ in it."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.convert import job, outcomes
from schemas.prompt import Wording

SAMPLE = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere") / "doc_samples" / "grit_row.json"

pytestmark = pytest.mark.skipif(not SAMPLE.is_file(), reason="BOXCAR_REAL_ROWS names no folder with doc_samples/ in it")


def told(root: Path, **words: str) -> list[tuple[str, str]]:
    """What is asked for and answered in every record, with the boxes of both."""
    found = list(outcomes(job("grit", str(root), "train", options=words), Wording()))
    assert [one.detail for one in found if one.record is None] == []
    return [
        (one.record.draw.slots[0].value if one.record.draw.slots else "", one.record.messages[1].content)
        for one in found
        if one.record
    ]


def test_the_published_example_becomes_what_a_person_would_write(tmp_path: Path) -> None:
    rows = json.loads(SAMPLE.read_text(encoding="utf-8"))["rows"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "coyo_0_snappy.parquet")
    caption, chunks, expressions = (rows[0][name] for name in ("caption", "noun_chunks", "ref_exps"))
    cover, hanger = (caption[start:end] for start, end, *_ in expressions)
    boxes = ["{<2><31><96><96>}", "{<2><3><96><97>}"]
    short_cover, short_hanger = (caption[start:end] for start, end, *_ in chunks)
    between, rest = caption.split(short_hanger)[1].split(short_cover)
    assert told(tmp_path) == [
        (cover, boxes[0]),
        (hanger, boxes[1]),
        ("0", cover),
        ("0", hanger),
        ("", f"<p>{short_hanger}</p> {boxes[1]}{between}<p>{short_cover}</p> {boxes[0]}{rest}"),
    ]
    assert told(tmp_path, spans="ref_exps")[-1] == ("", f"{caption.split(cover)[0]}<p>{cover}</p> {boxes[0]}")
