"""Pictures for the fetch bench: drawn, textured like photographs, the same every time."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image


class Class(NamedTuple):
    """A class of pictures: size in pixels, about how many bytes its JPEGs have, and how strong its texture is."""

    width: int
    height: int
    bytes: int
    texture: int


CLASSES = {
    "640x480": Class(640, 480, 102_000, 76),
    "1500x1000": Class(1500, 1000, 282_000, 52),
    "500x375": Class(500, 375, 50_000, 60),
}
SMALL = "500x375"  # the class with nothing to shrink: passed through


def pictures(kind: Class, count: int) -> list[bytes]:
    return [_jpeg(_drawn(kind, seed), kind.bytes) for seed in range(count)]


def _drawn(kind: Class, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    whole = np.zeros((kind.height, kind.width, 3), np.float32)
    for octave in range(1, 9):
        cells = 2**octave
        grain = rng.normal(0, 1, (cells, cells * kind.width // kind.height + 1, 3)).astype(np.float32)
        layers = [
            Image.fromarray(grain[..., colour]).resize((kind.width, kind.height), Image.Resampling.BICUBIC)
            for colour in range(3)
        ]
        whole += np.stack([np.asarray(layer) for layer in layers], -1) * kind.texture / 1.42**octave
    return Image.fromarray((whole + 128).clip(0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, wanted: int) -> bytes:
    made = [_encoded(image, quality) for quality in range(50, 97, 3)]
    return min(made, key=lambda data: abs(len(data) - wanted))


def _encoded(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
