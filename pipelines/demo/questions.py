"""Questions about the world as VQAv2, OK-VQA, A-OKVQA and VizWiz would publish them, and LAVIS after them.

Everything answered is true of the scene; people differ in how they word it, as they do. Every file's bytes are a
function of (seed, images). The layouts are those of visualqa.org, okvqa.allenai.org, github.com/allenai/aokvqa,
vizwiz.org and github.com/salesforce/LAVIS.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.demo.covers import write_covers
from pipelines.demo.draw import jpeg
from pipelines.demo.publish import Json, Side, World, file_name, scenes_of, split_of, write_json
from pipelines.demo.world import COLOURS, KINDS, Colour, Scene, Shape, image_id, scene, seed_of

SIDES: tuple[Side, Side] = ("train", "val")
NUMBERS = ("zero", "one", "two", "three", "four")
PHOTOS = {"train": 8, "val": 4}  # VizWiz's own pictures, of scenes behind the world's last


@dataclass(frozen=True)
class Asked:
    """A question, what most people answer, and what else some of them call the same."""

    text: str
    answer: str
    other: str
    type: str  # VQAv2's question_type: how the question begins
    kind: str  # its answer_type


UNANSWERABLE = Asked("What is the brand?", "unanswerable", "no brand", "", "unanswerable")


def write_questions(world: World, root: Path) -> None:
    """Writes every source of questions below root: vqav2, okvqa, aokvqa, lavis_vqa, vizwiz and ocrvqa."""
    for side in SIDES:
        write_vqav2(world, side, root)
        write_okvqa(world, side, root)
        write_aokvqa(world, side, root)
        write_vizwiz(world, side, root / "vizwiz")
    write_covers(world, root / "ocrvqa")


def write_vqav2(world: World, side: Side, root: Path) -> None:
    """Writes vqav2/v2_*_{questions,annotations}.json, each in an order of its own, and lavis_vqa/vqa_*.json."""
    asks: list[Json] = []
    answers: list[Json] = []
    lavis: list[Json] = []
    for one in scenes_of(world, side):
        for number, asked in enumerate(asked_of(one)):
            ids = {"image_id": image_id(one.index), "question_id": image_id(one.index) * 1000 + number}
            said = ten(asked, seed_of("vqav2", ids["question_id"]))
            people = [{"answer": text, "answer_confidence": "yes", "answer_id": n} for n, text in enumerate(said, 1)]
            types = {"question_type": asked.type, "answer_type": asked.kind}
            asks.append({**ids, "question": asked.text})
            answers.append({**types, "multiple_choice_answer": asked.answer, "answers": people, **ids})
            lavis.append(_lavis(world, one, ids["question_id"], asked.text, said, "vqa"))
    random.Random(seed_of(world.seed, side, "vqav2")).shuffle(answers)
    names = root / "vqav2" / f"v2_OpenEnded_mscoco_{side}2014_questions.json"
    write_json(names, {**_head(side), "task_type": "Open-Ended", "questions": asks})
    write_json(root / "vqav2" / f"v2_mscoco_{side}2014_annotations.json", {**_head(side), "annotations": answers})
    write_json(root / "lavis_vqa" / f"vqa_{side}.json", lavis)


def write_okvqa(world: World, side: Side, root: Path) -> None:
    """Writes okvqa/*_{questions,annotations}.json, five people's answers doubled, and lavis_vqa/okvqa_train.json."""
    asks: list[Json] = []
    answers: list[Json] = []
    lavis: list[Json] = []
    for one in scenes_of(world, side):
        for number, (text, stems) in enumerate(_knowing(one)):
            ids = {"image_id": image_id(one.index), "question_id": image_id(one.index) * 10 + number}
            rng = random.Random(seed_of("okvqa", ids["question_id"]))
            said = [raw for raw in rng.choices(list(stems), weights=(3, 1), k=5) for _ in range(2)]
            people = [
                {"answer_id": n, "raw_answer": raw, "answer_confidence": "yes", "answer": stems[raw]}
                for n, raw in enumerate(said, 1)
            ]
            asks.append({**ids, "question": text})
            answers.append({**ids, "answer_type": "other", "question_type": "nine", "answers": people})
            lavis.append(_lavis(world, one, ids["question_id"], text, said, "okvqa"))
    types = {"nine": "Science and Technology", "other": "Other"}
    write_json(root / "okvqa" / f"OpenEnded_mscoco_{side}2014_questions.json", {**_head(side), "questions": asks})
    annotated = {**_head(side), "question_types": types, "annotations": answers}
    write_json(root / "okvqa" / f"mscoco_{side}2014_annotations.json", annotated)
    if side == "train":
        write_json(root / "lavis_vqa" / "okvqa_train.json", lavis)


def write_aokvqa(world: World, side: Side, root: Path) -> None:
    """Writes aokvqa/aokvqa_v1p0_*.json and LAVIS's file of the same name, which names the picture's file too."""
    rows = [_chosen(one, side) for one in scenes_of(world, side)]
    write_json(root / "aokvqa" / f"aokvqa_v1p0_{side}.json", rows)
    images = [f"{side}2014/{file_name(world, one)}" for one in scenes_of(world, side)]
    named = [{**row, "image": image, "dataset": "aokvqa"} for row, image in zip(rows, images, strict=True)]
    write_json(root / "lavis_vqa" / f"aokvqa_v1p0_{side}.json", named)


def write_vizwiz(world: World, side: Side, folder: Path) -> None:
    """Writes <side>.json and its pictures; one question of four cannot be answered, and one answer of ten is empty."""
    rows = []
    (folder / side).mkdir(parents=True, exist_ok=True)
    for number in range(PHOTOS[side]):
        one = scene(world.seed, len(world.scenes) + number + (PHOTOS["train"] if side == "val" else 0))
        name = f"VizWiz_{side}_{number:08d}.jpg"
        (folder / side / name).write_bytes(jpeg(one, world.seed))
        lost = number % 4 == 3
        asked = UNANSWERABLE if lost else asked_of(one)[0]
        said = ["", *ten(asked, seed_of("vizwiz", side, number))[1:]]
        people = [{"answer": text, "answer_confidence": "maybe" if lost else "yes"} for text in said]
        about = {"image": name, "question": f"{asked.text} ", "answers": people}
        rows.append({**about, "answer_type": asked.kind, "answerable": 0 if lost else 1})
    write_json(folder / f"{side}.json", rows)


def asked_of(scene: Scene) -> list[Asked]:
    """How many shapes there are, whether a kind of shape is there, and the colour of each kind that is there once."""
    kind = KINDS[scene.index % len(KINDS)]
    number, there = len(scene.shapes), any(shape.kind == kind for shape in scene.shapes)
    known = ("yes", "yeah") if there else ("no", "nope")
    kinds = Counter(shape.kind for shape in scene.shapes)
    return [
        Asked("How many shapes are there?", str(number), NUMBERS[number], "how many", "number"),
        Asked(f"Is there a {kind} in the picture?", *known, "is there a", "yes/no"),
        *(_color(shape) for shape in scene.shapes if kinds[shape.kind] == 1),
    ]


def ten(asked: Asked, seed: int) -> list[str]:
    """Ten people's answers, at most three of them in the other wording."""
    rng = random.Random(seed)
    others = rng.randint(0, 3)
    said = [asked.other] * others + [asked.answer] * (10 - others)
    rng.shuffle(said)
    return said


def _color(shape: Shape) -> Asked:
    return Asked(
        f"What color is the {shape.kind}?", shape.colour, f"it is {shape.colour}", "what color is the", "other"
    )


def _knowing(scene: Scene) -> Iterator[tuple[str, dict[str, str]]]:
    """Questions that the picture alone does not answer, and what people type, by how it is stored when cut to stems."""
    kind = scene.shapes[0].kind
    rolls = {"yes": "yes", "yeah": "yeah"} if kind == "circle" else {"no": "no", "not really": "not real"}
    yield f"Would a wheel in the form of this {kind} roll well?", rolls
    yield "What can a child practise with this picture?", {"counting": "count", "naming colors": "name color"}


def _chosen(scene: Scene, side: Side) -> Json:
    """A question about a color where a kind of shape is there once, about their number otherwise, with four choices."""
    rng = random.Random(seed_of("aokvqa", scene.index))
    count, _, *colours = asked_of(scene)
    asked, wrong = (colours[0], _wrong(COLOURS, colours[0].answer, rng)) if colours else (count, [])
    choices = rng.sample([asked.answer, *wrong], 4) if wrong else [str(number) for number in range(1, 5)]
    return {
        "split": side,
        "image_id": image_id(scene.index),
        "question_id": f"{seed_of('question', scene.index):022x}",
        "question": asked.text,
        "choices": choices,
        "correct_choice_idx": choices.index(asked.answer),
        "direct_answers": ten(asked, seed_of("direct", scene.index)),
        "difficult_direct_answer": scene.index % 16 == 3,
        "rationales": [f"The picture shows it: {asked.answer}."] * 3,
    }


def _wrong(colours: Sequence[Colour], right: str, rng: random.Random) -> list[str]:
    return rng.sample([colour for colour in colours if colour != right], 3)


def _lavis(world: World, scene: Scene, number: int, text: str, said: list[str], dataset: str) -> Json:
    image = f"{split_of(world, scene)}2014/{file_name(world, scene)}"
    return {"question_id": number, "question": text, "answer": said, "image": image, "dataset": dataset}


def _head(side: Side) -> Json:
    licence = {"name": "CC0 1.0 Universal", "url": "http://creativecommons.org/publicdomain/zero/1.0/"}
    info = {"description": "Boxcar demo world", "version": "1.0"}
    return {"info": info, "license": licence, "data_type": "mscoco", "data_subtype": f"{side}2014"}
