"""Pictures: checked strictly once, passed through untouched where they can be, else turned into RGB JPEG by rule.

Rules (docs/formats.md tells them to users):
* What a file is, is told by its first bytes. JPEG, PNG, WebP and GIF are read, everything else is rejected.
* The header is checked before anything is decoded: at most ``MAX_PIXELS`` pixels, and ``MAX_CONVERTED_PIXELS`` where
  the picture is not kept as it is, and at least ``MIN_SIDE`` a side: what is smaller stands for a picture that is gone.
* A JPEG is decoded once at 1/8 scale (more where that is under 32 pixels a side) by libjpeg-turbo with every warning an
  error: truncated, zero-filled and holed files are found that Pillow and OpenCV pass. RGB and grey JPEGs are then kept
  byte for byte. The grey picture of that decoding gives the likeness (pipelines.likeness).
* CMYK JPEGs, PNG, WebP and GIF (its first frame, as with any animation) become RGB JPEG; transparency is laid on white;
  16 bits become 8 by dropping the lower ones.
* The orientation tag is set to 1 in place: annotations are on the stored pixels, so no reader may turn them.
* A picture shrinks, in proportion or to the model's square, only where the pool's policy says so.
"""

import io
import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import PIL
import simplejpeg
from PIL import Image

from pipelines.exif import ORIENTATION, may_be_tagged, neutralised
from pipelines.likeness import SIDE, likeness
from schemas.box import Size
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

MAX_PIXELS = 89_478_485  # Pillow's own bound: a gigabyte of 3-byte pixels, divided by four
MAX_CONVERTED_PIXELS = 40_000_000  # of what is decoded whole: about ten bytes a pixel, in a worker of 500 MB
MIN_SIDE = 8  # what servers give in place of a picture that is gone is a dot or a line
MAX_SCANS = 500  # a progressive JPEG has about ten; thousands of empty ones only burn time
_MARK, _SCAN = 0xFF, 0xDA
INKS = ("CMYK", "YCCK")  # the four-colour JPEGs: plain, and as image editors mostly write them
FORMATS = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": b"GIF8"}


class Stored(NamedTuple):
    """A picture as it is stored: its bytes (JPEG), their size, the size that annotations speak of, notes, likeness."""

    data: bytes
    size: Size
    source: Size
    notes: tuple[str, ...]
    likeness: int | None


def versions() -> dict[str, str]:
    """The libraries that decide a stored picture's bytes, and whether it is stored at all."""
    return {"pillow": PIL.__version__, "simplejpeg": simplejpeg.__version__}


def kind(data: bytes) -> str:
    """JPEG, PNG, WEBP or GIF, by the first bytes; ImageError for anything else."""
    for name, magic in FORMATS.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise ImageError(f"no picture: begins with {data[:8].hex() or 'nothing'}, wanted JPEG, PNG, WebP or GIF")


def size_of(data: bytes) -> Size:
    """The size in the header, nothing decoded; ImageError where it is unreadable or over the bound."""
    if kind(data) == "JPEG":
        return jpeg_header(data).size
    with _opened(data) as image:
        return Size(*image.size)


def stored(data: bytes, policy: ImagePolicy) -> Stored:
    """The picture as a pool of that policy stores it; ImageError where it is damaged or not to be read."""
    if kind(data) == "JPEG":
        return _stored_jpeg(data, policy)
    with _opened(data) as image:
        _insist_shown(Size(*image.size))
        return _written(_rgb(_loaded(image)), policy, "converted to JPEG")


def checked(data: bytes) -> tuple[Size, int | None]:
    """Size and likeness of a stored picture, every bit of it decoded without a warning; ImageError otherwise."""
    header = jpeg_header(data)
    return header.size, likeness(_decoded(data, header.colours), header.size)


def insist_kept(data: bytes, header: "Header") -> None:
    """ImageError where a JPEG of RGB or grey is none that ``stored`` keeps as it is, but for its orientation tag."""
    _insist_shown(header.size)
    _decoded(data, header.colours)
    _upright(data, header.tagged)


def likeness_of(data: bytes) -> int | None:
    """The likeness of a picture of any kind that is read; ImageError where it is damaged."""
    if kind(data) == "JPEG":
        return checked(data)[1]
    with _opened(data) as image:
        return likeness(np.asarray(_rgb(_loaded(image)).convert("L")))


def _insist_shown(size: Size) -> None:
    if min(size) < MIN_SIDE:
        raise ImageError(f"placeholder picture: {size.width}x{size.height}, wanted at least {MIN_SIDE} pixels a side")


def _stored_jpeg(data: bytes, policy: ImagePolicy) -> Stored:
    size, colours, tagged = jpeg_header(data)
    _insist_shown(size)
    grey = _decoded(data, colours) if policy.check == "strict" else None
    if colours in INKS or target(size, policy) != size:
        with _opened(data) as image:
            return _written(_rgb(_loaded(image)), policy, "converted to JPEG" if colours in INKS else "shrunk")
    upright = _upright(data, tagged)
    notes = () if upright is data else ("orientation neutralised",)
    return Stored(upright, size, size, notes, None if grey is None else likeness(grey, size))


def _upright(data: bytes, tagged: bool) -> bytes:
    if not tagged:
        return data
    upright = neutralised(data)
    _insist_upright(upright)
    return upright


def target(size: Size, policy: ImagePolicy) -> Size:
    """The size at which the policy stores a picture of that size: never larger, but for ``stretch``."""
    if policy.stretch:
        return Size(policy.stretch, policy.stretch)
    if not policy.max_side or max(size) <= policy.max_side:
        return size
    scale = max(policy.max_side / max(size), policy.min_short_side / min(size))
    return size if scale >= 1 else Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _scans(data: bytes) -> int:
    """How many scans may begin in a JPEG: their marker, or what looks like it, wherever it stands."""
    every = np.frombuffer(data, np.uint8)
    begun = every[:-1] == _MARK
    begun &= every[1:] == _SCAN
    return int(np.count_nonzero(begun))


class Header(NamedTuple):
    """What a JPEG says of itself before anything is decoded."""

    size: Size
    colours: str
    tagged: bool  # whether it may have an orientation tag


def jpeg_header(data: bytes) -> Header:
    """The header of a JPEG, within bounds; ImageError where it is unreadable or beyond them."""
    if _scans(data) > MAX_SCANS:
        raise ImageError(f"too many scans: over {MAX_SCANS} in one JPEG")
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise ImageError(f"damaged picture: {error}") from error
    size = Size(width, height)
    _insist_small(size)
    return Header(size, colours, may_be_tagged(data))


def _decoded(data: bytes, colours: str) -> npt.NDArray[np.uint8]:
    """The picture in grey at the smallest scale that a likeness needs; of one in four inks, one of them."""
    space = "CMYK" if colours in INKS else "GRAY"
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, space, fastdct=True, fastupsample=True, min_height=SIDE, min_width=SIDE, strict=True
        )
    except ValueError as error:
        raise ImageError(f"damaged picture: {error}") from error
    return pixels[:, :, -1]


def _insist_small(size: Size) -> None:
    if size.width * size.height > MAX_PIXELS:
        raise ImageError(f"too many pixels: {size.width}x{size.height}, at most {MAX_PIXELS:,}")


def _insist_upright(data: bytes) -> None:
    # Pillow looks in odder places than are neutralised (a tag split over segments, say); what it would turn is refused.
    with _opened(data) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing but the orientation is asked of EXIF, so other oddities do not matter
        turned = image.getexif().get(ORIENTATION) in range(2, 9)
    if turned:
        raise ImageError("orientation not neutralised: a tag this reader does not find turns the picture")


def _opened(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which is not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(f"too many pixels: over {MAX_PIXELS:,}") from error
    except PIL.UnidentifiedImageError as error:  # its message holds an address in memory, another on every run
        raise ImageError("damaged picture: its header is unreadable") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ImageError(f"damaged picture: {error}") from error
    _insist_small(Size(*image.size))
    return image


def _loaded(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_CONVERTED_PIXELS:
        raise ImageError(f"too many pixels to convert: {image.width}x{image.height}, at most {MAX_CONVERTED_PIXELS:,}")
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError) as error:
        raise ImageError(f"damaged picture: {error}") from error
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.asarray(image)
        shades = (deep >> 8).clip(0, 255).astype(np.uint8)
        shades[deep == image.info.get("transparency", -1)] = 255
        return Image.fromarray(shades).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image if image.mode == "RGBA" else image.convert("RGBA")
        page = Image.new("RGB", clear.size, "white")
        page.paste(clear, mask=clear)
        return page
    return image.convert("RGB")


def _written(image: Image.Image, policy: ImagePolicy, note: str) -> Stored:
    source = Size(*image.size)
    size = target(source, policy)
    if size != source:
        image = image.resize(size, Image.Resampling.LANCZOS)
    image.info.clear()  # some versions of Pillow would carry XMP, and an orientation in it, into the new file
    file = io.BytesIO()
    image.save(file, "JPEG", quality=policy.quality)
    written = file.getvalue()
    return Stored(written, size, source, (note,), checked(written)[1] if policy.check == "strict" else None)
