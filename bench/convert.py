"""COCO captions and instances to validated, serialised records, against pycocotools' loading of the same file.

    python bench/convert.py [--images N] [--rounds N]

Both sides read one synthetic file of COCO's schema (5 captions and 7 regions with polygons a picture), in turn, in one
process; printed are the ratios of CPU time, peer over ours, so above 1 ours is faster though it does more.
"""

import argparse
import contextlib
import io
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from pycocotools.coco import COCO

from pipelines.convert import convert, job
from schemas.prompt import Wording

SOURCES = {"coco_caption": "captions_train2017.json", "coco_instances": "instances_train2017.json"}


def write_files(folder: Path, images: int) -> None:
    """captions_train2017.json and instances_train2017.json for that many pictures."""
    rng = random.Random(0)
    pictures = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 640, "height": 480} for i in range(1, images + 1)]
    captions, regions = [], []
    for picture in pictures:
        for _ in range(5):
            text = "a person on a street beside a parked car and a tree"
            captions.append({"image_id": picture["id"], "id": len(captions), "caption": text})
        for _ in range(7):
            regions.append(_region(rng, picture["id"], len(regions)))
    categories = [{"id": i, "name": f"kind {i}"} for i in range(1, 91)]
    head = {"info": {}, "licenses": [], "images": pictures}
    (folder / "captions_train2017.json").write_text(json.dumps({**head, "annotations": captions}))
    instances = {**head, "annotations": regions, "categories": categories}
    (folder / "instances_train2017.json").write_text(json.dumps(instances))


def _region(rng: random.Random, image: int, id: int) -> dict[str, object]:
    x, y, w, h = rng.randrange(400), rng.randrange(300), rng.randrange(20, 200), rng.randrange(20, 150)
    edge = [(x + w * t / 8, y) for t in range(9)] + [(x + w * t / 8, y + h) for t in range(8, -1, -1)]
    polygon = [round(value, 2) for point in edge for value in point]
    category = rng.randrange(1, 91)
    rest = {"area": w * h, "iscrowd": 0, "segmentation": [polygon], "bbox": [x, y, w, h]}
    return {"id": id, "image_id": image, "category_id": category, **rest}


def ours(folder: Path, source: str) -> None:
    """Records as JSON lines, in memory."""
    convert(job(source, str(folder), "train"), io.BytesIO(), Wording())


def peer(path: Path) -> None:
    """pycocotools' load and index."""
    with contextlib.redirect_stdout(io.StringIO()):
        COCO(str(path))


def cpu(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"pycocotools {version('pycocotools')}, {arguments.images:,} pictures, {arguments.rounds} rounds in turn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, arguments.images)
        for source, file in SOURCES.items():
            pairs = [
                (cpu(lambda s=source: ours(folder, s)), cpu(lambda f=file: peer(folder / f)))  # type: ignore[misc]
                for _ in range(arguments.rounds)
            ]
            ratios = sorted(theirs / mine for mine, theirs in pairs)
            spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
            print(f"{source}: pycocotools load / our records: {statistics.median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
