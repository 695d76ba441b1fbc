"""A limit that is smaller than an earlier one takes nothing away of what was fetched, whatever came in between."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from converters._downloads import pictures
from pipelines import store
from pipelines.demo.server import Server, misbehaving
from pipelines.fetch.client import Limits
from pipelines.fetch.run import Order, fetch
from pipelines.fetch.state import Fetched
from schemas.errors import ShardError

LINKS, BROKEN = 7, (0, 5)  # with slices of four: one of four links, one of three
LIMITS = Limits(total_seconds=3, back_off_seconds=0.02, attempts=1, allow_hosts=frozenset({"127.0.0.1"}))
Ask = Callable[..., Fetched]


@pytest.fixture
def server() -> Iterator[Server]:
    file = io.BytesIO()
    Image.effect_noise((90, 60), 50).save(file, "JPEG")
    with misbehaving({"cat.jpg": file.getvalue()}) as running:
        yield running


@pytest.fixture
def ask(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """``ask(**order)`` fetches seven links into ``out`` in slices of four; two of them are broken in a passing way."""
    monkeypatch.setattr("pipelines.fetch.slices.ROWS", 4)
    paths = [f"{'broken-for-ever/' if number in BROKEN else ''}cat.jpg?{number}" for number in range(LINKS)]
    lines = "".join(f"{number}\t{server.url(path)}\n" for number, path in enumerate(paths))
    (tmp_path / "Train_GCC-training.tsv").write_text(lines)

    def asked(**words: Any) -> Fetched:
        order = Order("cc3m", str(tmp_path), "train", image_size=448, limits=LIMITS)
        return fetch(replace(order, **words), str(tmp_path / "out"))

    return asked


def data(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 5, 6])
def test_a_finished_slice_stays_as_it_is(server: Server, ask: Ask, tmp_path: Path, limit: int, again: bool) -> None:
    total = ask().total
    assert (total.links, total.successes, total.passing) == (7, 5, 2)
    before = data(tmp_path / "out")
    server.requests.clear()
    told = ask(limit=limit, again=again)
    assert (told.total.links, told.total.successes) == (7, 5)
    last = f"0000{(limit - 1) // 4}"
    after = data(tmp_path / "out")
    assert {name: after[name] for name in before if name.startswith(last)} == {
        name: before[name] for name in before if name.startswith(last)
    }
    assert server.requests == (["broken-for-ever/cat.jpg"] if again and limit > 4 else [])


def test_what_failed_is_asked_again_where_the_limit_is_what_it_was(server: Server, ask: Ask) -> None:
    ask(limit=6)
    server.requests.clear()
    assert ask(limit=6, again=True).total.links == 6
    assert server.requests == ["broken-for-ever/cat.jpg"] * 2


@pytest.mark.parametrize("limit", [1, 5])
@pytest.mark.parametrize("also", [(), ("parquet",), ("tar",)])
def test_an_unfinished_slice_keeps_every_link_that_it_has(
    server: Server, ask: Ask, tmp_path: Path, limit: int, also: tuple[str, ...]
) -> None:
    out, last = tmp_path / "out", f"0000{(limit - 1) // 4}"
    ask()
    before = {name: found for name, found in data(out).items() if name.endswith((".tar", ".parquet"))}
    (out / f"{last}_stats.json").unlink()
    for kind in also:
        (out / f"{last}.{kind}").unlink()
    server.requests.clear()
    told = ask(limit=limit)
    assert told.total.links == LINKS
    assert {name: data(out)[name] for name in before} == before
    if not also:
        assert server.requests == []


def test_pictures_that_came_without_their_rows_are_not_thrown_away(
    server: Server, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(limit=2)

    def stopping(aside: Path, url: str) -> None:
        if url.endswith(".parquet"):
            raise OSError(28, "No space left on device")
        publish(aside, url)

    publish = store.publish
    with monkeypatch.context() as patch:
        patch.setattr(store, "publish", stopping)
        with pytest.raises(ShardError, match="No space left"):
            ask(limit=4)
    tar = tmp_path / "out/00000.tar"
    assert len(pictures(str(tar))) == 3
    assert pq.read_table(tar.with_suffix(".parquet")).num_rows == 2
    assert ask(limit=1).total.links == 4
    assert len(pictures(str(tar))) == 3
