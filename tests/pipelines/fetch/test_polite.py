"""Hosts are left alone as they ask, few links are at one host at once, and a slow host stalls no other."""

import asyncio
import time
from email.utils import formatdate

import pytest

from pipelines.demo.server import misbehaving
from pipelines.fetch.answer import Ended
from pipelines.fetch.client import Limits, client
from pipelines.fetch.polite import Patience, Turns, back_off, retry_after

FILES = {f"{number}.jpg": b"cat" for number in range(40)}
OTHER = "127.0.0.3"
BOTH = frozenset({"127.0.0.1", OTHER})


def most_at_once(per_host: int, concurrency: int, hosts: list[str]) -> tuple[dict[str, int], int, int]:
    """The most turns held at once per host and in all, and how many hosts are known of when all is done."""

    async def held() -> tuple[dict[str, int], int, int]:
        turns, now, most = Turns(per_host, concurrency), dict.fromkeys(hosts, 0), dict.fromkeys([*hosts, ""], 0)

        async def one(host: str) -> None:
            async with turns.turn(host, Patience(0)):
                now[host] += 1
                most[host], most[""] = max(most[host], now[host]), max(most[""], sum(now.values()))
                await asyncio.sleep(0.001)
                now[host] -= 1

        await asyncio.gather(*map(one, hosts))
        return most, most.pop(""), len(turns)

    return asyncio.run(held())


def test_so_many_links_are_at_one_host_at_once_and_so_many_in_all():
    hosts = ["a"] * 30 + ["b"] * 30 + ["c"] * 2
    assert most_at_once(4, 64, hosts)[:2] == ({"a": 4, "b": 4, "c": 2}, 10)
    assert most_at_once(4, 5, hosts)[1] == 5
    assert most_at_once(1, 64, hosts)[0] == {"a": 1, "b": 1, "c": 1}


def test_hosts_are_forgotten_when_no_link_is_about_them():
    assert most_at_once(4, 64, [f"host{number}" for number in range(500)])[2] == 0


def test_a_pausing_host_is_remembered_until_its_pause_is_over():
    async def known() -> list[int]:
        turns, counts = Turns(1, 1), []
        async with turns.turn("a", Patience(0)):
            turns.pause("a", 0.1)
        counts.append(len(turns))
        with pytest.raises(Ended, match="host asked for a pause"):
            async with turns.turn("a", Patience(0.01)):
                pass
        await asyncio.sleep(0.2)
        return [*counts, len(turns)]

    assert asyncio.run(known()) == [1, 0]


def test_a_link_waits_out_the_pause_of_its_host_and_it_counts_against_its_patience():
    async def waited() -> tuple[float, float]:
        turns, patience, begun = Turns(1, 1), Patience(1), time.monotonic()
        async with turns.turn("a", Patience(0)):
            turns.pause("a", 0.2)
            turns.pause("a", 0.1)  # a shorter one does not shorten it
        async with turns.turn("a", patience):
            return time.monotonic() - begun, patience.left

    seconds, left = asyncio.run(waited())
    assert 0.19 <= seconds < 1
    assert 0.75 < left < 0.85


def test_a_link_that_already_stood_in_the_queue_heeds_the_pause_too():
    async def begun() -> float:
        turns, start = Turns(1, 8), time.monotonic()

        async def busy() -> None:
            async with turns.turn("a", Patience(0)):
                await asyncio.sleep(0.05)
                turns.pause("a", 0.2)

        async def queued() -> float:
            async with turns.turn("a", Patience(1)):
                return time.monotonic() - start

        return (await asyncio.gather(busy(), queued()))[1]

    assert asyncio.run(begun()) >= 0.24


def test_a_pause_is_remembered_no_longer_than_an_hour():
    async def left() -> str:
        turns = Turns(1, 1)
        async with turns.turn("a", Patience(0)):
            turns.pause("a", 1e12)
        with pytest.raises(Ended) as caught:
            async with turns.turn("a", Patience(60)):
                pass
        return caught.value.detail

    assert asyncio.run(left()) == "a: another 3600 s"


def test_a_connection_is_kept_only_while_others_wait_for_it():
    async def kept(links: int) -> list[bool]:
        turns, said = Turns(1, 64), []

        async def one() -> None:
            async with turns.turn("a", Patience(0)) as keep:
                said.append(keep)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(one() for _ in range(links)))
        return said

    assert asyncio.run(kept(1)) == [False]
    assert asyncio.run(kept(4)) == [False, True, True, False]  # none waited yet when the first began


def test_retry_after_is_seconds_or_a_date_and_nonsense_asks_for_nothing():
    assert [retry_after(text) for text in ("0", "7", " 120 ", "9" * 40)] == [0, 7, 120, 999_999_999]
    assert [retry_after(text) for text in (None, "", "soon", "-3", "1.5", "\u0663", "Mon, 99 Foo 2020")] == [None] * 7
    assert retry_after(formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_back_off_doubles_and_is_spread_by_link_and_attempt_and_always_the_same():
    delays = [back_off(f"http://host/{number}", 1, 1.0) for number in range(200)]
    assert delays == [back_off(f"http://host/{number}", 1, 1.0) for number in range(200)]
    assert 0.5 <= min(delays) < 0.6 < 1.4 < max(delays) <= 1.5
    assert 0.9 < sum(delays) / 200 < 1.1
    assert all(1.0 <= back_off(f"http://host/{number}", 2, 1.0) <= 3.0 for number in range(200))
    assert back_off("\ud800", 1, 1.0) > 0


def test_a_host_that_asks_for_longer_than_the_patience_is_given_up_for_all_its_links_at_once():
    with misbehaving(FILES) as server, misbehaving(FILES, host=OTHER) as other:

        async def got() -> list[str]:
            async with client(Limits(allow_hosts=BOTH)) as get:
                first = await get(server.url("busy-for-an-hour/1.jpg"))
                rest = await asyncio.gather(get(server.url("2.jpg")), get(other.url("3.jpg")))
                return [answer.reason for answer in (first, *rest)]

        begun = time.monotonic()
        assert asyncio.run(got()) == ["HTTP 429", "host asked for a pause", ""]
    assert time.monotonic() - begun < 3
    assert server.requests == ["busy-for-an-hour/1.jpg"]


@pytest.mark.parametrize(("name", "least"), [("busy-once", 1.0), ("busy-until", 0.9)])
def test_the_other_links_of_a_host_wait_as_long_as_it_asked_one_of_them(name, least):
    with misbehaving(FILES) as server:

        async def got() -> tuple[float, list[str]]:
            async with client(Limits(allow_hosts=BOTH, per_host=1)) as get:
                begun = time.monotonic()
                links = [server.url(f"{name}/1.jpg"), server.url("2.jpg"), server.url("3.jpg")]
                answers = await asyncio.gather(*map(get, links))
                return time.monotonic() - begun, [answer.reason for answer in answers]

        seconds, reasons = asyncio.run(got())
    assert reasons == ["", "", ""]
    assert server.requests[0] == f"{name}/1.jpg"
    assert len(server.requests) == 4
    assert seconds >= least


def test_a_slow_host_stalls_no_other():
    with misbehaving(FILES) as slow, misbehaving(FILES, host=OTHER) as quick:

        async def got() -> tuple[float, int]:
            async with client(Limits(allow_hosts=BOTH, per_host=2, concurrency=4, total_seconds=1.5)) as get:
                hanging = [asyncio.create_task(get(slow.url(f"silent/{number}"))) for number in range(40)]
                await asyncio.sleep(0.1)
                begun = time.monotonic()
                answers = await asyncio.gather(*(get(quick.url(path)) for path in FILES))
                seconds = time.monotonic() - begun
                for task in hanging:
                    task.cancel()
                await asyncio.gather(*hanging, return_exceptions=True)
                return seconds, sum(answer.reason == "" for answer in answers)

        seconds, arrived = asyncio.run(got())
    assert arrived == 40
    assert seconds < 1
    assert len(slow.requests) == 2
