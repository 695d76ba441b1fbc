import re
import sys
from pathlib import Path

import pytest

from pipelines.fetch import setup
from pipelines.fetch.setup import COMMAND, PINS, home, installed, prepared
from schemas.errors import ConfigError

# In place of uv: notes what it is asked for, and installs a package that is nothing but its version.
UV = """#!/bin/sh
echo "$@" >> {log}
for word in "$@"; do case "$previous" in --python) python="$word";; esac; previous="$word"; done
{first}
site=$("$python" -I -c 'import site; print(site.getsitepackages()[0])')
mkdir -p "$site/img2dataset" "$site/img2dataset-{version}.dist-info"
echo > "$site/img2dataset/__init__.py"
echo > "$site/img2dataset/main.py"
printf 'Metadata-Version: 2.1\\nName: img2dataset\\nVersion: {version}\\n' \
    > "$site/img2dataset-{version}.dist-info/METADATA"
"""


def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str = "1.47.0", first: str = "") -> Path:
    log, tools = tmp_path / "log", tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uv").write_text(UV.format(log=log, version=version, first=first))
    (tools / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return log


@pytest.fixture(autouse=True)
def this_python_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "PYTHONS", (sys.version_info[:2],))


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = pretend(tmp_path, monkeypatch)
    python = prepared(tmp_path / "home")
    assert python.exists()
    assert installed(tmp_path / "home") == prepared(tmp_path / "home") == python
    assert log.read_text().splitlines() == [f"pip install --quiet --python {python} -r {PINS}"]


def test_what_is_not_set_up_is_told_with_the_command_that_does_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(COMMAND)):
        installed(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_an_installation_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, first="echo no room left on this disk >&2; exit 3")
    with pytest.raises(ConfigError, match="no room left on this disk") as caught:
        prepared(tmp_path / "home")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="is not set up"):
        installed(tmp_path / "home")
    pretend(tmp_path, monkeypatch)
    assert prepared(tmp_path / "home").exists()


def test_another_version_than_the_pinned_one_is_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, version="1.0.0")
    with pytest.raises(ConfigError, match=r"version 1\.0\.0, wanted 1\.47\.0"):
        prepared(tmp_path / "home")


def test_what_does_not_run_is_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, first="exit 0")
    with pytest.raises(ConfigError, match="No module named 'img2dataset'"):
        prepared(tmp_path / "home")


def test_without_uv_the_environments_own_pip_installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[str]] = []

    def run(words: list[str]) -> str:
        said.append([Path(words[0]).name, *words[1:-1]])
        if "venv" in words:
            Path(words[-1]).mkdir()
        return "1.47.0\n"

    monkeypatch.setattr(setup, "_run", run)
    monkeypatch.setattr(setup.shutil, "which", lambda name, path=None: None)
    prepared(tmp_path / "home")
    assert [words[:4] for words in said[:2]] == [
        [Path(sys.executable).name, "-m", "venv", "--clear"],
        ["python", "-m", "pip", "install"],
    ]


def test_a_machine_without_a_fitting_python_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "PYTHONS", ((2, 8), (2, 9)))
    with pytest.raises(ConfigError, match=r"no Python 2\.8 or 2\.9 found"):
        prepared(tmp_path / "home")


def test_a_name_that_stands_for_no_python_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch)
    stand_in = tmp_path / "tools" / "python2.9"
    stand_in.write_text("#!/bin/sh\necho 'no such version' >&2; exit 127\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(setup, "PYTHONS", ((2, 9),))
    with pytest.raises(ConfigError, match="no Python 2"):
        prepared(tmp_path / "home")


def test_another_list_is_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch)
    first = prepared(tmp_path / "home")
    more = tmp_path / "more.txt"
    more.write_text(PINS.read_text() + "colour==0.1.5\n")
    monkeypatch.setattr(setup, "PINS", more)
    assert prepared(tmp_path / "home") != first


def test_every_requirement_is_pinned_and_tied_to_no_place() -> None:
    lines = [line for line in PINS.read_text().splitlines() if not line.startswith("#")]
    assert "img2dataset==1.47.0" in lines
    assert "dataclasses==0.6" in lines  # the last that pip takes for a Python of today
    assert all(re.fullmatch(r"[a-z0-9.-]+==[^ @/]+( ; [a-z_]+ [<>=!]+ '[^']+')?", line) for line in lines)


def test_the_home_is_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert home() == Path("/somewhere/boxcar")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert home() == Path("/home/somebody/.cache/boxcar")
