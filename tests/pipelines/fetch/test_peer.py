"""img2dataset's place in a fetch; a stand-in of a few lines does as it does, and asks by urllib as it does."""

import asyncio
import json
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.demo.server import Server, misbehaving
from pipelines.fetch import peer
from pipelines.fetch.answer import REASONS
from pipelines.fetch.client import Limits
from pipelines.fetch.output import Outcome, Spool
from pipelines.fetch.setup import home, installed
from schemas.errors import BoxcarError, ConfigError

STAND_IN = """
import io, json, os, sys, tarfile, time, urllib.request
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq

def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))

def download(url_list, output_folder, timeout, **options):
    folder = Path(output_folder)
    urls = pq.read_table(url_list)["url"].to_pylist()
    if "die" in urls[0]:
        sys.exit("killed by a picture")
    if "sleep" in urls[0]:
        Path(urls[0].partition("sleep")[2]).write_text(str(os.getpid()))
        time.sleep(600)
    rows = []
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for place, url in reversed(list(enumerate(urls))):
            row = {"url": url, "key": f"{place:09d}", "status": "success", "error_message": None}
            size = {"width": 6, "height": 4, "original_width": 9, "original_height": 6, "sha256": "5a"}
            try:
                with urllib.request.urlopen(url, timeout=timeout) as response:
                    add(tar, row["key"] + ".jpg", response.read())
                    add(tar, row["key"] + ".json", json.dumps({**row, **size}).encode())
            except Exception as error:
                row |= {"status": "failed_to_download", "error_message": str(error)}
                size = dict.fromkeys(size)
            rows.append({**row, **size})
    if any("lost" in url for url in urls):
        rows.pop()
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    if not any("unfinished" in url for url in urls):
        (folder / "00000_stats.json").write_text("{}")
"""
FILES = {"cat.jpg": b"\xff\xd8cat", "dog.jpg": b"\xff\xd8dog", "lost.jpg": b"\xff\xd8", "unfinished.jpg": b"\xff\xd8"}
PATIENCE = 120.0  # seconds that a busy machine may take, where nothing is waited for but that something ends
LIMITS = Limits(allow_hosts=frozenset({"127.0.0.1"}), total_seconds=2)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand-in")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    inner = folder / "bin" / "python"
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "img2dataset.py").write_text(STAND_IN)
    (site / "ours.pth").write_text(sysconfig.get_path("purelib"))
    return inner


@pytest.fixture(scope="module")
def server(web: object) -> Any:
    with misbehaving(FILES) as running:
        yield running


@pytest.fixture(autouse=True)
def hostile_variables(monkeypatch: pytest.MonkeyPatch, empty_web: Any) -> None:
    empty_web.names["127.0.0.1"] = [["127.0.0.1"]]
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


def asked(urls: list[str | None], places: list[int], python: Path, tmp_path: Path) -> list[tuple[Outcome, bytes]]:
    with Spool(tmp_path / "spool") as spool:
        found = peer.ask(urls, places, spool, tmp_path, 448, LIMITS, python)
        assert sorted(found) == sorted(places)
        pieces = [found[place].piece for place in sorted(places)]
        data = [spool.read(piece) if piece else b"" for piece in pieces]
    return [(found[place]._replace(piece=None), one) for place, one in zip(sorted(places), data, strict=True)]


def test_pictures_and_failures_come_at_their_places(server: Server, python: Path, tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:1/unasked", *map(server.url, ("cat.jpg", "gone/x", "dog.jpg"))]
    assert asked([*urls, None], [1, 2, 3, 4], python, tmp_path) == [
        (Outcome("success", None, 6, 4, 9, 6, None, "5a"), FILES["cat.jpg"]),
        (Outcome("failed_to_download", "HTTP 410"), b""),
        (Outcome("success", None, 6, 4, 9, 6, None, "5a"), FILES["dog.jpg"]),
        (Outcome("failed_to_download", "bad link"), b""),
    ]
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_link_that_occurs_twice_is_asked_once(server: Server, python: Path, tmp_path: Path) -> None:
    before = server.requests.count("cat.jpg")
    first, second = asked([server.url("cat.jpg")] * 2, [0, 1], python, tmp_path)
    assert first == second
    assert server.requests.count("cat.jpg") == before + 1


def test_nothing_is_reached_but_through_the_proxy(server: Server, python: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"\xff\xd8secret")
    links = [
        server.url("moved-to-canary/x"), server.canary, server.canary.replace("http", "https"), f"file://{secret}",
        server.canary.replace("http", "ftp"), "http://localhost:1/", "http://[::1]:1/", "data:image/gif,R0lGODlh",
    ]  # fmt: skip
    found = asked([*links], list(range(len(links))), python, tmp_path)
    assert [(one.status, data) for one, data in found] == [("failed_to_download", b"")] * len(links)
    assert {one.error_message for one, _ in found} <= {"forbidden address", "not http", "bad link", "no such host"}
    assert server.canary_connections == 0


@pytest.mark.parametrize(("path", "why"), [("lost.jpg", "lost links: 1 of 2"), ("unfinished.jpg", "did not finish")])
def test_a_slice_that_is_not_whole_is_an_error(
    server: Server, python: Path, tmp_path: Path, path: str, why: str
) -> None:
    with pytest.raises(BoxcarError, match=why):
        asked([server.url(path), server.url("cat.jpg")], [0, 1], python, tmp_path)
    assert not list(tmp_path.glob("img2dataset-*"))


def test_an_img2dataset_that_ends_badly_is_told_with_its_last_words(python: Path, tmp_path: Path) -> None:
    with pytest.raises(BoxcarError, match="ended with code 1: killed by a picture"):
        asked(["http://127.0.0.1/die"], [0], python, tmp_path)


def test_img2dataset_ends_when_its_work_is_no_longer_wanted(python: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    noted = tmp_path / "pid"
    links = [f"http://127.0.0.1/sleep{noted}"]

    async def run() -> None:
        asking = asyncio.create_task(peer._run(tmp_path / "folder", 448, LIMITS, python))
        while not _noted(noted):
            assert not asking.done()
            await asyncio.sleep(0.02)
        asking.cancel()
        ended, _ = await asyncio.wait({asking}, timeout=PATIENCE)  # it would sleep for longer
        assert ended and asking.cancelled()

    peer.pq.write_table(peer.pa.table({"url": links}), tmp_path / "folder" / "links.parquet")
    asyncio.run(run())
    assert not _runs(int(noted.read_text()))


def test_img2dataset_ends_when_its_driver_is_killed(python: Path, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    program = (
        "import sys; from pathlib import Path; from pipelines.fetch import peer\n"
        "here, link, python = sys.argv[1:]\n"
        "with peer.Spool(Path(here, 'spool')) as spool:\n"
        "    peer.ask([link], [0], spool, Path(here), 448, peer.Limits(), Path(python))"
    )
    words = [sys.executable, "-c", program, str(tmp_path), f"http://127.0.0.1/sleep{noted}", str(python)]
    with subprocess.Popen(words) as driver:
        _until(lambda: _noted(noted))
        driver.kill()
    _until(lambda: not _runs(int(noted.read_text())))


def _until(true: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def _noted(path: Path) -> bool:
    return path.exists() and bool(path.read_text())


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_of_given_variables_none_leads_past_the_proxy() -> None:
    bypasses = dict.fromkeys(("no_proxy", "NO_PROXY", "HTTP_PROXY", "All_Proxy", "REQUEST_METHOD", "PYTHONPATH"), "x")
    told = peer.environment("http://127.0.0.1:9", {**bypasses, "HOME": "/home"})
    assert {name: told[name] for name in told if name.lower().endswith("_proxy")} == {
        **{f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "ftp", "file", "data")},
        "no_proxy": "",
    }
    assert told["HOME"] == "/home"
    assert not {"PYTHONPATH", "REQUEST_METHOD"} & set(told)


def test_boxes_stay_true_by_what_img2dataset_is_told() -> None:
    told = peer.options(Path("/x"), 448, LIMITS)
    assert (told["resize_mode"], told["resize_only_if_bigger"], told["skip_reencode"]) == ("keep_ratio", True, True)
    assert (told["image_size"], told["retries"], told["enable_wandb"]) == (448, 0, False)
    assert told["disallowed_header_directives"] == ["noai", "noimageai", "noimageindex", "noindex", "none"]
    assert json.dumps(told)
    whole = peer.options(Path("/x"), None, LIMITS)
    assert whole["resize_mode"] == "no"
    assert "image_size" not in whole


@pytest.mark.heavy
def test_the_real_one_ends_every_link_in_a_reason_of_ours(tmp_path: Path, server: Server) -> None:
    try:
        python = installed(home())
    except ConfigError:
        pytest.skip("img2dataset is not set up here")
    names = (
        "cat.jpg",
        "gone/x",
        "moved-to-canary/x",
        "endless-body/x",
        "slow-drip/x",
        "shorter-than-stated/x",
        "opted-out/x",
    )
    found = asked([server.url(name) for name in names], list(range(len(names))), python, tmp_path)
    assert found[0][0].status == "failed_to_resize"  # it is no picture
    assert {one.status for one, _ in found[1:]} == {"failed_to_download"}
    assert {str(one.error_message) for one, _ in found[1:]} <= set(REASONS)
    assert server.canary_connections == 0
