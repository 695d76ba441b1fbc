"""Files get their final name in one step, on disk and in object stores; what lies where is told by URL."""

import hashlib
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import msgspec
import pytest

from converters._read import exists
from pipelines import store
from schemas.errors import ShardError
from schemas.pool import FileDigest


class Thing(msgspec.Struct):
    b: int
    a: dict[str, int]


def in_memory() -> str:
    return f"memory://{uuid4().hex}"


def put(url: str, data: bytes) -> str:
    with fsspec.open(url, "wb", auto_mkdir=True) as file:
        file.write(data)
    return url


def test_where_a_url_points_is_told_by_its_protocol(tmp_path: Path) -> None:
    assert store.is_local(str(tmp_path))
    assert store.is_local(f"file://{tmp_path}")
    assert not store.is_local("memory://a")
    assert store.in_process("memory://a")
    assert not store.in_process(str(tmp_path))


def test_a_local_path_is_made_absolute_and_a_url_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    assert store.absolute("pool") == str(tmp_path / "pool")
    assert store.absolute("./pool/") == str(tmp_path / "pool")
    assert store.absolute(f"file://{tmp_path}/pool/") == str(tmp_path / "pool")
    assert store.absolute("~/pool") == "/home/ann/pool"
    assert store.absolute("memory://bucket/pool/") == "memory://bucket/pool"
    assert store.local(f"file://{tmp_path}/a") == tmp_path / "a"


def test_names_are_joined_with_one_slash() -> None:
    assert store.join("/a/b", "c/d") == store.join("/a/b/", "c/d") == "/a/b/c/d"
    assert store.join("memory://a/", "b") == "memory://a/b"


def test_publishing_locally_moves_the_file_and_makes_its_folder(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.write_bytes(b"whole")
    number = aside.stat().st_ino
    store.publish(aside, f"{tmp_path}/pool/index/0.arrow")
    assert (tmp_path / "pool" / "index" / "0.arrow").read_bytes() == b"whole"
    assert (tmp_path / "pool" / "index" / "0.arrow").stat().st_ino == number, "copied, so there was half of it once"
    assert not aside.exists()


def test_publishing_replaces_what_was_there_in_one_step(tmp_path: Path) -> None:
    put(str(tmp_path / "final"), b"old")
    with (tmp_path / "final").open("rb") as reader:
        store.write_aside(tmp_path / "aside", b"new and longer")
        store.publish(tmp_path / "aside", str(tmp_path / "final"))
        assert reader.read() == b"old", "a reader saw the file change under it"
    assert (tmp_path / "final").read_bytes() == b"new and longer"


def test_the_folder_is_synced_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), (tmp_path / "pool" / "a").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    store.write_aside(tmp_path / "aside", b"data")
    store.publish(tmp_path / "aside", str(tmp_path / "pool" / "a"))
    assert synced == [(str(tmp_path / "aside"), False), (str(tmp_path / "pool"), True)]


def test_publishing_remotely_puts_the_whole_file(tmp_path: Path) -> None:
    aside, place = tmp_path / "aside", in_memory()
    aside.write_bytes(b"whole")
    store.publish(aside, f"{place}/pool/index/0.arrow")
    assert store.read(f"{place}/pool/index/0.arrow") == b"whole"
    assert not aside.exists()


def test_what_is_written_aside_is_told_by_name_size_and_digest(tmp_path: Path) -> None:
    found = store.write_aside(tmp_path / "new" / "file", b"abc")
    assert found == FileDigest("file", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert (tmp_path / "new" / "file").read_bytes() == b"abc"


@pytest.mark.parametrize("size", [0, 1, store.CHUNK, store.CHUNK * 2 + 17])
def test_a_digest_is_of_the_bytes_that_lie_there(size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    wanted = FileDigest("the name", size, hashlib.sha256(data).hexdigest())
    assert store.digest(put(str(tmp_path / "a"), data), "the name") == wanted
    assert store.digest(put(f"{in_memory()}/a", data), "the name") == wanted


@pytest.mark.parametrize("place", ["", "memory"])
def test_reading_what_is_not_there_names_it(place: str, tmp_path: Path) -> None:
    url = f"{in_memory()}/gone" if place else str(tmp_path / "gone")
    with pytest.raises(ShardError, match=f"cannot read {url}: ."):
        store.read(url)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert not exists(str(tmp_path))
    assert exists(put(str(tmp_path / "a"), b""))
    with pytest.raises(ShardError, match="cannot read"):
        store.read(str(tmp_path))


@pytest.mark.parametrize("name", ["a b", "per%20cent", "ünïcode", "brackets[1]", "star*", "hash#tag", "what?"])
def test_names_with_odd_characters_are_taken_as_they_are(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / f"{name}.json"
    store.write_aside(tmp_path / "aside", b"data")
    store.publish(tmp_path / "aside", str(path))
    assert path.read_bytes() == b"data"
    assert exists(str(path))
    assert store.read(str(path)) == b"data"
    assert store.files(str(tmp_path)) == {f"{name}/{name}.json"}


def test_files_are_listed_below_the_folder_hidden_ones_too(tmp_path: Path) -> None:
    names = {"a.tar", "index/0.arrow", ".nv-meta/split.yaml", ".build/1/lock", "deep/er/.hidden"}
    place = in_memory()
    for name in names:
        put(str(tmp_path / name), b"x")
        put(f"{place}/pool/{name}", b"x")
    put(f"{place}/pool2/other", b"x")
    (tmp_path / "empty").mkdir()
    for folder in (str(tmp_path), f"{tmp_path}/", f"file://{tmp_path}", f"{place}/pool", f"{place}/pool/"):
        assert store.files(folder) == names


def test_no_folder_holds_no_files(tmp_path: Path) -> None:
    assert store.files(str(tmp_path / "gone")) == set()
    assert store.files(in_memory()) == set()
    assert store.files(put(str(tmp_path / "a"), b"x")) == set()


def test_removing_takes_one_file(tmp_path: Path) -> None:
    place = in_memory()
    for folder in (str(tmp_path), place):
        put(f"{folder}/a", b"x")
        put(f"{folder}/b", b"x")
        store.remove(f"{folder}/a")
        assert store.files(folder) == {"b"}


def test_equal_values_are_equal_bytes_that_end_with_a_line_feed() -> None:
    one: Any = store.canonical(Thing(1, {"x": 1, "a": 2}))
    other = store.canonical(Thing(1, {"a": 2, "x": 1}))
    assert one == other == b'{\n "b": 1,\n "a": {\n  "a": 2,\n  "x": 1\n }\n}\n'


def test_freeing_a_folder_takes_all_of_it_and_bears_its_absence(tmp_path: Path) -> None:
    put(str(tmp_path / "folder" / "deep" / "a"), b"x")
    store.free(str(tmp_path / "folder"))
    store.free(str(tmp_path / "folder"))
    assert list(tmp_path.iterdir()) == []
