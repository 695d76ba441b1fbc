"""The world as Visual Genome and GQA would publish it, and as TextCaps (pipelines/demo/textcaps.py).

Every fourth scene is a Visual Genome picture, half of these are COCO's too; one scene of eight is a picture that GQA
added. The layouts, with their oddities, are those of visualgenome.org, cs.stanford.edu/people/dorarad/gqa and
github.com/salesforce/LAVIS.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipelines.demo.coco import HOST
from pipelines.demo.draw import jpeg
from pipelines.demo.phrases import expressions
from pipelines.demo.publish import Json, World, split_of, write_json
from pipelines.demo.textcaps import write_textcaps
from pipelines.demo.world import KINDS, Scene, Shape, image_id, object_id

FIRST_PICTURE = 2_315_353
FIRST_OF_GQA = 161_313
OVERHANG = 9  # pixels that a region of a shape at the right or upper edge reaches beyond it
OUTSIDE = 904  # pixels above its picture at which one region begins: nothing of it is left
GQA_SPLITS = ("train", "val", "testdev")
FOLDERS = ("VG_100K", "VG_100K_2")
BOTH = 4  # the scene whose picture lies in VG_100K_2, and as an empty file in VG_100K


def write_genome(world: World, root: Path) -> None:
    """Writes Visual Genome, GQA and TextCaps below root: vg, gqa, gqa_lavis and textcaps."""
    write_vg(world, root / "vg")
    write_gqa(world, root / "gqa")
    write_gqa_lavis(world, root / "gqa_lavis")
    write_textcaps(world, root / "textcaps")


def vg_scenes(world: World) -> tuple[Scene, ...]:
    """The scenes that are Visual Genome pictures."""
    return world.scenes[::4]


def gqa_scenes(world: World, split: str) -> list[Scene]:
    """The scenes that GQA asks about in a split: COCO's train side is train, of the rest val and testdev by turns."""
    sides: dict[str, list[Scene]] = {"train": [], "val": []}
    for one in sorted((*vg_scenes(world), *world.scenes[2::8]), key=lambda one: one.index):
        sides[split_of(world, one)].append(one)
    return {"train": sides["train"], "val": sides["val"][::2], "testdev": sides["val"][1::2]}[split]


def vg_id(scene: Scene) -> str:
    """What Visual Genome and GQA call the picture: its file's name without the ending."""
    return f"{FIRST_PICTURE + scene.index}" if scene.index % 4 == 0 else f"n{FIRST_OF_GQA + scene.index}"


def region_box(scene: Scene, shape: Shape) -> tuple[int, int, int, int]:
    """The pixels (x, y, width, height) around the shape, and some beyond the picture where it lies at an edge."""
    x, y, w, h = shape.box
    right = math.ceil(x + w) + (OVERHANG if x + w == scene.width else 0)
    top = math.floor(y) - (OVERHANG if y == 0 else 0)
    return math.floor(x), top, right - math.floor(x), math.ceil(y + h) - top


def write_vg(world: World, folder: Path) -> None:
    """Writes region_descriptions.json and image_data.json of version 1.2, and both folders of pictures."""
    scenes = vg_scenes(world)
    described = [{"regions": _regions(one), "id": FIRST_PICTURE + one.index} for one in scenes]
    write_json(folder / "region_descriptions.json", described)
    write_json(folder / "image_data.json", [_picture(one) for one in scenes])
    for one in scenes:
        _write_picture(folder / _folder(one) / f"{vg_id(one)}.jpg", jpeg(one, world.seed))
        if one.index == BOTH:
            _write_picture(folder / FOLDERS[0] / f"{vg_id(one)}.jpg", b"")


def write_gqa(world: World, folder: Path) -> None:
    """Writes the balanced and all questions of each split, image_data.json, and the pictures that GQA added."""
    for split in GQA_SPLITS:
        asked = _all_questions(world, split)
        balanced = {key: row for key, row in asked.items() if row["isBalanced"]}
        write_json(folder / f"{split}_balanced_questions.json", balanced)
        _write_all(folder, split, asked)
        for one in (one for one in gqa_scenes(world, split) if one not in vg_scenes(world)):
            _write_picture(folder / "images" / f"{vg_id(one)}.jpg", jpeg(one, world.seed))
    write_json(folder / "image_data.json", [_picture(one) for one in vg_scenes(world)])


def write_gqa_lavis(world: World, folder: Path) -> None:
    """Writes lists of the balanced questions under the names of the published files; in testdev answers are lists."""
    for split in GQA_SPLITS:
        listed = [
            {
                "image": f"{row['imageId']}.jpg",
                "question": row["question"],
                "answer": [row["answer"]] if split == "testdev" else row["answer"],
                "question_id": key,
            }
            for key, row in _all_questions(world, split).items()
            if row["isBalanced"]
        ]
        write_json(folder / f"{split}_balanced_questions.json", listed)


def _all_questions(world: World, split: str) -> dict[str, Json]:
    return {key: row for one in gqa_scenes(world, split) for key, row in _questions(one).items()}


def _write_all(folder: Path, split: str, asked: dict[str, Json]) -> None:
    """One file, or in train a folder of ten."""
    if split != "train":
        write_json(folder / f"{split}_all_questions.json", asked)
        return
    for part in range(10):
        rows = dict(list(asked.items())[part::10])
        write_json(folder / "train_all_questions" / f"train_all_questions_{part}.json", rows)


def _write_picture(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _folder(scene: Scene) -> str:
    return FOLDERS[scene.index // 4 % 2]


def _picture(scene: Scene) -> Json:
    return {
        "width": scene.width,
        "url": f"{HOST}/{_folder(scene)}/{vg_id(scene)}.jpg",
        "height": scene.height,
        "image_id": FIRST_PICTURE + scene.index,
        "coco_id": image_id(scene.index) if scene.index // 4 % 4 in (0, 3) else None,
        "flickr_id": None,
    }


def _regions(scene: Scene) -> list[Json]:
    """A region per shape and expression; one phrase of seven ends in a blank, one region of the first scene is lost."""
    said = [
        (10 * object_id(scene.index, place) + number, text, region_box(scene, shape))
        for place, shape in enumerate(scene.shapes)
        for number, text in enumerate(expressions(scene, shape))
    ]
    if scene.index == 0:
        said.append((10 * object_id(0, len(scene.shapes)), "what is above the picture", (5, -OUTSIDE, 60, 60)))
    return [
        {
            "region_id": number,
            "width": w,
            "height": h,
            "image_id": FIRST_PICTURE + scene.index,
            "phrase": f"{text} " if number % 7 == 0 else text,
            "y": y,
            "x": x,
        }
        for number, text, (x, y, w, h) in said
    ]


def _questions(scene: Scene) -> dict[str, Json]:
    """The scene's questions by id: eight digits with leading zeros."""
    return {
        f"{100 * scene.index + place:08d}": _question(scene, place, *said) for place, said in enumerate(_asked(scene))
    }


def _question(scene: Scene, place: int, asked: str, answer: str, full: str, structural: str) -> Json:
    """A question as published; one of three is not among the balanced."""
    return {
        "semantic": [{"operation": "select", "dependencies": [], "argument": "scene"}],
        "entailed": [],
        "equivalent": [],
        "question": asked,
        "imageId": vg_id(scene),
        "isBalanced": place % 3 < 2,
        "groups": {"global": None, "local": f"{place:02d}-shape"},
        "answer": answer,
        "semanticStr": "select: scene",
        "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
        "types": {"detailed": structural, "semantic": "obj", "structural": structural},
        "fullAnswer": full,
    }


def _asked(scene: Scene) -> Iterator[tuple[str, str, str, str]]:
    """(question, answer, full answer, kind of question) for what a scene shows and for what it does not."""
    number, kinds = len(scene.shapes), Counter(shape.kind for shape in scene.shapes)
    there = f"is {number} shape" if number == 1 else f"are {number} shapes"
    yield "How many shapes are there?", str(number), f"There {there}.", "query"
    for shape in scene.shapes:
        if kinds[shape.kind] == 1:
            full = f"The {shape.kind} is {shape.colour}."
            yield f"What color is the {shape.kind}?", shape.colour, full, "query"
    for kind in KINDS:
        answer, full = ("yes", f"Yes, there is a {kind}.") if kinds[kind] else ("no", f"No, there is no {kind}.")
        yield f"Is there a {kind} in the picture?", answer, full, "verify"
