"""A mixture resolved against pools: which records of each part may be drawn, how often, and what pins all that."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from converters import sources
from pipelines import store
from pipelines.command import cores
from pipelines.eligible import ITEMS, ROWS, SHARDS, Eligible, stem
from pipelines.held_names import split_of
from pipelines.held_out import Asked, Found, asked, held_pictures
from pipelines.locked import lock_digest
from pipelines.placed import Placed, insist_trainable, placed
from pipelines.record_index import Given
from pipelines.selection import Chosen, Wanted, choose
from pipelines.shares import Shares, Sized, shares
from pipelines.token_count import Measured, measured
from schemas import __version__
from schemas.errors import ConfigError, unknown
from schemas.ledger import Count, Part
from schemas.lock import LOCK_SCHEMA, HeldOutSplit, Lock, LockedPart, PinnedPool
from schemas.mixture import Mixture
from schemas.pool import FileDigest
from schemas.prompt import templates

NEARLY = "nearly the same picture"

MANY = 64  # shards from which on worker processes are worth their start

Measure = Callable[[Given, Part, Eligible], Measured]


class Order(NamedTuple):
    """A mixture and all that it is resolved with. ``own`` are its template pools, ``tokens`` says how they count."""

    mixture: Mixture
    pools: Sequence[Given]
    roots: Mapping[str, str]
    own: Mapping[str, Sequence[str]]
    measure: Measure
    tokens: str
    allow_eval: bool
    workers: int


class _Part(NamedTuple):
    """A part with what was found of it."""

    placed: Placed
    said: Chosen
    tokens: Measured
    files: tuple[FileDigest, FileDigest, FileDigest | None]

    @property
    def batch(self) -> int:
        return self.placed.entry.batch_size or 1

    @property
    def sized(self) -> Sized:
        entry, said = self.placed.entry, self.said
        return Sized(entry.part, entry.weight, entry.epochs, self.batch, said.records, said.items, self.tokens.mean)


def counted_by(tokenizer: str | None) -> Measure:
    """What counts a part's tokens: a tokenizer, or without one the estimate."""

    def measure(pool: Given, part: Part, eligible: Eligible) -> Measured:
        return measured(pool.location, pool.manifest, part, eligible, tokenizer)

    return measure


def worker_count(pools: Sequence[Given]) -> int:
    """A worker process a core, or none beside this one for few shards or pools that live in this process only."""
    few = sum(pool.manifest.shards for pool in pools) < MANY
    return 1 if few or any(store.in_process(pool.location) for pool in pools) else cores()


class Resolved(NamedTuple):
    """A lock, and the file of all names that it holds out (see ``pipelines.held_names``)."""

    lock: Lock
    held: Path


def resolve(order: Order, folder: Path, scratch: Path) -> Resolved:
    """The lock of a mixture, with its digest; its files are written to ``folder``.

    The same mixture, pools and annotations give the same lock and the same bytes of its files, but for locations.
    ConfigError where the mixture cannot be met by these pools.
    """
    for name in order.roots:
        if name not in sources():
            raise ConfigError(f"--root: {unknown('source', name, sources())}")
    splits = asked(order.mixture.held_out)
    parts = placed(order.mixture, order.pools)
    if not order.allow_eval:
        insist_trainable(parts, splits)
    mixed = {pool.location: [one.entry.part for one in parts if one.pool is pool] for pool in order.pools}
    wanted = Asked(splits, order.pools, mixed, order.roots, order.mixture.near_held_out)
    held, found = held_pictures(wanted, scratch, order.workers)
    names = [one.split.split for one in found]
    chosen = _chosen(order, parts, held, folder, scratch)
    for one, said in zip(parts, chosen, strict=True):
        _insist_any(one, said, names)
    sized = [_measured(order, one, said, folder) for one, said in zip(parts, chosen, strict=True)]
    lock = _lock(order, sized, found)
    return Resolved(msgspec.structs.replace(lock, digest=lock_digest(lock)), held)


def _chosen(order: Order, parts: Sequence[Placed], held: Path, folder: Path, scratch: Path) -> list[Chosen]:
    found: dict[int, Chosen] = {}
    for pool in order.pools:
        mine = [place for place, one in enumerate(parts) if one.pool is pool]
        wanted = [_wanted(order.mixture, parts[place]) for place in mine]
        if wanted:
            found |= zip(mine, choose(pool, wanted, held, folder, scratch, order.workers), strict=True)
    return [found[place] for place in range(len(parts))]


def _wanted(mixture: Mixture, one: Placed) -> Wanted:
    entry = one.entry
    name = stem(entry.part, one.pool.name)
    return Wanted(name, entry.part, entry.filters, entry.max_records, mixture.seed, mixture.per_image)


def _insist_any(one: Placed, said: Chosen, names: Sequence[str]) -> None:
    if said.records:
        return
    took = sorted([*_filtered(said), *_lost(said, names)], key=lambda count: -count.count)
    told = ", ".join(f"{count.name} {count.count:,}" for count in took)
    raise ConfigError(f"part {one.entry.part}: of {said.candidates:,} records none is left: {told}")


def _filtered(said: Chosen) -> list[Count]:
    return [Count(rule, count) for rule, count in sorted(said.filtered.items()) if count]


def _lost(said: Chosen, names: Sequence[str]) -> list[Count]:
    """What a part lost, in the order of the splits."""
    told = ((*split_of(label), count) for label, count in sorted(said.lost.items()))
    return [Count(f"{names[split]}, {NEARLY}" if near else names[split], count) for split, near, count in told]


def _measured(order: Order, one: Placed, said: Chosen, folder: Path) -> _Part:
    name = stem(one.entry.part, one.pool.name)
    rows, shards, items = (folder / f"{name}.{kind}" for kind in (ROWS, SHARDS, ITEMS))
    joined = items if order.mixture.per_image != 1 else None
    files = tuple(store.digest(str(path), path.name) if path else None for path in (rows, shards, joined))
    eligible = Eligible(rows, shards, joined)
    return _Part(one, said, order.measure(one.pool, one.entry.part, eligible), files)  # type: ignore[arg-type]


def _lock(order: Order, parts: Sequence[_Part], found: Sequence[Found]) -> Lock:
    mixture, names = order.mixture, [one.split.split for one in found]
    drawn = shares(mixture, [part.sized for part in parts])
    pools = sorted(order.pools, key=lambda pool: (all(part.placed.pool is not pool for part in parts), pool.name))
    return Lock(
        schema=LOCK_SCHEMA,
        digest="",
        boxcar=__version__,
        stage=str(mixture.stage),
        unit=mixture.unit,
        seed=mixture.seed,
        window=mixture.window,
        block=drawn.block,
        step=drawn.step,
        steps=drawn.steps,
        mixture=_said(order, [part.placed for part in parts]),
        roots={source: _place(root) for source, root in sorted(order.roots.items())},
        tokens=order.tokens,
        pools=[_pinned(pool, order.own) for pool in pools],
        parts=_locked(parts, drawn, pools, names),
        held_out=[_held_split(one, label, parts) for label, one in enumerate(found)],
    )


def _said(order: Order, parts: Sequence[Placed]) -> dict[str, Any]:
    """The mixture as it was resolved: with the pools of its parts, its template pools in full, and no roots."""
    said = order.mixture.model_dump(mode="json", exclude={"roots"})
    for entry, one in zip(said["parts"], parts, strict=True):
        entry["pool"] = one.pool.name
    return {**said, "templates": {name: list(pool) for name, pool in sorted(order.own.items())} or None}


def _pinned(pool: Given, own: Mapping[str, Sequence[str]]) -> PinnedPool:
    manifest, config = pool.manifest, pool.manifest.config
    worded = {**templates(), **config.get("templates", {}), **own}
    return PinnedPool(
        name=pool.name,
        digest=manifest.digest,
        location=_place(pool.location),
        shards=manifest.shards,
        samples=manifest.samples,
        records=manifest.records,
        seed=config["seed"],
        codec=config["codec"],
        templates={name: list(texts) for name, texts in sorted(worded.items())},
    )


def _place(url: str) -> str:
    # A lock is handed on: what opens the place has to come from the environment, or with the place when it is used.
    return url if store.is_local(url) else store.shown(url)


def _held_split(found: Found, label: int, parts: Sequence[_Part]) -> HeldOutSplit:
    records = sum(count for part in parts for one, count in part.said.lost.items() if split_of(one)[0] == label)
    return HeldOutSplit(found.split.split, found.origin, found.images, found.digest, records)


def _locked(parts: Sequence[_Part], drawn: Shares, pools: Sequence[Given], names: Sequence[str]) -> list[LockedPart]:
    items = [count * part.batch for count, part in zip(drawn.counts, parts, strict=True)]
    records = [many * part.said.records / part.said.items for many, part in zip(items, parts, strict=True)]
    samples = _of_all(records)
    images = _of_all([many if part.said.images else 0 for many, part in zip(items, parts, strict=True)])
    tokens = _of_all([many * part.tokens.mean for many, part in zip(records, parts, strict=True)])
    return [
        _locked_part(part, drawn, count, pools.index(part.placed.pool), _lost(part.said, names), of)
        for part, count, *of in zip(parts, drawn.counts, samples, images, tokens, strict=True)
    ]


def _of_all(amounts: Sequence[float]) -> list[float]:
    total = sum(amounts)
    return [amount / total if total else 0.0 for amount in amounts]


def _locked_part(
    part: _Part, drawn: Shares, count: int, pool: int, lost: list[Count], of: Sequence[float]
) -> LockedPart:
    entry, said, draws = part.placed.entry, part.said, drawn.budget * count / drawn.block
    return LockedPart(
        **entry.part._asdict(),
        pool=pool,
        weight=entry.weight,
        epochs_wanted=entry.epochs,
        batch_size=entry.batch_size,
        wording=entry.wording,
        count=count,
        candidates=said.candidates,
        records=said.records,
        images=said.images,
        items=said.items,
        filtered=_filtered(said),
        lost=lost,
        draws=draws,
        epochs=draws * part.batch / said.items,
        sample_share=of[0],
        image_share=of[1],
        token_share=of[2],
        mean_tokens=float(part.tokens.mean),
        max_tokens=part.tokens.most,
        rows=part.files[0],
        shards=part.files[1],
        joined=part.files[2],
    )
