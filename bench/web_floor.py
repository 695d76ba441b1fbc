"""What no downloader can go below that keeps its promises: the hash, the strict decoding, the shrinking, the encoding.

Nothing else is done: no link is asked, no file written, no header looked at. Decoding, shrinking and encoding are the
fastest that give pictures as good and as large as ours (libjpeg-turbo at half or a quarter of the scale where that is
enough, OpenCV), so that it is the floor of both sides, where the other side checked what it passes through.
"""

import hashlib
import time
from collections.abc import Iterable

import cv2
import simplejpeg

SHORT_SIDE = 448
_QUALITY = 95
_LITTLE = 1.5  # as in pipelines/fetch/picture.py


def floor(pictures: Iterable[bytes]) -> float:
    """CPU seconds of all of them."""
    cv2.setNumThreads(0)
    whole = list(pictures)
    begun = time.process_time()
    for data in whole:
        hashlib.sha256(data).hexdigest()
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        _shrunk(data, height, width) if min(height, width) > SHORT_SIDE else _checked(data)
    return time.process_time() - begun


def _shrunk(data: bytes, height: int, width: int) -> bytes:
    scale = SHORT_SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=size[1], min_width=size[0], min_factor=2, strict=True)
    how = cv2.INTER_CUBIC if pixels.shape[0] < _LITTLE * size[1] else cv2.INTER_AREA
    made: bytes = simplejpeg.encode_jpeg(cv2.resize(pixels, size, interpolation=how), _QUALITY, "RGB", "420")
    return made


def _checked(data: bytes) -> None:
    simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, fastupsample=True, min_height=32, min_width=32, strict=True)
