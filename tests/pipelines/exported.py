"""What tests read of pools and of what was exported of them."""

import json
from pathlib import Path
from typing import Any

from pipelines.draw import samples
from schemas.box import Size
from schemas.record import Record

Json = dict[str, Any]


def stored(pool: Path) -> dict[str, tuple[Record, Size | None, bytes | None]]:
    """Every record of a pool by its key, with its picture and that picture's size."""
    found = {}
    for sample, picture in samples(str(pool)):
        image = sample.image
        size = Size(image.width, image.height) if image and image.width and image.height else None
        found |= {record.key: (record, size, picture) for record in sample.records}
    return found


def llava(folder: Path) -> dict[str, Json]:
    rows = json.loads((folder / "records.json").read_bytes())
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row for row in rows}


def refused(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "refused.jsonl").read_text().splitlines()]
