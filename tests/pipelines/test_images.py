"""What is stored of a picture that is whole: its own bytes where it is a plain JPEG, an RGB JPEG by rule otherwise."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.images import checked, kind, size_of, stored, versions
from schemas.box import Size
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

AS_IT_IS = ImagePolicy()
RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noisy(mode: str = "RGB", size: tuple[int, int] = (91, 60)) -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(depth: int, colour: int, pixel: bytes, *chunks: bytes, side: int = 16) -> bytes:
    """A PNG of one colour, written by hand: Pillow writes no 16-bit colours and no keyed transparency of 16 bits."""
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    rows = (b"\0" + pixel * side) * side
    body = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def pixel_of(data: bytes) -> tuple[int, ...]:
    """The middle pixel of a stored picture, which has to be an RGB JPEG."""
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found


def insist_near(found: tuple[int, ...], wanted: tuple[int, ...], slack: int = 3) -> None:
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= slack, (found, wanted)


ODD_SEGMENTS = (segment(0xED, b"Photoshop 3.0\0" + bytes(40)), segment(0xE7, b"\xff\xda" * 20), segment(0xFE, b"words"))
JPEGS: dict[str, Callable[[], bytes]] = {
    "colour": lambda: encoded(noisy(), quality=80),
    "grey": lambda: encoded(noisy("L")),
    "progressive": lambda: encoded(noisy(), progressive=True),
    "without subsampling": lambda: encoded(noisy(), subsampling=0),
    "stored as RGB": lambda: encoded(noisy(), keep_rgb=True),
    "with restart markers": lambda: encoded(noisy(), restart_marker_rows=1),
    "with a colour profile": lambda: encoded(noisy(), icc_profile=bytes(range(256)) * 400),
    "with odd segments": lambda: with_segments(encoded(noisy()), *ODD_SEGMENTS),
    "with bytes after its end": lambda: encoded(noisy()) + b"appended",
    "of eight pixels a side": lambda: encoded(noisy(size=(8, 8))),
    "eight pixels high": lambda: encoded(noisy(size=(300, 8))),
}


@pytest.mark.parametrize("which", JPEGS)
def test_a_plain_jpeg_is_stored_byte_for_byte(which: str) -> None:
    data = JPEGS[which]()
    with Image.open(io.BytesIO(data)) as image:
        size = Size(*image.size)
    assert stored(data, AS_IT_IS)[:4] == (data, size, size, ())


@pytest.mark.parametrize("which", JPEGS)
def test_a_jpegs_size_is_read_from_its_header_and_after_decoding(which: str) -> None:
    data = JPEGS[which]()
    with Image.open(io.BytesIO(data)) as image:
        assert size_of(data) == checked(data)[0] == image.size


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {}), ("GIF", {})])
def test_other_formats_become_rgb_jpegs_of_the_same_size(form: str, options: dict[str, Any]) -> None:
    data = encoded(Image.new("RGB", (70, 41), (200, 40, 90)), form, **options)
    found = stored(data, AS_IT_IS)
    assert (kind(data), size_of(data)) == (form, (70, 41))
    assert (found.size, found.source, found.notes) == ((70, 41), (70, 41), ("converted to JPEG",))
    insist_near(pixel_of(found.data), (200, 40, 90), slack=6)
    assert checked(found.data)[0] == (70, 41)


@pytest.mark.parametrize("name", ["PNG", "GIF", "JPEG"])
@pytest.mark.parametrize(("size", "told"), [((1, 1), "1x1"), ((300, 7), "300x7"), ((7, 300), "7x300")])
def test_a_dot_or_a_line_stands_for_a_picture_that_is_gone(name: str, size: tuple[int, int], told: str) -> None:
    with pytest.raises(ImageError, match=rf"^placeholder picture: {told}, wanted at least 8 pixels a side$"):
        stored(encoded(Image.new("RGB", size, RED), name), AS_IT_IS)
    assert stored(encoded(Image.new("RGB", (8, 8), RED), name), AS_IT_IS).size == (8, 8)


def test_what_a_policy_made_thin_is_no_placeholder() -> None:
    thin = stored(encoded(noisy(size=(800, 8))), ImagePolicy(max_side=100, min_short_side=1))
    assert min(thin.size) < 8 and checked(thin.data)[0] == thin.size


def test_conversion_gives_equal_bytes_every_time() -> None:
    data = encoded(noisy("RGBA"), "PNG")
    assert stored(data, AS_IT_IS).data == stored(bytes(bytearray(data)), AS_IT_IS).data


def test_the_quality_of_written_jpegs_is_the_policys() -> None:
    data = encoded(noisy(), "PNG")
    low, high = (stored(data, ImagePolicy(quality=quality)).data for quality in (30, 95))
    assert len(low) < len(high) / 2


def test_a_four_colour_jpeg_becomes_rgb() -> None:
    found = stored(encoded(Image.new("CMYK", (32, 24), (0, 255, 255, 0)), quality=95), AS_IT_IS)
    assert found.notes == ("converted to JPEG",)
    insist_near(pixel_of(found.data), RED, slack=8)


def test_a_four_colour_jpeg_of_luma_and_chroma_becomes_rgb() -> None:
    # What image editors write. Ink values lie inverted in the file: red is (255, 0, 0, 255) there, of which the first
    # three are turned into luma and chroma like the RGB colour that is their complement. Pillow writes no such file,
    # but it writes any four channels (inverting each), and the Adobe segment's last byte says what they are.
    complement = Image.new("RGB", (32, 24), (0, 255, 255)).convert("YCbCr").getpixel((0, 0))
    assert isinstance(complement, tuple)
    data = encoded(Image.new("CMYK", (32, 24), (*(255 - value for value in complement), 0)), quality=95)
    place = data.index(b"Adobe") + 11
    data = data[:place] + b"\x02" + data[place + 1 :]
    found = stored(data, AS_IT_IS)
    assert found.notes == ("converted to JPEG",)
    insist_near(pixel_of(found.data), RED, slack=8)


def test_a_transparent_picture_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (20, 20), (*BLUE, 0))
    insist_near(pixel_of(stored(encoded(clear, "PNG"), AS_IT_IS).data), (255, 255, 255))
    insist_near(pixel_of(stored(encoded(clear, "WEBP", lossless=True, exact=True), AS_IT_IS).data), (255, 255, 255))


def test_a_half_transparent_picture_is_mixed_with_white() -> None:
    half = Image.new("RGBA", (20, 20), (0, 0, 200, 128))
    insist_near(pixel_of(stored(encoded(half, "PNG"), AS_IT_IS).data), (127, 127, 227), slack=5)
    grey = Image.new("LA", (20, 20), (0, 128))
    insist_near(pixel_of(stored(encoded(grey, "PNG"), AS_IT_IS).data), (127, 127, 127))


def test_a_palettes_transparent_colour_is_laid_on_white() -> None:
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([*RED, *BLUE])
    insist_near(pixel_of(stored(encoded(palette, "PNG"), AS_IT_IS).data), BLUE, slack=6)
    for form in ("PNG", "GIF"):
        insist_near(pixel_of(stored(encoded(palette, form, transparency=1), AS_IT_IS).data), (255, 255, 255))
    several = encoded(palette, "PNG", transparency=b"\xff\x00")
    insist_near(pixel_of(stored(several, AS_IT_IS).data), (255, 255, 255))


@pytest.mark.parametrize(
    ("colour", "pixel", "wanted"),
    [
        (0, (0x7FFF,), (127, 127, 127)),
        (0, (0x0100,), (1, 1, 1)),
        (0, (0xFFFF,), (255, 255, 255)),
        (2, (0x40FF, 0x80FF, 0xC0FF), (64, 128, 192)),
        (4, (0x40FF, 0xFFFF), (64, 64, 64)),
        (4, (0x40FF, 0), (255, 255, 255)),
        (6, (0x40FF, 0x80FF, 0xC0FF, 0xFFFF), (64, 128, 192)),
        (6, (0x40FF, 0x80FF, 0xC0FF, 0), (255, 255, 255)),
    ],
)
def test_sixteen_bits_become_eight_by_dropping_the_lower_ones(
    colour: int, pixel: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    data = png(16, colour, struct.pack(f">{len(pixel)}H", *pixel))
    insist_near(pixel_of(stored(data, AS_IT_IS).data), wanted, slack=2 if colour in (2, 6) else 0)


def test_a_sixteen_bit_greys_transparent_shade_is_laid_on_white() -> None:
    keyed = chunk(b"tRNS", struct.pack(">H", 0x1234))
    assert pixel_of(stored(png(16, 0, b"\x12\x34", keyed), AS_IT_IS).data) == (255, 255, 255)
    assert pixel_of(stored(png(16, 0, b"\x12\x35", keyed), AS_IT_IS).data) == (18, 18, 18)


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_of_an_animation_the_first_frame_is_stored(form: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (24, 18), colour) for colour in (RED, BLUE, BLUE)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=40, **options)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) > 1, "no animation: this test would show nothing"
    insist_near(pixel_of(stored(data, AS_IT_IS).data), RED, slack=6)


def test_of_several_jpegs_in_one_file_the_first_counts_and_all_bytes_stay() -> None:
    data = encoded(noisy(), "MPO", save_all=True, append_images=[noisy("L")])
    assert stored(data, AS_IT_IS).data == data


def test_written_jpegs_carry_nothing_of_the_files_metadata() -> None:
    data = encoded(noisy(), icc_profile=b"a profile", comment=b"", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    with Image.open(io.BytesIO(stored(data, ImagePolicy(stretch=32)).data)) as image:
        assert not {"icc_profile", "exif", "xmp"} & set(image.info)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"<!DOCTYPE html><html>404</html>",
        b"GIF",
        b"RIFF\x10\0\0\0WAVEfmt ",
        encoded(Image.new("RGB", (8, 8)), "BMP"),
        encoded(Image.new("RGB", (8, 8)), "TIFF"),
        encoded(Image.new("RGB", (8, 8)), "ICO"),
        encoded(Image.new("RGB", (8, 8)), "PPM"),
        b" " + encoded(Image.new("RGB", (8, 8))),
    ],
    ids=["nothing", "two bytes", "a page", "half a GIF", "a sound", "BMP", "TIFF", "ICO", "PPM", "shifted JPEG"],
)
def test_what_is_no_picture_of_a_known_kind_is_refused_with_its_first_bytes(data: bytes) -> None:
    for reader in (kind, size_of, lambda data: stored(data, AS_IT_IS)):
        with pytest.raises(ImageError, match=f"no picture: begins with {data[:8].hex() or 'nothing'}, wanted JPEG"):
            reader(data)


def test_the_libraries_that_decide_bytes_are_named() -> None:
    assert set(versions()) == {"pillow", "simplejpeg"}
