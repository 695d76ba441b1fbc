"""Real chats and statements, where there are any: BOXCAR_REAL_ROWS names a folder with llava/ and vsr/ in it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome, job, outcomes
from schemas.prompt import Wording

ROWS = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere")
LLAVA = ROWS / "llava" / "blip_laion_cc_sbu.first300.json"
VSR = ROWS / "vsr" / "zeroshot_dev.jsonl"
ANSWERS = {0: "false", 1: "true"}

needs_llava = pytest.mark.skipif(not LLAVA.is_file(), reason="BOXCAR_REAL_ROWS names no folder with llava/ in it")
needs_vsr = pytest.mark.skipif(not VSR.is_file(), reason="BOXCAR_REAL_ROWS names no folder with vsr/ in it")


def converted(source: str, root: Path, split: str) -> list[Outcome]:
    return list(outcomes(job(source, str(root), split), Wording()))


def entries() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(LLAVA.read_text(encoding="utf-8"))
    return listed


@needs_llava
def test_every_turn_of_a_real_conversation_is_kept_but_for_the_placeholder(tmp_path: Path) -> None:
    raw = [{**one, "image": f"{place:012d}.jpg"} for place, one in enumerate(entries())]
    (tmp_path / "conversation_58k.json").write_text(json.dumps(raw), encoding="utf-8")
    found = converted("llava_conversation", tmp_path, "train")
    assert [one.detail for one in found if one.record is None] == []
    assert len(found) == len(raw) == 300
    for place, (one, entry) in enumerate(zip(found, raw, strict=True)):
        assert one.record is not None
        assert one.image is not None
        wanted = [turn["value"].replace("<image>\n", "").replace("\n<image>", "") for turn in entry["conversations"]]
        assert [turn.content for turn in one.record.messages] == wanted
        assert (one.key, one.image.id) == (f"llava_conversation/train/{entry['id']}/chat", f"coco/{place}")


@needs_llava
def test_pictures_that_are_none_of_cocos_are_rejected_and_not_taken_for_others(tmp_path: Path) -> None:
    (tmp_path / "detail_23k.json").write_bytes(LLAVA.read_bytes())
    found = converted("llava_detail", tmp_path, "train")
    assert [(one.reason, one.image) for one in found] == [("no COCO file name", None)] * 300


@needs_vsr
def test_every_statement_of_vsrs_dev_split_is_asked_and_answered_as_labelled(tmp_path: Path) -> None:
    (tmp_path / "zeroshot").mkdir()
    (tmp_path / "zeroshot" / "dev.jsonl").write_bytes(VSR.read_bytes())
    raw = [json.loads(line) for line in VSR.read_text(encoding="utf-8").splitlines()]
    found = converted("vsr", tmp_path, "dev")
    assert [one.detail for one in found if one.record is None] == []
    assert len(found) == len(raw) == 340
    for one, row in zip(found, raw, strict=True):
        assert one.record is not None
        assert one.image is not None
        question, answer = (turn.content for turn in one.record.messages)
        assert question == f"[vqa] Based on the image, is this statement true or false? {row['caption'].strip()}"
        assert answer == ANSWERS[row["label"]]
        assert one.image.id == f"coco/{int(row['image'][:-4])}"
        assert {pair.name: pair.value for pair in one.record.meta} == {
            "relation": row["relation"],
            "label": str(row["label"]),
        }
