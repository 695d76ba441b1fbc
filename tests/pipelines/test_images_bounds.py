"""Pictures made to exhaust memory or time: refused from their headers, before anything is decoded."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pipelines.images import MAX_PIXELS, size_of, stored
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

AS_IT_IS = ImagePolicy()
READ_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from PIL import Image
from pipelines.images import size_of, stored
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

data = Path(sys.argv[1]).read_bytes()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 128 * 2**20,) * 2)
try:
    Image.new("RGB", (int(sys.argv[2]), int(sys.argv[3])))
except MemoryError:
    print("its pixels do not fit")
for policy in (ImagePolicy(), ImagePolicy(max_side=640), ImagePolicy(stretch=448)):
    for read in (size_of, lambda data: stored(data, policy)):
        try:
            read(data)
        except ImageError as error:
            print(error)
"""


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises that many pixels and holds next to none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg(progressive: bool = False) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(file, "JPEG", progressive=progressive)
    return file.getvalue()


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG whose frame header promises that many pixels."""
    data = jpeg()
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


def gif_header(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("P", (4, 4)).save(file, "GIF")
    data = file.getvalue()
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def webp_header(width: int, height: int) -> bytes:
    """A lossless WebP whose header promises that many pixels."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "WEBP", lossless=True)
    data = file.getvalue()
    assert data[12:16] == b"VP8L"
    return data[:21] + struct.pack("<I", (width - 1) | (height - 1) << 14) + data[25:]


BOMBS = {
    "PNG": (png_header(30_000, 30_000), 30_000, 30_000),
    "JPEG": (jpeg_header(65_000, 65_000), 65_000, 65_000),
    "GIF": (gif_header(65_000, 65_000), 65_000, 65_000),
    "WebP": (webp_header(16_000, 16_000), 16_000, 16_000),
}


@pytest.mark.parametrize("form", BOMBS)
def test_a_picture_of_too_many_pixels_is_refused_within_little_memory(form: str, tmp_path: Path) -> None:
    data, width, height = BOMBS[form]
    path = tmp_path / "bomb"
    path.write_bytes(data)
    command = [sys.executable, "-W", "error", "-c", READ_UNDER_A_LIMIT, str(path), str(width), str(height)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = done.stdout.splitlines()
    assert told[0] == "its pixels do not fit", "the limit is too wide: this test would show nothing"
    assert len(told) == 1 + 3 * 2
    assert all(line.startswith(("too many pixels: ", "damaged picture: ")) for line in told[1:]), told


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_a_picture_of_too_many_pixels_is_called_so(form: str) -> None:
    data = BOMBS[form][0]
    for read in (size_of, lambda data: stored(data, AS_IT_IS)):
        with pytest.raises(ImageError, match=r"^too many pixels: .*89,478,485"):
            read(data)


def test_the_bound_is_on_the_product_of_the_sides() -> None:
    most = MAX_PIXELS // 60_000
    assert size_of(jpeg_header(60_000, most)) == (60_000, most)
    with pytest.raises(ImageError, match=f"too many pixels: 60000x{most + 1}"):
        size_of(jpeg_header(60_000, most + 1))


def test_a_jpeg_whose_header_promises_more_than_it_holds_is_damaged() -> None:
    with pytest.raises(ImageError, match="damaged picture"):
        stored(jpeg_header(2_000, 2_000), AS_IT_IS)


def with_more_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan stands there that many times more."""
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused_before_any_is_decoded() -> None:
    with pytest.raises(ImageError, match=r"^too many scans: over 500"):
        stored(with_more_scans(5_000), AS_IT_IS)


def test_a_jpeg_of_the_usual_scans_is_stored() -> None:
    data = with_more_scans(0)
    assert data.count(b"\xff\xda") == 10
    assert stored(data, AS_IT_IS).data == data


def test_a_text_chunk_that_inflates_without_end_is_refused() -> None:
    data = png_header(8, 8)
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    with pytest.raises(ImageError, match="damaged picture"):
        stored(data[:33] + bomb + data[33:], AS_IT_IS)
