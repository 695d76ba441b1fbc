"""The world as its chats and evaluation sets would publish it: LLaVA, Unnatural Instructions, VSR, IconQA, memes.

Every file's bytes are a function of (seed, images). LLaVA and VSR speak of the pictures of pipelines/demo/coco.py;
IconQA and Hateful Memes have pictures of their own, Unnatural Instructions none. The layouts, with their oddities, are
those of huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K, github.com/orhonovich/unnatural-instructions,
github.com/cambridgeltl/visual-spatial-reasoning, iconqa.github.io and hatefulmemeschallenge.com.
"""

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.demo.draw import RGB, picture
from pipelines.demo.phrases import MARGIN, RELATIONS, captions, offset
from pipelines.demo.publish import Json, World, scenes_of, split_of, write_json
from pipelines.demo.world import Scene, image_id, scene, seed_of

OWN = 12  # pictures of IconQA, and of Hateful Memes
NUMBERS = ("none", "one", "two", "three", "four")


def write_chats(world: World, root: Path) -> None:
    """Writes llava, unnatural, vsr, iconqa and hateful_memes below root."""
    write_llava(world, root / "llava")
    write_unnatural(root / "unnatural")
    write_vsr(world, root / "vsr")
    write_iconqa(world, root / "iconqa_data")
    write_memes(world, root / "hateful_memes")


def write_llava(world: World, folder: Path) -> None:
    """Writes conversation_58k.json, detail_23k.json and complex_reasoning_77k.json about the train pictures."""
    files = {"conversation_58k": _conversation, "detail_23k": _detail, "complex_reasoning_77k": _reasoning}
    for file, said in files.items():
        entries = [_llava(place, one, said(one)) for place, one in enumerate(scenes_of(world, "train"))]
        write_json(folder / f"{file}.json", entries)


def _llava(place: int, scene: Scene, said: list[str]) -> Json:
    """An entry; the placeholder stands first in even ones, last in odd ones."""
    said[0] = f"{said[0]}\n<image>" if place % 2 else f"<image>\n{said[0]}"
    turns = [{"from": ("human", "gpt")[turn % 2], "value": text} for turn, text in enumerate(said)]
    number = f"{image_id(scene.index):012d}"
    return {"id": number, "image": f"{number}.jpg", "conversations": turns}


def _conversation(scene: Scene) -> list[str]:
    """Two to four questions with their answers."""
    kind = scene.shapes[0].kind
    kinds = [shape.kind for shape in scene.shapes]
    asked = ["How many shapes are in the picture?", NUMBERS[len(kinds)].capitalize() + "."]
    asked += [f"How many of them are a {kind}?", NUMBERS[kinds.count(kind)].capitalize() + "."]
    if len(kinds) > 1:
        colours = dict.fromkeys(f"- {shape.colour}" for shape in scene.shapes)
        asked += ["Which colours do they have?", "\n".join(colours)]
    if len(kinds) > 2:
        asked += ["Is there a fifth shape?", "No, there is not."]
    return asked


def _detail(scene: Scene) -> list[str]:
    return ["Describe the picture in detail.", " ".join(f"{text.strip().rstrip('.')}." for text in captions(scene))]


def _reasoning(scene: Scene) -> list[str]:
    large, total = sum(shape.size == "large" for shape in scene.shapes), len(scene.shapes)
    counted = f"Shapes in all: {NUMBERS[total]}. Large ones: {NUMBERS[large]}."
    return ["Are most of the shapes large? Explain why.", f"{counted}\n\nSo {'yes' if large * 2 > total else 'no'}."]


def write_unnatural(folder: Path) -> None:
    """Writes core_data.jsonl, full_data.jsonl and filtered_unnatural_instruction.json: 20 small tasks."""
    core = [_sum(number) for number in range(10)] + [_copy(number) for number in range(10)]
    full = [{**one, "reformulations": [_reworded(one)] if place % 3 else []} for place, one in enumerate(core)]
    write_lines(folder / "core_data.jsonl", core)
    write_lines(folder / "full_data.jsonl", full)
    write_json(folder / "filtered_unnatural_instruction.json", core)


def _sum(number: int) -> Json:
    """An addition; the first has two instances."""
    constraints = ("None.", None, "none", "The answer should be a number.", "")[number % 5]
    asked = [(number, number + 3), (10, 20)] if number == 0 else [(number, number + 3)]
    instances = [_instance("Add the numbers.", f"{a} and {b}", constraints, str(a + b)) for a, b in asked]
    return {"instruction": "Add the numbers.", "instances": instances}


def _copy(number: int) -> Json:
    """A list of words, copied."""
    words = "\n".join(f"{place}. {colour}" for place, colour in enumerate(list(RGB)[: 1 + number % 4], 1))
    constraints = ("None", "Keep the numbers.", "None.")[number % 3]
    instruction = f"Copy this list, which is the list number {number}."
    return {"instruction": instruction, "instances": [_instance(instruction, words, constraints, words)]}


def _instance(instruction: str, given: str, constraints: str | None, output: str) -> Json:
    asked = f"{instruction}\n{given}"
    return {"instruction_with_input": asked, "input": given, "constraints": constraints, "output": output}


def _reworded(example: Json) -> Json:
    first = example["instances"][0]
    asked = f"Do as you are told: {example['instruction']}"
    said = {"instruction": asked, "instruction_with_input": f"{asked}\n{first['input']}"}
    return {**said, "input": first["input"], "output": first["output"]}


def write_vsr(world: World, folder: Path) -> None:
    """Writes zeroshot/ and random/ with train, dev and test.jsonl: dev and test are about val pictures."""
    # Each form lacks the keys that only the other one has, and holds the other's dev statements as its test.
    for name, without, turned in (("zeroshot", ["reference_frame"], False), ("random", ["subj", "obj"], True)):
        for split, swapped in (("train", turned), ("dev", turned), ("test", not turned)):
            scenes = scenes_of(world, "train" if split == "train" else "val")
            rows = [_without(row, *without) for one in scenes for row in _statements(world, one, swapped)]
            write_lines(folder / name / f"{split}.jsonl", rows)


def _statements(world: World, scene: Scene, swapped: bool) -> Iterator[Json]:
    """What is true and what is not of the first two shapes that nothing else in the picture looks like."""
    looks = Counter((shape.colour, shape.kind) for shape in scene.shapes)
    alone = [shape for shape in scene.shapes if looks[shape.colour, shape.kind] == 1][:2]
    if len(alone) < 2:
        return
    one, other = alone[::-1] if swapped else alone
    for relation in RELATIONS:
        far = offset(scene, one, relation, other)
        if abs(far) >= MARGIN:
            said = (f"{one.colour} {one.kind}", relation, f"{other.colour} {other.kind}")
            yield _statement(world, scene, said, far > 0)


def _statement(world: World, scene: Scene, said: tuple[str, str, str], holds: bool) -> Json:
    name, (subj, relation, obj) = f"{image_id(scene.index):012d}.jpg", said
    return {
        "image": name,
        "image_link": f"http://images.example.org/{split_of(world, scene)}2017/{name}",
        "caption": f"The {subj} is {relation} the {obj}.",
        "label": int(holds),
        "relation": relation,
        "subj": subj,
        "obj": obj,
        "annotator_id": 4,
        "vote_true_validator_id": "[19, 2]" if holds else "[]",
        "vote_false_validator_id": "[]" if holds else "[18]",
        "reference_frame": None,
    }


def write_iconqa(world: World, folder: Path) -> None:
    """Writes iconqa/<split>/choose_txt/<pid>/ with data.json and image.png, and choose_text_val.json beside iconqa."""
    flat = []
    for pid, one in enumerate(own_scenes(world, "iconqa"), 5):
        split, choices = ("train", "val", "test")[pid % 3], list(NUMBERS[1:])
        asked = {"question": "How many shapes are there? ", "choices": choices, "answer": len(one.shapes) - 1}
        within = folder / "iconqa" / split / "choose_txt" / str(pid)
        write_json(within / "data.json", {**asked, "ques_type": "choose_txt", "grade": "grade1", "label": "S2"})
        (within / "image.png").write_bytes(png(one, world.seed))
        flat += [{"image_id": str(pid), **asked}] if split == "val" else []
    write_json(folder / "choose_text_val.json", flat)


def write_memes(world: World, folder: Path) -> None:
    """Writes img/*.png and the files of both phases; what counts as hateful here is harmless text about red."""
    (folder / "img").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, one in enumerate(own_scenes(world, "memes"), 95):
        (folder / "img" / f"{number:05d}.png").write_bytes(png(one, world.seed))
        text = f"waiting for {one.shapes[0].colour} shapes"
        rows.append({"id": number, "img": f"img/{number:05d}.png", "label": int("red" in text), "text": text})
    files = {"train": rows[:4], "dev": rows[4:6], "dev_seen": rows[4:6], "dev_unseen": rows[6:8]}
    files |= {"test": [_without(row, "label") for row in rows[8:10]], "test_seen": rows[8:10], "test_unseen": rows[10:]}
    for name, kept in files.items():
        write_lines(folder / f"{name}.jsonl", kept)


def own_scenes(world: World, what: str) -> list[Scene]:
    """The scenes of a collection that shares no picture with COCO."""
    return [scene(seed_of(world.seed, what), index) for index in range(OWN)]


def png(scene: Scene, seed: int) -> bytes:
    """The scene's picture as a PNG file."""
    file = io.BytesIO()
    picture(scene, seed).save(file, "PNG")
    return file.getvalue()


def write_lines(path: Path, rows: Sequence[Json]) -> None:
    """Writes the rows as JSON lines, making the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _without(row: Json, *keys: str) -> Json:
    return {key: value for key, value in row.items() if key not in keys}
