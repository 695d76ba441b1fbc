"""``boxcar view``: open a pool or a lock, serve it, say where."""

import webbrowser
from contextlib import suppress
from pathlib import Path

from pipelines.eligible import LOCK
from pipelines.record_index import given
from pipelines.view.opened import Opened
from pipelines.view.server import Server
from pipelines.view.site import Site
from pipelines.view.stream import Stream
from schemas.errors import ConfigError


def view(what: str, host: str, port: int, opening: bool, tokenizer: Path | None) -> None:
    """Serve the page of a pool or a lock until it is interrupted, and say where it is."""
    with Server(site_of(what, tokenizer), host, port) as server:
        print(f"Looking at {what}: {server.url}", flush=True)  # noqa: T201
        print("Ctrl-C ends it.", flush=True)  # noqa: T201
        if opening:
            webbrowser.open(server.url)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def site_of(what: str, tokenizer: Path | None = None) -> Site:
    """The site of a pool's folder or URL, or of a lock's file; ConfigError or ShardError where it is neither."""
    if not what.endswith(LOCK):
        if tokenizer is not None:
            raise ConfigError("--tokenizer is for a lock: a pool's records are no sequences yet")
        return Site(Opened(given(what)))
    if tokenizer is None:
        return Site(Stream(Path(what)))
    from pipelines.view.tokens import tokens_by

    return Site(Stream(Path(what), tokens_by(tokenizer)))
