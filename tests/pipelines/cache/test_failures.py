"""What goes wrong elsewhere: what passes is tried again, the rest is told, naming shards and no secrets."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import remote
from pipelines.cache import Cache
from pipelines.draws import drawing
from pipelines.load import loader
from schemas.errors import ConfigError, ShardError

Windowed = Callable[[int | None], Path]
SECRET = "xyzzy"


@pytest.fixture
def first(windowed: Windowed) -> str:
    """The tar that the first draw asks for."""
    return drawing(windowed(1)).fetch(0).where.split()[3].rstrip(",")


def drawn(windowed: Windowed, far: Any, cached: dict[str, Any], url: str = "") -> str:
    cache = Cache(cached["cache"], 2**30)
    return drawing(windowed(1), {"fine": url or far.url}, cache).fetch(0).records[0].key


@pytest.mark.parametrize("kind", ["failing", "cut"])
def test_failures_that_pass_are_tried_again(
    windowed: Windowed, far: Any, cached: dict[str, Any], first: str, kind: str
) -> None:
    of = getattr(far, kind)
    of |= dict.fromkeys(("pool.json", f"receipts/{first[5:11]}.json", first, f"{first}.idx"), remote.TRIES - 1)
    assert drawn(windowed, far, cached) == drawing(windowed(1)).fetch(0).records[0].key


@pytest.mark.parametrize("name", ["{}", "{}.idx", "receipts/"])
def test_failures_that_do_not_pass_name_pool_and_shard(
    windowed: Windowed, far: Any, cached: dict[str, Any], first: str, name: str
) -> None:
    name = name.format(first) if "{}" in name else f"receipts/{first[5:11]}.json"
    far.failing[name] = 10**6
    with pytest.raises(ShardError, match=rf"^pool fine, {name}: cannot be fetched: \w+ 503, tried 5 times$"):
        drawn(windowed, far, cached)


@pytest.mark.parametrize("name", ["{}", "{}.idx"])
def test_a_byte_that_differs_is_never_used(
    windowed: Windowed, far: Any, cached: dict[str, Any], first: str, name: str
) -> None:
    far.changed.add(name.format(first))
    with pytest.raises(ShardError, match=rf"^pool fine, {name.format(first)}: not what its receipt says"):
        drawn(windowed, far, cached)
    assert not list(cached["cache"].rglob(f"{first}"))
    until = time.monotonic() + 20
    while list(cached["cache"].rglob(f"{first}*.part")):  # what fetches ahead may be at it too
        assert time.monotonic() < until
    far.changed.clear()
    assert drawn(windowed, far, cached) == drawing(windowed(1)).fetch(0).records[0].key


def test_a_receipt_that_differs_is_never_used(windowed: Windowed, far: Any, cached: dict[str, Any], first: str) -> None:
    far.changed.add(f"receipts/{first[5:11]}.json")
    with pytest.raises(ShardError, match=rf"^pool fine, receipts/{first[5:11]}\.json: not the receipt"):
        drawn(windowed, far, cached)


@pytest.mark.parametrize("longer", [True, False])
def test_a_shard_of_another_size_is_never_used(
    windowed: Windowed, far: Any, cached: dict[str, Any], first: str, longer: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for path in far.folder.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / first).unlink()
    data = (far.folder / first).read_bytes()
    (folder / first).write_bytes(data + bytes(9 * 2**20) if longer else data[:-512])
    far.folder = folder
    with pytest.raises(ShardError, match=rf"^pool fine, {first}: not what its receipt says"):
        drawn(windowed, far, cached)


def test_a_shard_that_is_gone_is_told_at_once(windowed: Windowed, far: Any, cached: dict[str, Any], first: str) -> None:
    draws = drawing(windowed(1), {"fine": far.url}, Cache(cached["cache"], 2**30))
    far.folder = Path("/nowhere")
    with pytest.raises(ShardError, match=r"^pool fine, \S+: cannot be fetched: \w+$"):
        draws.fetch(0)


def test_a_worker_tells_what_failed(windowed: Windowed, far: Any, cached: dict[str, Any], first: str) -> None:
    far.changed.add(first)
    with pytest.raises(ShardError, match=rf"pool fine, {first}: not what its receipt says"):
        next(iter(loader(windowed(1), workers=1, **cached)))


def test_neither_password_nor_key_is_told(
    windowed: Windowed, far: Any, cached: dict[str, Any], first: str, capfd: pytest.CaptureFixture[str]
) -> None:
    url = far.url.replace("http://", f"http://ann:{SECRET}@")
    assert drawn(windowed, far, cached, url)
    far.failing |= {"pool.json": 10**6}
    told = []
    for wrong in (url, url.replace("ann", "ann2").replace(far.url[-4:], "1")):
        with pytest.raises(ShardError, match=r"^pool fine at http://127.0.0.1:\d+: pool\.json: ") as error:
            drawn(windowed, far, cached, wrong)
        told.append(error)
    with pytest.raises(ConfigError) as unset:
        loader(windowed(1), pools={"fine": f"{url}?key={SECRET}"})
    for one in (*told, unset):
        assert SECRET not in str(one.getrepr())
    assert SECRET not in "".join(capfd.readouterr())


def test_a_full_disk_is_told_as_one(
    windowed: Windowed, far: Any, cached: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.cache.Cache.reserve", full)
    with pytest.raises(ShardError, match=r"^pool fine, \S+\.tar: cannot be kept in \S+: No space left on device$"):
        drawn(windowed, far, cached)
