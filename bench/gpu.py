"""The full-size model on a GPU: forward, backward and step at 448 px in bfloat16, and the loader alone beside it.

    python bench/gpu.py [--batch 24] [--steps 20] [--workers N]

Weights are random: what they are changes no speed. Pictures and records are the demo world's at 2.8 times its size.
Writes docs/gpu.md.
"""

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

from pipelines.demo.learn import learning_mixture, learning_pool, learning_world, write_learning
from pipelines.dialogue import dialogue
from pipelines.draws import drawing
from pipelines.load import Batch, loader
from pipelines.mix import mix
from pipelines.model.build import build
from pipelines.model.minigpt import MiniGPT
from pipelines.model.sizes import size
from pipelines.shard import shard
from pipelines.training.feeding import fed
from pipelines.training.optimise import optimisers
from pipelines.training.recipe import recipe
from pipelines.training.vocabulary import own_tokenizer
from schemas.mixture import mixture
from schemas.pool import pool_config

DOCS = Path(__file__).parent.parent / "docs"
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "B200": 2250e12}  # bfloat16, dense
WARM = 5


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--batch", type=int, default=24)
    ask.add_argument("--steps", type=int, default=20)
    ask.add_argument("--pictures", type=int, default=600)
    ask.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    given = ask.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench/gpu.py: no CUDA device here")
    with tempfile.TemporaryDirectory() as folder:
        lock = made(Path(folder), given.pictures, given.batch, given.steps + WARM)
        alone = loading(lock, given.workers)
        told = training(lock, given.batch, given.steps, given.workers)
    page = written(told, alone, given)
    (DOCS / "gpu.md").write_text(page)
    print(page)


def made(folder: Path, pictures: int, batch: int, steps: int) -> Path:
    """A lock of the demo world's records, one a sequence, with pictures of 448 to 717 pixels a side."""
    write_learning(learning_world(pictures, 0, held=20, scale=2.8), folder / "raw")
    shard(pool_config(yaml.safe_load(learning_pool(folder / "raw")), "bench"), str(folder / "pool"))
    raw = {**yaml.safe_load(learning_mixture(0)), "per_image": 1}
    lock = folder / "gpu.lock.json"
    mix(
        mixture({**raw, "train": {"steps": 8 * steps, "global_batch": batch}}, "bench"),
        [str(folder / "pool")],
        lock,
        roots={},
    )
    return lock


def loading(lock: Path, workers: int) -> float:
    """Samples a second of the loader alone, once its workers run."""
    feed = iter(loader(lock, workers=workers))
    for _ in range(WARM):
        next(feed)
    began, samples = time.monotonic(), 0
    for batch in feed:
        samples += len(batch.records)
    return samples / (time.monotonic() - began)


def training(lock: Path, batch: int, steps: int, workers: int) -> dict[str, Any]:
    """What so many steps took: seconds, waits, tokens of a sequence, peak memory."""
    row, by_numbers = size("minigpt-v2"), recipe("minigpt-v2", {})
    words = own_tokenizer(drawing(lock), by_numbers.vocabulary)
    model, _ = build(row, None, device="cuda", precision=torch.bfloat16)
    model.checkpoint_activations()
    by = dialogue(words, row.picture_tokens)
    trained = optimisers(model.trained(), by_numbers)
    feed = iter(loader(lock, workers=workers, pin_memory=True))
    for _ in range(WARM):
        step(model, trained, by, next(feed))
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    began, waited, lengths = time.monotonic(), 0.0, []
    for _ in range(steps):
        start = time.monotonic()
        given = next(feed)
        waited += time.monotonic() - start
        lengths.append(step(model, trained, by, given))
    torch.cuda.synchronize()
    return {
        "seconds": time.monotonic() - began,
        "waited": waited,
        "length": sum(lengths) / len(lengths),
        "memory": torch.cuda.max_memory_allocated(),
        "flops": flops(model, batch, sum(lengths) / len(lengths)),
    }


def step(model: MiniGPT, trained: list[torch.optim.Optimizer], by: Any, given: Batch) -> int:
    """One step; the length of its sequences."""
    one = fed(by, given, 1024, shuffled=False)
    scores = model(**one.rows.to("cuda")._asdict(), pictures=one.pictures.to("cuda", non_blocking=True))
    scores.loss.backward()
    for optimiser in trained:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return one.rows.ids.shape[1]


def flops(model: MiniGPT, batch: int, length: float) -> float:
    """Of a step: twice a parameter and token forward, as much backward where gradients pass, once more where kept.

    The tower is passed forward alone, the language model back as well; what is computed again to save memory does not
    count, nor does attention between places, which is small beside the rest.
    """
    patches = (model.size.tower.image // model.size.tower.patch) ** 2 + 1
    counted = {name: sum(each.numel() for each in part.parameters()) for name, part in model.named_children()}
    table = model.llama_model.model.embed_tokens.weight.numel()
    adapted = sum(each.numel() for each in model.trained().values())
    return batch * (
        2 * counted["visual_encoder"] * patches + 4 * (counted["llama_model"] - table) * length + 2 * adapted * length
    )


def written(told: dict[str, Any], alone: float, given: argparse.Namespace) -> str:
    """The page."""
    name = torch.cuda.get_device_name()
    rate = given.batch * given.steps / told["seconds"]
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    share = (
        f"{told['flops'] * given.steps / told['seconds'] / peak:.1%} of {peak / 1e12:,.0f} TFLOP/s"
        if peak
        else "unknown"
    )
    rows = {
        "samples a second": f"{rate:.1f}",
        "model FLOPs utilisation": share,
        "TFLOPs a step": f"{told['flops'] / 1e12:.1f}",
        "peak memory": f"{told['memory'] / 2**30:.1f} GiB",
        "share of the time waiting for data": f"{told['waited'] / told['seconds']:.1%}",
        "tokens of a sequence, its picture's 256 among them": f"{told['length']:.0f}",
        "the loader alone, samples a second": f"{alone:.0f}, {alone / rate:.1f} times the model's",
    }
    lines = [
        "# The full-size model on a GPU",
        "",
        f"Made by `bench/gpu.py` on {datetime.now(UTC):%Y-%m-%d}: {name}, {given.workers} loaders, torch "
        f"{torch.__version__}; {given.steps} steps of {given.batch} samples at 448 px, bfloat16, activations remade.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {what} | {found} |" for what, found in rows.items()),
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
