"""What is kept of a downloaded picture: all of it, as it came or smaller, and nothing that is damaged."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from pipelines.exif import ORIENTATION
from pipelines.fetch.picture import orientation, taken
from schemas.box import Size
from schemas.errors import ImageError

WORDS = {1: "Horizontal (normal)", 2: "Mirrored horizontal", 3: "Rotated 180", 6: "Rotated 90 CW", 8: "Rotated 90 CCW"}


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture of soft shapes with a red corner at its top left."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / 31 + phase) * np.cos(y / 23 - phase) for phase in (0, 1, 2)]
    pixels = np.stack(waves, axis=-1).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (255, 0, 0)
    return Image.fromarray(pixels).convert(mode)


def saved(image: Image.Image, kind: str = "JPEG", **words: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **words)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def psnr(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one, float) - np.asarray(other, float)
    return float(10 * np.log10(255**2 / (difference**2).mean()))


@pytest.mark.parametrize("size", [None, 448, 300])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_is_small_enough_stays_byte_for_byte(size: int | None, mode: str) -> None:
    data = saved(scene(400, 300, mode), comment=b"stays")
    found = taken(data, size)
    assert found.data is data
    assert found[1:] == (Size(400, 300), Size(400, 300))


@pytest.mark.parametrize(
    ("original", "size"),
    [((1500, 1000), (672, 448)), ((1000, 1500), (448, 672)), ((449, 450), (448, 449)), ((3000, 460), (2922, 448))],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_larger_one_shrinks_in_proportion_and_keeps_its_colours(
    original: tuple[int, int], size: tuple[int, int], mode: str
) -> None:
    found = taken(saved(scene(*original, mode)), 448)
    assert (found.size, found.original) == (Size(*size), Size(*original))
    assert (opened(found.data).size, opened(found.data).mode) == (size, mode)


@pytest.mark.parametrize("original", [(1500, 1000), (640, 480), (3000, 2000)])
def test_shrinking_loses_no_more_than_forty_decibels(original: tuple[int, int]) -> None:
    data = saved(scene(*original), quality=95)
    found = taken(data, 448)
    best = opened(data).convert("RGB").resize(found.size, Image.Resampling.LANCZOS)
    assert psnr(opened(found.data), best) > 40


def test_a_shrunk_picture_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    decode = simplejpeg.decode_jpeg

    def counted(*arguments: Any, **words: Any) -> Any:
        calls.append(words)
        return decode(*arguments, **words)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", counted)
    taken(saved(scene(1500, 1000)), 448)
    assert [call["strict"] for call in calls] == [True]


@pytest.mark.parametrize("size", [None, 100])
@pytest.mark.parametrize(
    "made",
    [
        lambda: saved(scene(400, 300), "PNG"),
        lambda: saved(scene(400, 300), "WEBP", quality=95),
        lambda: saved(scene(400, 300), "GIF", save_all=True, append_images=[Image.new("RGB", (400, 300))]),
        lambda: saved(scene(400, 300, "CMYK")),
        lambda: saved(scene(400, 300, "RGBA"), "PNG"),
    ],
)
def test_whatever_is_no_rgb_or_grey_jpeg_becomes_one(made: Callable[[], bytes], size: int | None) -> None:
    found = taken(made(), size)
    image = opened(found.data)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", found.size)
    assert found[1:] == (Size(133, 100) if size else Size(400, 300), Size(400, 300))
    red, green, blue = image.getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 and max(green, blue) < 60


def test_what_is_clear_is_laid_on_white() -> None:
    found = taken(saved(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), "PNG"), None)
    assert opened(found.data).getpixel((20, 20)) == (255, 255, 255)


def damaged(data: bytes) -> dict[str, bytes]:
    half = len(data) // 2
    return {
        "cut": data[:half],
        "cut and closed": data[:half] + b"\xff\xd9",
        "zero-filled": data[:half] + bytes(half),
        "holed": data[:half] + bytes(4096) + data[half + 4096 :],
    }


@pytest.mark.parametrize("size", [None, 448])
@pytest.mark.parametrize("how", ["cut", "cut and closed", "zero-filled", "holed"])
def test_a_damaged_jpeg_is_refused_whether_it_shrinks_or_not(size: int | None, how: str) -> None:
    noisy = Image.effect_noise((900, 700), 60).convert("RGB")
    with pytest.raises(ImageError, match=r"^damaged picture: "):
        taken(damaged(saved(noisy))[how], size)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no picture: begins with nothing"),
        (b"<!DOCTYPE html><html></html>", "no picture: "),
        (saved(Image.new("L", (1, 1)), "GIF"), "placeholder picture: 1x1"),
        (saved(Image.new("L", (4, 900))), "placeholder picture: 4x900"),
        (saved(Image.new("1", (30000, 30000)), "PNG"), "too many pixels: "),
        (saved(scene(600, 500), "PNG")[:-2000], "damaged picture: "),
    ],
)
@pytest.mark.parametrize("size", [None, 448])
def test_what_is_no_picture_is_refused(data: bytes, why: str, size: int | None) -> None:
    with pytest.raises(ImageError, match=f"^{why}"):
        taken(data, size)


def test_a_long_thin_picture_that_would_fill_memory_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^too many pixels to convert: 60000x800"):
        taken(saved(Image.new("RGB", (60000, 800)), quality=10), 448)


def turned(image: Image.Image, turn: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    return saved(image, exif=exif)


@pytest.mark.parametrize("turn", range(1, 9))
def test_no_orientation_turns_a_picture(turn: int) -> None:
    small, large = turned(scene(300, 200), turn), turned(scene(1200, 800), turn)
    assert taken(small, 448).data is small
    image = opened(taken(large, 448).data)
    assert image.size == (672, 448)
    assert ORIENTATION not in image.getexif()
    red, green, _ = image.getpixel((20, 20))  # type: ignore[misc]
    assert red > 200 and green < 60


@pytest.mark.parametrize("turn", WORDS)
def test_the_orientation_is_told_in_words(turn: int) -> None:
    assert orientation(turned(scene(80, 60), turn)) == WORDS[turn]


@pytest.mark.parametrize("turn", [0, 9, 700])
def test_an_orientation_that_means_nothing_is_not_told(turn: int) -> None:
    assert orientation(turned(scene(80, 60), turn)) is None


def test_where_there_is_no_exif_nothing_is_told() -> None:
    assert orientation(saved(scene(80, 60))) is None
    assert orientation(saved(scene(80, 60), "PNG", exif=b"Exif\0\0MM")) is None
