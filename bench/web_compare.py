"""What two folders of downloads have in common: the states of all links, sizes, bytes, and how alike pictures look."""

import io
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from web_pictures import SMALL

from converters._downloads import pictures as members
from converters._table import Piece


def compare(mine: Path, theirs: Path) -> str:
    """What is the same of two folders and what is not, in a line."""
    here, there = rows(mine), rows(theirs)
    states = Counter(f"{here[url]['status']} / {there[url]['status']}" for url in here)
    odd = {pair: count for pair, count in states.items() if len(set(pair.split(" / "))) > 1}
    good = [url for url in here if here[url]["status"] == there[url]["status"] == "success"]
    fields = ("width", "height", "original_width", "original_height", "sha256")
    sizes = sum(here[url][field] != there[url][field] for url in good for field in fields)
    passed = [url for url in good if SMALL in url]
    same = sum(_bytes(mine, here[url]) == _bytes(theirs, there[url]) for url in passed)
    shrunk = [url for url in good if SMALL not in url][:: max(1, len(good) // 40)]
    ratios = [psnr(_bytes(mine, here[url]), _bytes(theirs, there[url])) for url in shrunk]
    close = f"; PSNR {min(ratios):.1f} to {max(ratios):.1f} dB" if ratios else ""
    return (
        f"{len(here):,} links, states {dict(states)}, unequal {odd or 'none'}; sizes and hashes unequal {sizes}; "
        f"bytes equal where passed through {same} of {len(passed)}{close}"
    )


def rows(folder: Path) -> dict[str, dict[str, object]]:
    return {row["url"]: row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()}


def _bytes(folder: Path, row: dict[str, object]) -> bytes:
    path = folder / "00000.tar"
    piece = _located(path)[str(row["key"])]
    with path.open("rb") as file:
        file.seek(piece.offset)
        return file.read(piece.bytes)


@lru_cache
def _located(path: Path) -> dict[str, Piece]:
    return members(str(path))


def psnr(one: bytes, other: bytes) -> float:
    first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64) for data in (one, other))
    error = np.mean((first - second) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)
