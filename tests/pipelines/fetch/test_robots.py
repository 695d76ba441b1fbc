"""An opt-out is heard where it is said to everybody or to this client, and only there."""

import pytest

from pipelines.demo.server import misbehaving
from pipelines.fetch.client import Limits
from pipelines.fetch.robots import opted_out

HEARD = [
    ["noai"],
    ["NoImageAI"],
    ["all, noindex"],
    ["noarchive", "noimageindex"],
    ["boxcar: noai"],
    ["BoxCar : none, noai"],
    ["otherbot: noai", "noai"],
    ["otherbot: nofollow, boxcar: noai"],
    ["max-snippet: 20, noai"],
    ["noai, max-snippet: 20"],
    ["noai, otherbot: nofollow"],
    ["unavailable_after: 25 Jun 2010 15:00:00 PST, noindex"],
    ["unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai"],
    ["unavailable_after: Wednesday, 25-Jun-31 15:00:00 GMT, noai"],
    ["unavailable_after: 25 June, 2031, 15:00:00, noai"],
    ["max-image-preview:large, max-video-preview: -1, noai"],
    ["boxcar: unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai"],
    ["*: noai"],
    ["otherbot: nofollow, * : noai"],
    ["none"],
    ["*: None"],
    ["boxcar: max-snippet: 20, none"],
]
NOT_HEARD = [
    [],
    [""],
    ["all"],
    ["otherbot: noai"],
    ["otherbot: noai, noindex"],
    ["otherbot: noai", "anotherbot: noindex"],
    ["noaiveness, indexno"],
    [":::,,,:"],
    ["max-snippet: noai"],
    ["otherbot: none"],
    ["other-bot_2: all, noai"],
    ["360spider: all, noai"],
    ["otherbot*: all, noai"],
    ["otherbot: max-snippet: 20, noai"],
    ["otherbot: unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai"],
    ["boxcar: all, otherbot: noai"],
    ["nonesuch, unavailable_after: none"],
]


@pytest.mark.parametrize("headers", HEARD)
def test_an_opt_out_that_concerns_the_client_is_heard(headers):
    assert opted_out(headers, Limits().disallowed, "boxcar") in {*Limits().disallowed, "none"}


@pytest.mark.parametrize("headers", NOT_HEARD)
def test_what_concerns_others_or_forbids_nothing_is_no_opt_out(headers):
    assert opted_out(headers, Limits().disallowed, "boxcar") is None


def test_none_says_no_where_what_it_stands_for_does():
    assert [opted_out(["none"], frozenset({word}), "boxcar") for word in ("noindex", "nofollow")] == ["none"] * 2
    assert opted_out(["none"], frozenset({"noai"}), "boxcar") is None
    assert opted_out(["none"], frozenset(), "boxcar") is None


def test_the_client_hears_by_the_name_and_the_directives_it_is_given(ask):
    with misbehaving({"cat.jpg": b"cat"}) as server:
        links = [server.url("opted-out/cat.jpg"), server.url("another-opted-out/cat.jpg")]
        assert [answer.reason for answer in ask(*links)] == ["opted out", ""]
        assert [answer.reason for answer in ask(*links, user_agent_token="otherbot")] == ["opted out"] * 2
        assert "otherbot/" in server.head
        assert [answer.reason for answer in ask(*links, disallowed=frozenset())] == ["", ""]
