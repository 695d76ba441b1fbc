"""How well a tiny model learns to point from the demo's pools: three seeds of ten minutes, each beside its control.

    python bench/train.py [--minutes 10] [--seeds 3] [--out bench-train]

Writes docs/training-figures.json and .md from what the runs left; two processors are busy all the while.
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from pipelines.demo.learn import learning_mixture, learning_pool, learning_world, pictures_for, write_learning
from pipelines.train import CONTROL
from pipelines.training.figures import FIGURES

DOCS = Path(__file__).parent.parent / "docs"
WANTED, MOST = 0.70, 0.10  # of the run, mean of seeds; of its control and of the mean box


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--minutes", type=float, default=10)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--out", type=Path, default=Path("bench-train"))
    given = ask.parse_args()
    runs = [run(given.out / f"seed{seed}", seed, given.minutes) for seed in range(given.seeds)]
    (DOCS / "training-figures.json").write_text(json.dumps(runs, indent=1) + "\n")
    told = page(runs, given.minutes)
    (DOCS / "training-figures.md").write_text(told)
    print(told)


def boxcar(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pipelines.cli", *words], check=words[0] != "train")


def run(out: Path, seed: int, minutes: float) -> dict[str, Any]:
    """One world, pool, lock and run of that seed, and its control's; their figures."""
    out.mkdir(parents=True)
    write_learning(learning_world(pictures_for(minutes), seed), out / "raw")
    (out / "pool.yaml").write_text(learning_pool(out / "raw"))
    (out / "mixture.yaml").write_text(learning_mixture(seed))
    lock = str(out / "learn.lock.json")
    boxcar("shard", str(out / "pool.yaml"), "--out", str(out / "pool"))
    boxcar("mix", str(out / "mixture.yaml"), "--pools", str(out / "pool"), "--out", lock)
    boxcar("train", lock, "--minutes", str(minutes), "--set", f"seed={seed}", "--out", str(out / "run"))
    found = {name: json.loads((out / "run" / name / FIGURES).read_bytes()) for name in (".", CONTROL)}
    return {"seed": seed, "run": found["."], "control": found[CONTROL]}


def page(runs: list[dict[str, Any]], minutes: float) -> str:
    """The figures as a page: a line a seed, and their means."""
    lines = [
        "# What a tiny model learns from the demo's pools",
        "",
        f"Made by `bench/train.py` on {datetime.now(UTC):%Y-%m-%d} out of the runs' own figures, which are in",
        "`training-figures.json`. Each run and its control had a processor to itself, the same steps, seed and rates;",
        f"training took {minutes:g} minutes. REC accuracy is over one question per held-out picture, chosen by hash.",
        "",
        "| seed | steps | sequences/s | waiting for data | loss | box-token loss | REC accuracy | mean IoU | parsed | "
        "pictures shuffled | always the mean box |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in runs:
        run, control = one["run"], one["control"]
        rate, waits = run["sequences"] / run["seconds"], run["waited"] / run["seconds"]
        losses = [f"{first:.2f} to {last:.2f}" for first, last in (run["loss"], run["box_loss"])]
        rec, other, base = (told[1] for told in (run["rec"], control["rec"], run["baseline"]))
        lines.append(
            f"| {one['seed']} | {run['steps']:,} | {rate:,.0f} | {waits:.1%} | {' | '.join(losses)} | **{rec:.3f}** of "
            f"{run['rec'][0]} | {run['rec'][2]:.3f} | {run['rec'][3]:.1%} | {other:.3f} | {base:.3f} |"
        )
    accuracy = mean(one["run"]["rec"][1] for one in runs)
    worst = max(max(one["control"]["rec"][1], one["run"]["baseline"][1]) for one in runs)
    reached = "reached" if accuracy >= WANTED and worst <= MOST else "MISSED"
    lines += [
        "",
        f"Mean accuracy {accuracy:.3f}, wanted {WANTED}; controls at most {worst:.3f}, wanted {MOST}: {reached}.",
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
