"""``boxcar view``: a thin layer over pipelines/view."""

from pathlib import Path
from typing import Annotated

import typer


def view(
    what: Annotated[str, typer.Argument(metavar="POOL|LOCK", help="A pool's folder or URL, or NAME.lock.json.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8100,
    host: Annotated[str, typer.Option(help="Where to listen; beyond loopback a token is asked for.")] = "127.0.0.1",
    open: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser.")] = False,
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Of a lock, show the token ids by this tokenizer too.")
    ] = None,
) -> None:
    """Look at a pool, or at a lock's stream as the model will see it, in a browser; until Ctrl-C."""
    from pipelines.view.command import view as serve

    serve(what, host, port, open, tokenizer)
