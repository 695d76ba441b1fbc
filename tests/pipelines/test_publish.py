"""Tests of publishing: what is damaged between being written and being renamed never gets its final name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import tar
from pipelines.publish import Written, publish
from pipelines.tar import TarWriter
from schemas.errors import ShardError

PICTURES = [os.urandom(70_000) for _ in range(40)]  # more than is written at once


def publishing(folder: Path) -> Any:
    aside = folder / "aside"
    aside.mkdir(parents=True)
    with TarWriter(aside / "tar") as written:
        for number, data in enumerate(PICTURES):
            written.add(f"web-{number}", [("jpg", data), ("json", b"{}")])
        return publish(Written(written, samples=len(PICTURES)), "web", 0, "plan", str(folder / "pool"), aside)


def flipped(place: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)

    return damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-512])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(512))


def swapped(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[71_680:143_360] + data[:71_680] + data[143_360:])


@pytest.mark.parametrize(
    "damage",
    [flipped(0), flipped(600), flipped(1_500_000), flipped(-20_000), flipped(-1), cut, longer, swapped],
    ids=["header", "picture", "later", "padding", "end", "cut", "longer", "swapped"],
)
def test_damage_between_writing_and_renaming_is_found_and_nothing_is_published(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def damaging(handle: int) -> None:
        sync(handle)
        if (path := Path(f"/proc/self/fd/{handle}").readlink()).name == "tar":
            damage(path)

    publishing(tmp_path / "whole")
    monkeypatch.setattr(tar.os, "fsync", damaging)
    with pytest.raises(ShardError):
        publishing(tmp_path / "damaged")
    assert not list((tmp_path / "damaged").glob("pool/**/*"))
    monkeypatch.undo()
    again = publishing(tmp_path / "again")
    assert again == publishing(tmp_path / "once more")
    assert (tmp_path / "whole/pool/web-000000.tar").read_bytes() == (
        tmp_path / "again/pool/web-000000.tar"
    ).read_bytes()


def test_a_file_that_is_whole_but_not_the_one_that_was_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every member is a member, every offset is right: only the bytes of a picture are others."""
    close = TarWriter.close

    def closing(self: TarWriter) -> Any:
        digest = close(self)
        flipped(1024)(self.path)
        return digest

    monkeypatch.setattr(TarWriter, "close", closing)
    with pytest.raises(ShardError, match="not on disk as it was written"):
        publishing(tmp_path)
    assert not (tmp_path / "pool").exists()
