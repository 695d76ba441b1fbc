"""Tars that are cut, changed or made by others: an error that names the shard, never fewer samples or odd ones."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.tar import Member, TarWriter, members
from schemas.errors import ShardError


def whole(tmp_path: Path) -> bytes:
    """Two samples of two files each: 9 blocks, then zeros to the end of the record at 10,240."""
    writer = TarWriter(tmp_path / "whole.tar")
    writer.add("coco-1", [("jpg", b"p" * 700), ("json", b"{}")])
    writer.add("coco-2", [("jpg", b"q" * 512), ("json", b"{}")])
    writer.close()
    return (tmp_path / "whole.tar").read_bytes()


END = 9 * 512


def read(data: bytes) -> list[Member]:
    return list(members(io.BytesIO(data), "pool-000003.tar"))


def insist_refused(data: bytes) -> None:
    with pytest.raises(ShardError, match=r"^pool-000003\.tar: ") as caught:
        read(data)
    assert "\n" not in str(caught.value)


def test_a_tar_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    data = whole(tmp_path)
    assert len(read(data)) == 4
    cuts = {block + around for block in range(0, len(data), 512) for around in (-1, 0, 1, 100)}
    for length in sorted(cut for cut in cuts if 0 <= cut < len(data)):
        insist_refused(data[:length])


def test_anything_after_the_end_is_an_error(tmp_path: Path) -> None:
    data = whole(tmp_path)
    for more in (b"\0", b"x", bytes(512), bytes(10_240), data, b"garbage" * 5_000):
        insist_refused(data + more)


def test_anything_but_zeros_before_the_end_is_an_error(tmp_path: Path) -> None:
    data = whole(tmp_path)
    for place in (END, END + 511, END + 512, END + 1023, END + 1024, len(data) - 1):
        insist_refused(data[:place] + b"\x01" + data[place + 1 :])


def test_a_bit_flipped_anywhere_in_a_header_is_an_error(tmp_path: Path) -> None:
    data = whole(tmp_path)
    headers = (0, 3 * 512, 5 * 512, 7 * 512)
    assert [data[place : place + 4] for place in headers] == [b"coco"] * 4
    for header in headers[:2]:
        for place in range(header, header + 512):
            for bit in range(8):
                insist_refused(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])


def test_a_bit_flipped_in_the_padding_of_a_member_is_an_error(tmp_path: Path) -> None:
    data = whole(tmp_path)
    for place in (512 + 700, 3 * 512 - 1, 4 * 512 + 2):
        insist_refused(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_239), st.integers(1, 255))
def test_a_byte_changed_anywhere_is_an_error_or_changes_that_members_data(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    data = whole(tmp_path_factory.mktemp("tar"))
    changed = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
    try:
        found = read(changed)
    except ShardError:
        return
    pairs = list(zip(found, read(data), strict=True))
    assert [one[:3] for one, _ in pairs] == [other[:3] for _, other in pairs]
    assert sum(one.data != other.data for one, other in pairs) == 1


def made_by_tarfile(change: Callable[[tarfile.TarInfo], None], format: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of one member, as Python's own tarfile writes it after the change."""
    info = tarfile.TarInfo("coco-1.json")
    info.size = 2
    change(info)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        tar.addfile(info, io.BytesIO(b"{}" + bytes(3000)))
    return file.getvalue()


def test_a_plain_tar_of_tarfiles_is_read() -> None:
    # Else the refusals below would show nothing.
    assert read(made_by_tarfile(lambda info: None)) == [Member("coco-1", "json", 0, b"{}")]


TYPES = {
    "a hard link": tarfile.LNKTYPE,
    "a symbolic link": tarfile.SYMTYPE,
    "a character device": tarfile.CHRTYPE,
    "a block device": tarfile.BLKTYPE,
    "a directory": tarfile.DIRTYPE,
    "a pipe": tarfile.FIFOTYPE,
    "a contiguous file": tarfile.CONTTYPE,
    "a file of before 1988": tarfile.AREGTYPE,
    "a sparse file": tarfile.GNUTYPE_SPARSE,
    "a long name": tarfile.GNUTYPE_LONGNAME,
    "an extended header": tarfile.XHDTYPE,
    "a global header": tarfile.XGLTYPE,
}


@pytest.mark.parametrize("kind", TYPES)
def test_anything_but_a_plain_file_is_an_error(kind: str) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type = TYPES[kind]
        info.linkname = "coco-0.json" if "link" in kind else ""

    insist_refused(made_by_tarfile(change))


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../coco-1.json",
        "folder/coco-1.json",
        "./coco-1.json",
        "coco-1",
        ".json",
        "coco-1.seg.json",
        "coco-1.JSON",
        "coco 1.json",
        "coco-1.json\n",
        "",
    ],
)
def test_a_member_that_is_not_stem_dot_extension_is_an_error(name: str) -> None:
    insist_refused(made_by_tarfile(lambda info: setattr(info, "name", name)))


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["x" * 150 + ".json", "é.json"])
def test_names_in_extended_headers_are_an_error(format: int, name: str) -> None:
    insist_refused(made_by_tarfile(lambda info: setattr(info, "name", name), format))


@pytest.mark.parametrize(
    ("field", "value"), [("mtime", 1), ("uid", 1000), ("gid", 5), ("uname", "ann"), ("gname", "staff"), ("mode", 0o755)]
)
def test_a_header_that_tells_of_a_clock_or_a_user_is_an_error(field: str, value: object) -> None:
    insist_refused(made_by_tarfile(lambda info: setattr(info, field, value)))


def with_size(size: bytes) -> bytes:
    """A tar whose first header states that size, under a true check sum."""
    header = bytearray(made_by_tarfile(lambda info: None))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


@pytest.mark.parametrize(
    "size",
    [
        b"00000100000\0",  # more than there is
        b"\xff" * 11 + b"\xfb",  # minus 5, as GNU tar writes it
        b"\xff" * 10 + b"\x00\x00",  # minus 65,536
        b"\x80" + bytes(10) + b"\x02",  # 2, as GNU tar writes it
        b"          2\0",
        b"00000000002 ",
        b"00000000009\0",
        bytes(12),
    ],
)
def test_a_size_that_lies_or_is_written_oddly_is_an_error(size: bytes) -> None:
    insist_refused(with_size(size))


@pytest.mark.parametrize("data", [b"", b"x", bytes(511), bytes(512), bytes(1024), b"PK\x03\x04" + bytes(2000)])
def test_what_is_no_tar_is_an_error(data: bytes) -> None:
    insist_refused(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_refused(data: bytes) -> None:
    insist_refused(data)
