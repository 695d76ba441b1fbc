import hashlib
import io
import json
import pickle
import pickletools
import zipfile
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.demo.coco import CATEGORIES
from pipelines.demo.phrases import matches
from pipelines.demo.publish import World, file_name, split_of, world
from pipelines.demo.sources import write_world
from pipelines.demo.world import Scene, image_id

IMAGES = 60
LISTS = (".txt", "UNRELATED_CAPTIONS", "data.json")  # too short to differ between any two worlds
REFS = {"refcoco": "refs(unc).p", "refcoco+": "refs(unc).p", "refcocog": "refs(umd).p"}


@pytest.fixture(scope="module")
def told() -> World:
    return world(IMAGES, seed=1)


@pytest.fixture(scope="module")
def root(told: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(told, folder)
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_refs(root: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pickle.loads((root / "refer" / name / REFS[name]).read_bytes())
    return rows


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def scenes_by_id(told: World) -> dict[int, Scene]:
    return {image_id(one.index): one for one in told.scenes}


def test_equal_arguments_write_equal_bytes(root: Path, tmp_path: Path) -> None:
    write_world(world(IMAGES, seed=1), tmp_path)
    assert digests(tmp_path) == digests(root)


def test_another_seed_writes_the_same_files_with_other_bytes(root: Path, tmp_path: Path) -> None:
    write_world(world(IMAGES, seed=2), tmp_path)
    ours, theirs = digests(root), digests(tmp_path)
    covers = ours.keys() ^ theirs.keys()
    assert all(name.startswith("ocrvqa/images/") for name in covers)  # named by what is drawn on them
    same = {name for name in ours if ours[name] == theirs.get(name) and (root / name).stat().st_size}
    assert {name.split("/")[0] for name in same if not name.endswith(LISTS)} <= {"unnatural"}


def test_the_first_four_fifths_are_train(told: World) -> None:
    assert [split_of(told, one) for one in told.scenes] == ["train"] * 48 + ["val"] * 12


def test_train_pictures_are_files_and_val_pictures_are_in_a_zip(told: World, root: Path) -> None:
    train = {file_name(told, one) for one in told.scenes[:48]}
    assert {path.name for path in (root / "coco" / "train2014").iterdir()} == train
    with zipfile.ZipFile(root / "coco" / "val2014.zip") as archive:
        assert set(archive.namelist()) == {f"val2014/{file_name(told, one)}" for one in told.scenes[48:]}
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        for member in archive.namelist():
            assert Image.open(io.BytesIO(archive.read(member))).format == "JPEG"


@pytest.mark.parametrize("content", ["captions", "instances"])
def test_coco_files_state_the_size_of_the_picture(root: Path, content: str) -> None:
    coco = read(root / "coco" / "annotations" / f"{content}_train2014.json")
    keys = {"license", "file_name", "coco_url", "height", "width", "date_captured", "flickr_url", "id"}
    for row in coco["images"]:
        with Image.open(root / "coco" / "train2014" / row["file_name"]) as image:
            assert image.size == (row["width"], row["height"])
        assert row.keys() == keys
        assert row["file_name"] == f"COCO_train2014_{row['id']:012d}.jpg"


@pytest.mark.parametrize("side", ["train", "val"])
def test_every_picture_has_five_captions_and_they_are_scattered(root: Path, side: str) -> None:
    coco = read(root / "coco" / "annotations" / f"captions_{side}2014.json")
    images = [row["image_id"] for row in coco["annotations"]]
    assert Counter(images) == {row["id"]: 5 for row in coco["images"]}
    assert len(list(groupby(images))) > len(coco["images"]) * 2


def test_some_captions_end_in_a_blank_or_a_line_break(root: Path) -> None:
    coco = read(root / "coco" / "annotations" / "captions_train2014.json")
    ends = Counter(row["caption"][-1] for row in coco["annotations"])
    assert ends[" "] > 0
    assert ends["\n"] > 0


@pytest.mark.parametrize("side", ["train", "val"])
def test_instances_hold_every_shape_with_its_box_and_polygon(told: World, root: Path, side: str) -> None:
    coco = read(root / "coco" / "annotations" / f"instances_{side}2014.json")
    objects = [row for row in coco["annotations"] if not row["iscrowd"]]
    scenes = [one for one in told.scenes if split_of(told, one) == side]
    boxes = {(image_id(one.index), *shape.box, CATEGORIES[shape.kind]) for one in scenes for shape in one.shapes}
    assert {(row["image_id"], *row["bbox"], row["category_id"]) for row in objects} == boxes
    for row in objects:
        [polygon] = row["segmentation"]
        xs, ys, (x, y, w, h) = polygon[::2], polygon[1::2], row["bbox"]
        assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((x, y, x + w, y + h), abs=1)
        assert 0 < row["area"] <= w * h


def test_annotation_ids_are_distinct_over_train_and_val(root: Path) -> None:
    files = [read(root / "coco" / "annotations" / f"instances_{side}2014.json") for side in ("train", "val")]
    ids = [row["id"] for coco in files for row in coco["annotations"]]
    assert len(ids) == len(set(ids))


def test_a_crowd_is_a_run_length_mask_down_the_columns(root: Path) -> None:
    coco = read(root / "coco" / "annotations" / "instances_train2014.json")
    crowds = [row for row in coco["annotations"] if row["iscrowd"]]
    assert len(crowds) == 3
    for row in crowds:
        (height, width), counts = row["segmentation"]["size"], row["segmentation"]["counts"]
        mask = [value for place, run in enumerate(counts) for value in [place % 2] * run]
        inside = [divmod(place, height) for place, value in enumerate(mask) if value]
        xs, ys = [x for x, _ in inside], [y for _, y in inside]
        assert len(mask) == height * width
        assert row["bbox"] == [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1]
        assert row["area"] == len(inside) == row["bbox"][2] * row["bbox"][3]


def test_categories_are_the_four_kinds(root: Path) -> None:
    coco = read(root / "coco" / "annotations" / "instances_val2014.json")
    assert {row["name"]: row["id"] for row in coco["categories"]} == CATEGORIES
    assert {row["supercategory"] for row in coco["categories"]} == {"shape"}


def test_karpathy_deals_the_val_pictures_to_three_splits(root: Path) -> None:
    karpathy = read(root / "karpathy" / "dataset_coco.json")
    assert karpathy["dataset"] == "coco"
    places = Counter((row["split"], row["filepath"]) for row in karpathy["images"])
    assert places[("train", "train2014")] == 48
    assert {key: places[(key, "val2014")] for key in ("restval", "val", "test")} == {"restval": 4, "val": 4, "test": 4}


def test_karpathy_and_coco_hold_the_same_captions(root: Path) -> None:
    files = [read(root / "coco" / "annotations" / f"captions_{side}2014.json") for side in ("train", "val")]
    coco = {row["id"]: (row["image_id"], row["caption"]) for one in files for row in one["annotations"]}
    images = read(root / "karpathy" / "dataset_coco.json")["images"]
    assert coco == {said["sentid"]: (row["cocoid"], said["raw"]) for row in images for said in row["sentences"]}
    assert all(row["sentids"] == [said["sentid"] for said in row["sentences"]] for row in images)
    assert all(token.isalpha() for row in images for said in row["sentences"] for token in said["tokens"])


def test_lavis_rows_are_those_of_karpathy(root: Path) -> None:
    rows = {split: read(root / "lavis" / f"coco_karpathy_{split}.json") for split in ("train", "val", "test")}
    expected: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for row in read(root / "karpathy" / "dataset_coco.json")["images"]:
        image, said = f"{row['filepath']}/{row['filename']}", [one["raw"] for one in row["sentences"]]
        if row["split"] in ("val", "test"):
            expected[row["split"]].append({"image": image, "caption": said})
        else:
            name = f"coco_{row['cocoid']}"
            expected["train"] += [{"caption": text, "image": image, "image_id": name} for text in said]
    assert rows == expected


@pytest.mark.parametrize("name", REFS)
def test_a_pickle_needs_nothing_but_builtin_containers(root: Path, name: str) -> None:
    pickled = (root / "refer" / name / REFS[name]).read_bytes()
    codes = {code.name for code, _, _ in pickletools.genops(pickled)}
    assert pickled[:2] == b"\x80\x02"
    assert not codes & {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "REDUCE", "BUILD"}


@pytest.mark.parametrize("name", REFS)
def test_a_ref_joins_its_object_and_its_object_joins_coco(root: Path, name: str) -> None:
    coco = {row["id"]: row for row in read(root / "coco" / "annotations" / "instances_train2014.json")["annotations"]}
    instances = read(root / "refer" / name / "instances.json")
    objects = {row["id"]: row for row in instances["annotations"]}
    assert all(coco[number] == row for number, row in objects.items())
    images = {row["id"] for row in instances["images"]}
    for ref in read_refs(root, name):
        row = objects[ref["ann_id"]]
        assert (row["image_id"], row["category_id"]) == (ref["image_id"], ref["category_id"])
        assert ref["image_id"] in images
        assert not (root / "coco" / "train2014" / ref["file_name"]).exists()


@pytest.mark.parametrize("name", REFS)
def test_a_ref_has_the_published_fields(root: Path, name: str) -> None:
    fields = {"sent_ids", "file_name", "ann_id", "ref_id", "image_id", "split", "sentences", "category_id"}
    rows = read_refs(root, name)
    assert [row["ref_id"] for row in rows] == list(range(len(rows)))
    assert [number for row in rows for number in row["sent_ids"]] == list(range(sum(len(r["sentences"]) for r in rows)))
    for row in rows:
        assert row.keys() == fields
        assert row["sent_ids"] == [said["sent_id"] for said in row["sentences"]]
        assert row["file_name"].startswith(f"COCO_train2014_{row['image_id']:012d}_")
        for said in row["sentences"]:
            assert said.keys() == {"tokens", "raw", "sent_id", "sent"}
            assert said["tokens"] == said["sent"].split()
            assert said["raw"] != said["sent"]


@pytest.mark.parametrize("name", REFS)
def test_a_sentence_is_true_of_its_object_alone(told: World, root: Path, name: str) -> None:
    objects = {row["id"]: row for row in read(root / "refer" / name / "instances.json")["annotations"]}
    scenes = scenes_by_id(told)
    for ref in read_refs(root, name):
        for said in ref["sentences"]:
            [shape] = matches(scenes[ref["image_id"]], said["sent"])
            assert list(shape.box) == objects[ref["ann_id"]]["bbox"]


@pytest.mark.parametrize("name", REFS)
def test_splits_are_disjoint_in_pictures(root: Path, name: str) -> None:
    pairs = {(row["image_id"], row["split"]) for row in read_refs(root, name)}
    wanted = {"train", "val", "test"} if name == "refcocog" else {"train", "val", "testA", "testB"}
    assert {split for _, split in pairs} == wanted
    assert len({image for image, _ in pairs}) == len(pairs)


def test_the_suffix_of_a_refcocog_name_is_the_annotation(root: Path) -> None:
    assert all(row["file_name"].endswith(f"_{row['ann_id']}.jpg") for row in read_refs(root, "refcocog"))


def pickled_sentences(root: Path, split: str) -> list[tuple[int, str, list[float]]]:
    objects = {row["id"]: row["bbox"] for row in read(root / "refer" / "refcoco" / "instances.json")["annotations"]}
    refs = [row for row in read_refs(root, "refcoco") if row["split"] == split]
    return [(row["image_id"], said["sent"], objects[row["ann_id"]]) for row in refs for said in row["sentences"]]


@pytest.mark.parametrize("split", ["train", "val", "testA", "testB"])
def test_mdetr_has_one_picture_and_one_box_for_each_sentence(root: Path, split: str) -> None:
    coco = read(root / "mdetr" / f"finetune_refcoco_{split}.json")
    boxes = {row["image_id"]: row for row in coco["annotations"]}
    assert len(boxes) == len(coco["annotations"]) == len(coco["images"])
    said = [(row["original_id"], row["caption"], boxes[row["id"]]["bbox"]) for row in coco["images"]]
    assert said == pickled_sentences(root, split)
    for row in coco["images"]:
        start, end = boxes[row["id"]]["tokens_positive"][0]
        assert row["caption"][start:end].split()[-1] in CATEGORIES
        assert row["tokens_negative"] == [[0, len(row["caption"])]]
        assert (root / "coco" / "train2014" / row["file_name"]).exists()


@pytest.mark.parametrize("split", ["val", "testA", "testB"])
def test_flat_rows_hold_the_same_sentences_and_boxes(told: World, root: Path, split: str) -> None:
    rows = read(root / "flat" / "refcoco" / f"refcoco_{split}.json")
    images = [int(row["img_id"].split("_")[2]) for row in rows]
    said = [(image, row["sents"], row["bbox"]) for image, row in zip(images, rows, strict=True)]
    assert said == pickled_sentences(root, split)
    scenes = scenes_by_id(told)
    sizes = [(scenes[image].height, scenes[image].width) for image in images]
    assert [(row["height"], row["width"]) for row in rows] == sizes
    names = {row["file_name"].removesuffix(".jpg") for row in read_refs(root, "refcoco")}
    assert {row["img_id"] for row in rows} <= names
