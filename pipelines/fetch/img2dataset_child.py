"""Runs img2dataset once, in the Python of its own environment, and ends with whoever started it.

Not imported by anything of ours: ``python -I img2dataset_child.py`` with the options of ``img2dataset.download`` as one
line of JSON on standard input, which is held open for as long as the work is wanted.
"""

import importlib
import json
import os
import signal
import threading


def _follow() -> None:
    # img2dataset's own processes are in this one's group; nothing else is.
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Read the options, download, and exit by img2dataset's own code."""
    with os.fdopen(0, "rb", buffering=0, closefd=False) as unbuffered:
        options = json.loads(unbuffered.readline())
    threading.Thread(target=_follow, daemon=True).start()
    importlib.import_module("img2dataset").download(**options)


if __name__ == "__main__":
    main()
