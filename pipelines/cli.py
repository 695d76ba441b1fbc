"""The ``boxcar`` command: one function per verb, each a thin layer over the verb's own module.

Exit codes: 0 done, 1 a check failed, 2 bad usage, config or source (one line, no traceback), 130 interrupted. Nothing
heavy is imported before a verb runs, so that ``--help`` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from pipelines.cli_export import export
from pipelines.cli_mix import mix
from pipelines.cli_report import report
from pipelines.cli_train import evaluate, train
from pipelines.cli_view import view
from pipelines.flags import Json, Sets, Templates, Workers
from schemas import __version__
from schemas.errors import BoxcarError, RejectsError, ShardError

INTERRUPTED = 130

# Of all usage errors; typer gives away only this one below it, and where it takes it from varies between versions.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Verbs(TyperGroup):
    """Answers what typer would answer in its own way: Ctrl-C, and a reader of our output that has gone."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            _interrupted()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        return result


app = typer.Typer(
    cls=_Verbs,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help fits a screen, and answers sooner
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="Vision-language datasets, as they lie on disk, to verified WebDataset shards with 0-100 box tokens.",
)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command line (by default this process's) and exit with its code; without any words, show the help."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=words or ["--help"], prog_name="boxcar", standalone_mode=False)
    except _UsageError as error:
        _fail(error.format_message(), 2)  # type: ignore[attr-defined]
    except (ShardError, RejectsError) as error:
        _fail(str(error), 1)
    except (BoxcarError, OSError) as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _interrupted()
    if code == INTERRUPTED:  # typer's own answer to Ctrl-C before or after a verb
        _interrupted()
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> NoReturn:
    _fail("interrupted; run the same command again to go on", INTERRUPTED)


def _fail(message: str, code: int) -> NoReturn:
    print(f"boxcar: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _version(asked: bool) -> None:
    if asked:
        print(f"boxcar {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(short_help="List what is supported, or what of a source lies in a folder.")
def sources(
    name: Annotated[str | None, typer.Argument(help="One source; all of them where not given.")] = None,
    root: Annotated[str | None, typer.Option(help="A folder: tell what of the source lies there.")] = None,
    json: Json = False,
) -> None:
    """List what is supported; with NAME and --root, check a folder for what is there and what is missing."""
    from converters import find
    from pipelines import show
    from pipelines.sources import checked, described, listed
    from schemas.errors import ConfigError

    if root is not None and name is None:
        raise ConfigError("--root needs the name of a source")
    if name is None:
        show.sources(listed(), json)
    elif root is None:
        show.source(described(find(name)), json)
    elif not show.states(name, root, checked(name, root), json):
        raise typer.Exit(1)


@app.command(short_help="Write one split of a source as JSON lines.")
def convert(
    name: Annotated[str, typer.Argument(help="A source; see boxcar sources.")],
    root: Annotated[str, typer.Option(help="Folder of the published files.")],
    split: Annotated[str, typer.Option(help="One of its splits.")],
    images: Annotated[list[str] | None, typer.Option(help="Where pictures lie; only sizes may need them.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; repeatable.")] = None,
    form: Annotated[str, typer.Option(help="Published form, if several.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="A .jsonl file; standard output where not given.")] = None,
    codec: Annotated[str, typer.Option(help="round-100 or trunc-100.")] = "round-100",
    limit: Annotated[int | None, typer.Option(min=0, help="Stop after so many records.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the wordings.")] = 0,
    max_records: Annotated[int | None, typer.Option(min=1, help="Keep so many a task, chosen by hash.")] = None,
    templates: Templates = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the source: text=raw.")
    ] = None,
    json: Json = False,
) -> None:
    """Write one split as {"image": .., "record": ..} lines of JSON, the ledger to stderr (stdout with --out)."""
    from pipelines import show
    from pipelines.command import options, written
    from pipelines.convert import job
    from pipelines.wording import worded

    one = job(name, root, split, form, task, options(set or []), max_records)
    told = written(one, out, worded(seed, codec, templates), images or [], limit)
    show.converted(told, sys.stderr if out is None else sys.stdout, json)


@app.command(short_help="Build a pool of WebDataset shards, or go on with a build.")
def shard(
    pool: Annotated[str, typer.Argument(metavar="POOL.yaml", help="A pool YAML, or the name of one of ours: coco.")],
    out: Annotated[str | None, typer.Option(help="Folder or URL; pools/<pool> where not given.")] = None,
    workers: Workers = None,
    engine: Annotated[str, typer.Option(help="Where shards are packed: local.")] = "local",
    max_reject: Annotated[float | None, typer.Option(min=0, max=1, help="Largest share of rejects allowed.")] = None,
    templates: Templates = None,
    remove: Annotated[str | None, typer.Option(help="A list of links, image ids or sha256s that have to go.")] = None,
    set: Sets = None,
    json: Json = False,
) -> None:
    """Build a pool of verified WebDataset shards, one sample a picture; or go on with a build that was broken off."""
    from json import dumps as quoted

    from manifests import load, override
    from pipelines import show
    from pipelines.command import insist_engine, worker_count
    from pipelines.shard import shard as build
    from schemas.pool import pool_config

    insist_engine(engine)
    given = {"templates": templates, "remove": remove}
    own = [f"{key}={quoted(value)}" for key, value in given.items() if value]
    config = pool_config(override(load(pool), [*(set or []), *own]), pool)
    target = out or f"pools/{config.pool}"
    show.built(build(config, target, worker_count(workers, config, target), max_reject), json)


@app.command(short_help="Re-read a whole pool and say what is wrong with it.")
def verify(
    pool: Annotated[str, typer.Argument(help="A pool's folder or URL.")],
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Re-read a whole pool: digests, members, tokens, pictures, index, sums; exit 1 if anything is wrong."""
    from pipelines import show
    from pipelines.command import cores
    from pipelines.store import in_process
    from pipelines.verify import verify as check

    if not show.verified(check(pool, 1 if in_process(pool) else workers or cores()), json):
        raise typer.Exit(1)


app.command(short_help="Mix parts of pools for a training stage, pinned by a lock.")(mix)
app.command(short_help="Train a model on a lock, and pass a verdict on both.")(train)
app.command(short_help="Ask a trained model about held-out pictures, and score it.")(evaluate)
app.command(short_help="Write a pool or a lock for other trainers.")(export)
app.command(short_help="Tell what is in a pool or a lock: a page of HTML.")(report)
app.command(short_help="Look at a pool or a lock in a browser.")(view)


def _set_up(asked: bool) -> None:
    if asked:
        from pipelines.fetch.setup import home, prepared

        print(f"img2dataset is ready: {prepared(home())}")  # noqa: T201
        raise typer.Exit


@app.command(short_help="Get the pictures of a published list of links, or go on with that.")
def fetch(
    name: Annotated[str, typer.Argument(help="A source of links: cc3m, laion, grit ...")],
    root: Annotated[str, typer.Option(help="Folder of the published list.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the pictures.")],
    split: Annotated[str, typer.Option(help="One of its splits.")] = "train",
    form: Annotated[str, typer.Option(help="Published form, if several.")] = "auto",
    workers: Workers = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many links.")] = None,
    image_size: Annotated[str, typer.Option(help="Pixels of a shorter side at most, or none.")] = "448",
    per_host: Annotated[int, typer.Option(min=1, help="Connections at once to one host; as many workers at most.")] = 4,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that a picture may take.")] = 30,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask again for what may have passed.")] = False,
    allow_host: Annotated[list[str] | None, typer.Option(help="A private host that may be asked.")] = None,
    allow_opted_out: Annotated[bool, typer.Option("--allow-opted-out", help="Take what says noai or noindex.")] = False,
    by: Annotated[str, typer.Option("--with", help="Who asks: boxcar or img2dataset.")] = "boxcar",
    setup: Annotated[
        bool, typer.Option("--setup", is_eager=True, callback=_set_up, help="Install img2dataset aside, and end.")
    ] = False,
    json: Json = False,
) -> None:
    """Get pictures into tars as img2dataset writes them, or go on with that; links that fail are counted by reason."""
    from pipelines import show
    from pipelines.command import cores
    from pipelines.fetch import command

    command.insist_installed()
    from pipelines.fetch.client import Limits
    from pipelines.fetch.run import Order
    from pipelines.fetch.run import fetch as ask

    limits = Limits(total_seconds=timeout, per_host=per_host, allow_hosts=command.bare_hosts(allow_host or []))
    order = Order(
        source=name,
        root=root,
        split=split,
        form=form,
        limit=limit,
        image_size=command.pixels(image_size),
        again=retry_failed,
        opted_out=allow_opted_out,
        img2dataset=command.asking(by),
        limits=limits,
    )
    show.fetched(ask(order, out, workers or cores()), json)


@app.command(short_help="Report which links of a fetch are gone.")
def rot(
    fetched: Annotated[str, typer.Argument(help="A folder that boxcar fetch or img2dataset has filled.")],
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("rot.html"),
    json: Json = False,
) -> None:
    """Count success and failure by reason, by host and by year of the link: a page of HTML, with --json JSON too."""
    from pipelines import show
    from pipelines.fetch.rot import rot as count
    from pipelines.fetch.rot_page import write

    told = count(fetched)
    write(told, out)
    show.rotten(told, out, json)


@app.command(short_help="Draw a small world and run the whole way on it.")
def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes; replaced if it is an earlier demo.")] = Path(
        "demo-out"
    ),
    images: Annotated[int, typer.Option(min=20, help="How many pictures the world has.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed is another world.")] = 0,
    workers: Workers = None,
    train_minutes: Annotated[float, typer.Option(min=0, help="About how long a tiny model learns; 0: none.")] = 3.0,
) -> None:
    """Draw a small world, write it as the published datasets, run the whole way on it, and train a tiny model."""
    from pipelines.command import cores
    from pipelines.demo.run import demo as run

    run(out, images, seed, workers or cores(), train_minutes)


if __name__ == "__main__":
    main()
