"""Real rows of Visual Genome, GQA and TextCaps, where there are any: BOXCAR_REAL_ROWS names their folder."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from converters import collection
from pipelines.convert import Outcome, job, outcomes
from pipelines.pictures import locate, read_picture
from schemas.prompt import Wording

ROWS = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere")
GENOME = ROWS / "visual_genome"
SAMPLES = ROWS / "doc_samples"
PICTURES = ROWS / "textvqa_mini"
REGIONS = 1_278
TOKEN = re.compile(r"\{<([0-9]+)><([0-9]+)><([0-9]+)><([0-9]+)>\}")

needs_genome = pytest.mark.skipif(
    not (GENOME / "region_descriptions.json").is_file(), reason="BOXCAR_REAL_ROWS names no folder with visual_genome/"
)
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="BOXCAR_REAL_ROWS names no folder with doc_samples/")
needs_pictures = pytest.mark.skipif(
    not PICTURES.is_dir(), reason="BOXCAR_REAL_ROWS names no folder with textvqa_mini/ in it"
)


def converted(source: str, root: Path, split: str, **options: str) -> list[Outcome]:
    return list(outcomes(job(source, str(root), split, options=options), Wording()))


@cache
def regions() -> dict[str, tuple[str, list[float], tuple[int, ...], str, int]]:
    """Phrase, fractions, tokens, picture and area by region id, from the published files alone."""
    images = json.loads((GENOME / "image_data.json").read_text(encoding="utf-8"))
    sizes = {one["image_id"]: (one["width"], one["height"]) for one in images}
    return {str(one["region_id"]): _expected(one, *sizes[one["image_id"]]) for one in _published()}


def _published() -> Iterator[dict[str, int | str]]:
    pictures = json.loads((GENOME / "region_descriptions.json").read_text(encoding="utf-8"))
    return (region for picture in pictures for region in picture["regions"])


def _expected(one: dict, width: int, height: int) -> tuple[str, list[float], tuple[int, ...], str, int]:  # type: ignore[type-arg]
    left, top, right, bottom = one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"]
    edges = (left / width, top / height, right / width, bottom / height)
    fractions = [round(min(max(edge, 0.0), 1.0), 6) for edge in edges]
    tokens = [round(fraction * 100) for fraction in fractions]
    for low, high in ((0, 2), (1, 3)):
        if tokens[low] == tokens[high]:  # a side of no bins takes in the next bin, on the side where it lies
            below = fractions[low] + fractions[high] < 2 * tokens[low] / 100 and tokens[low] > 0
            tokens[low if below or tokens[low] == 100 else high] += -1 if below or tokens[low] == 100 else 1
    return one["phrase"], fractions, tuple(tokens), f"vg/{one['image_id']}", one["width"] * one["height"]


@needs_genome
def test_every_region_gives_both_records_and_none_is_rejected() -> None:
    found = converted("vg", GENOME, "train")
    assert [one.detail for one in found if one.record is None] == []
    assert {one.key for one in found} == {f"vg/train/{id}/{task}" for id in regions() for task in ("refer", "identify")}
    assert len(found) == 2 * REGIONS == 2 * len(regions())


@needs_genome
def test_every_token_equals_an_independent_computation() -> None:
    for one in converted("vg", GENOME, "train"):
        _, _, id, task = one.key.split("/")
        phrase, fractions, tokens, picture, _ = regions()[id]
        assert one.record is not None
        assert one.image is not None
        question, reply = (message.content for message in one.record.messages)
        boxed, said = (reply, one.record.draw.slots[0].value) if task == "refer" else (question, reply)
        assert [tuple(map(int, found)) for found in TOKEN.findall(boxed)] == [tokens]
        assert [list(box) for box in one.record.boxes] == [fractions]
        assert said == " ".join(phrase.split())
        assert one.image.id == picture


@needs_genome
def test_the_released_recipe_keeps_the_small_regions() -> None:
    found = converted("vg", GENOME, "train", max_area_px="16384")
    kept = {one.key.split("/")[2] for one in found if one.record}
    assert kept == {id for id, (_, _, _, _, area) in regions().items() if area < 16_384}
    assert len(kept) == 699
    assert {(one.reason, one.rule) for one in found if not one.record} == {("region too large", True)}


@needs_genome
def test_each_picture_lies_where_its_url_says() -> None:
    folders = {one.image.id: one.folder for one in converted("vg", GENOME, "train") if one.image}
    assert folders == {"vg/1": "VG_100K_2", **{f"vg/{number}": "VG_100K" for number in (2, 3, 4, 5)}}


@needs_samples
def test_a_question_of_gqa_is_read_as_published(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "gqa_official_questions.json", tmp_path / "train_balanced_questions.json")
    (found,) = converted("gqa", tmp_path, "train")
    ((id, row),) = json.loads((SAMPLES / "gqa_official_questions.json").read_text(encoding="utf-8")).items()
    assert found.record is not None
    assert found.image is not None
    assert found.key == f"gqa/train/{id}/vqa"
    assert found.image.id == f"vg/{row['imageId']}"
    assert found.record.draw.slots[0].value == row["question"]
    assert found.record.messages[1].content == row["answer"]
    assert found.record.meta[0].value == row["fullAnswer"]


@needs_samples
def test_a_caption_of_textcaps_is_read_as_published(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "textcaps_0.1_train.json", tmp_path / "TextCaps_0.1_train.json")
    (found,) = converted("textcaps", tmp_path, "train")
    (row,) = json.loads((SAMPLES / "textcaps_0.1_train.json").read_text(encoding="utf-8"))["data"]
    assert found.record is not None
    assert found.image is not None
    assert found.key == f"textcaps/train/{row['caption_id']}/caption"
    assert found.image.id == f"openimages/{row['image_id']}"
    assert (found.image.width, found.image.height) == (row["image_width"], row["image_height"])
    assert found.record.messages[1].content == row["caption_str"]


@needs_pictures
def test_pictures_of_textvqa_are_found_by_their_ids() -> None:
    found = locate(collection("openimages"), [str(PICTURES)])
    files = [path for folder in ("train_images", "test_images") for path in (PICTURES / folder).iterdir()]
    assert {id: read_picture(one) for id, one in found.items()} == {
        f"openimages/{path.stem}": path.read_bytes() for path in files
    }
