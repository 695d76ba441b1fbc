"""The demo world as GRIT: converted whole, three ways, and true of its pictures."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.convert import Outcome, job, outcomes
from pipelines.demo.grit import FIRST_ID, grit_row, groups, marked, write_grit, write_grit_download
from pipelines.demo.phrases import matches
from pipelines.demo.publish import World, world
from pipelines.demo.world import Scene, Shape, image_id
from schemas.box import Box
from schemas.dialect import Phrase, parse
from schemas.prompt import Wording
from schemas.text import tidy

HOST = "http://pictures.example.org"


@pytest.fixture(scope="module")
def told() -> World:
    return world(90, seed=6)


@pytest.fixture(scope="module")
def root(told: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_grit(told, folder, HOST)
    write_grit_download(told, folder, HOST)
    return folder


@pytest.fixture(scope="module")
def converted(root: Path) -> list[Outcome]:
    return list(outcomes(job("grit", str(root / "grit"), "train"), Wording()))


def scene_of(told: World, outcome: Outcome) -> Scene:
    scenes = {f"coyo/{FIRST_ID + image_id(scene.index)}": scene for scene in told.scenes}
    assert outcome.image is not None
    return scenes[outcome.image.id]


def written(found: list[Outcome], task: str) -> list[Outcome]:
    return [one for one in found if one.record is not None and one.record.task == task]


def is_box_of(box: Box, scene: Scene, shape: Shape) -> bool:
    x, y, w, h = shape.box
    exact = x / scene.width, y / scene.height, (x + w) / scene.width, (y + h) / scene.height
    return list(box) == pytest.approx(list(exact), abs=1e-6)


def test_equal_worlds_write_equal_bytes(told: World, root: Path, tmp_path: Path) -> None:
    write_grit(told, tmp_path, HOST)
    write_grit_download(told, tmp_path, HOST)
    digests = [
        {
            path.relative_to(folder): hashlib.sha256(path.read_bytes()).digest()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (root, tmp_path)
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) > 4


def test_nothing_is_rejected_and_every_picture_is_grounded(told: World, converted: list[Outcome]) -> None:
    assert {one.reason for one in converted if one.record is None} == {"phrase with several boxes"}
    assert len(written(converted, "grounding")) == len(told.scenes)
    for task in ("refer", "identify"):
        singles = sum(len(group.shapes) == 1 for scene in told.scenes for group in groups(scene))
        assert len(written(converted, task)) == singles


def test_an_expression_is_true_of_the_shape_in_its_box_alone(told: World, converted: list[Outcome]) -> None:
    for task in ("refer", "identify"):
        for one in written(converted, task):
            assert one.record is not None
            text = one.record.draw.slots[0].value if task == "refer" else one.record.messages[1].content
            scene, (box,) = scene_of(told, one), one.record.boxes
            (meant,) = matches(scene, re.sub(r"\ba ", "the ", text))
            assert is_box_of(box, scene, meant)


def test_a_phrase_has_the_boxes_of_all_the_shapes_it_names(told: World, converted: list[Outcome]) -> None:
    for one in written(converted, "grounding"):
        assert one.record is not None
        scene, boxes = scene_of(told, one), list(one.record.boxes)
        named = {group.words: group.shapes for group in groups(scene)}
        phrases = [span for span in parse(one.record.messages[1].content) if isinstance(span, Phrase)]
        assert [phrase.text for phrase in phrases] == list(named)
        for phrase in phrases:
            here, boxes = boxes[: len(phrase.boxes)], boxes[len(phrase.boxes) :]
            assert all(any(is_box_of(box, scene, shape) for box in here) for shape in named[phrase.text])
            assert len(here) == len(named[phrase.text])
        assert boxes == []


def test_a_grounded_caption_says_what_the_caption_says(told: World, converted: list[Outcome]) -> None:
    for one in written(converted, "grounding"):
        assert one.record is not None
        spans = parse(one.record.messages[1].content)
        said = "".join(span.text if isinstance(span, Phrase) else str(span) for span in spans)
        assert said == tidy(marked(scene_of(told, one))[0])


def test_what_is_odd_in_published_rows_is_there(told: World, converted: list[Outcome]) -> None:
    captions = [grit_row(scene, HOST)["caption"] for scene in told.scenes]
    for odd in ("📷", "\xa0", "\n"):
        assert any(odd in caption for caption in captions)
    notes = Counter(pair.name for one in converted if one.record for pair in one.record.meta)
    assert notes["clipped_boxes"] > 10
    assert notes["duplicate_boxes"] > 5
    assert sum(one.reason == "phrase with several boxes" for one in converted) > 10
    nested = [scene for scene in told.scenes if marked(scene)[1] != marked(scene)[2]]
    assert len(nested) > 20


def test_the_published_columns_are_those_of_the_dataset(root: Path) -> None:
    tables = [pq.read_table(path) for path in sorted((root / "grit" / "grit-20m").iterdir())]
    wanted = "key clip_similarity_vitb32 clip_similarity_vitl14 id url caption width height noun_chunks ref_exps"
    assert [table.column_names for table in tables] == [wanted.split()] * 2
    assert [table.num_rows for table in tables] == [45, 45]


def test_a_download_gives_the_same_records_of_the_pictures_that_arrived(
    told: World, root: Path, converted: list[Outcome]
) -> None:
    found = list(outcomes(job("grit", str(root / "downloads" / "grit"), "train"), Wording()))
    listed = {one.key: one.record for one in converted}
    assert {one.key for one in found} == set(listed)
    for one in found:
        if one.record is not None:
            assert one.record == listed[one.key]
            scene = scene_of(told, one)
            assert one.image is not None
            assert (one.image.width, one.image.height) == (scene.width, scene.height)
    assert Counter(one.reason for one in found)["failed to download"] > 5
    assert {"failed to download", "failed to resize", "phrase with several boxes", ""} == {one.reason for one in found}
