"""A list of links fetched from a server that misbehaves: every link ends in one state, and a rerun goes on."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from converters._downloads import pictures
from pipelines import engine, store
from pipelines.demo.misbehaviour import MISBEHAVIOURS
from pipelines.demo.server import Server, misbehaving
from pipelines.fetch.client import Limits
from pipelines.fetch.picture import Taken, taken
from pipelines.fetch.run import Order, SliceTask, fetch
from pipelines.fetch.state import Fetched
from schemas.errors import ShardError

LIMITS = Limits(
    max_bytes=2**20,
    total_seconds=3,
    back_off_seconds=0.02,
    per_host=64,
    allow_hosts=frozenset({"127.0.0.1"}),
)
PASSING = ("HTTP 429", "HTTP 500", "connection failed", "cut short", "timed out")
READ_AS = dict.fromkeys(("truncated-jpeg", "longer-than-stated"), "damaged picture") | {"html-as-jpg": "no picture"}


def jpeg(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 50).convert("RGB").save(file, "JPEG")
    return file.getvalue()


FILES = {"cat.jpg": jpeg(120, 90), "large.jpg": jpeg(900, 600), "ä/öl 猫.jpg": jpeg(64, 64)}


@pytest.fixture
def server() -> Iterator[Server]:
    with misbehaving(dict(FILES)) as running:
        yield running


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Fetched]:
    """``ask(lines, **order)`` fetches a list of (caption, link) into ``out``."""

    def asked(lines: list[tuple[str, str]] | None, **words: Any) -> Fetched:
        root = tmp_path / "cc3m"
        root.mkdir(exist_ok=True)
        if lines is not None:
            text = "".join(f"{caption}\t{link}\n" for caption, link in lines)
            (root / "Train_GCC-training.tsv").write_text(text, encoding="utf-8")
        workers = words.pop("workers", 1)
        order = replace(Order("cc3m", str(root), "train", image_size=448, limits=LIMITS), **words)
        return fetch(order, str(tmp_path / "out"), workers)

    return asked


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def ends(folder: Path) -> dict[str, str]:
    """What became of each link, by its caption."""
    return {row["caption"]: row["error_message"] or row["status"] for row in rows(folder)}


def data(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".tar", ".parquet")}


def test_every_link_ends_in_the_one_state_that_it_must(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    amiss = {name: MISBEHAVIOURS[name].reason or READ_AS.get(name, "success") for name in MISBEHAVIOURS}
    odd = {"none": ("", "bad link"), "ftp": ("ftp://a.example/x", "not http"), "word": ("cat.jpg", "bad link")}
    good = {f"cat {number}": server.url(f"cat.jpg?{number}") for number in range(150)}
    lines = [*good.items(), *((name, server.url(f"{name}/cat.jpg")) for name in amiss)]
    told = ask([*lines, *((name, link) for name, (link, _) in odd.items())])
    expected = dict.fromkeys(good, "success") | amiss | {name: why for name, (_, why) in odd.items()}
    assert ends(tmp_path / "out") == expected
    total = told.total
    assert sum(total.states.values()) == total.links == len(expected)
    assert total.successes + total.failed_to_download + total.failed_to_resize == total.links
    assert total.failed_to_resize == 3
    assert next(iter(total.states)) == "success"
    assert list(total.states.values()) == sorted(total.states.values(), reverse=True)
    assert total.passing == sum(why in PASSING for why in expected.values())
    assert {
        pictures(str(tmp_path / "out/00000.tar")).keys()
        == {row["key"] for row in rows(tmp_path / "out") if row["width"]}
    }
    assert server.canary_connections == 0
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_a_rerun_asks_for_nothing_and_changes_nothing(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    lines = [(str(number), server.url(f"cat.jpg?{number}")) for number in range(5)]
    first = ask([*lines, ("gone", server.url("gone/cat.jpg"))])
    before, asked = data(tmp_path / "out"), len(server.requests)
    second = ask(None)
    assert (first.reused, second.reused) == (0, 1)
    assert (second.total, data(tmp_path / "out"), len(server.requests)) == (first.total, before, asked)
    ask(None, again=True)
    assert (data(tmp_path / "out"), len(server.requests)) == (before, asked), "nothing failed for a passing reason"


def test_the_same_answers_give_the_same_bytes_in_another_folder(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    lines = [(str(number), server.url(f"{name}?{number}")) for number in range(20) for name in ("cat.jpg", "large.jpg")]
    ask(lines)
    before = data(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "first")
    ask(lines, limits=replace(LIMITS, per_host=3), workers=2)
    assert data(tmp_path / "out") == before


def test_a_picture_shrinks_where_asked_and_its_hash_is_that_of_the_download(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    ask([("large", server.url("large.jpg")), ("cat", server.url("cat.jpg"))])
    large, cat = rows(tmp_path / "out")
    sizes = [[row[name] for name in ("width", "height", "original_width", "original_height")] for row in (large, cat)]
    assert sizes == [[672, 448, 900, 600], [120, 90, 120, 90]]
    assert large["sha256"] == store.sha256(FILES["large.jpg"])
    tar = (tmp_path / "out/00000.tar").read_bytes()
    pieces = pictures(str(tmp_path / "out/00000.tar"))
    kept = [tar[one.offset :][: one.bytes] for one in (pieces[large["key"]], pieces[cat["key"]])]
    assert (Image.open(io.BytesIO(kept[0])).size, kept[1]) == ((672, 448), FILES["cat.jpg"])


def test_a_link_that_occurs_twice_is_asked_once_and_kept_twice(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    link, gone = server.url("ä/öl 猫.jpg"), server.url("gone/x")
    ask([("one", link), ("gone", gone), ("zwei 猫", link), ("gone too", gone)])
    assert ends(tmp_path / "out") == {
        "one": "success",
        "gone": "HTTP 410",
        "zwei 猫": "success",
        "gone too": "HTTP 410",
    }
    assert sorted(server.requests) == ["gone/x", "ä/öl 猫.jpg"]
    assert set(pictures(str(tmp_path / "out/00000.tar"))) == {"000000000", "000000002"}
    assert [row["url"] for row in rows(tmp_path / "out")] == [link, gone, link, gone]


def test_a_larger_limit_goes_on_where_the_smaller_one_ended(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.fetch.slices.ROWS", 4)
    lines = [(str(number), server.url(f"cat.jpg?{number}")) for number in range(10)]
    assert ask(lines, limit=6).total.links == 6
    assert ask(None, limit=3).total.links == 6, "a smaller one takes nothing away"
    assert len(server.requests) == 6
    told = ask(None)
    assert (told.total.slices, told.total.links, told.reused) == (3, 10, 1)
    assert len(server.requests) == 10
    assert [row["key"][-9:] for row in rows(tmp_path / "out")][3:6] == ["000000003", "000010000", "000010001"]


def passing(server: Server, tmp_path: Path) -> list[tuple[str, str]]:
    names = ("broken-for-ever", "gone", "hangs-up", "shorter-than-stated")
    return [(name, server.url(f"{name}/cat.jpg")) for name in names] + [("cat", server.url("cat.jpg"))]


def heal(server: Server) -> None:
    """From now on the server gives a picture for whatever it broke before."""
    names = ("broken-for-ever", "gone", "hangs-up", "shorter-than-stated")
    server.files.update({f"{name}/cat.jpg": FILES["cat.jpg"] for name in names})  # type: ignore[attr-defined]
    server.requests.clear()


def test_only_what_failed_for_a_passing_reason_is_asked_again(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    assert ask(passing(server, tmp_path)).total.passing == 3
    heal(server)
    assert ask(None).total.passing == 3
    assert server.requests == []
    told = ask(None, again=True)
    assert sorted(server.requests) == [
        f"{name}/cat.jpg" for name in ("broken-for-ever", "hangs-up", "shorter-than-stated")
    ]
    assert (told.total.states, told.total.passing) == ({"success": 4, "HTTP 410": 1}, 0)
    assert len(pictures(str(tmp_path / "out/00000.tar"))) == 4


@pytest.mark.parametrize("failing", range(4))
def test_a_second_asking_that_breaks_off_is_ended_by_a_plain_rerun(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    ask(passing(server, tmp_path))
    heal(server)
    remaining = iter(range(failing))

    def step(function: Callable[..., None]) -> Callable[..., None]:
        def stepped(*arguments: Any) -> None:
            if next(remaining, None) is None:
                raise OSError(28, "No space left on device")
            function(*arguments)

        return stepped

    with monkeypatch.context() as patch:
        for name in ("remove", "publish"):
            patch.setattr(store, name, step(getattr(store, name)))
        with pytest.raises(ShardError, match=r"slice 00000: .*No space left .*run the same command again"):
            ask(None, again=True)
    server.requests.clear()
    told = ask(None, again=True)
    assert "cat.jpg" not in server.requests
    assert told.total.states == {"success": 4, "HTTP 410": 1}
    assert ends(tmp_path / "out")["gone"] == "HTTP 410"
    assert len(pictures(str(tmp_path / "out/00000.tar"))) == 4


def test_a_picture_that_a_decoder_trips_over_costs_its_own_link_alone(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tripping(data: bytes, image_size: int | None) -> Taken:
        if data == FILES["large.jpg"]:
            raise ZeroDivisionError("as no decoder should")
        return taken(data, image_size)

    monkeypatch.setattr("pipelines.fetch.ask.taken", tripping)
    told = ask([("large", server.url("large.jpg")), ("cat", server.url("cat.jpg"))])
    assert ends(tmp_path / "out") == {"large": "unreadable picture", "cat": "success"}
    assert told.total.failed_to_resize == 1


def test_columns_that_converters_need_come_along(server: Server, tmp_path: Path) -> None:
    chunks = [[0.0, 5.0, 0.25, 0.5, 0.75, 1.0, 0.91], [6.0, 9.0, 0.0, 0.0, 1.0, 1.0, 0.5]]
    row = {"clip_similarity_vitb32": 0.3, "id": 7, "url": server.url("cat.jpg"), "caption": "a cat 猫", "width": 120}
    row |= {"height": 90, "noun_chunks": chunks, "ref_exps": chunks[:1], "original_width": 120, "key": "1"}
    (tmp_path / "grit").mkdir()
    table = pa.Table.from_pylist([row, row | {"noun_chunks": None, "caption": None}])
    pq.write_table(table, tmp_path / "grit/coyo_0_snappy.parquet")
    fetch(Order("grit", str(tmp_path / "grit"), "train", limits=LIMITS), str(tmp_path / "out"))
    first, second = rows(tmp_path / "out")
    assert (first["noun_chunks"], first["ref_exps"], first["caption"]) == (chunks, chunks[:1], "a cat 猫")
    assert (second["noun_chunks"], second["caption"], second["status"]) == (None, None, "success")
    tar = (tmp_path / "out/00000.tar").read_bytes()
    start = tar.index(b"000000000.json") + 512
    assert json.loads(tar[start : tar.index(b"\n}", start) + 2])["noun_chunks"] == chunks


def test_workers_share_what_a_host_may_bear_and_are_no_more_than_that(
    ask: Callable[..., Fetched], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, int]] = []

    def run(_: Any, tasks: Iterator[SliceTask], workers: int) -> list[Any]:
        seen.extend((workers, task.order.limits.per_host) for task in tasks)
        return []

    monkeypatch.setattr(engine, "run", run)
    for workers in (1, 2, 5):
        ask([("a cat", "no link")], workers=workers, limits=replace(LIMITS, per_host=5))
    assert capsys.readouterr() == ("", "")
    ask([("a cat", "no link")], workers=8, limits=replace(LIMITS, per_host=5))
    assert seen == [(1, 5), (2, 2), (5, 1), (5, 1)]
    assert capsys.readouterr() == ("", "5 of 8 workers ask, as --per-host 5 is shared among them\n")


def test_pictures_that_opted_out_are_taken_only_where_allowed(
    server: Server, ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    ask([("said no", server.url("opted-out/cat.jpg"))], opted_out=True)
    assert ends(tmp_path / "out") == {"said no": "success"}
