"""An environment of its own for other readers of pools, which bring torch and pandas; heavy tests make it once.

What it may hold stands in requirements/readers.txt, to the version. It lies in the environment that runs the tests,
under a name that changes with that list.
"""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[2] / "requirements" / "readers.txt"
WANTED = ("megatron-energon", "ray[data]", "pandas", "torch", "webdataset")
QUIET = {
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "120000",  # a machine that runs other tests beside is slow to start anything
}


def installed() -> Path:
    """The environment's bin folder; made where it is not there yet."""
    place = Path(sys.prefix) / f"readers-{sha256(PINS.read_bytes()).hexdigest()[:12]}"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", place], check=True)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert uv, "uv is not there: make .venv/dev installs it"
        words = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", place / "bin" / "python"]
        links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
        environment = {**os.environ, "UV_FIND_LINKS": links}
        subprocess.run([*words, "-c", PINS, *WANTED], check=True, env=environment, timeout=1200)
        (place / "ready").touch()
    return place / "bin"


def told(script: str, *words: str | Path) -> Any:
    """What a script prints as JSON on its last line, run by the environment's Python."""
    run = [installed() / "python", "-W", "ignore", "-c", script, *words]
    done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, **QUIET}, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
