"""Synthetic annotation files in their published layouts and full sizes, for the benches: the same bytes every time.

Real files are not ours to hand out, and smaller ones would flatter whoever indexes slowly. Sizes are those published:
counts of pictures, rows and words; a polygon has as many points as COCO's have on average.
"""

import json
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_VOCABULARY = """
a man woman girl boy dog cat horse person people child on in at of with near behind the left right middle front back
red blue white black green brown yellow shirt hat jacket car bus bench table chair street grass field water tree
standing sitting riding holding wearing looking walking playing small large two three young old wooden open empty
"""
WORDS = _VOCABULARY.split()

# Pictures, regions, refs of RefCOCO; captions of COCO; pictures and regions of Visual Genome; pictures of Flickr30k.
REFCOCO = (19_994, 196_771, 50_000)
CAPTIONS = (118_287, 591_753)
GENOME = (108_077, 5_408_689)
FLICKR = 31_783


def _text(rng: random.Random, least: int, most: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(least, most)))


def _pictures(count: int) -> list[dict[str, Any]]:
    return [
        {
            "license": number % 8 + 1,
            "file_name": f"COCO_train2014_{number:012d}.jpg",
            "coco_url": f"http://mscoco.org/images/{number}",
            "height": 480,
            "width": 640,
            "date_captured": "2013-11-14 16:28:13",
            "flickr_url": f"http://farm4.staticflickr.com/3153/{number}_d1a2b3c4e5_z.jpg",
            "id": number,
        }
        for number in range(1, count + 1)
    ]


def _region(rng: random.Random, number: int, pictures: int) -> dict[str, Any]:
    x, y, w, h = (round(rng.uniform(*ends), 2) for ends in ((0, 430), (0, 300), (20, 200), (20, 170)))
    edge = [(rng.uniform(x, x + w), rng.uniform(y, y + h)) for _ in range(rng.randint(8, 40))]
    polygon = [round(value, 2) for point in edge for value in point]
    return {
        "segmentation": [polygon],
        "area": round(w * h * 0.6, 4),
        "iscrowd": 0,
        "image_id": number % pictures + 1,
        "bbox": [x, y, w, h],
        "category_id": rng.randint(1, 90),
        "id": 1_000_000 + number,
    }


def _ref(rng: random.Random, number: int, region: dict[str, Any], first: int) -> dict[str, Any]:
    sents = [_text(rng, 1, 6) for _ in range(rng.choice((2, 3, 3, 3, 3)))]
    sentences = [
        {"tokens": sent.split(), "raw": sent.upper(), "sent_id": first + place, "sent": sent}
        for place, sent in enumerate(sents)
    ]
    return {
        "sent_ids": [sentence["sent_id"] for sentence in sentences],
        "file_name": f"COCO_train2014_{region['image_id']:012d}_{number}.jpg",
        "ann_id": region["id"],
        "ref_id": number,
        "image_id": region["image_id"],
        "split": "train",
        "sentences": sentences,
        "category_id": region["category_id"],
    }


def refcoco(folder: Path, share: float) -> None:
    """refcoco/instances.json and refcoco/refs(unc).p, every ref of the train split."""
    rng = random.Random(0)
    pictures, regions, count = (int(number * share) for number in REFCOCO)
    annotations = [_region(rng, number, pictures) for number in range(regions)]
    refs: list[dict[str, Any]] = []
    said = 0
    for number in range(count):
        refs.append(_ref(rng, number, annotations[number * 3], said))
        said += len(refs[-1]["sentences"])
    categories = [{"supercategory": "thing", "id": id, "name": f"kind {id}"} for id in range(1, 91)]
    head = {"info": {}, "images": _pictures(pictures), "licenses": [], "annotations": annotations}
    (folder / "refcoco").mkdir()
    (folder / "refcoco/instances.json").write_text(json.dumps({**head, "categories": categories}))
    # Protocol 0 with byte strings is what Python 2's default wrote; protocol 2 is what can be written here.
    (folder / "refcoco/refs(unc).p").write_bytes(pickle.dumps(refs, 2))


def captions(folder: Path, share: float) -> None:
    """captions_train2017.json."""
    rng = random.Random(1)
    pictures, count = (int(number * share) for number in CAPTIONS)
    said = [
        {"image_id": number % pictures + 1, "id": number, "caption": _text(rng, 8, 14).capitalize() + "."}
        for number in range(count)
    ]
    file = {"info": {}, "licenses": [], "images": _pictures(pictures), "annotations": said}
    (folder / "captions_train2017.json").write_text(json.dumps(file))


def genome(folder: Path, share: float) -> None:
    """region_descriptions.json and image_data.json of Visual Genome 1.2."""
    rng = random.Random(2)
    pictures, count = (int(number * share) for number in GENOME)
    each = count // pictures
    with (folder / "region_descriptions.json").open("w") as file:
        for image in range(1, pictures + 1):
            regions = [_described(rng, image, image * each + place) for place in range(each)]
            file.write(("[" if image == 1 else ", ") + json.dumps({"regions": regions, "id": image}))
        file.write("]")
    data = [
        {
            "width": 800,
            "url": f"https://cs.stanford.edu/people/rak248/VG_100K_2/{image}.jpg",
            "height": 600,
            "image_id": image,
            "coco_id": None,
            "flickr_id": None,
        }
        for image in range(1, pictures + 1)
    ]
    (folder / "image_data.json").write_text(json.dumps(data))


def _described(rng: random.Random, image: int, region: int) -> dict[str, Any]:
    phrase, width, height = _text(rng, 2, 9), rng.randint(10, 400), rng.randint(10, 300)
    at = {"phrase": phrase, "y": rng.randint(0, 299), "x": rng.randint(0, 399)}
    return {"region_id": region, "width": width, "height": height, "image_id": image, **at}


def flickr(folder: Path, share: float) -> None:
    """annotations.zip with Annotations/<id>.xml and Sentences/<id>.txt, and train.txt."""
    rng = random.Random(3)
    ids = [str(1_000_000_000 + number) for number in range(int(FLICKR * share))]
    (folder / "train.txt").write_text("".join(f"{id}\n" for id in ids))
    (folder / "UNRELATED_CAPTIONS").write_text("# format: <imageID> <sentence number>")
    with zipfile.ZipFile(folder / "annotations.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for number, id in enumerate(ids):
            chains = range(number * 10 + 1, number * 10 + 10)
            file.writestr(f"Annotations/{id}.xml", "".join(_annotation(rng, id, list(chains))))
            file.writestr(f"Sentences/{id}.txt", "".join(_sentence(rng, list(chains)) for _ in range(5)))


def _annotation(rng: random.Random, id: str, chains: list[int]) -> Iterator[str]:
    size = "<width>500</width>\n\t\t<height>375</height>\n\t\t<depth>3</depth>"
    yield f"<annotation>\n\t<filename>{id}.jpg</filename>\n\t<size>\n\t\t{size}\n\t</size>\n"
    for chain in [*chains[:7], chains[0], chains[1]]:
        x, y = rng.randint(1, 300), rng.randint(1, 200)
        ends = {"xmin": x, "ymin": y, "xmax": x + rng.randint(20, 199), "ymax": y + rng.randint(20, 174)}
        sides = "".join(f"\t\t\t<{name}>{value}</{name}>\n" for name, value in ends.items())
        yield f"\t<object>\n\t\t<name>{chain}</name>\n\t\t<bndbox>\n{sides}\t\t</bndbox>\n\t</object>\n"
    for chain, scene in ((chains[7], 1), (chains[8], 0)):
        flags = f"\t\t<scene>{scene}</scene>\n\t\t<nobndbox>{1 - scene}</nobndbox>\n"
        yield f"\t<object>\n\t\t<name>{chain}</name>\n{flags}\t</object>\n"
    yield "</annotation>"


def _sentence(rng: random.Random, chains: list[int]) -> str:
    phrases = [f"[/EN#{chain}/people {_text(rng, 1, 4)}]" for chain in rng.sample(chains, k=rng.choice((3, 3, 4, 4)))]
    return " ".join(f"{phrase} {_text(rng, 1, 3)}" for phrase in phrases) + " .\n"


WRITERS: dict[str, Callable[[Path, float], None]] = {
    "refcoco": refcoco,
    "captions": captions,
    "genome": genome,
    "flickr": flickr,
}
