"""The perceptual hash: near for copies of a picture, far for others, none for blanks, and the same on every machine."""

import io
import math
import os
import tracemalloc
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipelines import likeness as module
from pipelines.demo.draw import picture
from pipelines.demo.world import scene
from pipelines.likeness import likeness
from schemas.box import Size
from schemas.errors import ImageError

Grey = npt.NDArray[np.uint8]

REAL = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere") / "coco" / "train2017"


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def hashed(image: Image.Image, quality: int = 90) -> int | None:
    """The likeness as pictures are hashed: of the smallest decode of at least 32 pixels a side."""
    grey = simplejpeg.decode_jpeg(jpeg(image, quality), "GRAY", min_height=32, min_width=32, fastdct=True, strict=True)
    return likeness(grey[:, :, 0], Size(*image.size))


def short_side(image: Image.Image, pixels: int) -> Image.Image:
    scale = pixels / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def noisy(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    noise = np.random.default_rng(1).normal(0, 5, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


COPIES: dict[str, Callable[[Image.Image], int | None]] = {
    "quality 50": lambda image: hashed(image, 50),
    "quality 75": lambda image: hashed(image, 75),
    "quality 95": lambda image: hashed(image, 95),
    "half the size": lambda image: hashed(image.reduce(2)),
    "short side 224": lambda image: hashed(short_side(image, 224)),
    "short side 150, quality 60": lambda image: hashed(short_side(image, 150), 60),
    "square": lambda image: hashed(image.resize((256, 256), Image.Resampling.BICUBIC)),
    "grey": lambda image: hashed(image.convert("L")),
    "noisy": lambda image: hashed(noisy(image)),
}


def apart(one: int | None, other: int | None) -> int:
    assert one is not None and other is not None
    return (one ^ other).bit_count()


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [picture(scene(5, index), 5) for index in range(60)]


@pytest.mark.parametrize("way", COPIES)
def test_copies_are_near(pictures: list[Image.Image], way: str) -> None:
    distances = [apart(hashed(image), COPIES[way](image)) for image in pictures]
    assert max(distances) <= 6
    assert median(distances) <= 1


def test_other_pictures_are_far(pictures: list[Image.Image]) -> None:
    distances = [apart(*pair) for pair in combinations(map(hashed, pictures), 2)]
    assert min(distances) > 8
    assert sum(distance <= 16 for distance in distances) < len(distances) / 500


def test_half_a_picture_is_not_a_copy(pictures: list[Image.Image]) -> None:
    halves = [apart(hashed(image), hashed(image.crop((0, 0, image.width // 2, image.height)))) for image in pictures]
    assert min(halves) > 8


def test_a_last_column_that_is_partly_beyond_the_picture_counts_by_its_part() -> None:
    fine = np.random.default_rng(3).integers(0, 256, (60, 82), dtype=np.uint8)
    at_eighth = fine.reshape(60, 41, 2).mean(axis=2).astype(np.uint8)  # any picture will do: 41 columns of 327 pixels
    exact = likeness(np.kron(at_eighth, np.ones((8, 8), np.uint8))[:480, :322])
    assert likeness(at_eighth, Size(322, 480)) == exact
    assert likeness(at_eighth) != exact


@pytest.mark.parametrize("shape", [(60, 81), (59, 80), (480, 641), (61, 80)])
def test_a_decode_that_is_no_eighths_of_the_size_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=rf"^decoded to no eighths of its size: {shape[1]}x{shape[0]} of 640x480$"):
        likeness(np.zeros(shape, np.uint8), Size(640, 480))


BLANKS = {
    "one colour": np.full((60, 80), 200),
    "one pixel": np.full((1, 1), 255),
    "a gradient": np.tile(np.linspace(0, 255, 80), (60, 1)),
    "stripes": np.tile(np.arange(80) % 8 * 32, (60, 1)),
    "stripes both ways": np.arange(60)[:, None] // 7 % 2 * 60 + np.arange(80) // 9 % 2 * 60,
    "faint noise": np.random.default_rng(1).normal(128, 5, (240, 320)),
}


@pytest.mark.parametrize("name", BLANKS)
def test_what_has_too_little_structure_has_no_hash(name: str) -> None:
    grey = BLANKS[name].astype(np.uint8)
    assert likeness(grey) is None
    assert hashed(Image.fromarray(np.kron(grey, np.ones((8, 8), np.uint8))), 50) is None


def test_a_picture_that_is_its_own_mirror_image_has_a_steady_hash(pictures: list[Image.Image]) -> None:
    for image in pictures[:20]:
        both = np.asarray(image.convert("L"))
        mirrored = Image.fromarray(np.hstack([both, both[:, ::-1]]))
        assert apart(hashed(mirrored), hashed(mirrored, 50)) <= 3
        assert apart(hashed(mirrored), hashed(ImageOps.mirror(mirrored))) <= 3


def slowly(grey: Grey) -> list[int]:
    """The bits as the module's docstring says, in Python's whole numbers, one pixel after the other."""
    height, width = grey.shape
    cosines = [[int(c) for c in row] for row in module._COSINES.tolist()]

    def shares(cell: int, side: int) -> list[int]:
        return [max(0, min((cell + 1) * side, (p + 1) * 32) - max(cell * side, p * 32)) for p in range(side)]

    down, across = ([shares(cell, side) for cell in range(32)] for side in (height, width))
    pixels = [[int(level) for level in row] for row in grey.tolist()]
    rows = [[sum(w * p for w, p in zip(share, row, strict=True)) for share in across] for row in pixels]
    cells = [
        [sum(w * row[x] for w, row in zip(share, rows, strict=True)) * 64 // (height * width) for x in range(32)]
        for share in down
    ]
    lines = [[sum(c * v for c, v in zip(cosine, row, strict=True)) for cosine in cosines] for row in cells]
    order = sorted(((u, v) for u in range(11) for v in range(11)), key=lambda f: (sum(f), -abs(f[0] - f[1])))
    terms = [sum(cosines[u][y] * lines[y][v] for y in range(32)) for u, v in order[1:65]]
    strong = 2 * 2**38
    if sum(abs(term) >= strong for term in terms) < 24:
        return []
    return [int(term > sorted(terms)[31] + strong) for term in terms]


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32), st.sampled_from([1, 16, 64]))
def test_it_is_what_whole_numbers_of_any_size_give(height: int, width: int, seed: int, coarse: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (height, width)) // coarse * coarse
    grey = levels.astype(np.uint8)
    bits = slowly(grey)
    assert likeness(grey) == (int("".join(map(str, bits)), 2) if bits else None)


@pytest.mark.parametrize("times", [2, 5, 40])
def test_the_size_of_a_picture_does_not_matter(times: int) -> None:
    grey = np.random.default_rng(9).integers(0, 256, (37, 53), dtype=np.uint8)
    assert likeness(np.kron(grey, np.ones((times, times), np.uint8))) == likeness(grey)


def test_a_large_picture_takes_little_more_memory_than_its_pixels() -> None:
    grey = np.random.default_rng(9).integers(0, 256, (3_000, 2_000), dtype=np.uint8)
    tracemalloc.start()
    try:
        likeness(grey)
        assert tracemalloc.get_traced_memory()[1] < grey.nbytes * 2
    finally:
        tracemalloc.stop()


def test_no_cosine_is_so_near_a_tie_that_another_machine_could_round_it_otherwise() -> None:
    for u in range(11):
        for x in range(32):
            exact = math.sqrt((2 if u else 1) / 32) * math.cos(math.pi * (2 * x + 1) * u / 64) * 2**16
            assert abs(exact % 1 - 0.5) > 0.001
            assert module._COSINES[u, x] == round(exact)


def test_the_largest_sum_is_exact_in_a_float() -> None:
    reach = np.abs(module._COSINES).sum(axis=1).max()
    assert reach * reach * 255 * 64 < 2**53


def test_the_hash_of_a_picture_never_changes() -> None:
    y, x = np.mgrid[:60, :80]
    assert likeness(((x * y + 46 * x * x + 5 * y) % 251).astype(np.uint8)) == 2479608138424139010


@pytest.mark.skipif(not REAL.is_dir(), reason="no real pictures here")
def test_real_pictures_are_told_apart_and_their_copies_are_not() -> None:
    images = [Image.open(path).convert("RGB") for path in sorted(REAL.glob("*.jpg"))]
    hashes = [hashed(image) for image in images]
    assert min(apart(*pair) for pair in combinations(hashes, 2)) > 16
    for copy in COPIES.values():
        assert max(apart(one, copy(image)) for one, image in zip(hashes, images, strict=True)) <= 4
