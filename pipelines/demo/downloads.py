"""What img2dataset would have left of the world's links, without any network: tars or folders, and a table beside each.

As it writes them: a member's order is that in which downloads ended, its time has a fraction and so a PAX header, its
table has failures too, and the statistics come last. The last slice is one that was broken off: a tar that is cut short
with nothing beside it. Source: github.com/rom1504/img2dataset, writer.py and downloader.py.
"""

import hashlib
import io
import json
import random
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.demo.draw import jpeg
from pipelines.demo.publish import Json, World, write_json
from pipelines.demo.web import laion_row, link, said
from pipelines.demo.world import seed_of

ROWS = 50  # of a slice; img2dataset's default is 10,000
BEGAN = 1_700_000_000.25  # seconds since 1970
_FAILURES = {3: ("failed_to_download", "HTTP Error 404: Not Found"), 17: ("failed_to_resize", "Image decoding error")}
_RENAMED = {"URL": "url", "TEXT": "caption"}

Picture = Callable[[int], bytes]  # of the row of that number


def write_downloads(world: World, root: Path, base_url: str = "http://pictures.example.org") -> None:
    """Writes downloads/laion and downloads/cc3m in tars, downloads/sbu in folders, below root."""
    links = [link(base_url, one) for one in world.scenes]
    folder, drawn = root / "downloads", lambda number: jpeg(world.scenes[number], world.seed)
    laion = [
        {_RENAMED.get(name, name): value for name, value in laion_row(one, base_url).items()} for one in world.scenes
    ]
    write_slices(folder / "laion", laion, drawn)
    for name, place, in_folders in (("cc3m", 1, False), ("sbu", 4, True)):
        rows = [{"url": url, "caption": said(one, place)} for url, one in zip(links, world.scenes, strict=True)]
        write_slices(folder / name, rows, drawn, in_folders)


def write_slices(folder: Path, rows: Sequence[Json], picture: Picture, in_folders: bool = False) -> None:
    """Writes slices of rows, which have a url, a caption and what else is kept; two of each twenty have failed."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = range(0, len(rows), ROWS)
    for number, first in enumerate(slices):
        downloaded = [
            _downloaded(row, picture, number, first + place, place)
            for place, row in enumerate(rows[first : first + ROWS])
        ]
        stem = f"{number:05d}"
        samples = {row["key"]: _sample(row, data) for row, data in downloaded if data}
        if in_folders:
            _write_folder(folder / stem, samples)
        else:
            (folder / f"{stem}.tar").write_bytes(_tar(samples, number))
        pq.write_table(pa.Table.from_pylist([row for row, _ in downloaded]), folder / f"{stem}.parquet")
        write_json(folder / f"{stem}_stats.json", _stats([row for row, _ in downloaded]))
    if not in_folders:
        (folder / f"{len(slices):05d}.tar").write_bytes(
            _tar({f"{len(slices):05d}0000": {"jpg": bytes(9000)}}, 0)[:4000]
        )


def _downloaded(row: Json, picture: Picture, slice: int, number: int, place: int) -> tuple[Json, bytes]:
    """The row as img2dataset completes it, and the picture's bytes, empty where it failed."""
    state, why = _FAILURES.get(place % 20, ("success", None))
    data = b"" if why else picture(number)
    width, height = Image.open(io.BytesIO(data)).size if data else (None, None)
    done = {
        "key": f"{slice:05d}{place:04d}",
        "status": state,
        "error_message": why,
        "width": width,
        "height": height,
        "original_width": width,
        "original_height": height,
        "exif": "{}" if data else None,
        "sha256": hashlib.sha256(data).hexdigest() if data else None,
    }
    kept = {name: value for name, value in row.items() if name not in ("url", "caption")}
    return {**kept, "caption": row["caption"], "url": row["url"], **done}, data


def _sample(row: Json, data: bytes) -> dict[str, bytes]:
    return {"jpg": data, "json": json.dumps(row, indent=4).encode(), "txt": row["caption"].encode()}


def _stats(rows: Sequence[Json]) -> Json:
    states = Counter(row["status"] for row in rows)
    return {
        "count": len(rows),
        "successes": states["success"],
        "failed_to_download": states["failed_to_download"],
        "failed_to_resize": states["failed_to_resize"],
        "duration": 1.5,
        "start_time": BEGAN,
        "end_time": BEGAN + 1.5,
        "status_dict": Counter(row["error_message"] or "success" for row in rows),
    }


def _tar(samples: Mapping[str, Mapping[str, bytes]], number: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in _members(samples, number):
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _members(samples: Mapping[str, Mapping[str, bytes]], number: int) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    keys = sorted(samples)
    random.Random(seed_of("completion", number)).shuffle(keys)
    for place, key in enumerate(keys):
        for extension, data in samples[key].items():
            info = tarfile.TarInfo(f"{key}.{extension}")
            info.size, info.mtime, info.mode = len(data), BEGAN + place / 64, 0o444
            info.uname = info.gname = "bigdata"
            yield info, data


def _write_folder(folder: Path, samples: Mapping[str, Mapping[str, bytes]]) -> None:
    folder.mkdir(exist_ok=True)
    for key, parts in samples.items():
        for extension, data in parts.items():
            (folder / f"{key}.{extension}").write_bytes(data)
