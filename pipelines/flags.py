"""Flags that several verbs share; they load nothing."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any key; repeatable.")]
Templates = Annotated[str | None, typer.Option(help="A YAML of template pools in place of our own.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core where not given.")]
