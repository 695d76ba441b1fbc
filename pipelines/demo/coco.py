"""The world as its sources would publish it: COCO 2014, Karpathy, LAVIS, REFER, MDETR and flat evaluation files.

Every file's bytes are a function of (seed, images). The layouts, with their oddities, are those of
cocodataset.org, github.com/lichengunc/refer, github.com/salesforce/LAVIS and github.com/ashkamath/mdetr.
"""

import pickle
import random
import zipfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from pipelines.demo.draw import jpeg
from pipelines.demo.phrases import TENTHS, Ref, RefSource, as_typed, captions, refs
from pipelines.demo.publish import Json, World, file_name, scenes_of, split_of, write_json
from pipelines.demo.world import Kind, Scene, Shape, area, image_id, object_id, outline, seed_of

CATEGORIES: dict[Kind, int] = {"circle": 1, "square": 3, "triangle": 7, "star": 18}  # gaps, as in COCO
ZIP_DATE = (2014, 1, 1, 0, 0, 0)
HOST = "http://images.example.org"


def write_coco(world: World, root: Path) -> None:
    """Writes every source of COCO's pictures below root: coco, karpathy, lavis, refer, mdetr and flat."""
    write_pictures(world, root / "coco")
    write_captions(world, root / "coco" / "annotations")
    write_instances(world, root / "coco" / "annotations")
    write_karpathy(world, root / "karpathy")
    write_lavis(world, root / "lavis")
    write_refs(world, root / "refer", "refcoco", "unc")
    write_refs(world, root / "refer", "refcoco+", "unc")
    write_refs(world, root / "refer", "refcocog", "umd")
    write_mdetr(world, root / "mdetr")
    write_flat(world, root / "flat")


def write_pictures(world: World, folder: Path) -> None:
    """Writes train2014/*.jpg and, as COCO is downloaded, val2014.zip."""
    (folder / "train2014").mkdir(parents=True, exist_ok=True)
    for one in scenes_of(world, "train"):
        (folder / "train2014" / file_name(world, one)).write_bytes(jpeg(one, world.seed))
    with zipfile.ZipFile(folder / "val2014.zip", "w", zipfile.ZIP_STORED) as archive:
        for one in scenes_of(world, "val"):
            member = zipfile.ZipInfo(f"val2014/{file_name(world, one)}", ZIP_DATE)
            member.create_system = 3  # otherwise the bytes would tell on which system they were written
            archive.writestr(member, jpeg(one, world.seed))


def write_captions(world: World, folder: Path) -> None:
    """Writes captions_{train,val}2014.json; the captions of one picture are scattered, as in COCO."""
    for side in ("train", "val"):
        rows = [row for one in scenes_of(world, side) for row in _caption_rows(one)]
        random.Random(seed_of(world.seed, side, "captions")).shuffle(rows)
        write_json(folder / f"captions_{side}2014.json", {**_head(world, scenes_of(world, side)), "annotations": rows})


def write_instances(world: World, folder: Path) -> None:
    """Writes instances_{train,val}2014.json; one scene of twenty has a crowd as well."""
    for side in ("train", "val"):
        scenes = scenes_of(world, side)
        crowds = [_crowd(one) for one in scenes if one.index % 20 == 7]
        write_json(folder / f"instances_{side}2014.json", _instances(world, scenes, crowds))


def write_karpathy(world: World, folder: Path) -> None:
    """Writes dataset_coco.json; val scenes are dealt to restval, val and test in turn."""
    images = []
    for imgid, one in enumerate(world.scenes):
        rows = _caption_rows(one)
        images.append(
            {
                "filepath": f"{split_of(world, one)}2014",
                "sentids": [row["id"] for row in rows],
                "filename": file_name(world, one),
                "imgid": imgid,
                "split": _karpathy_split(world, one),
                "sentences": [_karpathy_sentence(row, imgid) for row in rows],
                "cocoid": image_id(one.index),
            }
        )
    write_json(folder / "dataset_coco.json", {"images": images, "dataset": "coco"})


def write_lavis(world: World, folder: Path) -> None:
    """Writes coco_karpathy_{train,val,test}.json: train has a row per caption, val and test one per picture."""
    rows: dict[str, list[Json]] = {"train": [], "val": [], "test": []}
    for one in world.scenes:
        image = f"{split_of(world, one)}2014/{file_name(world, one)}"
        said, split = [row["caption"] for row in _caption_rows(one)], _karpathy_split(world, one)
        if split in ("train", "restval"):
            coco_id = f"coco_{image_id(one.index)}"
            rows["train"] += [{"caption": text, "image": image, "image_id": coco_id} for text in said]
        else:
            rows[split].append({"image": image, "caption": said})
    for split, listed in rows.items():
        write_json(folder / f"coco_karpathy_{split}.json", listed)


def write_refs(world: World, folder: Path, name: RefSource, split_by: str) -> None:
    """Writes <name>/refs(<split_by>).p, a pickled list of dicts, and <name>/instances.json beside it."""
    found = refs(scenes_of(world, "train"), name, world.held)
    firsts = accumulate((len(ref.sentences) for ref in found), initial=0)
    rows = [_ref_row(ref, ref_id, first, name) for ref_id, (ref, first) in enumerate(zip(found, firsts, strict=False))]
    scenes = list(dict.fromkeys(ref.scene for ref in found))
    write_json(folder / name / "instances.json", _instances(world, scenes, []))
    (folder / name / f"refs({split_by}).p").write_bytes(pickle.dumps(rows, protocol=2))


def write_mdetr(world: World, folder: Path) -> None:
    """Writes finetune_refcoco_{train,val,testA,testB}.json: COCO files with one image entry per sentence."""
    for split in ("train", *TENTHS["refcoco"]):
        said = _sentences(world, split)
        coco = {
            "info": {},
            "licenses": [],
            "images": [_mdetr_image(ref, text, number) for number, (ref, text) in enumerate(said)],
            "annotations": [_mdetr_box(ref, text, number) for number, (ref, text) in enumerate(said)],
            "categories": _categories(),
        }
        write_json(folder / f"finetune_refcoco_{split}.json", coco)


def write_flat(world: World, folder: Path) -> None:
    """Writes refcoco/refcoco_{val,testA,testB}.json: a flat list with one row per sentence, for evaluation."""
    for split in TENTHS["refcoco"]:
        rows = [
            {"img_id": _ref_name(ref, "refcoco"), "sents": text, "bbox": list(ref.shape.box), **_sides(ref.scene)}
            for ref, text in _sentences(world, split)
        ]
        write_json(folder / "refcoco" / f"refcoco_{split}.json", rows)


def _sentences(world: World, split: str) -> list[tuple[Ref, str]]:
    """RefCOCO's sentences of one split, in the pickle's order."""
    found = refs(scenes_of(world, "train"), "refcoco", world.held)
    return [(ref, text) for ref in found if ref.split == split for text in ref.sentences]


def _ref_row(ref: Ref, ref_id: int, first: int, name: RefSource) -> Json:
    """One entry of refs(*).p; its sentences are numbered from `first`."""
    said = list(enumerate(ref.sentences, first))
    return {
        "sent_ids": [number for number, _ in said],
        "file_name": f"{_ref_name(ref, name)}.jpg",  # no such file; REFER itself says to ignore it
        "ann_id": ref.ann_id,
        "ref_id": ref_id,
        "image_id": image_id(ref.scene.index),
        "split": ref.split,
        "sentences": [
            {"tokens": text.split(), "raw": as_typed(text, number), "sent_id": number, "sent": text}
            for number, text in said
        ],
        "category_id": CATEGORIES[ref.shape.kind],
    }


def _ref_name(ref: Ref, name: RefSource) -> str:
    number = ref.ann_id if name == "refcocog" else ref.number
    return f"COCO_train2014_{image_id(ref.scene.index):012d}_{number}"


def _mdetr_image(ref: Ref, text: str, number: int) -> Json:
    return {
        "file_name": f"COCO_train2014_{image_id(ref.scene.index):012d}.jpg",
        **_sides(ref.scene),
        "id": number,
        "original_id": image_id(ref.scene.index),
        "caption": text,
        "dataset_name": "refcoco",
        "tokens_negative": [[0, len(text)]],
    }


def _mdetr_box(ref: Ref, text: str, number: int) -> Json:
    row = {key: value for key, value in _object(ref.scene, ref.shape, number).items() if key != "segmentation"}
    named = text.index(ref.shape.kind) + len(ref.shape.kind)
    return {**row, "image_id": number, "original_id": ref.ann_id, "tokens_positive": [[0, named]]}


def _caption_rows(scene: Scene) -> list[Json]:
    """COCO caption annotations; one scene of sixteen has a caption that ends in a line break."""
    said = captions(scene)
    if scene.index % 16 == 5:
        said[0] += "\n"
    first, image = 5 * scene.index, image_id(scene.index)
    return [{"image_id": image, "id": number, "caption": text} for number, text in enumerate(said, first)]


def _karpathy_split(world: World, scene: Scene) -> str:
    if split_of(world, scene) == "train":
        return "train"
    return ("restval", "val", "test")[(scene.index - world.train) % 3]


def _karpathy_sentence(row: Json, imgid: int) -> Json:
    tokens = row["caption"].lower().replace(".", "").split()
    return {"tokens": tokens, "raw": row["caption"], "imgid": imgid, "sentid": row["id"]}


def _head(world: World, scenes: Sequence[Scene]) -> Json:
    """The part that all COCO files share: info, licenses, images."""
    licence = {"url": "http://creativecommons.org/publicdomain/zero/1.0/", "id": 1, "name": "CC0 1.0 Universal"}
    made = {"version": "1.0", "year": 2014, "contributor": "Boxcar", "date_created": "2014/01/01"}
    info = {"description": "Boxcar demo world", "url": HOST, **made}
    return {"info": info, "licenses": [licence], "images": [_image(world, one) for one in scenes]}


def _image(world: World, scene: Scene) -> Json:
    name = file_name(world, scene)
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"{HOST}/{split_of(world, scene)}2014/{name}",
        **_sides(scene),
        "date_captured": "2013-11-14 16:28:13",
        "flickr_url": f"{HOST}/{image_id(scene.index)}_z.jpg",
        "id": image_id(scene.index),
    }


def _sides(scene: Scene) -> Json:
    return {"height": scene.height, "width": scene.width}


def _instances(world: World, scenes: Sequence[Scene], crowds: list[Json]) -> Json:
    rows = [_object(one, shape, object_id(one.index, n)) for one in scenes for n, shape in enumerate(one.shapes)]
    return {**_head(world, scenes), "annotations": rows + crowds, "categories": _categories()}


def _categories() -> list[Json]:
    return [{"supercategory": "shape", "id": number, "name": kind} for kind, number in CATEGORIES.items()]


def _object(scene: Scene, shape: Shape, number: int) -> Json:
    """An instance annotation with its outline as the polygon."""
    return {
        "segmentation": [[round(value, 2) for corner in outline(shape) for value in corner]],
        "area": round(area(shape), 2),
        "iscrowd": 0,
        "image_id": image_id(scene.index),
        "bbox": list(shape.box),
        "category_id": CATEGORIES[shape.kind],
        "id": number,
    }


def _crowd(scene: Scene) -> Json:
    """A crowd annotation over the picture's middle, as uncompressed RLE: runs of 0 and 1 by turns, down the columns."""
    left, top, w, h = scene.width // 4, scene.height // 4, scene.width // 2, scene.height // 2
    before, between = left * scene.height + top, scene.height - h
    after = scene.width * scene.height - before - w * h - (w - 1) * between
    category, image = CATEGORIES[scene.shapes[0].kind], image_id(scene.index)
    return {
        "segmentation": {"counts": [before, *[h, between] * (w - 1), h, after], "size": [scene.height, scene.width]},
        "area": w * h,
        "iscrowd": 1,
        "image_id": image,
        "bbox": [left, top, w, h],
        "category_id": category,
        "id": 900_000_000_000 + 100_000_000 * category + image,
    }
