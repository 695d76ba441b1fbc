"""A box means the same picture area whatever the policy: nothing is turned, padded or cropped, only shrunk by rule."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pipelines.images import stored, target
from schemas.box import Size
from schemas.pool import ImagePolicy

POLICIES = {
    "as it is": ImagePolicy(),
    "shrunk": ImagePolicy(max_side=320, min_short_side=16),
    "shrunk to a short side": ImagePolicy(max_side=100, min_short_side=200),
    "stretched": ImagePolicy(stretch=224),
    "stretched larger": ImagePolicy(stretch=800),
}
FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("JPEG", "RGB", {"quality": 92}),
    "progressive JPEG": ("JPEG", "RGB", {"quality": 92, "progressive": True}),
    "four-colour JPEG": ("JPEG", "CMYK", {"quality": 92}),
    "JPEG that says it lies on its side": ("JPEG", "RGB", {"exif": {0x0112: 6}}),
    "JPEG that says it is mirrored": ("JPEG", "RGB", {"exif": {0x0112: 2}}),
    "PNG": ("PNG", "RGB", {}),
    "PNG with alpha": ("PNG", "RGBA", {}),
    "PNG that says it is upside down": ("PNG", "RGB", {"exif": {0x0112: 3}}),
    "palette PNG": ("PNG", "P", {}),
    "GIF": ("GIF", "P", {}),
    "WebP": ("WEBP", "RGB", {"quality": 92}),
    "WebP that says it lies on its side": ("WEBP", "RGB", {"quality": 92, "exif": {0x0112: 8}}),
}
SIZE = Size(500, 375)
PIXELS = (60, 45, 210, 135)  # off the middle in both directions, so that any turn or mirroring moves it


def scene(form: str, mode: str, options: dict[str, Any]) -> bytes:
    """A grey picture with a red rectangle at PIXELS."""
    image = Image.new("RGB", SIZE, (128, 128, 128))
    ImageDraw.Draw(image).rectangle((PIXELS[0], PIXELS[1], PIXELS[2] - 1, PIXELS[3] - 1), fill=(255, 0, 0))
    if mode == "P":
        image = image.quantize(8)
    exif = Image.Exif()
    exif.update(options.get("exif", {}))
    file = io.BytesIO()
    image.convert(mode).save(file, form, **{**options, "exif": exif.tobytes()} if "exif" in options else options)
    return file.getvalue()


def red_area(data: bytes) -> tuple[float, float, float, float]:
    """Where the red is, in pixels of what is stored, as a reader sees it who obeys no tag."""
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    red = (shown[:, :, 0] > 190) & (shown[:, :, 1] < 65) & (shown[:, :, 2] < 65)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert red.sum() > 0.9 * (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0]), "the red is no rectangle"
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("file", FILES)
def test_what_is_painted_at_some_fractions_is_found_there_in_what_is_stored(file: str, policy: str) -> None:
    found = stored(scene(*FILES[file]), POLICIES[policy])
    assert found.source == SIZE
    with Image.open(io.BytesIO(found.data)) as image:
        assert image.size == found.size
    across, down = found.size.width / SIZE.width, found.size.height / SIZE.height
    wanted = (PIXELS[0] * across, PIXELS[1] * down, PIXELS[2] * across, PIXELS[3] * down)
    slack = 2.5 if max(across, down) > 1 else 1.5
    assert max(abs(a - b) for a, b in zip(red_area(found.data), wanted, strict=True)) <= slack


@pytest.mark.parametrize(
    ("size", "policy", "wanted"),
    [
        ((4000, 3000), {"max_side": 640, "min_short_side": 448}, (640, 480)),
        ((3000, 4000), {"max_side": 640, "min_short_side": 448}, (480, 640)),
        ((2000, 2000), {"max_side": 640, "min_short_side": 448}, (640, 640)),
        ((1000, 500), {"max_side": 640, "min_short_side": 448}, (896, 448)),
        ((640, 480), {"max_side": 640, "min_short_side": 448}, (640, 480)),
        ((641, 640), {"max_side": 640, "min_short_side": 448}, (640, 639)),
        ((700, 300), {"max_side": 640, "min_short_side": 448}, (700, 300)),
        ((300, 200), {"max_side": 640, "min_short_side": 448}, (300, 200)),
        ((5000, 3), {"max_side": 640, "min_short_side": 1}, (1667, 1)),
        ((5000, 1), {"max_side": 640, "min_short_side": 1}, (5000, 1)),
        ((640, 480), {"stretch": 448}, (448, 448)),
        ((100, 50), {"stretch": 448}, (448, 448)),
        ((9000, 9000), {}, (9000, 9000)),
    ],
)
def test_a_picture_is_stored_at_the_size_that_the_policy_says(
    size: tuple[int, int], policy: dict[str, int], wanted: tuple[int, int]
) -> None:
    assert target(Size(*size), ImagePolicy(**policy)) == wanted


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(16, 3000), st.integers(1, 3000))
def test_shrinking_never_enlarges_and_keeps_the_proportions_within_a_pixel(
    width: int, height: int, most: int, short: int
) -> None:
    found = target(Size(width, height), ImagePolicy(max_side=most, min_short_side=short))
    assert 1 <= found.width <= width
    assert 1 <= found.height <= height
    if found != (width, height):
        assert max(width, height) > most
        assert min(found) >= short or min(found) + 1 > short
        # Some one scale gives both sides when rounded to the nearest pixel.
        lowest = max((found.width - 0.5) / width, (found.height - 0.5) / height)
        highest = min((found.width + 0.5) / width, (found.height + 0.5) / height)
        assert lowest <= highest + 1e-12


@pytest.mark.parametrize("policy", [{"max_side": 500}, {"max_side": 400, "min_short_side": 375}, {"max_side": 4096}])
def test_a_jpeg_that_fits_the_policy_is_stored_byte_for_byte(policy: dict[str, int]) -> None:
    data = scene("JPEG", "RGB", {"quality": 92})
    assert stored(data, ImagePolicy(**policy)).data == data


def test_a_jpeg_that_already_is_the_models_square_is_stored_byte_for_byte() -> None:
    file = io.BytesIO()
    Image.effect_noise((224, 224), 50).save(file, "JPEG")
    assert stored(file.getvalue(), ImagePolicy(stretch=224)).data == file.getvalue()


def test_a_shrunk_picture_says_so_and_keeps_its_annotated_size() -> None:
    found = stored(scene("JPEG", "RGB", {}), ImagePolicy(max_side=100, min_short_side=1))
    assert (found.size, found.source, found.notes) == ((100, 75), (500, 375), ("shrunk",))


def test_a_grey_jpeg_is_shrunk_to_its_shades() -> None:
    file = io.BytesIO()
    Image.new("L", (200, 100), 90).save(file, "JPEG")
    found = stored(file.getvalue(), ImagePolicy(max_side=100, min_short_side=1))
    assert set(np.unique(np.asarray(Image.open(io.BytesIO(found.data))))) == {90}
