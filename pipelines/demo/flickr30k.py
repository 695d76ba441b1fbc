"""The world as Flickr30k and Flickr30k Entities: folders and zip, token file, and Karpathy's.

Every file's bytes are a function of (seed, images). The layouts, with their oddities, are those of
github.com/BryanPlummer/flickr30k_entities, of flickr30k.tar.gz, and of Karpathy's dataset_flickr30k.json.
"""

import math
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.demo.draw import jpeg
from pipelines.demo.phrases import RELATIONS, offset
from pipelines.demo.publish import Json, World, split_of, write_json
from pipelines.demo.world import Scene, Shape, image_id

ZIP_DATE = (2017, 1, 1, 0, 0, 0)
SPLITS = ("train", "val", "test")
TYPES = {"circle": "other", "square": "other", "triangle": "scene", "star": "scene/other"}

_GROUP, _BACKGROUND, _CAMERA = 4, 5, 6  # what else a picture's chains stand for, after its shapes
_NUMBERS = ("no shape", "one shape", "two shapes", "three shapes", "four shapes")


class Marked(NamedTuple):
    """A phrase of a sentence: its chain, 0 for what cannot be seen, its types, and the shapes it speaks of."""

    words: str
    chain: int
    types: str
    shapes: tuple[Shape, ...] = ()


Said = list[str | Marked]


def write_flickr30k(world: World, root: Path) -> None:
    """Writes flickr30k/: pictures, Entities as folders and as annotations.zip, and the other files of captions."""
    folder = root / "flickr30k"
    for one in world.scenes:
        _write(folder / "flickr30k-images" / f"{flickr_id(one)}.jpg", jpeg(one, world.seed))
    write_entities(world, folder)
    write_captions(world, folder)


def flickr_id(scene: Scene) -> int:
    """The picture's number on Flickr, from 1,000,001: no other collection's here."""
    return 1_000_000 + image_id(scene.index)


def entities_split(world: World, scene: Scene) -> str:
    """The split of a scene: COCO's train side is train, the others are val and test by turns."""
    return "train" if split_of(world, scene) == "train" else SPLITS[1 + scene.index % 2]


def write_entities(world: World, folder: Path) -> None:
    """Writes Annotations/, Sentences/, annotations.zip with the same files, the splits and UNRELATED_CAPTIONS."""
    files = {f"Annotations/{flickr_id(one)}.xml": _xml(one).encode() for one in world.scenes}
    files |= {f"Sentences/{flickr_id(one)}.txt": _lines(map(marked, sentences(one))) for one in world.scenes}
    for name, data in files.items():
        _write(folder / name, data)
    with zipfile.ZipFile(folder / "annotations.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, ZIP_DATE)
            member.create_system, member.compress_type = 3, zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    for split in SPLITS:
        ids = [str(flickr_id(one)) for one in world.scenes if entities_split(world, one) == split]
        _write(folder / f"{split}.txt", _lines(ids))
    unrelated = [f"{flickr_id(one)} 5" for one in world.scenes if _strays(one)]
    _write(folder / "UNRELATED_CAPTIONS", "\n".join(["# format: <imageID> <sentence number>", *unrelated]).encode())


def write_captions(world: World, folder: Path) -> None:
    """Writes results_20130124.token and dataset_flickr30k.json, whose splits hold other pictures than Entities'."""
    said = [(one, [plain(sentence) for sentence in sentences(one)]) for one in world.scenes]
    tokens = [f"{flickr_id(one)}.jpg#{number}\t{text}" for one, texts in said for number, text in enumerate(texts)]
    _write(folder / "results_20130124.token", _lines(tokens))
    images = [
        {
            "sentids": list(range(5 * place, 5 * place + 5)),
            "imgid": place,
            "sentences": [_karpathy(text, place, 5 * place + number) for number, text in enumerate(texts)],
            "split": {0: "val", 1: "test"}.get(one.index % 10, "train"),
            "filename": f"{flickr_id(one)}.jpg",
        }
        for place, (one, texts) in enumerate(said)
    ]
    write_json(folder / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})


def sentences(scene: Scene) -> list[Said]:
    """Five true sentences, tokenised; in one scene of twenty the last speaks of no picture at all."""
    things = [_thing(scene, place) for place in range(len(scene.shapes))]
    group = Marked(_NUMBERS[len(things)], _chain(scene, _GROUP), "other", scene.shapes)
    background = Marked("a grey background", _chain(scene, _BACKGROUND), "scene")
    relation = _relation(scene, things)
    rest = Marked("the rest", 0, "notvisual")
    return [
        [*_and(things), " on ", background, " ."],
        [group, " : ", *_and(things), " ; ", *relation, " ."],
        [*relation, " , of ", rest, " nothing is said"],
        [group, " can be seen ."],
        ["these words were written for no picture ." if _strays(scene) else "a picture with nothing but colour ."],
    ]


def marked(said: Said) -> str:
    """The sentence as Entities writes it."""
    return "".join(one if isinstance(one, str) else f"[/EN#{one.chain}/{one.types} {one.words}]" for one in said)


def plain(said: Said) -> str:
    """The sentence without marks."""
    return "".join(one if isinstance(one, str) else one.words for one in said)


def _thing(scene: Scene, place: int) -> Marked:
    shape = scene.shapes[place]
    return Marked(f"a {shape.size} {shape.colour} {shape.kind}", _chain(scene, place), TYPES[shape.kind], (shape,))


def _chain(scene: Scene, place: int) -> int:
    """The number of a chain of mentions; three pictures share each, as some of Entities' do."""
    return 1 + 8 * (scene.index // 3) + place


def _and(things: Sequence[Marked]) -> Said:
    return [piece for thing in things for piece in (" and ", thing)][1:]


def _relation(scene: Scene, things: Sequence[Marked]) -> Said:
    if len(things) == 1:
        return [things[0], " is alone"]
    relation = max(RELATIONS, key=lambda name: offset(scene, scene.shapes[0], name, scene.shapes[1]))
    return [things[0], f" is {relation} ", things[1]]


def _strays(scene: Scene) -> bool:
    return scene.index % 20 == 7


def _xml(scene: Scene) -> str:
    """The annotation, each shape's box being that of all shapes too; in one scene of ten one object stands twice."""
    shapes = scene.shapes + (scene.shapes[:1] if scene.index % 10 == 3 else ())
    objects = [_object([_chain(scene, scene.shapes.index(one)), _chain(scene, _GROUP)], _bndbox(one)) for one in shapes]
    for place, names_scene in ((_BACKGROUND, 1), (_CAMERA, 0)):
        flags = [f"<scene>{names_scene}</scene>", f"<nobndbox>{1 - names_scene}</nobndbox>"]
        objects.append(_object([_chain(scene, place)], flags))
    size = [f"<width>{scene.width}</width>", f"<height>{scene.height}</height>", "<depth>3</depth>"]
    head = [f"<filename>{flickr_id(scene)}.jpg</filename>", *_within("size", size)]
    return "\n".join(_within("annotation", [*head, *(line for one in objects for line in one)])) + "\n"


def _object(chains: Iterable[int], rest: Iterable[str]) -> list[str]:
    return _within("object", [*(f"<name>{chain}</name>" for chain in chains), *rest])


def _bndbox(shape: Shape) -> list[str]:
    """The pixels that the box touches, numbered from 1."""
    x, y, w, h = shape.box
    corners = {"xmin": math.floor(x) + 1, "ymin": math.floor(y) + 1, "xmax": math.ceil(x + w), "ymax": math.ceil(y + h)}
    return _within("bndbox", [f"<{name}>{value}</{name}>" for name, value in corners.items()])


def _within(tag: str, lines: Iterable[str]) -> list[str]:
    return [f"<{tag}>", *(f"\t{line}" for line in lines), f"</{tag}>"]


def _karpathy(text: str, imgid: int, sentid: int) -> Json:
    raw = text.replace(" .", ".").replace(" ,", ",")
    return {"tokens": text.lower().replace(" .", "").split(), "raw": raw, "imgid": imgid, "sentid": sentid}


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
