"""Hostile EXIF and XMP: offsets beyond everything, huge counts, loops. Nothing crashes, hangs or slips through."""

import io
import struct
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipelines.exif import neutralised
from pipelines.images import stored
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

ORIENTATION = 0x0112
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def plain_jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((16, 8), 90).convert("RGB").save(file, "JPEG")
    return file.getvalue()


PLAIN = plain_jpeg()


def jpeg(*payloads: bytes) -> bytes:
    segments = (b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload for payload in payloads)
    return PLAIN[:2] + b"".join(segments) + PLAIN[2:]


def directory(*entries: tuple[int, int, int, int], count: int | None = None, following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *one) for one in entries)
    return struct.pack("<H", len(entries) if count is None else count) + body + struct.pack("<I", following)


def exif(rest: bytes, first: int = 8, magic: bytes = b"II*\0") -> bytes:
    return b"Exif\0\0" + magic + struct.pack("<I", first) + rest


TURNED = (ORIENTATION, 3, 1, 6)
HOSTILE = {
    "nothing behind the name": b"Exif\0\0",
    "half a header": b"Exif\0\0II*",
    "no byte order": exif(directory(TURNED), magic=b"XX*\0"),
    "a directory beyond the segment": exif(directory(TURNED), first=60_000),
    "a directory beyond 4 GiB": exif(directory(TURNED), first=2**32 - 1),
    "a directory at the very end": exif(b"", first=8),
    "a directory in the header": exif(directory(TURNED), first=0),
    "more entries than there are": exif(directory(count=65_535)),
    "an entry that is cut": exif(directory(TURNED)[:9]),
    "a count of 4 billion": exif(directory((0x010F, 2, 2**32 - 1, 8), TURNED)),
    "values beyond everything": exif(directory((0x010F, 2, 50, 2**32 - 2), (0x8769, 4, 1, 2**32 - 1))),
    "a directory that follows itself": exif(directory(TURNED, following=8)),
    "a sub-directory that is its parent": exif(directory((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), TURNED)),
    "big TIFF": exif(struct.pack("<QQHHQQ", 16, 1, ORIENTATION, 3, 1, 6), magic=b"II+\0"),
    "an XMP packet without end": XMP + b"<tiff:Orientation>" + b" " * 60_000,
    "XMP that begins over and over": XMP + b"tiff:Orientation=" * 3_500,
    "a cut XMP packet": XMP + b'tiff:Orientation="',
}


@pytest.mark.parametrize("which", HOSTILE)
def test_hostile_metadata_neither_crashes_nor_hangs(which: str) -> None:
    data = jpeg(HOSTILE[which], HOSTILE[which])
    began = time.process_time()
    after = neutralised(data)
    assert time.process_time() - began < 1
    assert len(after) == len(data)
    insist_lies_upright(data)


def insist_lies_upright(data: bytes) -> None:
    """The picture is refused, or what is stored of it turns for no reader."""
    try:
        found = stored(data, ImagePolicy()).data
    except ImageError:
        return
    assert len(found) == len(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(found))
        assert image.getexif().get(ORIENTATION) not in range(2, 9)
        assert ImageOps.exif_transpose(image).tobytes() == Image.open(io.BytesIO(found)).tobytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff\xe1\x00",
        b"\xff\xd8\xff\xe1\x00\x00" * 50,
        b"\xff\xd8" + b"\xff" * 5_000,
        b"\xff\xd8" + b"\xff\xd0" * 5_000,
        b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0",
    ],
)
def test_a_file_that_ends_anywhere_is_left_alone(data: bytes) -> None:
    assert neutralised(data) is data


@pytest.mark.parametrize("length", range(42))
def test_metadata_cut_anywhere_is_survived(length: int) -> None:
    insist_lies_upright(jpeg(exif(directory(TURNED, TURNED))[:length]))
    cut_file = jpeg(exif(directory(TURNED, TURNED)))[: 6 + length]
    assert len(neutralised(cut_file)) == len(cut_file)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe1\x01\x00Exif\0\0II*\0\x08\0\0\0"]))
def test_any_bytes_keep_their_length(data: bytes, start: bytes) -> None:
    assert len(neutralised(start + data)) == len(start + data)


KINDS = st.integers(0, 16) | st.integers(0, 65_535)
COUNTS = st.integers(0, 6) | st.integers(0, 2**32 - 1)
ENTRIES = st.tuples(st.sampled_from([ORIENTATION] * 3 + [0x0100, 0x8769, 0x02BC]), KINDS, COUNTS, st.binary(max_size=4))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(ENTRIES, max_size=4),
    st.sampled_from("<>"),
    st.integers(0, 30),
    st.integers(0, 6) | st.integers(0, 65_535),
    st.binary(max_size=30),
    st.booleans(),
)
def test_whatever_the_tags_say_no_reader_turns_what_is_stored(
    entries: list[tuple[int, int, int, bytes]], order: str, first: int, count: int, rest: bytes, true_count: bool
) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first if not true_count else 8)
    body = b"".join(struct.pack(order + "HHI", *one[:3]) + one[3].ljust(4, b"\0") for one in entries)
    number = struct.pack(order + "H", len(entries) if true_count else count)
    insist_lies_upright(jpeg(b"Exif\0\0" + head + number + body + rest))
