"""The world as TextCaps would publish it: every fifth scene, with all its captions (textvqa.org/textcaps)."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.demo.draw import jpeg
from pipelines.demo.phrases import captions
from pipelines.demo.publish import Json, World, split_of, write_json
from pipelines.demo.world import Scene, seed_of

FIRST_CAPTION = 100_000_000


def textcaps_scenes(world: World, side: str) -> list[Scene]:
    """The scenes that TextCaps describes in train or val."""
    return [one for one in world.scenes[1::5] if split_of(world, one) == side]


def openimages_id(scene: Scene) -> str:
    """What OpenImages calls the picture: 16 hexadecimal digits."""
    return f"{seed_of('openimages', scene.index):016x}"


def write_textcaps(world: World, folder: Path) -> None:
    """Writes TextCaps_0.1_{train,val}.json, and the pictures of both in train_images."""
    for side in ("train", "val"):
        scenes = textcaps_scenes(world, side)
        head = {"dataset_type": side, "dataset_name": "textcaps", "dataset_version": 0.1}
        rows = [row for one in scenes for row in _captions(one, side)]
        write_json(folder / f"TextCaps_0.1_{side}.json", {**head, "data": rows})
        (folder / "train_images").mkdir(exist_ok=True)
        for one in scenes:
            (folder / "train_images" / f"{openimages_id(one)}.jpg").write_bytes(jpeg(one, world.seed))


def _captions(scene: Scene, side: str) -> Iterator[Json]:
    """An entry per caption; each repeats all captions of its picture."""
    name, said = openimages_id(scene), captions(scene)
    for place, text in enumerate(said):
        yield {
            "image_id": name,
            "image_classes": sorted({shape.kind.capitalize() for shape in scene.shapes}),
            "flickr_original_url": None,
            "flickr_300k_url": None,
            "image_width": scene.width,
            "image_height": scene.height,
            "set_name": side,
            "image_name": name,
            "image_path": f"train/{name}.jpg",
            "caption_id": FIRST_CAPTION + 5 * scene.index + place,
            "caption_str": text,
            "caption_tokens": _tokens(text),
            "reference_strs": said,
            "reference_tokens": [_tokens(other) for other in said],
        }


def _tokens(text: str) -> list[str]:
    return ["<s>", *text.lower().replace(".", "").split(), "</s>"]
