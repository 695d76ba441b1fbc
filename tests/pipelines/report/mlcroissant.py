"""An environment of its own for mlcroissant, which brings pandas; heavy tests make it once."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

WANTED = ("mlcroissant==1.1.1", "pillow")


def installed() -> Path:
    """The environment's Python; made where it is not there yet."""
    place = Path(sys.prefix) / f"croissant-{sha256(repr(WANTED).encode()).hexdigest()[:12]}"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", place], check=True)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert uv, "uv is not there: make .venv/dev installs it"
        links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
        words = [uv, "pip", "install", "--quiet", "--python", place / "bin" / "python", *WANTED]
        subprocess.run(words, check=True, env={**os.environ, "UV_FIND_LINKS": links}, timeout=600)
        (place / "ready").touch()
    return place / "bin" / "python"


def told(script: str, home: Path, *words: str | Path) -> Any:
    """What a script prints as JSON on its last line; ``home`` is for what mlcroissant keeps."""
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(
        [installed(), "-W", "ignore", "-c", script, *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
