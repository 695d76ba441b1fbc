"""Real rows, where there are any: BOXCAR_REAL_ROWS names a folder with refer/refcoco/ as its publisher lays it out."""

import json
import os
import pickle
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome, job, outcomes
from pipelines.held_annotations import annotated
from pipelines.held_out import known
from schemas.prompt import Wording

ROWS = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere")
REFCOCO = ROWS / "refer" / "refcoco"
COCO = ROWS / "coco" / "annotations"
SENTENCES = {"val": 10_834, "testA": 5_657}
TOKEN = re.compile(r"\{<([0-9]+)><([0-9]+)><([0-9]+)><([0-9]+)>\}")

needs_refcoco = pytest.mark.skipif(
    not (REFCOCO / "instances.json").is_file(), reason="BOXCAR_REAL_ROWS names no folder with refer/refcoco/ in it"
)
needs_coco = pytest.mark.skipif(
    not (COCO / "captions_train2017.json").is_file(), reason="BOXCAR_REAL_ROWS names no folder with coco/ in it"
)


@cache
def converted(source: str, root: Path, split: str) -> list[Outcome]:
    return list(outcomes(job(source, str(root), split), Wording()))


@cache
def expected(split: str) -> dict[tuple[int, int], tuple[str, list[float], tuple[int, ...], int]]:
    """Sentence, fractions, tokens and picture by (ref id, sentence id), from the published files alone."""
    refs = pickle.loads((REFCOCO / "refs(unc).p").read_bytes())
    instances = json.loads((REFCOCO / "instances.json").read_text(encoding="utf-8"))
    boxes = {one["id"]: one["bbox"] for one in instances["annotations"]}
    sizes = {one["id"]: (one["width"], one["height"]) for one in instances["images"]}
    found = {}
    for ref in (ref for ref in refs if ref["split"] == split):
        (x, y, w, h), (width, height) = boxes[ref["ann_id"]], sizes[ref["image_id"]]
        edges = (x / width, y / height, (x + w) / width, (y + h) / height)
        fractions = [round(min(max(edge, 0.0), 1.0), 6) for edge in edges]
        tokens = tuple(round(fraction * 100) for fraction in fractions)
        for sentence in ref["sentences"]:
            found[ref["ref_id"], sentence["sent_id"]] = (sentence["sent"], fractions, tokens, ref["image_id"])
    return found


def parts(outcome: Outcome) -> tuple[str, tuple[int, int]]:
    _, _, number, task = outcome.key.split("/")
    ref_id, sent_id = map(int, number.split("-"))
    return task, (ref_id, sent_id)


@needs_refcoco
@pytest.mark.parametrize("split", SENTENCES)
def test_every_sentence_of_refcoco_gives_both_records_and_none_is_rejected(split: str) -> None:
    found = converted("refcoco", ROWS / "refer", split)
    assert [one.detail for one in found if one.record is None] == []
    for task in ("refer", "identify"):
        assert sum(parts(one)[0] == task for one in found) == SENTENCES[split]


@needs_refcoco
@pytest.mark.parametrize("split", SENTENCES)
def test_every_token_of_refcoco_equals_an_independent_computation(split: str) -> None:
    wanted = expected(split)
    seen = {"refer": set(), "identify": set()}  # type: dict[str, set[tuple[int, int]]]
    for one in converted("refcoco", ROWS / "refer", split):
        task, number = parts(one)
        _, fractions, tokens, picture = wanted[number]
        assert one.record is not None
        text = one.record.messages[1 if task == "refer" else 0].content
        assert [tuple(map(int, found)) for found in TOKEN.findall(text)] == [tokens]
        assert [list(box) for box in one.record.boxes] == [fractions]
        assert one.image.id == f"coco/{picture}"
        seen[task].add(number)
    assert seen == {"refer": set(wanted), "identify": set(wanted)}


@needs_refcoco
@pytest.mark.parametrize("split", SENTENCES)
def test_every_phrase_of_refcoco_is_the_published_one(split: str) -> None:
    for one in converted("refcoco", ROWS / "refer", split):
        task, number = parts(one)
        assert one.record is not None
        phrase = expected(split)[number][0]
        if task == "refer":
            assert [slot.value for slot in one.record.draw.slots] == [" ".join(phrase.split())]
        else:
            assert one.record.messages[1].content == " ".join(phrase.split())


@needs_coco
def test_every_caption_of_coco_is_written_with_its_white_space_tidied() -> None:
    raw = json.loads((COCO / "captions_train2017.json").read_text(encoding="utf-8"))
    found = converted("coco_caption", ROWS / "coco", "train")
    written: list[Any] = [(one.key, one.record and one.record.messages[1].content) for one in found]
    assert written == [
        (f"coco_caption/train/{one['id']}/caption", " ".join(one["caption"].split())) for one in raw["annotations"]
    ]


@needs_coco
def test_no_region_of_coco_is_lost() -> None:
    raw = json.loads((COCO / "instances_train2017.json").read_text(encoding="utf-8"))
    crowds = sum(one["iscrowd"] for one in raw["annotations"])
    found = [one for one in converted("coco_instances", ROWS / "coco", "train") if one.part.task == "identify"]
    assert len(found) == len(raw["annotations"])
    assert sum(one.record is not None for one in found) == len(raw["annotations"]) - crowds
    assert {one.reason for one in found if one.record is None} == {"crowd"}


@needs_refcoco
@pytest.mark.parametrize(("split", "pictures"), [("val", 1_500), ("testA", 750)])
def test_as_many_pictures_of_refcoco_are_held_out_as_its_authors_count(split: str, pictures: int) -> None:
    told = annotated(known()[f"refcoco/{split}"], {"refcoco": str(ROWS / "refer")})
    raw = json.loads((REFCOCO / "instances.json").read_text(encoding="utf-8"))
    assert told and len(told.ids) == pictures
    assert told.ids <= {f"coco/{image['id']}" for image in raw["images"]}
