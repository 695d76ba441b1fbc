"""Loading: a lock's batches of 448x448 uint8 against the loaders that people use, on the same pictures.

    python bench/load.py [--pictures 512] [--samples 320] [--rounds 5] [--workers 0] [--only WORD]

Pictures are of 640x480, 100 KB, textured like photographs, in the page cache. All loaders are up at once, each in a
process of its own, and load in turn, so many samples a round. Printed is CPU time per sample, of the process and its
workers together, and the ratio, peer over ours, with its spread; then where our time goes. The first batch of each is
proven to be Pillow's 448x448 pixels: the smallest PSNR over its pictures. Peers that are not of our environment are
installed into one of their own (see load_env.py).
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from load_env import environment
from load_peers import BATCH, LOADERS, SIDE
from PIL import Image
from web_pictures import CLASSES, pictures

from pipelines.draws import drawing
from pipelines.load import Feed, loader, picture
from pipelines.mix import mix
from pipelines.shard import shard
from schemas.mixture import mixture
from schemas.pool import pool_config

KINDS, CAPTIONS = 32, 5  # different pictures, the others are these again; captions of each
TOLD = {
    "ours": "ours",
    "minigpt4": "loose files, as MiniGPT-4 reads them, float",
    "webdataset": "webdataset, float",
    "energon": "Megatron-Energon, float",
    "energon-uint8": "Megatron-Energon, uint8 encoder",
    "mosaic": "Mosaic Streaming, float",
}
_PEERS = Path(__file__).with_name("load_peers.py")
_ROOT = Path(__file__).parents[1]


def write(folder: Path, count: int) -> list[bytes]:
    """The pictures loose, with captions as COCO publishes them, and a pool and a lock of these; the different ones."""
    shades = pictures(CLASSES["640x480"], KINDS)
    coco = folder / "coco"
    (coco / "train2014").mkdir(parents=True)
    (coco / "annotations").mkdir()
    images, captions = [], []
    for id in range(1, count + 1):
        name = f"COCO_train2014_{id:012d}.jpg"
        (coco / "train2014" / name).write_bytes(shades[id % KINDS])
        images.append({"id": id, "file_name": name, "width": 640, "height": 480})
        captions += [{"id": 10 * id + n, "image_id": id, "caption": f"picture {id}, said once more in words {n}"}
                     for n in range(CAPTIONS)]  # fmt: skip
    said = {"images": images, "annotations": captions}
    (coco / "annotations" / "captions_train2014.json").write_text(json.dumps(said))
    source = {"name": "coco_caption", "root": str(coco), "splits": ["train"]}
    config = {"pool": "pool", "collections": {"coco": str(coco)}, "sources": [source], "shard": {"max_bytes": "16MiB"}}
    shard(pool_config(config, "bench"), str(folder / "pool"))
    part = {"source": "coco_caption", "task": "caption", "weight": 1}
    train = {"steps": 100_000, "global_batch": BATCH}
    raw = {"stage": 2, "unit": "sample", "held_out": "released", "parts": [part], "train": train}
    mix(mixture(raw, "bench"), [str(folder / "pool")], folder / "bench.lock.json", roots={})
    return shades


class Peer:
    """A loader's process."""

    def __init__(self, name: str, python: Path, folder: Path, workers: int) -> None:
        words = [str(python), "-W", "ignore", str(_PEERS), name, str(folder), str(workers)]
        self.name = name
        self.child = subprocess.Popen(words, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions = ", ".join(self._answer())

    def load(self, samples: int) -> dict[str, float]:
        """What loading at least so many more cost."""
        assert self.child.stdin
        self.child.stdin.write(f"{samples}\n")
        self.child.stdin.flush()
        answer: dict[str, float] = self._answer()
        return answer

    def _answer(self) -> Any:
        assert self.child.stdout
        for line in self.child.stdout:
            if line.startswith(("[", "{")):
                return json.loads(line)
        sys.exit(f"{self.name} ended with {self.child.wait()}")


def proven(folder: Path, name: str, shades: list[bytes]) -> float:
    """The smallest PSNR, over a first batch, of a picture against Pillow's pixels of what it most looks like."""
    wanted = [
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
        for data in shades
    ]
    errors = [
        min(float(np.mean((one.astype(np.int16) - other) ** 2.0)) for other in wanted)
        for one in np.load(folder / f"{name}.npy")
    ]
    return float(10 * np.log10(255**2 / max(*errors, 1e-9)))


def measured(peers: list[Peer], samples: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in peers}
    for peer in peers:
        peer.load(samples // 4)
    for _ in range(rounds):
        for peer in peers:
            found[peer.name].append(peer.load(samples))
            time.sleep(1.0)  # workers fill up again what was taken
    return found


def table(peers: list[Peer], found: dict[str, list[dict[str, float]]], folder: Path, shades: list[bytes]) -> None:
    def each(name: str) -> list[float]:
        return [one["cpu"] * 1000 / one["samples"] for one in found[name]]

    for peer in peers:
        took = each(peer.name)
        ratios = sorted(theirs / mine for theirs, mine in zip(took, each("ours"), strict=True))
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        cost = statistics.median(took)
        print(f"{TOLD[peer.name]}: {1000 / cost:.0f} samples/s a core, {cost:.2f} ms; / ours {spread}; "
              f"{proven(folder, peer.name, shades):.0f} dB from Pillow; {peer.versions}")  # fmt: skip


def split(folder: Path, samples: int) -> None:
    """Print where our time goes, a sample, in one process: each stage by itself, and the rest by subtraction."""
    torch.set_num_threads(1)
    draws = drawing(folder / "bench.lock.json")
    feed = Feed(draws)
    files = [fetched.picture for k in range(64) if (fetched := draws.fetch(k)).picture]

    def cost(stage: Callable[[int], object]) -> float:
        began = time.process_time()
        for k in range(samples):
            stage(k)
        return (time.process_time() - began) * 1000 / samples

    def read(k: int) -> object:
        shard = k % len(draws._pools[0].indexes)
        return draws._shards.read(0, shard, k % (int(draws._pools[0].indexes[shard]) // 8 - 1))

    def decoded(k: int) -> object:
        return simplejpeg.decode_jpeg(files[k % len(files)], "RGB", fastdct=False, fastupsample=False, strict=True)

    batches = iter(loader(folder / "bench.lock.json"))
    stages: list[tuple[str, Callable[[int], object]]] = [
        ("read", read),
        ("fetch", draws.fetch),
        ("decode", decoded),
        ("picture", lambda k: picture(files[k % len(files)])),
        ("feed", lambda k: feed[k, 0]),
        ("all", lambda k: next(batches) if k % BATCH == 0 else None),
    ]
    rounds = [{name: cost(stage) for name, stage in stages} for _ in range(5)]
    took = {name: statistics.median(one[name] for one in rounds) for name, _ in stages}
    words, resize = took["fetch"] - took["read"], took["picture"] - took["decode"]
    rest = took["all"] - took["fetch"] - took["picture"]
    print(f"ours, {took['all']:.2f} ms: read {took['read']:.2f}, words {words:.2f}, decode {took['decode']:.2f}, "
          f"resize {resize:.2f}, rest (batching) {rest:.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="worker processes of each loader")
    parser.add_argument("--only", default="", help="peers with this word in their name, beside ours")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="boxcar-bench-") as name:
        folder = Path(name)
        shades = write(folder, arguments.pictures)
        peers = []
        for one in LOADERS:
            if one == "ours" or arguments.only in one:
                apart = next((apart for apart in ("energon", "mosaic") if one.startswith(apart)), None)
                python = environment(apart) if apart else Path(sys.executable)
                if python:
                    peers.append(Peer(one, python, folder, arguments.workers))
        workers = f"{arguments.workers} workers each" if arguments.workers else "no workers"
        print(f"{time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}: {arguments.rounds} rounds of "
              f"{arguments.samples} samples in turn, batches of {BATCH}, {workers}")  # fmt: skip
        table(peers, measured(peers, arguments.samples, arguments.rounds), folder, shades)
        for peer in peers:
            peer.child.kill()
            peer.child.communicate()
        split(folder, arguments.samples)


if __name__ == "__main__":
    main()
