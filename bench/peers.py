"""The peers: how people turn the same files into records today, as plain scripts on top of the datasets' own APIs.

``Refer`` does what github.com/lichengunc/refer does (the pickle, json.load and its twelve index dicts); ``sentences``
and ``annotations`` are what the Python utilities of github.com/BryanPlummer/flickr30k_entities do, word by word and tag
by tag; captions are read by pycocotools itself. What follows is a script's: a random template, 0-100 tokens, dicts with
the same question, answer and boxes, json.dumps. Nothing is validated, and nothing that cannot be used is counted.
"""

import contextlib
import io
import json
import pickle
import random
import tempfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import IO, Any

REFER = ("{}", "give me the location of {}", "where is {}?", "find {} in the picture", "point out {}", "locate {}")
IDENTIFY = ("{}", "what is in {}?", "what does the region {} show?", "name the thing at {}", "describe what is in {}")
CAPTION = (
    "describe the image in one sentence",
    "give a short caption for this picture",
    "what does this picture show?",
)
GROUNDING = ("describe the image in detail", "tell what is in the picture and where it is")

Dict = dict[Any, Any]


def tokens(bbox: list[float], width: int, height: int) -> str:
    x, y, w, h = bbox
    corners = x / width, y / height, (x + w) / width, (y + h) / height
    x1, y1, x2, y2 = (round(corner * 100) for corner in corners)
    return f"{{<{x1}><{y1}><{x2}><{y2}>}}"


def record(id: str, task: str, image: Dict, question: str, answer: str, boxes: list[Any]) -> Dict:
    return {
        "id": id,
        "task": task,
        "image": {"file_name": image["file_name"], "width": image["width"], "height": image["height"]},
        "messages": [
            {"role": "user", "content": f"[{task}] {question}"},
            {"role": "assistant", "content": answer},
        ],
        "boxes": boxes,
    }


class Refer:
    """The refs, the instances, and the index that the API builds of them."""

    def __init__(self, folder: Path) -> None:
        with (folder / "refs(unc).p").open("rb") as file:
            self.refs = pickle.load(file)
        with (folder / "instances.json").open() as text:
            self.instances = json.load(text)
        self.index()

    def index(self) -> None:
        """The twelve dicts, under the API's names."""
        self.Anns, self.Imgs, self.Cats, self.imgToAnns = {}, {}, {}, {}  # type: Dict, Dict, Dict, Dict
        for ann in self.instances["annotations"]:
            self.Anns[ann["id"]] = ann
            self.imgToAnns[ann["image_id"]] = [*self.imgToAnns.get(ann["image_id"], []), ann]
        for img in self.instances["images"]:
            self.Imgs[img["id"]] = img
        for cat in self.instances["categories"]:
            self.Cats[cat["id"]] = cat["name"]
        self.Refs, self.imgToRefs, self.refToAnn, self.annToRef = {}, {}, {}, {}  # type: Dict, Dict, Dict, Dict
        self.catToRefs, self.Sents, self.sentToRef, self.sentToTokens = {}, {}, {}, {}  # type: Dict, Dict, Dict, Dict
        for ref in self.refs:
            self.Refs[ref["ref_id"]] = ref
            self.imgToRefs[ref["image_id"]] = [*self.imgToRefs.get(ref["image_id"], []), ref]
            self.catToRefs[ref["category_id"]] = [*self.catToRefs.get(ref["category_id"], []), ref]
            self.refToAnn[ref["ref_id"]] = self.Anns[ref["ann_id"]]
            self.annToRef[ref["ann_id"]] = ref
            for sent in ref["sentences"]:
                self.Sents[sent["sent_id"]] = sent
                self.sentToRef[sent["sent_id"]] = ref
                self.sentToTokens[sent["sent_id"]] = sent["tokens"]


def refcoco(folder: Path, out: IO[str]) -> int:
    refer, written = Refer(folder / "refcoco"), 0
    for id in [ref["ref_id"] for ref in refer.refs if ref["split"] == "train"]:
        ref, bbox = refer.Refs[id], refer.refToAnn[id]["bbox"]
        image = refer.Imgs[ref["image_id"]]
        for sent in ref["sentences"]:
            box, phrase, key = tokens(bbox, image["width"], image["height"]), sent["sent"], f"{id}-{sent['sent_id']}"
            for task, question, answer in (
                ("refer", random.choice(REFER).format(phrase), box),
                ("identify", random.choice(IDENTIFY).format(box), phrase),
            ):
                out.write(json.dumps(record(key, task, image, question, answer, [bbox])) + "\n")
                written += 1
    return written


def captions(folder: Path, out: IO[str]) -> int:
    from pycocotools.coco import COCO

    written = 0
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "captions_train2017.json"))
    for id in coco.getImgIds():
        (image,) = coco.loadImgs(id)
        for ann in coco.loadAnns(coco.getAnnIds(imgIds=id)):
            made = record(str(ann["id"]), "caption", image, random.choice(CAPTION), ann["caption"].strip(), [])
            out.write(json.dumps(made) + "\n")
            written += 1
    return written


def genome(folder: Path, out: IO[str]) -> int:
    with (folder / "image_data.json").open() as file:
        images = {image["image_id"]: image for image in json.load(file)}
    with (folder / "region_descriptions.json").open() as file:
        described = json.load(file)
    written = 0
    for entry in described:
        known = images[entry["id"]]
        image = {
            "file_name": "/".join(known["url"].split("/")[-2:]),
            "width": known["width"],
            "height": known["height"],
        }
        for region in entry["regions"]:
            bbox = [region["x"], region["y"], region["width"], region["height"]]
            box, phrase = tokens(bbox, image["width"], image["height"]), region["phrase"].strip()
            for task, question, answer in (
                ("refer", random.choice(REFER).format(phrase), box),
                ("identify", random.choice(IDENTIFY).format(box), phrase),
            ):
                made = record(str(region["region_id"]), task, image, question, answer, [bbox])
                out.write(json.dumps(made) + "\n")
                written += 1
    return written


def sentences(path: Path) -> list[Dict]:
    with path.open() as file:
        lines = file.read().split("\n")
    said = []
    for line in lines:
        if not line:
            continue
        words: list[str] = []
        current: list[str] = []
        first, phrases, ids, kinds = [], [], [], []
        within = False
        for token in line.split():
            if within:
                if token[-1] == "]":
                    within = False
                    token = token[:-1]
                    current.append(token)
                    phrases.append(" ".join(current))
                    current = []
                else:
                    current.append(token)
                words.append(token)
            elif token[0] == "[":
                within = True
                first.append(len(words))
                parts = token.split("/")
                ids.append(parts[1][3:])
                kinds.append(parts[2:])
            else:
                words.append(token)
        named = [
            {"first_word_index": index, "phrase": phrase, "phrase_id": id, "phrase_type": kind}
            for index, phrase, id, kind in zip(first, phrases, ids, kinds, strict=False)
        ]
        said.append({"sentence": " ".join(words), "phrases": named})
    return said


def annotations(path: Path) -> Dict:
    root = ET.parse(path).getroot()
    info: Dict = {"boxes": {}, "scene": [], "nobox": []}
    for side in root.findall("size")[0]:
        info[side.tag] = int(side.text or 0)
    for thing in root.findall("object"):
        # The published function takes the first name alone; the scripts that ground captions need every one.
        for name in thing.findall("name"):
            id, box = name.text, thing.findall("bndbox")
            if len(box) > 0:
                ends = [int(box[0].findall(end)[0].text or 0) - 1 for end in ("xmin", "ymin", "xmax", "ymax")]
                info["boxes"].setdefault(id, []).append(ends)
            else:
                if int(thing.findall("nobndbox")[0].text or 0) > 0:
                    info["nobox"].append(id)
                if int(thing.findall("scene")[0].text or 0) > 0:
                    info["scene"].append(id)
    return info


def flickr(folder: Path, out: IO[str]) -> int:
    written = 0
    ids = (folder / "train.txt").read_text().split()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        with zipfile.ZipFile(folder / "annotations.zip") as file:
            file.extractall(name)
        for id in ids:
            info = annotations(Path(name, "Annotations", f"{id}.xml"))
            image = {"file_name": f"{id}.jpg", "width": info["width"], "height": info["height"]}
            for place, said in enumerate(sentences(Path(name, "Sentences", f"{id}.txt"))):
                answer, boxes = grounded(said, info)
                made = record(f"{id}-{place}", "grounding", image, random.choice(GROUNDING), answer, boxes)
                out.write(json.dumps(made) + "\n")
                written += 1
    return written


def grounded(said: Dict, info: Dict) -> tuple[str, list[Any]]:
    words, boxes, end, pieces = said["sentence"].split(" "), [], 0, []
    for phrase in said["phrases"]:
        start, found = phrase["first_word_index"], info["boxes"].get(phrase["phrase_id"])
        length = len(phrase["phrase"].split(" "))
        if not found:
            continue
        pieces += words[end:start]
        drawn = [tokens([x1, y1, x2 - x1, y2 - y1], info["width"], info["height"]) for x1, y1, x2, y2 in found]
        pieces.append(f"<p>{phrase['phrase']}</p> {'<delim>'.join(drawn)}")
        boxes += found
        end = start + length
    return " ".join(pieces + words[end:]), boxes


PEERS = {"refcoco": refcoco, "captions": captions, "genome": genome, "flickr": flickr}
