"""Visual Genome, GQA and TextCaps of the demo world: every split and form converts, and what they say is true."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from converters import collection
from pipelines.convert import Outcome, job, outcomes
from pipelines.demo.draw import jpeg
from pipelines.demo.genome import gqa_scenes, vg_id, vg_scenes, write_genome
from pipelines.demo.phrases import captions, expressions, matches
from pipelines.demo.publish import World, world
from pipelines.demo.textcaps import openimages_id, textcaps_scenes
from pipelines.demo.world import Scene, image_id
from pipelines.pictures import locate, read_picture
from schemas.prompt import Wording

GQA_SPLITS = ("train", "val", "testdev")
GQA_FOLDERS = (("gqa", "balanced"), ("gqa", "all"), ("gqa_lavis", "lavis"))
ALL = [
    ("vg", "vg", "train", "auto"),
    *[("gqa", folder, split, form) for split in GQA_SPLITS for folder, form in GQA_FOLDERS],
    *[("textcaps", "textcaps", split, "auto") for split in ("train", "val")],
]


@pytest.fixture(scope="module")
def told() -> World:
    return world(40, seed=3)


@pytest.fixture(scope="module")
def root(told: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genome")
    write_genome(told, folder)
    return folder


def converted(root: Path, source: str, folder: str, split: str, form: str = "auto") -> list[Outcome]:
    return list(outcomes(job(source, str(root / folder), split, form), Wording()))


def questions(root: Path) -> list[Outcome]:
    """Every question of GQA; of Visual Genome's pictures there may be some without a region."""
    return [one for split in GQA_SPLITS for one in converted(root, "gqa", "gqa", split, "all")]


def by_id(told: World) -> dict[str, Scene]:
    named = {f"openimages/{openimages_id(one)}": one for one in told.scenes}
    return named | {f"vg/{vg_id(one)}": one for split in GQA_SPLITS for one in gqa_scenes(told, split)}


def scene_of(told: World, outcome: Outcome) -> Scene:
    assert outcome.image is not None
    return by_id(told)[outcome.image.id]


@pytest.mark.parametrize(("source", "folder", "split", "form"), ALL)
def test_every_split_and_form_converts(root: Path, source: str, folder: str, split: str, form: str) -> None:
    found = converted(root, source, folder, split, form)
    assert sum(one.record is not None for one in found) > 0
    lost = [one.reason for one in found if one.record is None]
    assert lost == (["region outside the picture"] * 2 if source == "vg" else [])


def test_each_region_is_the_one_shape_that_its_phrase_speaks_of(told: World, root: Path) -> None:
    found = [one for one in converted(root, "vg", "vg", "train") if one.record and one.part.task == "refer"]
    for one in found:
        assert one.record is not None
        scene = scene_of(told, one)
        (shape,) = matches(scene, one.record.draw.slots[0].value)
        x, y, w, h = shape.box
        wanted = (x / scene.width, y / scene.height, (x + w) / scene.width, (y + h) / scene.height)
        # Whole pixels around it: no further off than one on each side.
        assert list(one.record.boxes[0]) == pytest.approx(wanted, abs=1 / min(scene.width, scene.height))
    told_apart = {f"vg/{vg_id(one)}" for one in vg_scenes(told) if any(expressions(one, shape) for shape in one.shapes)}
    assert {one.image.id for one in found if one.image} == told_apart


def test_a_few_regions_overhang_their_picture_and_some_phrases_end_in_a_blank(root: Path) -> None:
    found = [one for one in converted(root, "vg", "vg", "train") if one.record and one.part.task == "refer"]
    clipped = [pair.value for one in found if one.record for pair in one.record.meta if pair.name == "clipped_px"]
    assert 0 < len(clipped) < len(found) / 4
    assert set(clipped) == {"9.00"}
    assert re.search(r'"phrase": "[^"]* "', (root / "vg" / "region_descriptions.json").read_text(encoding="utf-8"))


def test_half_of_the_pictures_are_cocos_too(told: World, root: Path) -> None:
    found = {one.image.id: one.image.aliases for one in questions(root) if one.image and "/n" not in one.image.id}
    named = {id: aliases for id, aliases in found.items() if aliases}
    assert named == {id: [f"coco/{image_id(by_id(told)[id].index)}"] for id in named}
    assert len(named) == len(found) / 2 == 5
    for one in converted(root, "vg", "vg", "train"):
        assert one.image is not None
        assert one.image.aliases == found[one.image.id]


def test_every_picture_is_found_and_is_that_of_its_scene(told: World, root: Path) -> None:
    pictures = locate(collection("vg"), [str(root / "vg"), str(root / "gqa")])
    pictures |= locate(collection("openimages"), [str(root / "textcaps")])
    for source, folder, split, form in ALL:
        for one in converted(root, source, folder, split, form):
            assert one.image is not None
            assert not one.folder or f"/{one.folder}/" in pictures[one.image.id].path
            assert pictures[one.image.id].bytes > 0
    for id, scene in by_id(told).items():
        if id in pictures:
            assert sha256(read_picture(pictures[id])).digest() == sha256(jpeg(scene, told.seed)).digest()


def test_one_picture_lies_in_both_folders_and_is_empty_in_one(root: Path) -> None:
    first, second = ({path.name for path in (root / "vg" / name).iterdir()} for name in ("VG_100K", "VG_100K_2"))
    (both,) = first & second
    sizes = [(root / "vg" / name / both).stat().st_size for name in ("VG_100K", "VG_100K_2")]
    assert sizes[0] == 0 < sizes[1]


def test_answers_are_true_of_the_scenes(told: World, root: Path) -> None:
    answers = set()
    for one in questions(root):
        assert one.record is not None
        question, answer = one.record.draw.slots[0].value, one.record.messages[1].content
        assert answer == true_answer(scene_of(told, one), question)
        answers.add(answer)
    assert {"yes", "no", "2", "3", "4", "red", "blue"} <= answers


def true_answer(scene: Scene, question: str) -> str:
    if question == "How many shapes are there?":
        return str(len(scene.shapes))
    if kind := re.fullmatch(r"What color is the (\w+)\?", question):
        (colour,) = [shape.colour for shape in scene.shapes if shape.kind == kind[1]]
        return colour
    kind = re.fullmatch(r"Is there a (\w+) in the picture\?", question)
    assert kind
    return "yes" if kind[1] in {shape.kind for shape in scene.shapes} else "no"


@pytest.mark.parametrize("split", GQA_SPLITS)
def test_both_forms_of_the_balanced_questions_say_the_same(root: Path, split: str) -> None:
    def said(folder: str, form: str) -> dict[str, tuple[str, str, str]]:
        return {
            one.key: (one.image.id, one.record.draw.slots[0].value, one.record.messages[1].content)
            for one in converted(root, "gqa", folder, split, form)
            if one.image and one.record
        }

    published, every = said("gqa", "balanced"), said("gqa", "all")
    assert said("gqa_lavis", "lavis") == published
    assert published.items() < every.items()


def test_no_picture_is_asked_about_in_two_splits(told: World) -> None:
    seen = [one.index for split in GQA_SPLITS for one in gqa_scenes(told, split)]
    assert len(seen) == len(set(seen)) > len(vg_scenes(told))
    assert all(gqa_scenes(told, split) for split in GQA_SPLITS)


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_caption_of_a_textcaps_picture_is_there_once(told: World, root: Path, split: str) -> None:
    found = converted(root, "textcaps", "textcaps", split)
    wanted = [(one.index, text.strip()) for one in textcaps_scenes(told, split) for text in captions(one)]
    assert [(scene_of(told, one).index, one.record.messages[1].content) for one in found if one.record] == wanted


def test_equal_arguments_write_equal_bytes(told: World, root: Path, tmp_path: Path) -> None:
    write_genome(told, tmp_path)
    theirs, ours = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (root, tmp_path)
    )
    assert ours == theirs
