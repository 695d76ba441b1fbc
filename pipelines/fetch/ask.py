"""Asking for the links of a slice: all at once within the client's limits, pictures looked at in one thread beside."""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import msgspec

from converters._table import Piece
from pipelines.fetch.answer import passing
from pipelines.fetch.client import Get, Limits, client
from pipelines.fetch.output import Outcome, Spool
from pipelines.fetch.picture import orientation, taken
from pipelines.fetch.state import FAILED, SUCCESS, UNREADABLE
from schemas.errors import ImageError

UNDER_WAY = 1024  # links that wait or are asked at once: more would only cost memory
_NO_LINK = Outcome(FAILED, "bad link")


class _Seen(NamedTuple):
    outcome: Outcome
    data: bytes | None = None  # None where the bytes stay as they came


def may_pass(outcome: Outcome) -> bool:
    """Whether a link failed for a reason that may pass."""
    return outcome.status == FAILED and passing(outcome.error_message)


def ask(
    urls: Sequence[str | None], places: Iterable[int], spool: Spool, image_size: int | None, limits: Limits
) -> dict[int, Outcome]:
    """What became of the links at those places, pictures put into the spool; a link that occurs twice is asked once."""
    wanted: dict[str | None, list[int]] = {}
    for place in places:
        wanted.setdefault(urls[place], []).append(place)
    links = [url for url in wanted if url]
    found = asyncio.run(_all(links, spool, image_size, limits))
    return {place: found.get(url or "", _NO_LINK) for url, there in wanted.items() for place in there}


async def _all(links: Sequence[str], spool: Spool, image_size: int | None, limits: Limits) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    gate, beside = asyncio.Semaphore(UNDER_WAY), ThreadPoolExecutor(1, "pictures")

    async def one(link: str) -> None:
        try:
            found[link] = await _one(get, link, spool, beside, image_size)
        finally:
            gate.release()

    try:
        async with client(limits) as get, asyncio.TaskGroup() as group:
            for link in links:
                await gate.acquire()
                group.create_task(one(link))
    finally:
        beside.shutdown(cancel_futures=True)
    return found


async def _one(get: Get, link: str, spool: Spool, beside: ThreadPoolExecutor, image_size: int | None) -> Outcome:
    answer = await get(link)
    if answer.reason:
        return Outcome(FAILED, answer.reason)
    raw = spool.add(answer.data)
    del answer  # what waits for the thread waits on disk
    look = partial(_seen, spool, raw, image_size)
    outcome, data = await asyncio.get_running_loop().run_in_executor(beside, look)
    if outcome.status != SUCCESS:
        return outcome
    return outcome._replace(piece=raw if data is None else spool.add(data))


def _seen(spool: Spool, raw: Piece, image_size: int | None) -> _Seen:
    data = spool.read(raw)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        picture, turn = taken(data, image_size), orientation(data)
    except ImageError as error:
        return _Seen(Outcome(UNREADABLE, error.reason, sha256=sha256))
    except Exception:  # noqa: BLE001 - whatever a decoder trips over, it costs this link alone
        return _Seen(Outcome(UNREADABLE, "unreadable picture", sha256=sha256))
    exif = msgspec.json.encode({"Image Orientation": turn}).decode() if turn else None
    outcome = Outcome(SUCCESS, None, *picture.size, *picture.original, exif, sha256)
    return _Seen(outcome, None if picture.data is data else picture.data)
