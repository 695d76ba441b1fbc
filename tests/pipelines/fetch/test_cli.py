"""The command: its words, its exit codes, what it prints, and Ctrl-C."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.demo.server import Server, misbehaving


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[Server]:
    file = io.BytesIO()
    Image.effect_noise((90, 60), 50).save(file, "JPEG")
    with misbehaving({"cat.jpg": file.getvalue()}) as running:
        yield running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], server: Server, tmp_path: Path) -> Run:
    """``run(*words, root=..)`` runs the command on a list of three links, one of them gone and one broken."""
    paths = ("cat.jpg", "gone/cat.jpg", "silent/cat.jpg")
    lines = [f"a cat\t{server.url(path)}\n" for path in paths]
    (tmp_path / "Train_GCC-training.tsv").write_text("".join(lines))

    def ran(*words: object, source: str = "cc3m", out: object = tmp_path / "out", root: object = tmp_path) -> Ran:
        given = ["fetch", source, "--root", root, "--out", out, "--workers", 1, "--timeout", 1, *words]
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in given])
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, *capsys.readouterr())

    return ran


def test_rot_is_no_failure_and_stands_in_the_table(run: Run, tmp_path: Path) -> None:
    ran = run("--allow-host", "127.0.0.1")
    assert (ran.code, ran.err) == (0, "")
    told = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert told[:2] == ["cc3m train, form links", "links became of them may pass"]
    assert told[2:5] == ["1 success", "1 HTTP 410", "1 timed out yes"]
    assert told[5] == f"{tmp_path}/out: 1 slice, 3 links, 1 pictures"
    assert told[6] == "1 failed for a reason that may pass: ask again for them with --retry-failed"


def test_json_says_the_same(run: Run, tmp_path: Path) -> None:
    run("--allow-host", "127.0.0.1")
    ran = run("--allow-host", "127.0.0.1", "--json")
    total = {"slices": 1, "links": 3, "successes": 1, "failed_to_download": 2, "failed_to_resize": 0, "passing": 1}
    total["states"] = {"success": 1, "HTTP 410": 1, "timed out": 1}  # type: ignore[assignment]
    told = {"source": "cc3m", "split": "train", "form": "links", "out": f"{tmp_path}/out", "reused": 1, "total": total}
    assert (ran.code, json.loads(ran.out)) == (0, told)


def test_a_private_address_is_not_asked_unless_it_is_named(run: Run, server: Server) -> None:
    ran = run("--json")
    assert json.loads(ran.out)["total"]["states"] == {"forbidden address": 3}
    assert server.connections == 0


def test_what_failed_is_asked_again_on_request(run: Run, server: Server) -> None:
    run("--allow-host", "127.0.0.1")
    server.requests.clear()
    ran = run("--allow-host", "127.0.0.1", "--retry-failed")
    assert ran.code == 0
    assert set(server.requests) == {"silent/cat.jpg"}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--image-size", "big"], ["--image-size big: wanted a number of pixels of at least 16, or none"]),
        (["--image-size", "8"], ["--image-size 8"]),
        (["--image-size", "99999999"], ["--image-size 99999999"]),
        (["--with", "img3dataset"], ["unknown downloader 'img3dataset'", "img2dataset"]),
        (["--with", "img2dataset"], ["img2dataset is not set up", "boxcar fetch --setup"]),
        (["--allow-host", "http://127.0.0.1/"], ["--allow-host http://127.0.0.1/: wanted a host alone"]),
        (["--workers", "0"], ["--workers"]),
        (["--limit", "0"], ["--limit"]),
        (["--split", "test"], ["unknown split 'test'", "train"]),
        (["--form", "link"], ["unknown form 'link'", "links"]),
        (["--retry"], ["--retry"]),
    ],
)
def test_words_that_mean_nothing_are_named_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], parts: list[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("boxcar: ") and ran.err.count("\n") == 1
    assert all(part in ran.err for part in parts), ran.err
    assert not (tmp_path / "out").exists()


def test_a_slice_that_cannot_be_written_is_named_and_exits_with_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.fetch.output._write_tar", full)
    ran = run("--allow-host", "127.0.0.1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("boxcar: 1 failed: slice 00000: ") and "run the same command again to go on" in ran.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["fetch.json"]


def test_pictures_may_go_where_fsspec_reaches(run: Run, server: Server) -> None:
    import fsspec

    run("--allow-host", "127.0.0.1", out="memory://fetched")
    ran = run("--allow-host", "127.0.0.1", "--json", out="memory://fetched")
    assert json.loads(ran.out)["reused"] == 1
    names = sorted(path.rpartition("/")[2] for path in fsspec.filesystem("memory").ls("/fetched", detail=False))
    assert names == ["00000.parquet", "00000.tar", "00000_stats.json", "fetch.json"]


def test_without_its_extra_the_command_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.fetch.command.find_spec", lambda name: None)
    ran = run()
    assert (ran.code, ran.err) == (2, "boxcar: boxcar fetch needs aiohttp and cv2: pip install 'boxcar[fetch]'\n")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_nothing_half_visible_and_says_how_to_go_on(server: Server, tmp_path: Path, workers: int) -> None:
    (tmp_path / "Train_GCC-training.tsv").write_text(f"a cat\t{server.url('silent/cat.jpg')}\n" * 2)
    words = ["fetch", "cc3m", "--root", tmp_path, "--out", tmp_path / "out", "--workers", workers]
    command = [sys.executable, "-m", "pipelines.cli", *map(str, words), "--allow-host", "127.0.0.1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        end = time.monotonic() + 60
        while not server.requests:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        told, warned = process.communicate(timeout=30)
    assert (process.returncode, told) == (130, "")
    assert warned == "boxcar: interrupted; run the same command again to go on\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fetch.json"]


def test_help_fits_a_screen_and_loads_nothing_that_asks() -> None:
    code = "import sys\nfrom pipelines.cli import main\ntry:\n    main(['fetch', '--help'])\nexcept SystemExit:\n"
    code += "    assert not {'aiohttp', 'cv2', 'pyarrow'} & set(sys.modules)"
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert 10 < len(done.stdout.splitlines()) <= 25


def test_what_of_a_folder_is_gone_is_a_page_and_a_line_or_json(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--allow-host", "127.0.0.1")
    page = tmp_path / "rot.html"
    for words, said in (([], f"1 of 3 links gave a picture: {page}\n"), (["--json"], '"links": 3')):
        with pytest.raises(SystemExit) as ended:
            main(["rot", str(tmp_path / "out"), "--out", str(page), *words])
        assert ended.value.code == 0 and said in capsys.readouterr().out
        assert "HTTP 410" in page.read_text()
