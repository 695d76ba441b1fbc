"""A perceptual hash: 64 bits that stay nearly the same when a picture is shrunk, re-encoded or made grey.

The picture is averaged to 32x32 and turned into frequencies (a two-dimensional DCT-II); each bit says whether one of
the 64 lowest frequencies lies above their median (pHash). Three choices differ from its first form, by measurement:
* The constant term is left out, as it says how bright the picture is and its bit is the same for nearly all pictures;
  the 64 are those with the smallest sum of both frequencies instead of a square of 8x8, so every bit tells something.
* A bit is set only where its term is above the median by ``NOISE``, so terms that are nothing (half of them in a
  picture like its own mirror image) have the same bit in every copy, not one drawn by the noise.
* A picture of fewer than ``STRUCTURED`` terms that are something has no hash: all blank pictures, all gradients and all
  stripes would be like each other.

All sums are of whole numbers below 2**53 held as floats: exact, so in whatever order a machine adds them up, the same
pixels have the same hash.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from schemas.box import Size
from schemas.errors import ImageError

SIDE = 32
NOISE = 2  # grey levels of an orthonormal term: JPEG of quality 50 changes 99 of 100 terms by less
STRUCTURED = 24  # stripes along both sides at once have at most 20 of the terms, mirror images 35
STRIP = 256  # rows turned into floats at a time, so that a large picture takes no eightfold memory

_PAIRS = [(down, across) for down in range(11) for across in range(11) if down or across]
_TERMS = sorted(_PAIRS, key=lambda term: (sum(term), -abs(term[0] - term[1])))[:64]
_DOWN, _ACROSS = (np.array(frequencies) for frequencies in zip(*_TERMS, strict=True))
_COSINE_BITS, _GREY_BITS = 16, 6  # of the fractions; a row of cosines sums to at most 2**19, so a term is below 2**52
_LEVEL = 2 ** (2 * _COSINE_BITS + _GREY_BITS)


def _cosines() -> npt.NDArray[np.float64]:
    # (11, 32): row u is frequency u of the orthonormal DCT-II, in whole numbers.
    rows = [
        [math.sqrt((2 if u else 1) / SIDE) * math.cos(math.pi * (2 * x + 1) * u / (2 * SIDE)) for x in range(SIDE)]
        for u in range(11)
    ]
    whole: npt.NDArray[np.float64] = np.rint(np.array(rows) * 2**_COSINE_BITS)
    return whole


_COSINES = _cosines()


def likeness(grey: npt.NDArray[np.uint8], size: Size | None = None) -> int | None:
    """The hash of a grey picture of (height, width) levels 0 to 255, or None where it has too little structure.

    ``size`` is that of the JPEG in pixels where ``grey`` was decoded from it at some eighths of its scale: the last row
    and column then reach beyond the picture, and count only as far as they lie in it (without it, shrunk copies are
    two to four bits farther apart). ImageError where no eighths of that size are what ``grey`` has.

    The highest bit is that of the lowest frequency. Copies of a picture are mostly at most 4 bits apart, pictures that
    have nothing to do with each other nearly always more than 16. None is near nothing, not even another None.
    """
    terms = (_COSINES @ _averages(grey, *_extent(grey.shape, size)) @ _COSINES.T)[_DOWN, _ACROSS]
    if np.count_nonzero(np.abs(terms) >= NOISE * _LEVEL) < STRUCTURED:
        return None
    median = np.partition(terms, 31)[31]
    return int.from_bytes(np.packbits(terms > median + NOISE * _LEVEL).tobytes(), "big")


def _extent(shape: tuple[int, ...], size: Size | None) -> tuple[int, int]:
    # How far the picture reaches down and across, in eighths of a decoded pixel.
    if size is None:
        return 8 * shape[0], 8 * shape[1]
    for scale in range(1, 9):
        down, across = size.height * scale, size.width * scale
        if (math.ceil(down / 8), math.ceil(across / 8)) == shape:
            return down, across
    raise ImageError(f"decoded to no eighths of its size: {shape[1]}x{shape[0]} of {size.width}x{size.height}")


def _averages(grey: npt.NDArray[np.uint8], down: int, across: int) -> npt.NDArray[np.float64]:
    # (32, 32): the mean grey of each cell in 64ths, rounded down; a pixel on an edge counts in both by its share.
    height, width = grey.shape
    columns = _shares(width, across).T
    rows = np.concatenate([grey[top : top + STRIP] @ columns for top in range(0, height, STRIP)])
    cells: npt.NDArray[np.float64] = np.floor(_shares(height, down) @ rows * 2**_GREY_BITS / (down * across))
    return cells


@lru_cache(maxsize=64)
def _shares(side: int, extent: int) -> npt.NDArray[np.float64]:
    # (32, side): how much of each pixel lies in each of 32 equal cells, in 256ths of a pixel; a row sums to ``extent``.
    cells, pixels = np.arange(SIDE)[:, None] * extent, np.arange(side) * 8 * SIDE
    overlap = np.minimum(cells + extent, pixels + 8 * SIDE) - np.maximum(cells, pixels)
    shares: npt.NDArray[np.float64] = np.maximum(overlap, 0).astype(np.float64)
    return shares
