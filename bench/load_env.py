"""Environments for the loaders that are measured beside ours, made once, each by itself in the user's cache folder."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from pipelines.fetch.setup import home

# By name: what is installed, and what is imported to see that it runs.
NEEDS = {
    "energon": (("megatron-energon==7.4.1", "torch==2.13.0", "pillow==13.0.0"), "megatron.energon"),
    # Its torchvision is built for one torch alone: both come from the same index, with no local wheels in between.
    "mosaic": (("mosaicml-streaming==0.13.0", "torch", "torchvision", "pillow==13.0.0"), "streaming"),
}
_LOCAL = ("UV_FIND_LINKS", "PIP_FIND_LINKS")  # where wheels of a torch without CUDA may lie


def environment(name: str) -> Path | None:
    """The Python that holds that loader, installed where it was not; None, said why, where it cannot be had."""
    wanted, proof = NEEDS[name]
    place = home() / f"bench-{name}-{sha256(repr(wanted).encode()).hexdigest()[:12]}"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        print(f"installing {', '.join(wanted)}", flush=True)
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        by = [uv, "pip", "install", "-q", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
        said = {key: value for key, value in os.environ.items() if name != "mosaic" or key not in _LOCAL}
        if "PIP_FIND_LINKS" in said:
            said.setdefault("UV_FIND_LINKS", said["PIP_FIND_LINKS"])
        for words in (
            [sys.executable, "-m", "venv", "--clear", place],
            [*by, *wanted],
            [python, "-c", f"import {proof}"],
        ):
            done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=said)
            if done.returncode:
                print(f"{name} left out: {done.stderr.strip().splitlines()[-1]}")
                return None
        (place / "ready").touch()
    return python
