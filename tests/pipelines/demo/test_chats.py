"""The demo world's chats and evaluation sets: every split and form converts, and what they say is true."""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from converters import collection, find
from converters._files import available
from pipelines.convert import Outcome, job, outcomes
from pipelines.demo.chats import own_scenes, write_chats
from pipelines.demo.phrases import MARGIN, offset
from pipelines.demo.publish import World, world
from pipelines.demo.world import Scene, image_id
from pipelines.pictures import locate
from schemas.prompt import Wording
from schemas.record import Record

ROOTS = {
    "llava_conversation": "llava",
    "llava_detail": "llava",
    "llava_reason": "llava",
    "unnatural": "unnatural",
    "vsr": "vsr",
    "iconqa": "iconqa_data",
    "hateful_memes": "hateful_memes",
}
STATEMENT = re.compile(r"The (\w+) (\w+) is ([a-z ]+) the (\w+) (\w+)\.")


@pytest.fixture(scope="module")
def told() -> World:
    return world(40, seed=3)


@pytest.fixture(scope="module")
def root(told: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chats")
    write_chats(told, folder)
    return folder


def converted(root: Path, source: str, split: str, form: str = "auto", **options: str) -> list[Outcome]:
    return list(outcomes(job(source, str(root / ROOTS[source]), split, form, options=options), Wording()))


def pairs(root: Path, told: World, source: str, split: str) -> list[tuple[Scene, Record]]:
    """The records with the scenes that they speak of."""
    scenes = {f"coco/{image_id(one.index)}": one for one in told.scenes}
    found = [(one.image, one.record) for one in converted(root, source, split)]
    return [(scenes[image.id], record) for image, record in found if image and record]


@pytest.mark.parametrize("source", ROOTS)
def test_every_split_and_form_converts_without_a_reject(root: Path, source: str) -> None:
    folder = str(root / ROOTS[source])
    forms = {(split, one.form.name) for split in find(source).splits for one in available(find(source), folder, split)}
    assert forms == {(split, form.name) for form in find(source).forms for split in form.splits}
    for split, form in forms:
        found = converted(root, source, split, form)
        assert found, (split, form)
        assert [one.detail for one in found if one.record is None] == []


def test_all_instances_and_reformulations_convert(root: Path) -> None:
    counts = {}
    for form, reworded in (("core", "no"), ("full", "no"), ("full", "yes"), ("filtered", "no")):
        found = converted(root, "unnatural", "train", form, instances="all", reformulations=reworded)
        assert [one.detail for one in found if one.record is None] == []
        counts[form, reworded] = len(found)
    assert counts == {("core", "no"): 21, ("full", "no"): 21, ("full", "yes"): 34, ("filtered", "no"): 21}
    (split,) = find("unnatural").splits
    assert len(converted(root, "unnatural", split)) == 20


def test_sums_are_right_and_lists_are_copied_with_their_lines(root: Path) -> None:
    sums = copies = 0
    for one in converted(root, "unnatural", "train", instances="all"):
        assert one.record is not None
        question, answer = (turn.content for turn in one.record.messages)
        assert "none" not in question.casefold()
        if found := re.match(r"Add the numbers\.\n(\d+) and (\d+)", question):
            assert int(answer) == int(found[1]) + int(found[2])
            sums += 1
        else:
            assert f"\n{answer}" in question
            copies += "\n" in answer
    assert sums == 11
    assert copies > 3


def test_conversations_count_shapes_truly_and_hold_no_placeholder(root: Path, told: World) -> None:
    raw = json.loads((root / "llava" / "conversation_58k.json").read_text(encoding="utf-8"))
    firsts = [one["conversations"][0]["value"] for one in raw]
    assert [text.startswith("<image>\n") for text in firsts] == [place % 2 == 0 for place in range(32)]
    assert [text.endswith("\n<image>") for text in firsts] == [place % 2 == 1 for place in range(32)]
    found = pairs(root, told, "llava_conversation", "train")
    assert {len(record.messages) for _, record in found} == {4, 6, 8}
    for scene, record in found:
        turns = [turn.content for turn in record.messages]
        assert turns[:2] == ["How many shapes are in the picture?", _number(len(scene.shapes)).capitalize() + "."]
        assert not any("image>" in turn for turn in turns)
        if len(turns) > 4:
            assert {line[2:] for line in turns[5].split("\n")} == {shape.colour for shape in scene.shapes}


def test_reasoning_is_right(root: Path, told: World) -> None:
    found = pairs(root, told, "llava_reason", "train")
    assert len(found) == 32
    for scene, record in found:
        large = sum(shape.size == "large" for shape in scene.shapes)
        answer = record.messages[1].content
        assert answer.endswith("\n\nSo yes." if 2 * large > len(scene.shapes) else "\n\nSo no.")
        assert f"Large ones: {_number(large)}.\n" in answer


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_statements_are_as_true_as_they_are_said_to_be(root: Path, told: World, split: str) -> None:
    found = pairs(root, told, "vsr", split)
    assert {record.messages[1].content for _, record in found} == {"true", "false"}
    for scene, record in found:
        said = STATEMENT.fullmatch(record.draw.slots[0].value)
        assert said is not None
        looks = {(shape.colour, shape.kind): shape for shape in scene.shapes}
        one, other = (looks[said[place], said[place + 1]] for place in (1, 4))  # type: ignore[index]
        holds = offset(scene, one, said[3], other) >= MARGIN
        assert record.messages[1].content == ("true" if holds else "false")


def test_the_files_of_vsr_differ_in_their_keys(root: Path) -> None:
    keys = {name: set(_lines(root / "vsr" / name / "dev.jsonl")[0]) for name in ("zeroshot", "random")}
    assert keys["zeroshot"] - keys["random"] == {"subj", "obj"}
    assert keys["random"] - keys["zeroshot"] == {"reference_frame"}


@pytest.mark.parametrize(("source", "folder"), [("iconqa", "iconqa_data/iconqa"), ("hateful_memes", "hateful_memes")])
def test_sets_with_pictures_of_their_own_have_them(root: Path, told: World, source: str, folder: str) -> None:
    pictures = locate(collection(source), [str(root / folder)])
    splits = find(source).splits
    assert {one.image.id for split in splits for one in converted(root, source, split) if one.image} == set(pictures)
    assert len(pictures) == 12


def test_icons_are_counted_truly(root: Path, told: World) -> None:
    for pid, scene in enumerate(own_scenes(told, "iconqa"), 5):
        (path,) = root.glob(f"iconqa_data/iconqa/*/choose_txt/{pid}/image.png")
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            assert (picture.format, picture.size) == ("PNG", (scene.width, scene.height))
        problem = json.loads(path.with_name("data.json").read_text(encoding="utf-8"))
        assert problem["choices"][problem["answer"]] == _number(len(scene.shapes))


def test_memes_are_labelled_by_their_text_and_the_first_phases_test_is_not(root: Path) -> None:
    rows = [row for split in ("train", "dev", "dev_unseen", "test_seen", "test_unseen") for row in _memes(root, split)]
    assert {row["label"] for row in rows} == {0, 1}
    assert all(row["label"] == ("red" in row["text"]) for row in rows)
    assert {row["img"] for row in rows} >= {"img/00095.png", "img/00106.png"}
    assert all("label" not in row for row in _memes(root, "test"))


def test_equal_arguments_write_equal_bytes_and_another_seed_others(root: Path, tmp_path: Path) -> None:
    write_chats(world(40, seed=3), tmp_path / "same")
    write_chats(world(40, seed=4), tmp_path / "other")
    assert _digests(tmp_path / "same") == _digests(root)
    other = _digests(tmp_path / "other")
    assert set(other) == set(_digests(root))
    same = {name for name, digest in _digests(root).items() if other[name] == digest}
    assert {name for name in same if "/choose_txt/" not in name} == {
        f"unnatural/{file}" for file in ("core_data.jsonl", "full_data.jsonl", "filtered_unnatural_instruction.json")
    }
    assert not any(name.endswith(".png") for name in same)


def _memes(root: Path, split: str) -> list[dict[str, Any]]:
    return _lines(root / "hateful_memes" / f"{split}.jsonl")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _number(count: int) -> str:
    return ("none", "one", "two", "three", "four")[count]


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
