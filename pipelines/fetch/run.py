"""``boxcar fetch``: a list of links becomes a folder of pictures, slice by slice, each of them in a worker process."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from converters import find
from converters._files import Found, insist_files, resolve
from converters._links import batches
from pipelines import engine, store
from pipelines.fetch import output, peer
from pipelines.fetch.ask import ask, may_pass
from pipelines.fetch.client import Limits
from pipelines.fetch.output import Outcome, Spool
from pipelines.fetch.slices import ROWS, put_aside, slices, stretched, taken_up
from pipelines.fetch.state import Asker, Fetched, Standing, Stats, begun, finished, insist_ours, stats, total
from pipelines.log import Tell, build_log
from pipelines.progress import progress
from pipelines.workspace import workspace
from schemas.errors import BoxcarError, ConfigError, ShardError


@dataclass(frozen=True)
class Order:
    """What to fetch: a source's list of links under a root, at most ``limit`` of them, and how.

    ``image_size``: pixels that the shorter side of a picture is shrunk to, None for none. ``again``: links that failed
    for a reason that may pass are asked again. ``opted_out``: pictures whose servers opt out are taken.
    ``img2dataset``: the Python of an environment that has it, where it is to ask in place of our own client.
    """

    source: str
    root: str
    split: str
    form: str = "auto"
    limit: int | None = None
    image_size: int | None = None
    again: bool = False
    opted_out: bool = False
    img2dataset: Path | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class SliceTask:
    """A slice to be asked for: its number, and where its links, its scratch files and its results go."""

    number: int
    links: Path
    aside: Path
    out: str
    order: Order

    def __str__(self) -> str:
        return f"slice {output.named(self.number)}"


@dataclass(frozen=True)
class Done:
    """A slice that is finished: its number, its stats, and how many of its links were asked in this run."""

    number: int
    stats: Stats
    asked: int


def links_of(order: Order) -> Found:
    """The list of links that is meant; ConfigError where the source has none, SourceError where it is not there."""
    source = find(order.source)
    insist_files(source)
    forms = tuple(form for form in source.forms if form.links)
    if not forms:
        raise ConfigError(f"{source.name} is not published as a list of links: nothing to fetch")
    return resolve(replace(source, forms=forms), order.root, order.split, order.form)


def fetch(order: Order, out: str, workers: int = 1) -> Fetched:
    """Ask for every link of a list, or go on with that; what became of them is in ``out``, in img2dataset's format.

    ``workers`` share the connections to one host among them, so there are at most as many of them as of those.
    ConfigError where something else lies at ``out``, ShardError naming the slices that could not be finished.
    """
    out, found = store.absolute(out), links_of(order)
    if workers > 1 and store.in_process(out):
        raise ConfigError(f"{out} lives in one process alone: use 1 worker, found {workers}")
    workers = _sharing(workers, order.limits.per_host)
    limits = replace(order.limits, per_host=order.limits.per_host // workers)
    order = replace(order, limits=replace(limits, disallowed=frozenset()) if order.opted_out else limits)
    asker: Asker = "img2dataset" if order.img2dataset else "boxcar"
    folder = begun(found, order.source, order.split, asker, order.image_size, order.opted_out)
    with workspace(out) as scratch, insist_ours(out, folder, scratch):
        before = finished(out)
        with build_log(out) as tell:
            renewed = _fetched(order, found, before, out, scratch, workers, tell)
        return Fetched(order.source, order.split, found.form.name, out, len(before.keys() - renewed), total(out))


def _sharing(workers: int, per_host: int) -> int:
    if workers > per_host:
        line = f"{per_host:,} of {workers:,} workers ask, as --per-host {per_host:,} is shared among them"
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    return min(workers, per_host)


def _fetched(
    order: Order, found: Found, before: dict[int, Standing], out: str, scratch: Path, workers: int, tell: Tell
) -> set[int]:
    tell("begun", source=order.source, split=order.split, files=list(found.files), workers=workers)
    renewed, pictures = set(), 0
    tasks = _tasks(order, found, before, out, scratch)
    with progress("links asked", order.limit) as shown:
        try:
            for done in engine.run(fetch_slice, tasks, workers):
                renewed.add(done.number)
                pictures += done.stats.successes
                tell("slice", slice=done.number, asked=done.asked, **msgspec.structs.asdict(done.stats))
                shown.step(done.asked, f"{len(renewed):,} slices with {pictures:,} pictures")
        except BoxcarError as error:
            if type(error) is not BoxcarError:  # of the list; what the engine raises says which slices failed
                raise
            raise ShardError(f"{error}; run the same command again to go on") from error
    return renewed


def _tasks(order: Order, found: Found, before: dict[int, Standing], out: str, scratch: Path) -> Iterator[SliceTask]:
    assert found.form.links is not None
    limit = order.limit and stretched(order.limit, lambda number: 0 if number in before else output.length(out, number))
    for number, rows in slices(batches(found.form.links, found.files, ROWS), limit):
        there, wanted = before.get(number), rows.num_rows
        # One that has more links than are wanted stays as it is: made anew it would lose the others.
        if there and (there.count > wanted or (there.count == wanted and not (order.again and there.passing))):
            continue
        links = scratch / f"{output.named(number)}.arrow"
        put_aside(rows, links)
        yield SliceTask(number, links, scratch, out, order)


def fetch_slice(task: SliceTask) -> Done:
    """Ask for what is not known yet of a slice's links, and publish its files."""
    began, order = time.time(), task.order
    links = taken_up(task.links)
    urls = links["url"].to_pylist()
    known = output.known(task.out, task.number, urls)
    asked = [place for place in range(len(urls)) if place not in known or (order.again and may_pass(known[place]))]
    with Spool(task.aside / f"{output.named(task.number)}.spool") as spool:
        found = {**known, **_asked(task, urls, asked, spool)}
        outcomes = [found[place] for place in range(len(urls))]

        def told() -> Stats:
            states = ((one.status, one.error_message) for one in outcomes)
            return stats(states, sum(map(may_pass, outcomes)), began, time.time())

        rows = output.table(task.number, links, outcomes)
        published = output.publish(task.out, task.aside, task.number, rows, outcomes, told)
    task.links.unlink()
    return Done(task.number, published, len(asked))


def _asked(task: SliceTask, urls: list[str | None], places: list[int], spool: Spool) -> dict[int, Outcome]:
    order = task.order
    if order.img2dataset is None:
        return ask(urls, places, spool, order.image_size, order.limits)
    return peer.ask(urls, places, spool, task.aside, order.image_size, order.limits, order.img2dataset)


if __name__ == "__main__":
    from pipelines.cli import main

    main(["fetch", *sys.argv[1:]])
