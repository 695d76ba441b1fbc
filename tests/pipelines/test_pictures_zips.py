"""Zips as hostile files: bombs, lies, odd names, damage. Nothing is unpacked, nothing but the picture is lost."""

import io
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters._coco import COCO
from pipelines.pictures import Located, locate, read_picture
from schemas.errors import ImageError, SourceError

NAME = "val2014/COCO_val2014_000000000002.jpg"
OTHER = "val2014/COCO_val2014_000000000003.jpg"
PICTURE = os.urandom(3000)
READ_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from converters._coco import COCO
from pipelines.pictures import locate, read_picture
from schemas.errors import ImageError

found = locate(COCO, [sys.argv[1]])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
try:
    bytearray(250 * 2**20)
except MemoryError:
    print("what it inflates to does not fit")
for located in found.values():
    try:
        read_picture(located)
    except ImageError as error:
        print(error)
"""


def zip_of(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def with_sizes(data: bytes, size: int) -> bytes:
    """The zip of one member, its uncompressed size in both headers replaced."""
    local, central = data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24
    data = data[:local] + struct.pack("<I", size) + data[local + 4 :]
    return data[:central] + struct.pack("<I", size) + data[central + 4 :]


def saved(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def located_in(path: str, image: str = "coco/2") -> Located:
    return locate(COCO, [path])[image]


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_stored_or_deflated(compression: int, tmp_path: Path) -> None:
    picture = os.urandom(3 * 2**20)
    path = saved(tmp_path / "a.zip", zip_of((NAME, picture), compression=compression))
    assert read_picture(located_in(path)) == picture


def test_members_that_point_elsewhere_write_nothing_and_hide_nothing(tmp_path: Path) -> None:
    deep = tmp_path / "one" / "two"
    deep.mkdir(parents=True)
    odd = [("../../val2014/COCO_val2014_000000000009.jpg", b"a"), ("/etc/passwd", b"b"), ("..\\..\\evil.jpg", b"c")]
    path = saved(deep / "a.zip", zip_of(*odd, (NAME, PICTURE)))
    before = everything(tmp_path)
    assert [read_picture(one) for image, one in locate(COCO, [path]).items() if image == "coco/2"] == [PICTURE]
    for located in locate(COCO, [path]).values():
        read_picture(located)
    assert everything(tmp_path) == before


def test_a_link_in_a_zip_is_read_as_its_own_bytes(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for a pool")
    link = zipfile.ZipInfo(NAME)
    link.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, str(secret))
    assert read_picture(located_in(saved(tmp_path / "a.zip", file.getvalue()))) == str(secret).encode()


def test_reading_from_zips_writes_nothing_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    saved(tmp_path / "val2014.zip", zip_of((NAME, PICTURE)))
    before = everything(tmp_path)
    assert read_picture(located_in(str(tmp_path))) == PICTURE
    assert everything(tmp_path) == before


def test_a_member_said_to_be_huge_is_refused_without_inflating(tmp_path: Path) -> None:
    bomb = zip_of((NAME, bytes(300 * 2**20)))
    assert len(bomb) < 400_000
    path = saved(tmp_path / "a.zip", bomb)
    command = [sys.executable, "-c", READ_UNDER_A_LIMIT, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = "picture file too large: 314,572,800 bytes, at most 268,435,456"
    assert done.stdout.splitlines() == ["what it inflates to does not fit", told]


@pytest.mark.parametrize("said", [0, 10, len(PICTURE) - 1])
def test_a_member_that_is_longer_than_it_says_is_unreadable(said: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", with_sizes(zip_of((NAME, PICTURE)), said))
    with pytest.raises(ImageError, match=r"^picture unreadable: "):
        read_picture(located_in(path))


def test_a_member_that_inflates_beyond_its_stated_size_is_unreadable_within_little_memory(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", with_sizes(zip_of((NAME, bytes(300 * 2**20))), 100))
    command = [sys.executable, "-c", READ_UNDER_A_LIMIT, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["what it inflates to does not fit", "picture unreadable: BadZipFile"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_compressed_so_that_it_inflates_at_once_is_refused(compression: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", zip_of((NAME, PICTURE), compression=compression))
    with pytest.raises(ImageError, match="picture unreadable: its zip member is neither stored nor deflated"):
        read_picture(located_in(path))


def test_an_encrypted_member_is_unreadable(tmp_path: Path) -> None:
    data = bytearray(zip_of((NAME, PICTURE)))
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    with pytest.raises(ImageError, match="picture unreadable: RuntimeError"):
        read_picture(located_in(saved(tmp_path / "a.zip", bytes(data))))


def test_a_member_of_unknown_compression_is_unreadable(tmp_path: Path) -> None:
    data = bytearray(zip_of((NAME, PICTURE)))
    for place in (data.index(b"PK\x03\x04") + 8, data.index(b"PK\x01\x02") + 10):
        data[place] = 99
    with pytest.raises(ImageError, match="picture unreadable: its zip member is neither stored nor deflated"):
        read_picture(located_in(saved(tmp_path / "a.zip", bytes(data))))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_unreadable_and_its_neighbour_is_not(compression: int, tmp_path: Path) -> None:
    data = bytearray(zip_of((NAME, PICTURE), (OTHER, b"whole"), compression=compression))
    middle = data.index(b"PK\x03\x04") + 30 + len(NAME) + 1500
    data[middle : middle + 40] = bytes(40)
    path = saved(tmp_path / "a.zip", bytes(data))
    with pytest.raises(ImageError, match=r"^picture unreadable: [A-Za-z]+$"):
        read_picture(located_in(path))
    assert read_picture(located_in(path, "coco/3")) == b"whole"


def test_a_zip_that_was_cut_since_it_was_listed_gives_image_errors(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", zip_of((NAME, os.urandom(200_000)), (OTHER, os.urandom(200_000))))
    found = locate(COCO, [path])
    os.truncate(path, 1000)
    for located in found.values():
        with pytest.raises(ImageError, match="picture unreadable"):
            read_picture(located)


@pytest.mark.parametrize("kept", [0, 1, 50, 0.5, -1])
def test_a_zip_without_its_end_is_a_source_error_that_names_it(kept: float, tmp_path: Path) -> None:
    data = zip_of((NAME, PICTURE))
    cut = data[: int(len(data) * kept) if isinstance(kept, float) else kept]
    path = saved(tmp_path / "val2014.zip", cut)
    for location in (path, str(tmp_path)):
        with pytest.raises(SourceError, match=f"{re.escape(path)}: not a readable zip"):
            locate(COCO, [location])


def test_a_zip_of_an_unknown_version_is_a_source_error(tmp_path: Path) -> None:
    data = bytearray(zip_of((NAME, PICTURE)))
    data[data.index(b"PK\x01\x02") + 6] = 200
    with pytest.raises(SourceError, match=r"a\.zip: not a readable zip"):
        locate(COCO, [saved(tmp_path / "a.zip", bytes(data))])


def test_a_zip_whose_names_are_no_text_is_a_source_error(tmp_path: Path) -> None:
    data = zip_of((NAME.replace("COCO", "COCÖ"), PICTURE)).replace("Ö".encode(), b"\xff\xfe")
    with pytest.raises(SourceError, match=r"a\.zip: not a readable zip"):
        locate(COCO, [saved(tmp_path / "a.zip", data)])


WHOLE = zip_of((NAME, PICTURE[:200]), (OTHER, PICTURE[200:300]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_bytes_changed_anywhere_in_a_zip_give_pictures_or_named_errors(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    path = f"memory://{uuid4().hex}.zip"
    with fsspec.open(path, "wb") as file:
        file.write(bytes(data))
    try:
        found = locate(COCO, [path])
    except SourceError:
        return
    for located in found.values():
        try:
            assert read_picture(located) in (PICTURE[:200], PICTURE[200:300], b"")
        except ImageError:
            continue


def test_a_member_that_has_gone_since_is_unreadable(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", zip_of((NAME, PICTURE)))
    with pytest.raises(ImageError, match="picture unreadable: KeyError"):
        read_picture(Located(path, OTHER, 5))
