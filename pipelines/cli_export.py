"""``boxcar export``: a thin layer over pipelines/export.py and pipelines/energon.py."""

from typing import Annotated

import typer

from pipelines.flags import Json
from schemas.dialects import NAMES, OWN

ENERGON = "energon"


def export(
    source: Annotated[str, typer.Argument(metavar="POOL|LOCK", help="A pool's folder or URL, or NAME.lock.json.")],
    to: Annotated[str, typer.Option(help="A new folder; or a URL, but for energon.")],
    form: Annotated[str, typer.Option(help="llava, messages, or energon (of a lock).")] = "llava",
    dialect: Annotated[str, typer.Option(help=f"How boxes are written: {', '.join(NAMES)}.")] = OWN,
    images: Annotated[bool, typer.Option("--images", help="Write the pictures too, beside the records.")] = False,
    json: Json = False,
) -> None:
    """Write all records of a pool, or all that a lock allows, for other trainers; what cannot be written is counted."""
    from pipelines import show_export
    from pipelines.energon import energon
    from pipelines.export import export as write
    from schemas.errors import ConfigError

    if form != ENERGON:
        show_export.exported(write(source, to, form, dialect, images), to, json)
        return
    if images or dialect != OWN:
        raise ConfigError("--form energon: pools are read as they lie, wanted neither --images nor --dialect")
    show_export.blended(energon(source, to), to, json)
