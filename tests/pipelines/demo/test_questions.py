"""The demo world's questions: every file converts without a reject, and what is answered is true."""

import json
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from converters import collection
from pipelines.convert import Outcome, job, outcomes
from pipelines.demo.coco import write_pictures
from pipelines.demo.publish import World, scenes_of, world
from pipelines.demo.questions import UNANSWERABLE, ten, write_questions
from pipelines.demo.world import COLOURS, KINDS, Scene, image_id
from pipelines.images import size_of
from pipelines.pictures import locate, read_picture
from schemas.prompt import Wording

IMAGES = 40
PARTS = [
    *[
        (source, split, folder, form)
        for source, folder, form in (
            ("vqav2", "vqav2", "official"),
            ("vqav2", "lavis_vqa", "lavis"),
            ("okvqa", "okvqa", "official"),
            ("aokvqa", "aokvqa", "official"),
            ("aokvqa", "lavis_vqa", "lavis"),
            ("aokvqa_mc", "aokvqa", "official"),
            ("aokvqa_mc", "lavis_vqa", "lavis"),
            ("vizwiz", "vizwiz", "official"),
        )
        for split in ("train", "val")
    ],
    ("okvqa", "train", "lavis_vqa", "lavis"),
    ("okvqa_eval", "val", "okvqa", "official"),
    ("aokvqa_eval", "val", "aokvqa", "official"),
    ("aokvqa_eval", "val", "lavis_vqa", "lavis"),
    ("vizwiz_eval", "val", "vizwiz", "official"),
    *[("ocrvqa", split, "ocrvqa", "official") for split in ("train", "val", "test")],
]

Converted = Callable[..., list[Outcome]]


@pytest.fixture(scope="module")
def told() -> World:
    return world(IMAGES, seed=3)


@pytest.fixture(scope="module")
def root(told: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("questions")
    write_questions(told, folder)
    return folder


@pytest.fixture(scope="module")
def converted(root: Path) -> Converted:
    """A function: what became of every question of a source and split in a folder of the world."""

    def run(source: str, split: str, folder: str, form: str = "auto", **words: Any) -> list[Outcome]:
        return list(outcomes(job(source, str(root / folder), split, form=form, **words), Wording()))

    return run


def answers(outcome: Outcome) -> list[tuple[str, int]]:
    assert outcome.record is not None, outcome.detail
    return [(answer.text, answer.count) for answer in outcome.record.draw.answers]


def question(outcome: Outcome) -> str:
    assert outcome.record is not None, outcome.detail
    return outcome.record.draw.slots[0].value


def scene_of(told: World, outcome: Outcome) -> Scene:
    assert outcome.image is not None
    return next(one for one in told.scenes if outcome.image.id == f"coco/{image_id(one.index)}")


def truth(scene: Scene, text: str) -> set[str]:
    """The answers to a question that are true of the scene."""
    words = text.rstrip("?").split()
    if text.startswith("How many"):
        number = len(scene.shapes)
        return {str(number), ("zero", "one", "two", "three", "four")[number]}
    named = [shape for shape in scene.shapes if shape.kind in words]
    if text.startswith("Is there a"):
        return {"yes", "yeah"} if named else {"no", "nope"}
    (shape,) = named
    return {shape.colour, f"it is {shape.colour}"}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def test_equal_arguments_write_equal_bytes_and_another_seed_others(told: World, root: Path, tmp_path: Path) -> None:
    write_questions(told, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(root)
    write_questions(world(IMAGES, seed=4), tmp_path / "other")
    other = digests(tmp_path / "other")
    assert all(other[name] != digest for name, digest in digests(root).items() if "vqav2" in name or "vizwiz" in name)


@pytest.mark.parametrize(("source", "split", "folder", "form"), PARTS)
def test_every_form_of_every_split_converts_without_a_reject(
    converted: Converted, source: str, split: str, folder: str, form: str
) -> None:
    found = converted(source, split, folder, form)
    assert len(found) >= 4
    assert [one.detail for one in found if one.record is None] == []


@pytest.mark.parametrize("source", ["vqav2", "aokvqa"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_all_answers_are_true_of_the_scene(told: World, converted: Converted, source: str, split: str) -> None:
    found = converted(source, split, source)
    asked = Counter(question(one).split()[0] for one in found)
    assert set(asked) >= {"How", "What"}
    for one in found:
        given = answers(one)
        assert {text for text, _ in given} <= truth(scene_of(told, one), question(one))
        assert sum(count for _, count in given) == 10
    assert any(len(answers(one)) > 1 for one in found)
    assert {one.image.id for one in found if one.image} == {
        f"coco/{image_id(scene.index)}" for scene in scenes_of(told, "train" if split == "train" else "val")
    }


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_right_choice_is_the_true_one_and_no_other_is(told: World, converted: Converted, split: str) -> None:
    for one in converted("aokvqa_mc", split, "aokvqa"):
        assert one.record is not None
        choices = one.record.draw.slots[1].value.split(", ")
        assert len(set(choices)) == 4
        assert [text for text in choices if text in truth(scene_of(told, one), question(one))] == [
            one.record.messages[1].content
        ]


@pytest.mark.parametrize(("source", "split"), [("vqav2", "train"), ("vqav2", "val"), ("okvqa", "train")])
def test_laviss_list_says_the_same_as_the_published_files(converted: Converted, source: str, split: str) -> None:
    def all_of(folder: str) -> dict[str, Any]:
        return {one.key: (one.image, question(one), answers(one)) for one in converted(source, split, folder)}

    assert all_of("lavis_vqa") == all_of(source)


def test_ok_vqas_annotations_are_doubled_and_come_in_two_spellings(told: World, converted: Converted) -> None:
    for one in converted("okvqa", "train", "okvqa"):
        assert all(count % 2 == 0 for _, count in answers(one))
        if "roll" in question(one):
            rolls = scene_of(told, one).shapes[0].kind == "circle"
            assert {text for text, _ in answers(one)} <= ({"yes", "yeah"} if rolls else {"no", "not really"})
    stems = [answers(one) for one in converted("okvqa", "train", "okvqa", options={"answer": "processed"})]
    assert "count" in {text for given in stems for text, _ in given}


def test_the_orders_of_questions_and_annotations_differ(root: Path) -> None:
    asked = json.loads((root / "vqav2" / "v2_OpenEnded_mscoco_train2014_questions.json").read_bytes())["questions"]
    said = json.loads((root / "vqav2" / "v2_mscoco_train2014_annotations.json").read_bytes())["annotations"]
    asked, said = ([one["question_id"] for one in listed] for listed in (asked, said))
    assert asked != said
    assert sorted(asked) == sorted(said)


def test_vizwiz_has_empty_answers_unanswerable_questions_and_its_pictures(root: Path, converted: Converted) -> None:
    places = locate(collection("vizwiz"), [str(root / "vizwiz")])
    for split in ("train", "val"):
        found = converted("vizwiz", split, "vizwiz")
        assert {one.image.id for one in found if one.image} == {id for id in places if f"_{split}_" in id}
        assert all(one.notes == ("empty answer left out of a record",) for one in found)
        assert "unanswerable" in {text for one in found for text, _ in answers(one)}


def test_the_covers_are_as_odd_as_they_should_be(root: Path, converted: Converted) -> None:
    places = locate(collection("ocrvqa"), [str(root / "ocrvqa")])
    books = {
        one.image.id for split in ("train", "val", "test") for one in converted("ocrvqa", split, "ocrvqa") if one.image
    }
    assert len(books) == 12
    assert len(books - set(places)) == 1
    data = {id: read_picture(place) for id, place in places.items()}
    assert sum(tuple(size_of(one)) == (1, 1) for one in data.values()) == 1
    assert sum(one.startswith(b"GIF8") for one in data.values()) == 2
    assert {Path(place.path).suffix for place in places.values()} == {".jpg"}
    keys = json.loads((root / "ocrvqa" / "dataset.json").read_bytes())
    stems = {Path(place.path).stem for place in places.values()}
    assert len(stems - set(keys)) == 1  # its key has lost a zero, and it is found all the same
    assert {f"ocrvqa/{stem.lstrip('0')}" for stem in stems} <= books


def test_what_a_book_is_said_to_be_stands_on_its_cover(root: Path, converted: Converted) -> None:
    books = json.loads((root / "ocrvqa" / "dataset.json").read_bytes())
    for one in converted("ocrvqa", "train", "ocrvqa"):
        asin = one.key.split("/")[2].partition("-")[0]
        if question(one).startswith("Is this a"):
            same = books[asin]["genre"].lower() in question(one)
            assert answers(one) == [("Yes" if same else "No", 1)]
        else:
            assert answers(one)[0][0] in {books[asin][name] for name in ("title", "authorName", "genre")}


def test_people_agree_more_than_they_differ() -> None:
    counts = [Counter(ten(UNANSWERABLE, seed)) for seed in range(50)]
    assert {count["no brand"] for count in counts} == {0, 1, 2, 3}
    assert all(count.total() == 10 for count in counts)


def test_every_picture_asked_about_is_written(told: World, converted: Converted, tmp_path: Path) -> None:
    write_pictures(told, tmp_path)
    places = locate(collection("coco"), [str(tmp_path)])
    for source in ("vqav2", "okvqa", "aokvqa"):
        for split in ("train", "val"):
            assert {one.image.id for one in converted(source, split, source) if one.image} <= set(places)


def test_questions_speak_of_every_kind_and_colour(converted: Converted) -> None:
    found = converted("vqav2", "train", "vqav2")
    asked = " ".join(question(one) for one in found)
    assert all(kind in asked for kind in KINDS)
    assert set(COLOURS) <= {text for one in found for text, _ in answers(one)}
