"""From published lists of links, of which some are gone or no picture, to pools that are whole."""

import io
from pathlib import Path

import pytest
from PIL import Image

from pipelines.demo.draw import jpeg
from pipelines.demo.grit import grit_row, write_grit
from pipelines.demo.publish import world
from pipelines.demo.server import misbehaving
from pipelines.demo.web import write_web
from pipelines.demo.world import Scene, Shape
from pipelines.draw import samples
from pipelines.fetch.client import Limits
from pipelines.fetch.run import Order, fetch
from pipelines.shard import shard
from pipelines.verify import verify
from schemas.box import Box
from schemas.ledger import Tally
from schemas.pool import pool_config

LIMITS = Limits(per_host=32, allow_hosts=frozenset({"127.0.0.1"}))
GONE, PAGE, CUT = 3, 5, 8  # scenes whose links are amiss
TASKS = {"laion": ["caption"], "cc3m": ["caption"], "sbu": ["caption"], "grit": ["grounding", "identify", "refer"]}


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what was fetched of each source."""
    root, made = tmp_path_factory.mktemp("web"), world(40, 0)
    files = {f"{one.index}.jpg": jpeg(one, 0) for one in made.scenes if one.index != GONE}
    files |= {f"{PAGE}.jpg": b"<!DOCTYPE html><p>gone</p>", f"{CUT}.jpg": files[f"{CUT}.jpg"][:3000]}
    with misbehaving(files) as server:
        base = server.url("").rstrip("/")
        write_web(made, root, base)
        write_grit(made, root, base)
        for name in TASKS:
            form = "links" if name == "sbu" else "auto"
            fetch(Order(name, str(root / name), "train", form, image_size=128, limits=LIMITS), f"{root}/fetched/{name}")
    return root / "fetched"


def lost(tally: Tally) -> dict[str, int]:
    return {count.name: count.count for count in (*tally.rejected, *tally.filtered) if count.name.startswith("failed")}


@pytest.mark.parametrize("name", TASKS)
def test_what_was_fetched_of_a_list_becomes_a_whole_pool(fetched: Path, tmp_path: Path, name: str) -> None:
    entry = {"name": name, "root": str(fetched / name), "splits": ["train"]}
    built = shard(pool_config({"pool": "web", "collections": {}, "sources": [entry]}, "test"), str(tmp_path / "pool"))
    tallies = built.manifest.ledger
    assert [tally.task for tally in tallies] == TASKS[name] and all(tally.written > 20 for tally in tallies)
    one = next(tally for tally in tallies if tally.task in ("caption", "grounding"))
    assert lost(one) == {"failed to download": 1, "failed to resize": 2}
    seen = verify(str(tmp_path / "pool"))
    assert not seen.problems and seen.samples == one.written


def test_boxes_of_pictures_that_were_shrunk_are_around_the_same_things(fetched: Path, tmp_path: Path) -> None:
    entry = {"name": "grit", "root": str(fetched / "grit"), "splits": ["train"], "tasks": ["refer"]}
    shard(pool_config({"pool": "web", "collections": {}, "sources": [entry]}, "test"), str(tmp_path / "pool"))
    scenes = {f"coyo/{grit_row(one, 'http://a.example')['id']}": one for one in world(40, 0).scenes}
    found = 0
    for sample, picture in samples(str(tmp_path / "pool")):
        assert picture and sample.image and min(Image.open(io.BytesIO(picture)).size) == 128
        scene = scenes[sample.image.id]
        for box in (box for record in sample.records for box in record.boxes):
            assert any(near(box, scene, shape) for shape in scene.shapes)
            found += 1
    assert found > 40


def near(box: Box, scene: Scene, shape: Shape) -> bool:
    x, y, w, h = shape.box
    meant = x / scene.width, y / scene.height, (x + w) / scene.width, (y + h) / scene.height
    return all(abs(one - other) < 0.002 for one, other in zip(meant, box, strict=True))
