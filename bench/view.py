"""Looking at a pool of 100,000 samples: from asking for the page to seeing it, measured in the browser.

    python bench/view.py [--samples 100000] [--rounds 9]

The pool is made of 32 small pictures and three records a sample (a caption, a box referred to and identified), in ten
shards; beside it lies one of the same samples as 14,000 shards. A headless Chromium opens each round's page anew, its
cache emptied; server, browser and whatever else runs share the cores. Printed are medians and the slowest, in ms since
the page was asked for, or since a filter was set: the first paint, cards and boxes there, and their pictures too. Every
round's filters have other values, so that nothing of them was sorted before.
"""

import argparse
import hashlib
import io
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1]))

from pipelines.manifest import Listed, manifest_of, publish_manifest
from pipelines.pack import packed
from pipelines.publish import Written, publish
from pipelines.tar import TarWriter
from pipelines.view.command import site_of
from pipelines.view.server import Server
from schemas.box import Box, codec, encode
from schemas.dialect import box_text
from schemas.ledger import Ledger, Part, Tally
from schemas.record import SCHEMA, Answer, Draw, ImageRef, Message, Pair, Record, Sample
from tests.pipelines.view.browser import FOUND, Browser

SHARDS, MANY, KINDS = 10, 14_000, 32
PARTS = [Part("made", "train", task) for task in ("caption", "refer", "identify")]
COLOURS = ("red", "green", "blue", "yellow", "pink", "cyan", "grey", "brown")
THINGS = ("dog", "kite", "bottle", "chair", "train", "apple", "clock")
PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
LISTED = "performance.getEntriesByName('listed').length > {}"
SEEN = """[...document.querySelectorAll('.card img')].filter((one) => one.getBoundingClientRect().top < innerHeight)
          .every((one) => one.complete && one.naturalWidth)"""


def pictures() -> list[bytes]:
    random, made = np.random.default_rng(0), []
    for _ in range(KINDS):
        coarse = Image.fromarray(random.integers(0, 255, (6, 8, 3), np.uint8))
        out = io.BytesIO()
        coarse.resize((128, 96), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
        made.append(out.getvalue())
    return made


def records(number: int, box: Box) -> list[Record]:
    token = box_text((encode(box, codec("round-100")),))
    phrase = f"the {COLOURS[number % 8]} {THINGS[number // 8 % 7]} number {number}"
    said = [("a picture, please", f"a scene with {phrase}"), (f"where is {phrase}?", token)]
    said.append((f"what is in {token}?", phrase))
    return [
        Record(
            f"made/train/{number}/{part.task}",
            *part,
            [Message("user", f"[{part.task}] {asked}"), Message("assistant", answer)],
            [] if part.task == "caption" else [box],
            Draw(part.task, [Pair("phrase", phrase)] if part.task == "refer" else [], list[Answer]()),
            [],
        )
        for part, (asked, answer) in zip(PARTS, said, strict=True)
    ]


def boxes(count: int) -> Iterator[Box]:
    corners = np.random.default_rng(1).random((count, 4))
    for x, y, w, h in corners.tolist():
        left, top = round(x * 0.8, 6), round(y * 0.8, 6)
        yield Box(left, top, round(left + 0.01 + w * w * 0.19, 6), round(top + 0.01 + h * h * 0.19, 6))


def make(out: Path, count: int) -> list[Listed]:
    """Write the pool; its shards."""
    shades, listed, made = pictures(), list[Listed](), zip(range(count), boxes(count), strict=True)
    (out / "aside").mkdir(parents=True)
    for shard in range(SHARDS):
        with TarWriter(out / "aside" / "tar") as tar:
            written = Written(tar)
            for _ in range(count // SHARDS):
                add(written, *next(made), shades)
            receipt = publish(written, "view", shard, "plan", str(out / "pool"), out / "aside")
        listed.append(packed(receipt, reused=False).shard)
    seal(out / "pool", listed, out / "aside")
    return listed


def add(written: Written, number: int, box: Box, shades: list[bytes]) -> None:
    data, stem = shades[number % KINDS], f"made-{number}"
    sha256 = hashlib.sha256(data).hexdigest()
    image = ImageRef(f"made/{number}", [], 128, 96, sha256, None, [])
    held = records(number, box)
    written.tar.add(stem, [("jpg", data), ("json", msgspec.json.encode(Sample(SCHEMA, image, held)))])
    known = (stem, image.id, [], sha256, sha256, 128, 96, None, [])
    for place, (record, part) in enumerate(zip(held, PARTS, strict=True)):
        chars = sum(len(turn.content) for turn in record.messages)
        area = box.area if record.boxes else None
        row = (written.samples, *known, place, record.key, *part, "train", len(record.boxes), area, 1, chars)
        written.index.append(row)
        written.ledger.written(part)
    written.samples += 1


def seal(pool: Path, listed: list[Listed], aside: Path) -> None:
    ledger, samples = Ledger(), sum(shard.samples for shard in listed)
    for part in PARTS:
        ledger.written(part, count=samples)
    staged = [Tally(*part, samples, samples, [], [], []) for part in PARTS]
    config = {"pool": "view", "codec": "round-100"}
    publish_manifest(manifest_of(config, "plan", [], listed, ledger, staged), listed, str(pool), aside)


def many(out: Path, listed: list[Listed]) -> Path:
    """The pool's first shards as 14,000: links to their files."""
    pool = out / "many"
    for folder in ("index", "receipts", "rejects"):
        (pool / folder).mkdir(parents=True)
    shards = [msgspec.structs.replace(listed[shard % SHARDS], shard=shard) for shard in range(MANY)]
    for shard in range(MANY):
        for name in ("view-{:06d}.tar", "view-{:06d}.tar.idx", "index/{:06d}.arrow", "rejects/{:06d}.jsonl"):
            (pool / name.format(shard)).symlink_to(out / "pool" / name.format(shard % SHARDS))
    seal(pool, shards, out / "aside")
    return pool


def filters(round_: int) -> dict[str, dict[str, str]]:
    share = f"{1 + round_ / 100}"
    return {
        "task": {"task": "refer", "area_max": f"{90 + round_}"},
        "size of boxes": {"area_max": share},
        "smallest boxes first": {"order": "smallest", "area_min": f"{round_ / 1000}"},
        "largest loss first": {"order": "loss", "area_min": f"{round_ / 1000}"},
        "longest text first": {"order": "longest", "area_max": f"{50 + round_}"},
        "search of a colour": {"q": f"{COLOURS[round_ % 8]} {THINGS[round_ % 7]}"},
    }


def opened(browser: Browser, url: str) -> dict[str, float]:
    browser.command("Network.clearBrowserCache")
    browser.open(url)
    browser.until(LISTED.format(0))
    browser.until(SEEN)
    seen = browser.run("performance.now()")
    return {
        "first paint": browser.run("performance.getEntriesByName('first-contentful-paint')[0].startTime"),
        "cards and boxes there": browser.run("performance.getEntriesByName('listed')[0].startTime"),
        "pictures there too": seen,
    }


def filtered(browser: Browser, words: dict[str, str]) -> float:
    """From the change of a filter to what was found being painted."""
    before = browser.run("performance.getEntriesByName('listed').length")
    fields = "document.querySelector('#filters').elements"
    set_ = "".join(f"{fields}['{name}'].value = '{value}';" for name, value in words.items())
    script = f"""(async () => {{ const began = performance.now(); {fields}; {set_}
        document.querySelector('#filters').dispatchEvent(new Event('change'));
        while (performance.getEntriesByName('listed').length <= {before}) await new Promise((on) => setTimeout(on, 1));
        return await {PAINTED} - began; }})()"""
    took: float = browser.run(script)
    assert browser.run("document.querySelectorAll('.card').length") == 24, words
    return took


def measured(browser: Browser, server: Server, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for round_ in range(rounds):
        for name, took in opened(browser, server.url).items():
            found.setdefault(name, []).append(took)
        for name, words in filters(round_).items():
            found.setdefault(f"filter: {name}", []).append(filtered(browser, words))
            browser.run("document.querySelector('button[type=reset]').click()")
            time.sleep(0.3)
    return found


def look(pool: Path, rounds: int, profile: Path) -> None:
    began = time.perf_counter()
    server = Server(site_of(str(pool)), "127.0.0.1", 0)
    print(f"{pool.name}: opened in {1000 * (time.perf_counter() - began):.0f} ms")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, Browser(profile) as browser:
        opened(browser, server.url)  # the browser's own first page
        for name, took in measured(browser, server, rounds).items():
            print(f"  {name}: {statistics.median(took):.0f} ms, slowest {max(took):.0f}")
        assert not browser.console, browser.console
        server.shutdown()


def main() -> None:
    told = argparse.ArgumentParser()
    told.add_argument("--samples", type=int, default=100_000)
    told.add_argument("--rounds", type=int, default=9)
    asked: Any = told.parse_args()
    assert FOUND, "no browser"
    with tempfile.TemporaryDirectory() as folder:
        listed = make(Path(folder), asked.samples)
        print(f"{asked.samples:,} samples in {SHARDS} shards; and as {MANY:,} shards")
        look(Path(folder) / "pool", asked.rounds, Path(folder) / "profile")
        look(many(Path(folder), listed), asked.rounds, Path(folder) / "profile2")


if __name__ == "__main__":
    main()
