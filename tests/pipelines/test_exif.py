"""The orientation tag says 1 afterwards, nothing but the tag has changed, and no reader turns the picture any more."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipelines.exif import app1_segments, may_be_tagged, neutralised
from pipelines.images import stored
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

ORIENTATION = 0x0112
BYTE, ASCII, SHORT, LONG, SBYTE, UNDEFINED, SSHORT, SLONG, FLOAT, IFD = 1, 2, 3, 4, 6, 7, 8, 9, 11, 13


def plain_jpeg() -> bytes:
    """Noise: every turn or mirroring of it differs from it."""
    file = io.BytesIO()
    Image.effect_noise((48, 32), 90).convert("RGB").save(file, "JPEG")
    return file.getvalue()


PLAIN = plain_jpeg()


def entry(order: str, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")


def number(order: str, kind: int, value: int) -> bytes:
    return struct.pack(order + {BYTE: "B", SHORT: "H", LONG: "I"}[kind], value)


def tiff(order: str, entries: list[bytes], first: int = 8, following: list[bytes] | None = None) -> bytes:
    """A TIFF structure whose first directory begins at that offset; a second one (a thumbnail's) after it."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries)
    end = first + len(directory) + 4
    more = struct.pack(order + "H", len(following)) + b"".join(following) + bytes(4) if following else b""
    return head.ljust(first, b"\0") + directory + struct.pack(order + "I", end if more else 0) + more


def app1(payload: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def exif(structure: bytes) -> bytes:
    return app1(b"Exif\0\0" + structure)


def xmp(packet: bytes) -> bytes:
    return app1(b"http://ns.adobe.com/xap/1.0/\0" + packet)


def jpeg(*segments: bytes) -> bytes:
    return PLAIN[:2] + b"".join(segments) + PLAIN[2:]


def oriented(value: int, order: str, kind: int) -> bytes:
    make = entry(order, 0x010F, ASCII, 4, b"abc\0")
    tag = entry(order, ORIENTATION, kind, 1, number(order, kind, value))
    return jpeg(exif(tiff(order, [make, tag, entry(order, 0x0128, SHORT, 1, number(order, SHORT, 2))])))


def pixels(data: bytes, turned: bool = False) -> bytes:
    """The pixels, size first: as they are stored, or as a reader sees them who obeys the tag."""
    with Image.open(io.BytesIO(data)) as image:
        shown = ImageOps.exif_transpose(image) if turned else image
        array = np.asarray(shown)
    return repr(array.shape).encode() + array.tobytes()


def changed(before: bytes, after: bytes) -> set[int]:
    assert len(before) == len(after)
    return {place for place, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}


@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(2, 9))
def test_exactly_the_tags_bytes_change_and_nothing_turns_any_more(value: int, order: str, kind: int) -> None:
    before = oriented(value, order, kind)
    assert pixels(before, turned=True) != pixels(before), "Pillow does not obey this tag: this test would show nothing"
    after = neutralised(before)
    assert after == oriented(1, order, kind)
    assert len(changed(before, after)) == 1
    assert pixels(after, turned=True) == pixels(after) == pixels(before)


@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picture_that_lies_upright_is_left_as_the_very_same_object(order: str, kind: int) -> None:
    before = oriented(1, order, kind)
    assert neutralised(before) is before
    assert stored(before, ImagePolicy()).data == before
    assert stored(before, ImagePolicy()).notes == ()


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_an_orientation_that_means_nothing_becomes_one(value: int) -> None:
    assert neutralised(oriented(value, "<", SHORT)) == oriented(1, "<", SHORT)


def test_a_stored_picture_is_neutralised_and_says_so() -> None:
    found = stored(oriented(6, "<", SHORT), ImagePolicy())
    assert (found.data, found.size) == (oriented(1, "<", SHORT), (48, 32))
    assert found.notes == ("orientation neutralised",)


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [
        (SBYTE, 1, b"\x06"),
        (SSHORT, 1, b"\x06\0"),
        (SLONG, 1, b"\x06\0\0\0"),
        (IFD, 1, b"\x06\0\0\0"),
        (FLOAT, 1, struct.pack("<f", 6.0)),
        (UNDEFINED, 1, b"\x06"),
        (ASCII, 2, b"6\0"),
        (SHORT, 0, b"\x06\0"),
        (SHORT, 2, b"\x06\0\x03\0"),
        (SHORT, 2**32 - 1, b"\x06\0"),
        (LONG, 7, b"\x06\0\0\0"),
        (99, 1, b"\x06\0"),
    ],
)
def test_a_tag_of_an_odd_type_or_count_becomes_a_plain_one(kind: int, count: int, value: bytes) -> None:
    # Pillow obeys some of these and OpenCV all: it takes a number from any type.
    tag = entry("<", ORIENTATION, kind, count, value)
    other = entry("<", 0x0100, LONG, 1, b"\x09\x09\x09\x09")
    before = jpeg(exif(tiff("<", [other, tag, other])))
    after = neutralised(before)
    assert after == jpeg(exif(tiff("<", [other, entry("<", ORIENTATION, SHORT, 1, b"\x01\0"), other])))
    assert pixels(stored(before, ImagePolicy()).data, turned=True) == pixels(PLAIN)


def test_the_thumbnails_own_orientation_stays_and_turns_nothing() -> None:
    def with_main(value: int) -> bytes:
        main = entry(">", ORIENTATION, SHORT, 1, number(">", SHORT, value))
        thumbnail = entry(">", ORIENTATION, SHORT, 1, number(">", SHORT, 8))
        return jpeg(exif(tiff(">", [main], following=[thumbnail])))

    assert neutralised(with_main(3)) == with_main(1)
    assert neutralised(with_main(1)) == with_main(1)
    assert pixels(with_main(1), turned=True) == pixels(PLAIN)


def test_every_segment_is_neutralised_wherever_it_stands() -> None:
    def with_values(*values: int) -> bytes:
        segments = [exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, number("<", SHORT, one))])) for one in values[:2]]
        return jpeg(b"\xff\xfe\x00\x04ab", segments[0], app1(b"something else"), segments[1], b"\xff\xff\xff\xff")

    assert neutralised(with_values(6, 3)) == with_values(1, 1)
    assert neutralised(with_values(1, 3)) == with_values(1, 1)


def test_a_tag_that_stands_twice_is_set_twice() -> None:
    def with_values(*values: int) -> bytes:
        return jpeg(exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, number("<", SHORT, one)) for one in values])))

    assert neutralised(with_values(6, 8)) == with_values(1, 1)


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xff\xff", b"\xff\xd0", b"\xff\xd7\xff\xd3"])
def test_a_segment_behind_markers_without_a_length_is_found(filler: bytes) -> None:
    tag = exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x06\0")]))
    upright = exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x01\0")]))
    assert neutralised(jpeg(filler, tag)) == jpeg(filler, upright)


@pytest.mark.parametrize(
    "packet",
    [
        b'<rdf:Description tiff:Orientation="%d" tiff:Make="a"/>',
        b"<rdf:Description tiff:Orientation='%d'/>",
        b'<rdf:Description tiff:Orientation = "%d"/>',
        b"<tiff:Orientation>%d</tiff:Orientation>",
        b"<tiff:Orientation>\n  %d\n</tiff:Orientation>",
    ],
)
@pytest.mark.parametrize("value", [2, 6, 8])
def test_an_orientation_in_xmp_is_set_to_one(packet: bytes, value: int) -> None:
    before, wanted = jpeg(xmp(packet % value)), jpeg(xmp(packet % 1))
    assert neutralised(before) == wanted
    assert neutralised(wanted) is wanted
    assert pixels(wanted, turned=True) == pixels(PLAIN)


def test_exif_and_xmp_are_both_set() -> None:
    def with_values(one: int, other: int) -> bytes:
        tag = tiff("<", [entry("<", ORIENTATION, SHORT, 1, number("<", SHORT, one))])
        return jpeg(exif(tag), xmp(b'<x tiff:Orientation="%d"/>' % other))

    assert pixels(with_values(1, 6), turned=True) == pixels(PLAIN), "EXIF comes first in Pillow"
    assert neutralised(with_values(6, 8)) == with_values(1, 1)
    assert neutralised(with_values(1, 8)) == with_values(1, 1)


def split_over_two_segments() -> bytes:
    structure = tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x06\0")], first=2000)
    return jpeg(exif(structure[:1000]), exif(structure[1000:]))


def twice_introduced() -> bytes:
    return jpeg(app1(b"Exif\0\0" * 2 + tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x06\0")])))


@pytest.mark.parametrize("odd", [split_over_two_segments, twice_introduced])
def test_a_tag_where_only_pillow_finds_it_has_the_picture_refused(odd: Callable[[], bytes]) -> None:
    assert pixels(odd(), turned=True) != pixels(PLAIN), "Pillow does not find it: this test would show nothing"
    with pytest.raises(ImageError, match=r"^orientation not neutralised: "):
        stored(odd(), ImagePolicy())


@pytest.mark.parametrize("policy", [ImagePolicy(stretch=32), ImagePolicy(max_side=24, min_short_side=1)])
def test_a_written_picture_carries_no_orientation(policy: ImagePolicy) -> None:
    for before in (oriented(6, ">", SHORT), jpeg(xmp(b'<x tiff:Orientation="6"/>')), split_over_two_segments()):
        after = stored(before, policy).data
        assert pixels(after, turned=True) == pixels(after)


def test_where_segments_begin_and_end() -> None:
    first, second = app1(b"one"), app1(b"the other")
    begin = 2 + 4
    after = begin + 3 + 4
    assert list(app1_segments(jpeg(first, second))) == [(begin, begin + 3), (after, after + 9)]


def test_a_picture_without_app1_before_its_scan_is_certain_to_have_no_tag() -> None:
    after = exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x06\0")]))
    comment = b"\xff\xfe\x00\x06" + after[:2] + after[:2]
    for data in (PLAIN, PLAIN + after, jpeg(comment)):
        assert not may_be_tagged(data)
        assert pixels(data, turned=True) == pixels(data)
        assert stored(data, ImagePolicy(check="header")).data is data


@pytest.mark.parametrize("before", [b"", b"\xff", b"\xff\xd3", b"\xff\xfe\0\2", b"\xff\xfe\0\0", b"\xff\xfe\0\1"])
def test_whatever_stands_before_its_app1_a_picture_may_have_a_tag(before: bytes) -> None:
    assert may_be_tagged(jpeg(before, exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x06\0")]))))


@pytest.mark.parametrize("marker", [b"\xff\xc8", b"\xff\xd0", b"\xff\xd8", b"\xff\xf1", b"\xff\x01"])
def test_a_marker_that_some_readers_give_no_length_hides_no_app1(marker: bytes) -> None:
    within = exif(tiff("<", [entry("<", ORIENTATION, SHORT, 1, b"\x06\0")]))
    assert may_be_tagged(jpeg(marker + struct.pack(">H", len(within) + 2) + within))


@pytest.mark.parametrize("cut", [2, 3, 5, 20])
def test_a_picture_that_ends_before_its_scan_may_have_a_tag(cut: int) -> None:
    assert may_be_tagged(PLAIN[:cut])
