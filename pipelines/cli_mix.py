"""``boxcar mix``: a thin layer over pipelines/mix.py."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.flags import Json, Sets


def mix(
    stage: Annotated[
        str | None, typer.Argument(metavar="STAGE", help="A mixture YAML, or the name of one of ours: stage3.")
    ] = None,
    pools: Annotated[list[str] | None, typer.Option(metavar="DIR", help="A pool's folder or URL; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="LOCK", help="Where the lock goes: NAME.lock.json.")] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=DIR", help="Annotations of held-out splits, where no pool has them; repeatable."),
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="PATH", help="What counts tokens; an estimate where not given.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the mixture: an SVG.")] = None,
    check: Annotated[Path | None, typer.Option(metavar="LOCK", help="Prove a lock again from scratch.")] = None,
    import_: Annotated[
        str | None, typer.Option("--import", metavar="CONFIG", help="A training config of MiniGPT-4: --out a mixture.")
    ] = None,
    allow_eval: Annotated[bool, typer.Option("--allow-eval", help="Mix what models are evaluated on too.")] = False,
    set: Sets = None,
    json: Json = False,
) -> None:
    """Resolve a mixture against pools: hold out what is evaluated on, predict draws and epochs, pin all by a lock."""
    from manifests import load, override
    from pipelines import show_mix
    from pipelines.command import options
    from pipelines.import_mixture import imported
    from pipelines.mix import check as prove
    from pipelines.mix import mix as resolve
    from pipelines.mix_plot import plot as drawn
    from schemas.errors import ConfigError
    from schemas.mixture import mixture

    roots = options(root or [], "--root", "SOURCE=DIR")
    if import_ is not None:
        if stage is not None or out is None or out.suffix not in (".yaml", ".yml"):
            raise ConfigError("--import CONFIG: wanted --out NAME.yaml, and no STAGE")
        text = imported(import_)
        with out.open("x", encoding="utf-8") as file:  # what is there may have been edited, or be the config itself
            file.write(text)
        return
    if check is not None:
        if stage is not None or out is not None:
            raise ConfigError("--check LOCK takes no STAGE and no --out: a lock holds its mixture")
        if not show_mix.checked(str(check), prove(check, pools or [], roots, tokenizer), json):
            raise typer.Exit(1)
        return
    if stage is None or out is None:
        raise ConfigError("wanted STAGE and --out NAME.lock.json, or --check NAME.lock.json")
    config = mixture(override(load(stage), set or []), stage)
    lock = resolve(config, pools or [], out, roots=roots, tokenizer=tokenizer, allow_eval=allow_eval)
    if plot is not None:
        plot.write_text(drawn(lock), encoding="utf-8")
    show_mix.mixed(lock, str(out), json)
