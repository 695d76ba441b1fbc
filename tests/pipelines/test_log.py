"""A build's log: beside the pool, one JSON line per event, holding what it is given and no secret."""

import json
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from pipelines import store
from pipelines.log import build_log


def lines(folder: str) -> list[dict[str, object]]:
    (name,) = store.files(folder)
    assert name.endswith(f"-{os.getpid()}.jsonl")
    return [json.loads(line) for line in store.read(store.join(folder, name)).splitlines()]


@pytest.mark.parametrize("remote", [False, True])
def test_events_lie_beside_the_pool_in_order_with_their_fields(remote: bool, tmp_path: Path) -> None:
    out = f"memory://{uuid4().hex}/pool" if remote else str(tmp_path / "pool")
    with build_log(out) as tell:
        tell("begun", pool="coco", workers=2)
        tell("finished", shards=7)
    found = lines(f"{out}.log")
    assert [one["event"] for one in found] == ["begun", "finished"]
    assert (found[0]["pool"], found[0]["workers"], found[1]["shards"]) == ("coco", 2, 7)
    assert store.files(out) == set()


def test_every_line_tells_time_and_host_and_nothing_else_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    with build_log(str(tmp_path / "pool")) as tell:
        tell("begun", pool="coco")
    (found,) = lines(f"{tmp_path}/pool.log")
    assert set(found) == {"time", "host", "event", "pool"}
    assert found["host"] == socket.gethostname()
    assert datetime.fromisoformat(str(found["time"])).utcoffset() == timedelta(0)
    text = next((tmp_path / "pool.log").iterdir()).read_text()
    assert "wJalrXUtnFEMI" not in text
    assert "hf_abcdef" not in text


def test_a_local_log_can_be_read_while_the_build_runs(tmp_path: Path) -> None:
    with build_log(str(tmp_path / "pool")) as tell:
        for number in range(1, 4):
            tell("shard", shard=number)
            assert len(lines(f"{tmp_path}/pool.log")) == number


@pytest.mark.parametrize("remote", [False, True])
def test_the_log_of_a_build_that_fails_is_kept(remote: bool, tmp_path: Path) -> None:
    out = f"memory://{uuid4().hex}/pool" if remote else str(tmp_path / "pool")
    with pytest.raises(KeyboardInterrupt), build_log(out) as tell:
        tell("begun")
        raise KeyboardInterrupt
    assert [one["event"] for one in lines(f"{out}.log")] == ["begun"]


def test_text_with_line_feeds_stays_on_one_line(tmp_path: Path) -> None:
    with build_log(str(tmp_path / "pool")) as tell:
        tell("failed", why="one\ntwo \u2028 three")
    (found,) = lines(f"{tmp_path}/pool.log")
    assert found["why"] == "one\ntwo \u2028 three"
