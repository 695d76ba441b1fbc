"""Members of zips, which are read as hostile and never extracted."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from converters._zip import members
from schemas.errors import RecordError, SourceError

MOST = 1000


class Unseekable(io.BytesIO):
    def seek(self, *_: int) -> int:
        raise OSError("a stream")

    def tell(self) -> int:
        raise OSError("a stream")


def zipped(contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], Callable[[str], bytes]]:
    """A function: the reader of members of a zip of those bytes."""

    def reader(data: bytes) -> Callable[[str], bytes]:
        (tmp_path / "a.zip").write_bytes(data)
        return members(str(tmp_path / "a.zip"), MOST)

    return reader


Opened = Callable[[bytes], Callable[[str], bytes]]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_by_their_whole_names(opened: Opened, method: int) -> None:
    member = opened(zipped({"b/a": b"first", "a": b"second", "empty": b"", "full": b"x" * MOST}, method))
    assert [member(name) for name in ("a", "b/a", "a", "empty", "full")] == [
        b"second",
        b"first",
        b"second",
        b"",
        b"x" * MOST,
    ]


def test_a_zip_is_read_from_any_file_system() -> None:
    fsspec.filesystem("memory").pipe("/zip-test/a.zip", zipped({"a": b"x"}))
    assert members("memory://zip-test/a.zip", MOST)("a") == b"x"
    fsspec.filesystem("memory").rm("/zip-test", recursive=True)


@pytest.mark.parametrize("name", ["absent", "A", "/a", "./a", "b/../a", "b"])
def test_a_member_of_another_name_is_not_there(opened: Opened, name: str) -> None:
    member = opened(zipped({"a": b"x", "b/a": b"y"}))
    with pytest.raises(RecordError, match=rf"^no such file: {name}$"):
        member(name)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_over_the_bound_is_refused(opened: Opened, method: int) -> None:
    with pytest.raises(RecordError, match=r"^zip member too long: a: 1,001 bytes, at most 1,000$"):
        opened(zipped({"a": b"x" * (MOST + 1)}, method))("a")


def test_a_bomb_is_not_inflated(opened: Opened) -> None:
    data = bytearray(zipped({"a": bytes(50_000_000)}))
    struct.pack_into("<L", data, data.index(b"PK\1\2") + 24, MOST)
    member = opened(bytes(data))
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match=r"^zip member unreadable"):
            member("a")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("place", "stated", "reason"),
    [
        (24, 4_000_000_000, "too long"),
        *[(24, stated, "unreadable") for stated in (0, 10, 501)],
        *[(20, stated, "unreadable") for stated in (0, 3)],
        *[(42, stated, "unreadable") for stated in (7, 4_000_000_000)],
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_which_the_directory_lies_is_unreadable(
    opened: Opened, method: int, place: int, stated: int, reason: str
) -> None:
    data = bytearray(zipped({"a": bytes(range(250)) * 2}, method))
    struct.pack_into("<L", data, data.index(b"PK\1\2") + place, stated)
    with pytest.raises(RecordError, match=rf"^zip member {reason}: a"):
        opened(bytes(data))("a")


def test_more_fields_before_a_member_are_passed_over(opened: Opened) -> None:
    file, info = io.BytesIO(), zipfile.ZipInfo("a")
    info.extra = b"\xfe\xca\x04\x00more"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, b"x")
    assert opened(file.getvalue())("a") == b"x"


def test_a_zip_with_something_before_it_or_written_as_a_stream_is_read(opened: Opened) -> None:
    assert opened(b"#!/bin/sh\n" + zipped({"a": b"x", "b": b"y"}))("b") == b"y"
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # sizes stand after each member
        archive.writestr("a", b"x" * 90)
        archive.writestr("b", b"y" * 90)
    assert opened(stream.getvalue())("b") == b"y" * 90


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_are_refused_as_they_cannot_be_bounded(opened: Opened, method: int) -> None:
    with pytest.raises(RecordError, match=r"^zip member unreadable: a is encrypted, or neither stored nor deflated$"):
        opened(zipped({"a": b"x"}, method))("a")


def test_a_member_behind_a_password_is_unreadable(opened: Opened) -> None:
    data = bytearray(zipped({"a": b"x" * 50}))
    for start, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(start) + place] |= 1
    with pytest.raises(RecordError, match=r"^zip member unreadable: a is encrypted"):
        opened(bytes(data))("a")


def test_damage_costs_a_member_and_not_the_others(opened: Opened) -> None:
    data = bytearray(zipped({"a": bytes(range(256)), "b": b"whole"}, zipfile.ZIP_STORED))
    data[60] ^= 1
    member = opened(bytes(data))
    with pytest.raises(RecordError, match=r"^zip member unreadable: a is not the bytes"):
        member("a")
    assert member("b") == b"whole"


def test_every_damaged_byte_gives_the_content_or_an_error_of_ours(opened: Opened) -> None:
    whole = zipped({"a": b"some text, some text", "b": b"some more"})
    for place in range(len(whole)):
        for value in (0, 0xFF, whole[place] ^ 0x10):
            data = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                assert opened(data)("a") == b"some text, some text"
            except (RecordError, SourceError):
                continue


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all", zipped({"a": b"x"})[:-30]])
def test_a_file_that_is_no_zip_is_named(opened: Opened, data: bytes) -> None:
    with pytest.raises(SourceError, match=r"a\.zip: not a readable zip: "):
        opened(data)
