"""The world as MiniGPT-v2's authors made their own files: of Flickr30k Entities, and of COCO.

Every file's bytes are a function of (seed, images). The layouts are those of github.com/Vision-CAIR/MiniGPT-4.
"""

from collections.abc import Sequence
from pathlib import Path

from pipelines.demo.flickr30k import Marked, entities_split, flickr_id, plain, sentences
from pipelines.demo.phrases import captions, expressions
from pipelines.demo.publish import Json, World, scenes_of, write_json
from pipelines.demo.world import Scene, Shape, image_id

LEAST_PHRASES = 5


def write_minigpt4(world: World, root: Path) -> None:
    """Writes minigpt4/: a selection of Entities' train split, and conversations about COCO's train pictures."""
    folder = root / "minigpt4"
    write_filtered(world, folder / "filtered_flickr")
    chats = [_conversation(one) for one in scenes_of(world, "train") if expressions(one, one.shapes[0])]
    write_json(folder / "multitask_conversation" / "multitask_conversation.json", chats)


def write_filtered(world: World, folder: Path) -> None:
    """Writes groundedcaption.json, captiontobbox.json and phrasetobbox.json, of sentences with five phrases or more."""
    grounded: list[Json] = []
    parsed: list[Json] = []
    located: list[Json] = []
    for one in (one for one in world.scenes if entities_split(world, one) == "train"):
        said = sentences(one)[1]
        boxed = [piece for piece in said if isinstance(piece, Marked) and piece.shapes]
        if len(boxed) < LEAST_PHRASES:
            continue
        id = str(flickr_id(one))
        grounded.append({"image_id": id, "grounded_caption": "".join(_grounded(one, piece) for piece in said)})
        output = " ".join(_grounded(one, piece) for piece in boxed)
        parsed.append({"image_id": id, "caption": plain(said), "output": output})
        located += [{"image_id": id, "phrase": piece.words, "bbox": _tokens(one, piece.shapes)} for piece in boxed]
    write_json(folder / "groundedcaption.json", grounded)
    write_json(folder / "captiontobbox.json", parsed)
    write_json(folder / "phrasetobbox.json", located)


def _grounded(scene: Scene, piece: str | Marked) -> str:
    if isinstance(piece, str) or not piece.shapes:
        return piece if isinstance(piece, str) else piece.words
    return f"<p>{piece.words}</p> {_tokens(scene, piece.shapes)}"


def _tokens(scene: Scene, shapes: Sequence[Shape]) -> str:
    """The boxes as MiniGPT-v2 writes them, rounded down."""
    return "<delim>".join(_token(scene, shape) for shape in shapes)


def _token(scene: Scene, shape: Shape) -> str:
    x, y, w, h = shape.box
    edges = x / scene.width, y / scene.height, (x + w) / scene.width, (y + h) / scene.height
    return "{" + "".join(f"<{int(edge * 100)}>" for edge in edges) + "}"


def _conversation(scene: Scene) -> Json:
    shape = scene.shapes[0]
    named, box = expressions(scene, shape)[0], _token(scene, shape)
    said = [
        f"<image>\n[refer] where is {named}?",
        box,
        f"[identify] what is at {box}?",
        named,
        "what does the picture show?",
        captions(scene)[0],
    ]
    turns = [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(said)]
    return {"id": f"{image_id(scene.index):012d}", "conversations": turns}
