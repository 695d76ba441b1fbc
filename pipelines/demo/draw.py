"""Pictures of scenes: clear shapes on a grey, slightly busy background.

All positions are those of the scene. Drawing happens at four times the size and is averaged down,
so quarter-pixel boxes stay tight and edges are smooth.
"""

import io
import math

import numpy as np
from PIL import Image, ImageDraw

from pipelines.demo.world import Colour, Scene, Shape, outline, seed_of

RGB: dict[Colour, tuple[int, int, int]] = {
    "red": (225, 35, 35),
    "yellow": (235, 215, 30),
    "green": (35, 165, 55),
    "cyan": (45, 210, 220),
    "blue": (40, 70, 225),
    "pink": (240, 70, 190),
}

FINE = 4  # drawn pixels per picture pixel and axis
NOISE = 5.0  # standard deviation of the pixel noise, in grey levels of 255


def picture(scene: Scene, seed: int) -> Image.Image:
    """The scene as an RGB picture of its width and height; equal bytes for equal arguments."""
    rng = np.random.default_rng(seed_of(seed, scene.index, "picture"))
    canvas = _background(scene, rng).convert("RGB")
    for shape in scene.shapes:
        _paint(canvas, shape, rng.uniform(0.88, 1.04))
    # The same noise in all three channels keeps the background grey.
    noise = rng.standard_normal((scene.height, scene.width, 1), dtype=np.float32) * NOISE
    pixels = np.asarray(canvas) + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(scene: Scene, seed: int) -> bytes:
    """The picture as a JPEG file of quality 90."""
    file = io.BytesIO()
    picture(scene, seed).save(file, "JPEG", quality=90)
    return file.getvalue()


def _background(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Grey clouds with a few faint lines."""
    clouds = Image.fromarray(rng.integers(95, 165, (5, 5), dtype=np.uint8))
    grey = clouds.resize((scene.width, scene.height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(grey)
    for _ in range(rng.integers(2, 6)):
        ends = rng.uniform(0, 1, (2, 2)) * (scene.width, scene.height)
        draw.line([tuple(end) for end in ends.tolist()], fill=int(rng.integers(80, 180)), width=1)
    return grey


def _paint(canvas: Image.Image, shape: Shape, brightness: float) -> None:
    x, y, w, h = shape.box
    left, top = math.floor(x), math.floor(y)
    size = (math.ceil(x + w) - left, math.ceil(y + h) - top)
    mask = Image.new("L", (size[0] * FINE, size[1] * FINE))
    ImageDraw.Draw(mask).polygon(_fine(shape, left, top), fill=255)
    red, green, blue = (min(255, round(level * brightness)) for level in RGB[shape.colour])
    canvas.paste((red, green, blue), (left, top), mask.reduce(FINE))


def _fine(shape: Shape, left: int, top: int) -> list[tuple[float, float]]:
    """The outline on the enlarged mask. Pillow also fills the pixels a polygon ends on, hence the inset."""
    x, y, w, h = shape.box
    grow_x, grow_y = (w * FINE - 1) / w, (h * FINE - 1) / h
    return [((x - left) * FINE + (px - x) * grow_x, (y - top) * FINE + (py - y) * grow_y) for px, py in outline(shape)]
