"""Which pool each part of a mixture is drawn from, among those given."""

from collections.abc import Sequence
from typing import NamedTuple

from converters import find
from pipelines.held_out import holds
from pipelines.record_index import Given, given
from schemas.errors import ConfigError, unknown
from schemas.ledger import Part
from schemas.mixture import HeldSplit, Mixture, PartEntry


class Placed(NamedTuple):
    """A part of a mixture and the pool that it is drawn from."""

    entry: PartEntry
    pool: Given


def opened(locations: Sequence[str]) -> list[Given]:
    """The pools at these places, each once, by name; ConfigError where two that differ have one name."""
    if not locations:
        raise ConfigError("no pool is given: --pools DIR, once for each")
    pools: dict[str, Given] = {}
    for pool in sorted(map(given, dict.fromkeys(locations)), key=lambda pool: pool.location):
        other = pools.setdefault(pool.name, pool)
        if other.manifest.digest != pool.manifest.digest:
            raise ConfigError(f"two pools are called {pool.name}, and differ: {other.location} and {pool.location}")
    return [pools[name] for name in sorted(pools)]


def placed(mixture: Mixture, pools: Sequence[Given]) -> list[Placed]:
    """The pool of each part, in the mixture's order.

    ConfigError for a part that no pool holds (with near ones), that several hold and no ``pool`` is said, or that is
    there without a record.
    """
    found = [Placed(entry, _pool(entry, pools)) for entry in mixture.parts]
    seen = set[tuple[Part, str]]()
    for entry, pool in found:
        if (entry.part, pool.name) in seen:
            raise ConfigError(f"part {entry.part} of pool {pool.name} is listed twice")
        seen.add((entry.part, pool.name))
    return found


def _pool(entry: PartEntry, pools: Sequence[Given]) -> Given:
    if entry.pool is not None:
        if entry.pool not in (known := {pool.name: pool for pool in pools}):
            raise ConfigError(f"part {entry.part}: {unknown('pool', entry.pool, known)}")
        pools = [known[entry.pool]]
    holding = [pool for pool in pools if entry.part in pool.written]
    if not holding:
        where = f" in pool {entry.pool}" if entry.pool else ""
        raise ConfigError(
            unknown("part", str(entry.part), {str(part) for pool in pools for part in pool.written}) + where
        )
    filled = [pool for pool in holding if pool.written[entry.part]]
    if not filled:
        raise ConfigError(f"part {entry.part}: it is in pool {holding[0].name}, without a record")
    if len(filled) > 1:
        names = " and ".join(pool.name for pool in filled)
        raise ConfigError(f"part {entry.part}: pools {names} hold it: say which with pool: {filled[0].name}")
    return filled[0]


def insist_trainable(parts: Sequence[Placed], splits: Sequence[HeldSplit]) -> None:
    """ConfigError where a part is a split that is held out, or one that models are evaluated on."""
    for entry, pool in parts:
        for split in splits:
            if (entry.source, entry.split) in holds(pool, split):
                raise ConfigError(f"part {entry.part}: held_out holds out {split.split}, whose pictures it shows")
        if find(entry.source).splits.get(entry.split) != "train":
            raise ConfigError(f"part {entry.part}: it is for evaluation: --allow-eval mixes it all the same")
