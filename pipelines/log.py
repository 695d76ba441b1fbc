"""A build's log, beside the pool and never in it: times, hosts and rates, one JSON line per event."""

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines import store

Tell = Callable[..., None]


@contextmanager
def build_log(out: str) -> Iterator[Tell]:
    """A function that logs an event with its fields, to ``<out>.log/<time>-<pid>.jsonl``.

    A local log grows line by line; a remote one is put there as a whole at the end.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.jsonl"
    if store.is_local(out):
        folder = Path(f"{store.local(out)}.log")
        folder.mkdir(parents=True, exist_ok=True)
        with _telling(folder / name) as tell:
            yield tell
        return
    with tempfile.TemporaryDirectory(prefix="boxcar-") as folder_name:
        try:
            with _telling(Path(folder_name) / name) as tell:
                yield tell
        finally:
            store.publish(Path(folder_name) / name, f"{out}.log/{name}")


@contextmanager
def _telling(path: Path) -> Iterator[Tell]:
    with path.open("a", encoding="utf-8") as file:

        def tell(event: str, **fields: object) -> None:
            line = {"time": datetime.now(UTC).isoformat(), "host": socket.gethostname(), "event": event, **fields}
            file.write(json.dumps(line) + "\n")
            file.flush()

        yield tell
