"""Tests of the command: it says where it is, serves until it is interrupted, and says in one line what is wrong."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pipelines.cli import main

HOUSE = Path(__file__).parents[3]


def test_it_says_where_it_is_serves_and_ends_with_ctrl_c(demo_pool: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pipelines.cli", "view", str(demo_pool), "--port", "0"]
    with subprocess.Popen(
        words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HOUSE)}, stdout=-1, text=True
    ) as child:
        assert child.stdout
        what, _, url = child.stdout.readline().strip().rpartition(" ")
        assert what == f"Looking at {demo_pool}:"
        with urllib.request.urlopen(f"{url}api/about", timeout=20) as answer:
            assert b'"name":"demo"' in answer.read()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["nowhere"], 1, "pool.json"),
        (["nowhere.lock.json"], 1, "cannot read nowhere.lock.json"),
        (["nosuch://pool"], 2, "nosuch"),
        (["POOL", "--tokenizer", "tokenizer.json"], 2, "--tokenizer is for a lock"),
        (["POOL", "--port", "99999"], 2, "--port"),
        (["POOL", "--port", "0", "--host", "192.0.2.1"], 2, "cannot serve at 192.0.2.1"),
        (["POOL", "--port", "0", "--host", "no such host"], 2, "cannot serve at no such host"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    demo_pool: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, part: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["view", *(str(demo_pool) if word == "POOL" else word for word in words)])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, "") and err.count("\n") == 1 and part in err, err


def test_no_torch_is_needed(demo_pool: Path) -> None:
    look = (
        f"import sys; from pipelines.view.command import site_of; site_of({str(demo_pool)!r}).answer('/api/page', {{}})"
    )
    told = f"{look}; print([name for name in ('torch', 'tokenizers', 'aiohttp', 'datasets') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
