"""Tar shards as they are written: any tar reader takes them, and equal samples are equal bytes wherever written."""

import gc
import hashlib
import io
import os
import struct
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import tar
from pipelines.tar import Member, TarWriter, index_bytes, members, padded, read_index
from schemas.errors import ShardError

Files = Sequence[tuple[str, bytes]]
SAMPLES: list[tuple[str, Files]] = [
    ("coco-1", [("jpg", b"\xff\xd8 a picture"), ("json", b'{"a": 1}')]),
    ("coco-2", [("json", b"x" * 512)]),
    ("text--0af3", [("jpg", b""), ("json", bytes(513))]),
]
WRITE = """
import sys
from pathlib import Path
from pipelines.tar import TarWriter
writer = TarWriter(Path(sys.argv[1]))
for number in range(3):
    writer.add(f"coco-{number}", [("jpg", bytes([number]) * 700), ("json", b"{}")])
print(writer.close().sha256)
"""


def write(path: Path, samples: Sequence[tuple[str, Files]]) -> TarWriter:
    writer = TarWriter(path)
    for stem, files in samples:
        writer.add(stem, files)
    writer.close()
    return writer


def test_tarfile_reads_the_same_files_in_order(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", SAMPLES)
    with tarfile.open(tmp_path / "a.tar", "r:") as tar:
        found = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    assert found == [(f"{stem}.{extension}", data) for stem, files in SAMPLES for extension, data in files]


def test_headers_tell_of_no_clock_user_or_host(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", SAMPLES)
    with tarfile.open(tmp_path / "a.tar", "r:") as tar:
        told = {(info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode, info.type) for info in tar}
    assert told == {(0, 0, 0, "", "", 0o644, tarfile.REGTYPE)}
    assert (tmp_path / "a.tar").read_bytes()[257:265] == b"ustar\x0000"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves the closing to the collector
def test_webdataset_reads_the_samples(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", SAMPLES[:2])
    found = list(webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False, empty_check=False))
    gc.collect()
    assert [(one["__key__"], one.get("jpg"), one["json"]) for one in found] == [
        ("coco-1", b"\xff\xd8 a picture", b'{"a": 1}'),
        ("coco-2", None, b"x" * 512),
    ]


def test_equal_samples_are_equal_bytes_whoever_writes_them_and_when(tmp_path: Path) -> None:
    digests = set()
    for number, (user, umask) in enumerate((("ann", 0o022), ("bob", 0o077), ("", 0))):
        home = tmp_path / f"home{number}"
        home.mkdir()
        environment = {**os.environ, "USER": user, "LOGNAME": user, "HOME": str(home), "TZ": f"UTC{number}"}
        command = [sys.executable, "-c", WRITE, str(home / f"{number}.tar")]
        done = subprocess.run(command, env=environment, umask=umask, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
        digests.add(hashlib.sha256((home / f"{number}.tar").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_clock_decides_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "now.tar", SAMPLES)
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.5)
    write(tmp_path / "later.tar", SAMPLES)
    assert (tmp_path / "now.tar").read_bytes() == (tmp_path / "later.tar").read_bytes()


def test_offsets_point_at_each_samples_first_header_and_the_end(tmp_path: Path) -> None:
    writer = write(tmp_path / "a.tar", SAMPLES)
    # Headers of 512 bytes; contents of 12 and 8, of 512, of 0 and 513 bytes, each in whole blocks.
    assert writer.offsets == [0, 4 * 512, 6 * 512, 10 * 512]
    data = (tmp_path / "a.tar").read_bytes()
    for (stem, files), offset in zip(SAMPLES, writer.offsets, strict=False):
        assert data[offset:].startswith(f"{stem}.{files[0][0]}\0".encode())
    assert not any(data[writer.offsets[-1] :])


def test_the_digest_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "a.tar")
    writer.add("coco-1", [("json", b"{}")])
    digest = writer.close()
    data = (tmp_path / "a.tar").read_bytes()
    assert (digest.name, digest.bytes, digest.sha256) == ("a.tar", 10_240, hashlib.sha256(data).hexdigest())
    assert len(data) == 10_240


def test_a_disk_that_fails_while_the_tar_is_written_is_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of it once: what is synced at the end would then seem to be all right."""

    def failing(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(tar, "_SYNCED_BYTES", 10_000)
    monkeypatch.setattr(tar.os, "fdatasync", failing)
    with TarWriter(tmp_path / "a.tar") as writer:
        writer.add("coco-1", [("bin", bytes(20_000))])
        with pytest.raises(OSError, match="Input/output error"):
            writer.close()
    left = TarWriter(tmp_path / "b.tar")
    left.add("coco-1", [("bin", bytes(20_000))])
    with pytest.raises(OSError, match="Input/output error"):
        left.__exit__()


def test_what_is_synced_on_the_way_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fdatasync
    write(tmp_path / "at once.tar", SAMPLES * 30)
    monkeypatch.setattr(tar, "_SYNCED_BYTES", 5_000)
    monkeypatch.setattr(tar.os, "fdatasync", lambda handle: (synced.append(handle), sync(handle)))
    write(tmp_path / "on the way.tar", SAMPLES * 30)
    assert synced and (tmp_path / "at once.tar").read_bytes() == (tmp_path / "on the way.tar").read_bytes()


@pytest.mark.parametrize(("content", "size"), [(17 * 512, 10_240), (17 * 512 + 1, 20_480)])
def test_a_tar_ends_with_two_zero_blocks_and_fills_whole_records(content: int, size: int, tmp_path: Path) -> None:
    write(tmp_path / "a.tar", [("a", [("bin", b"x" * content)])])
    assert (tmp_path / "a.tar").stat().st_size == size
    with (tmp_path / "a.tar").open("rb") as file:
        assert [len(member.data) for member in members(file, "a.tar")] == [content]


def test_a_tar_of_no_samples_is_empty_but_whole(tmp_path: Path) -> None:
    assert write(tmp_path / "a.tar", []).offsets == [0]
    with (tmp_path / "a.tar").open("rb") as file:
        assert list(members(file, "a.tar")) == []
    with tarfile.open(tmp_path / "a.tar", "r:") as tar:
        assert tar.getnames() == []


@pytest.mark.parametrize("stem", ["a.b", "../x", "/x", "é", "a b", "", "x" * 91, "a\n", "a/b"])
def test_a_stem_that_readers_would_misread_is_refused(stem: str, tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "a.tar")
    with pytest.raises(ShardError, match="bad tar stem"):
        writer.add(stem, [("json", b"{}")])
    writer.close()


@pytest.mark.parametrize(("size", "blocks"), [(0, 0), (1, 1), (511, 1), (512, 1), (513, 2), (5120, 10)])
def test_members_take_whole_blocks(size: int, blocks: int) -> None:
    assert padded(size) == blocks * 512


def test_the_index_is_little_endian_offsets_of_eight_bytes() -> None:
    assert index_bytes([0, 2048, 2**33]) == struct.pack("<QQQ", 0, 2048, 2**33)
    assert index_bytes([1]) == b"\x01\0\0\0\0\0\0\0"
    assert read_index(b"\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0", "a.tar.idx") == (0, 2048)


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 17])
def test_what_is_no_index_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ShardError, match=r"a\.tar\.idx: \d+ bytes, wanted 8 a sample"):
        read_index(data, "a.tar.idx")


STEMS = st.from_regex(r"[A-Za-z0-9_-]{1,90}", fullmatch=True)
DATA = st.binary(max_size=1500) | st.integers(5000, 10_000).map(bytes)  # little pieces are written together
FILES = st.lists(st.tuples(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), DATA), max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(STEMS, FILES), max_size=5))
def test_whatever_samples_are_written_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[str, Files]]
) -> None:
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    writer = write(path, samples)
    with path.open("rb") as file:
        found = list(members(file, "a.tar"))
    assert [one[:2] + one[3:] for one in found] == [(stem, *pair) for stem, files in samples for pair in files]
    starts = [offset for offset, (_, files) in zip(writer.offsets, samples, strict=False) if files]
    assert [one.offset for one in found if one.offset in starts] == starts
    data = path.read_bytes()
    assert all(data[one.offset :].startswith(f"{one.stem}.{one.extension}\0".encode()) for one in found)


def test_members_are_read_from_any_file_object(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", SAMPLES[:1])
    found = list(members(io.BytesIO((tmp_path / "a.tar").read_bytes()), "a.tar"))
    assert found == [Member("coco-1", "jpg", 0, b"\xff\xd8 a picture"), Member("coco-1", "json", 1024, b'{"a": 1}')]


@given(st.from_regex(r"[A-Za-z0-9_-]{1,90}\.[a-z]{1,5}", fullmatch=True), st.integers(0, 2**30))
def test_a_header_is_the_one_that_tarfile_writes(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert tar._header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)
