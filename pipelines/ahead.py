"""Remote shards before they are asked for: each part's order says which come next.

A process of a run holds the shards of the windows that its parts are in, and fetches those of the next ones after
them, in the order in which draws will ask for them, as far as the cache has room. Processes share the work by the locks
of the cache: what another is fetching is passed over.
"""

import os
import resource
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from pipelines.cache import Hold, NoRoomError
from pipelines.local import OPEN, Pool
from pipelines.order import Order, Stretch
from pipelines.remote import RemotePool
from pipelines.schedule import Schedule
from schemas.errors import BoxcarError, ConfigError

Shard = tuple[int, int]  # of a pool, by its number in the lock
_HANDLES = 200  # other files that a process has open, those of a DataLoader's queues among them
_AGAIN = 1.0  # seconds until what another was fetching, or what had no room, is looked for again
_LOOKED_AT = 1024  # turns of a part at most in which it is looked for which shard comes first


@dataclass(frozen=True)
class Feeding:
    """A part that is fed from a remote pool: its number in the lock, its pool's, its order, the items of a draw."""

    part: int
    pool: int
    order: Order
    size: int


class Coming(NamedTuple):
    """A shard that will be asked for in about so many draws."""

    draws: float
    shard: Shard


def coming(schedule: Schedule, parts: Sequence[Feeding], k: int) -> list[Shard]:
    """The shards that draws from the k-th on ask for, to the end of each part's next window, soonest first."""
    before, found = schedule.before(k), list[Coming]()
    for one in parts:
        now = int(before[one.part]) * one.size
        pace = sum(schedule.counts) / schedule.counts[one.part] / one.size
        for begin in (now, one.order.stretch(now).end):
            touched = one.order.touched(begin, _LOOKED_AT)
            found += [Coming((turn - now) * pace, (one.pool, shard)) for shard, turn in touched.items()]
    return list(dict.fromkeys(one.shard for one in sorted(found)))


@dataclass(eq=False)
class _Known:
    # What the thread that draws and the one that fetches tell each other, under the lock. Current are the shards of the
    # windows that parts are in; without windows none, as then the cache has room for all.
    k: int = 0
    current: frozenset[Shard] = frozenset()
    held: dict[Shard, Hold] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    moved: threading.Event = field(default_factory=threading.Event)
    ended: bool = False


class Ahead:
    """What is fetched ahead in this process; it begins at the first draw, anew in a process that was forked."""

    def __init__(self, schedule: Schedule, parts: Sequence[Feeding], pools: Mapping[int, RemotePool]) -> None:
        self.pools = pools
        self._schedule, self._parts = schedule, parts
        self._process, self._known = 0, _Known()
        self._stretches = dict[int, Stretch]()

    def at(self, k: int, part: int, turn: int) -> bool:
        """Say that the k-th draw asks for that turn of a part; whether that changed which shards are ``current``."""
        if self._process != os.getpid():
            self._begin()
        stretch = self._stretches.get(part)
        if stretch and stretch.begin <= turn < stretch.end:
            return False
        self._move(k, part, turn)
        return True

    @property
    def current(self) -> frozenset[Shard]:
        """The shards of the windows that parts are in; none where the lock has no window."""
        return self._known.current

    def __del__(self) -> None:
        self._known.ended = True
        self._known.moved.set()

    def _begin(self) -> None:
        self._process, self._known, self._stretches = os.getpid(), _Known(), {}
        # Orders of its own: a thread must not find a table gone that another thread made room for.
        parts = [replace(one, order=replace(one.order)) for one in self._parts]
        words = (self._known, self._schedule, parts, self.pools)
        threading.Thread(target=_fetching, args=words, name="boxcar-ahead", daemon=True).start()

    def _move(self, k: int, part: int, turn: int) -> None:
        before = self._schedule.before(k)
        turns = {one.part: int(before[one.part]) * one.size for one in self._parts} | {part: turn}
        self._stretches = {one.part: one.order.stretch(turns[one.part]) for one in self._parts}
        known = self._known
        with known.lock:
            known.k = k
            known.current = frozenset(
                (one.pool, int(shard))
                for one in self._parts
                if one.order.window
                for shard in self._stretches[one.part].shards
            )
            left = [known.held.pop(shard) for shard in known.held.keys() - known.current]
        for hold in left:
            hold.release()
        known.moved.set()


def ahead(schedule: Schedule, parts: Sequence[Feeding], pools: Mapping[int, Pool]) -> Ahead | None:
    """What fetches ahead for these parts; None where none of their pools is remote.

    ConfigError where the cache has not the room, or this process may not open the files, that their windows take.
    """
    far = {number: pool for number, pool in pools.items() if isinstance(pool, RemotePool)}
    fed = [one for one in parts if one.pool in far]
    if not fed:
        return None
    _insist_room(fed, far)
    return Ahead(schedule, fed, far)


def _insist_room(parts: Sequence[Feeding], pools: Mapping[int, RemotePool]) -> None:
    window, budget = parts[0].order.window, _budget(pools)
    if window is None:
        if (wanted := sum(pool.bytes for pool in pools.values())) > budget:
            raise ConfigError(f"remote pools: {wanted:,} bytes, of which all are asked for at once where the lock has "
                              f"no window, cache_bytes is {budget:,}: set window in the mixture")  # fmt: skip
        return
    held = {number: sum(min(window, one.order.shards) for one in parts if one.pool == number) for number in pools}
    # Some processes of a run are already in the next window while others are still in this one.
    wanted = sum(int(min(2 * held[number] * pool.mean, pool.bytes)) for number, pool in pools.items())
    if wanted > budget:
        raise ConfigError(f"remote pools: two windows of {window} shards of each part are about {wanted:,} bytes, "
                          f"cache_bytes is {budget:,}: raise it, or make window smaller")  # fmt: skip
    handles, most = sum(held.values()) + 2 * OPEN + _HANDLES, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if handles > most:
        raise ConfigError(f"remote pools: windows of {window} shards of each part take {handles:,} open files, a "
                          f"process may have {most:,}: raise ulimit -n, or make window smaller")  # fmt: skip


def _budget(pools: Mapping[int, RemotePool]) -> int:
    return min(pool.cache.budget for pool in pools.values())


def _fetching(known: _Known, schedule: Schedule, parts: Sequence[Feeding], pools: Mapping[int, RemotePool]) -> None:
    budget = _budget(pools)
    failed = set[Shard]()
    again: float | None = None
    while True:
        known.moved.wait(again)
        known.moved.clear()
        if known.ended:
            return
        plan = _within(budget, coming(schedule, parts, known.k), pools)
        again = None if _gone_through(known, plan, pools, failed) else _AGAIN


def _gone_through(known: _Known, plan: Sequence[Shard], pools: Mapping[int, RemotePool], failed: set[Shard]) -> bool:
    """Whether nothing is left to do about these shards: what is current is held, what comes next is in the cache."""
    spare, whole = {pools[pool].place(shard) for pool, shard in plan}, True
    for pool, shard in plan:
        if known.moved.is_set():
            return False  # something else comes next now
        if (pool, shard) in failed or (pool, shard) in known.held:
            continue
        try:
            held = pools[pool].held(shard, spare, wait=False)
        except NoRoomError:
            return False
        except BoxcarError:
            failed.add((pool, shard))  # the draw that asks for it, if one does, tells why
            continue
        if held:
            _keep(known, (pool, shard), held.hold)
        else:
            whole = False
    return whole


def _keep(known: _Known, shard: Shard, hold: Hold) -> None:
    with known.lock:
        if shard in known.current:
            known.held[shard] = hold
        else:
            hold.release()


def _within(budget: int, shards: Sequence[Shard], pools: Mapping[int, RemotePool]) -> list[Shard]:
    """As many of the shards as the budget holds."""
    sizes = np.cumsum([pools[pool].mean for pool, _ in shards])
    return list(shards[: int(np.searchsorted(sizes, budget, side="right"))])
