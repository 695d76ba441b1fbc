"""Pictures that are cut, holed, lying or hostile: an ImageError that names the damage, and never anything else."""

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.images import checked, size_of, stored
from schemas.errors import ImageError
from schemas.pool import ImagePolicy

AS_IT_IS = ImagePolicy()
FORMS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 85},
    "PNG": {},
    "GIF": {},
    "WEBP": {},
}


def encoded(form: str, size: tuple[int, int] = (320, 240), **options: Any) -> bytes:
    rng = np.random.default_rng(11)
    small = Image.fromarray(rng.integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8))
    file = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(file, form, **options)
    return file.getvalue()


JPEG = encoded("JPEG", quality=95)
PROGRESSIVE = encoded("JPEG", quality=95, progressive=True)
SMALL = {form: encoded(form, (32, 24), **options) for form, options in FORMS.items()}


def insist_damaged(data: bytes) -> str:
    with pytest.raises(ImageError, match=r"^damaged picture: .") as caught:
        stored(data, AS_IT_IS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("whole", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("percent", [99, 90, 50, 20])
def test_a_cut_jpeg_is_refused(whole: bytes, percent: int) -> None:
    cut = whole[: len(whole) * percent // 100]
    insist_damaged(cut)
    with pytest.raises(ImageError, match="damaged picture"):
        checked(cut)


@pytest.mark.parametrize("percent", [99, 90, 50, 20])
def test_a_cut_jpeg_with_an_end_marker_glued_on_is_refused(percent: int) -> None:
    insist_damaged(JPEG[: len(JPEG) * percent // 100] + b"\xff\xd9")


@pytest.mark.parametrize("percent", [90, 50, 20])
def test_a_jpeg_whose_tail_is_zeros_is_refused(percent: int) -> None:
    kept = len(JPEG) * percent // 100
    insist_damaged(JPEG[:kept] + bytes(len(JPEG) - kept))


@pytest.mark.parametrize("percent", [30, 50, 70])
def test_a_jpeg_with_a_hole_of_zeros_is_refused(percent: int) -> None:
    start = len(JPEG) * percent // 100
    assert start + 4096 < len(JPEG)
    insist_damaged(JPEG[:start] + bytes(4096) + JPEG[start + 4096 :])


def test_a_jpeg_of_which_only_the_end_marker_is_missing_is_refused() -> None:
    insist_damaged(JPEG[:-2])


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("percent", [99, 90, 50, 20, 2])
def test_a_cut_picture_of_any_format_is_refused(form: str, percent: int) -> None:
    data = encoded(form, **FORMS[form])
    insist_damaged(data[: len(data) * percent // 100])


def test_a_png_with_one_flipped_bit_in_its_pixels_is_refused() -> None:
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 1
    insist_damaged(bytes(data))


def test_a_png_whose_header_lies_about_its_check_sum_is_refused() -> None:
    data = bytearray(encoded("PNG"))
    data[20] ^= 1  # the width, under the header's check sum
    for reader in (size_of, lambda data: stored(data, AS_IT_IS)):
        with pytest.raises(ImageError, match="damaged picture"):
            reader(bytes(data))


def test_what_is_said_of_damage_is_the_same_on_every_run() -> None:
    for form, data in SMALL.items():
        for cut in range(12, 60):
            with pytest.raises(ImageError) as caught:
                stored(data[:cut], AS_IT_IS)
            assert not re.search(r"0x[0-9a-f]{6,}|object at", str(caught.value)), f"{form}: {caught.value}"


def test_the_reason_of_damage_holds_no_numbers_or_names() -> None:
    reasons = set()
    for data in (JPEG[:1000], encoded("PNG")[:500], encoded("GIF")[:300], encoded("WEBP")[:200], b"nothing"):
        with pytest.raises(ImageError) as caught:
            stored(data, AS_IT_IS)
        reasons.add(caught.value.reason)
    assert reasons == {"damaged picture", "no picture"}


def mutated(data: bytes, flips: list[tuple[int, int]], cut: int | None) -> bytes:
    changed = bytearray(data)
    for place, value in flips:
        changed[place % len(changed)] = value
    return bytes(changed[:cut])


FLIPS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SMALL)), FLIPS, st.none() | st.integers(0, 3000), st.sampled_from([None, 16]))
def test_bytes_changed_anywhere_give_a_picture_or_an_image_error(
    form: str, flips: list[tuple[int, int]], cut: int | None, stretch: int | None
) -> None:
    data = mutated(SMALL[form], flips, cut)
    try:
        found = stored(data, ImagePolicy(stretch=stretch))
    except ImageError:
        return
    assert checked(found.data) == (found.size, found.likeness)
    with Image.open(io.BytesIO(found.data)) as image:
        image.load()
        assert image.size == found.size


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


NAMES = st.sampled_from([b"tRNS", b"PLTE", b"gAMA", b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"IHDR"])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([(1, 0), (8, 0), (16, 0), (8, 2), (16, 2), (2, 3), (8, 3), (8, 4), (16, 4), (8, 6), (16, 6)]),
    st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=3),
    st.binary(max_size=80),
)
def test_a_png_of_odd_chunks_under_true_check_sums_gives_a_picture_or_an_image_error(
    kind: tuple[int, int], odd: list[tuple[bytes, bytes]], rows: bytes
) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, *kind, 0, 0, 0))
    chunks = b"".join(chunk(*one) for one in odd)
    body = header + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    try:
        found = stored(b"\x89PNG\r\n\x1a\n" + body, AS_IT_IS)
    except ImageError:
        return
    assert checked(found.data) == (found.size, found.likeness)
