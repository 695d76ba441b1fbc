"""The world as the web-scale sources publish it: lists of links in their own layouts, to be fetched or read as is.

Every list has a link for each scene, ``<base_url>/<index>.jpg``, and one of its captions; CC3M's val has those of the
val side. What is odd in the published lists is odd in these: quotes that nobody closes, TABs, <PERSON>, scores that are
missing. Layouts: laion.ai, github.com/google-research-datasets, cs.rice.edu/~vo9/sbucaptions, and
github.com/salesforce/BLIP.
"""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo.phrases import captions
from pipelines.demo.publish import Json, Side, World, scenes_of, write_json
from pipelines.demo.world import Scene, seed_of

LAION_PART = "c5b2f9a4-0d1e-4c3a-9f57-6a1be0d7c210-c000.snappy.parquet"
_PART_ROWS = 500  # of one parquet of LAION's


def link(base_url: str, scene: Scene) -> str:
    """Where the scene's picture would be found on the web."""
    return f"{base_url}/{scene.index}.jpg"


def write_web(world: World, root: Path, base_url: str) -> None:
    """Writes laion/, cc3m/, cc12m/, sbu/ (both of its forms) and blip/ below root."""
    _write_laion(world.scenes, root / "laion", base_url)
    _write_cc3m(world, root / "cc3m", base_url)
    _write_lines(root / "cc12m" / "cc12m.tsv", (f"{link(base_url, one)}\t{_told(one)}" for one in world.scenes))
    _write_sbu(world.scenes, root / "sbu", base_url)
    for name in ("ccs", "laion"):
        objects = [{"url": link(base_url, one), "caption": said(one, 3)} for one in world.scenes]
        write_json(root / "blip" / f"{name}_synthetic_filtered_large.json", objects)


def laion_row(scene: Scene, base_url: str) -> Json:
    """What a joined list of LAION's says of the scene, LAION-COCO's caption too; some scores are missing."""
    rng = random.Random(seed_of("laion", scene.index))
    nsfw = rng.choices(("UNLIKELY", "UNSURE", "NSFW", None), (8, 1, 1, 1))[0]
    return {
        "SAMPLE_ID": seed_of("sample", scene.index) >> 1,
        "URL": link(base_url, scene),
        "TEXT": said(scene, 0),
        "HEIGHT": scene.height,
        "WIDTH": scene.width,
        "LICENSE": "CC-BY" if scene.index % 4 == 0 else "?",
        "NSFW": nsfw,
        "similarity": None if scene.index % 11 == 10 else round(rng.uniform(0.28, 0.42), 6),
        "hash": seed_of("hash", scene.index) >> 1,
        "punsafe": -1.0 if scene.index % 13 == 12 else round(rng.uniform(0, 1) ** 3, 6),
        "pwatermark": round(rng.uniform(0, 1), 6),
        "top_caption": said(scene, 2),
    }


def said(scene: Scene, number: int) -> str:
    """One of the scene's five captions."""
    return captions(scene)[number].strip()


def _told(scene: Scene) -> str:
    """A caption as a page may have it: with a name taken out, a quote that nobody closes, or a TAB."""
    ends = ("", " by <PERSON>", ' "', "\tPhoto")
    return said(scene, 2) + ends[scene.index % len(ends)]


def _write_laion(scenes: Sequence[Scene], folder: Path, base_url: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, first in enumerate(range(0, len(scenes), _PART_ROWS)):
        rows = [laion_row(one, base_url) for one in scenes[first : first + _PART_ROWS]]
        table = pa.Table.from_pylist(rows, _LAION)
        pq.write_table(table, folder / f"part-{part:05d}-{LAION_PART}", compression="snappy")


def _write_sbu(scenes: Sequence[Scene], folder: Path, base_url: str) -> None:
    urls, texts = [link(base_url, one) for one in scenes], [said(one, 4) for one in scenes]
    users = [f"{seed_of('user', one.index) % 10**8}@N0{one.index % 10}" for one in scenes]
    write_json(folder / "sbu-captions-all.json", {"image_urls": urls, "user_ids": users, "captions": texts})
    old = folder / "old" / "dataset"
    _write_lines(old / "SBU_captioned_photo_dataset_urls.txt", urls)
    _write_lines(old / "SBU_captioned_photo_dataset_captions.txt", texts)


def _write_cc3m(world: World, folder: Path, base_url: str) -> None:
    sides: dict[Side, str] = {"train": "Train_GCC-training", "val": "Validation_GCC-1.1.0-Validation"}
    for side, name in sides.items():
        lines = (f"{said(one, 1).lower()}\t{link(base_url, one)}" for one in scenes_of(world, side))
        _write_lines(folder / f"{name}.tsv", lines)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


_LAION = pa.schema(
    {
        "SAMPLE_ID": pa.int64(),
        "URL": pa.string(),
        "TEXT": pa.string(),
        "HEIGHT": pa.int64(),
        "WIDTH": pa.int64(),
        "LICENSE": pa.string(),
        "NSFW": pa.string(),
        "similarity": pa.float64(),
        "hash": pa.int64(),
        "punsafe": pa.float64(),
        "pwatermark": pa.float64(),
        "top_caption": pa.string(),
    }
)
