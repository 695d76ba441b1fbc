"""Where the original lies in a picture that was resized, cropped or padded on its way."""

import pytest
from PIL import Image

from converters._padding import frame
from converters._web import Entry
from schemas.box import Box
from schemas.errors import ImageError

# What img2dataset 1.47 makes of a black picture of that size with resize_mode border: where the black is, in pixels.
PADDED = [
    ((640, 480), 256, (0, 32, 256, 224)),
    ((480, 640), 256, (32, 0, 224, 256)),
    ((1000, 667), 224, (0, 37, 224, 186)),
    ((301, 200), 64, (0, 10, 64, 53)),
    ((200, 301), 64, (10, 0, 53, 64)),
    ((300, 2), 64, (0, 31, 64, 32)),
    ((8, 5), 20, (0, 4, 20, 16)),
    ((512, 129), 256, (0, 96, 256, 160)),
    ((512, 131), 256, (0, 95, 256, 161)),
    ((640, 480), 255, (0, 32, 255, 223)),
    ((500, 500), 256, (0, 0, 256, 256)),
    ((1000, 999), 256, (0, 0, 256, 256)),
    ((1000, 997), 256, (0, 0, 256, 255)),
]


def stored(width: int | None, height: int | None, original: tuple[int | None, int | None]) -> Entry:
    return Entry(width=width, height=height, original_width=original[0], original_height=original[1])


@pytest.mark.parametrize(("original", "side", "pixels"), PADDED)
def test_a_padded_picture_holds_the_original_where_the_downloader_put_it(
    original: tuple[int, int], side: int, pixels: tuple[int, ...]
) -> None:
    around = frame(stored(side, side, original), border=True)
    if pixels == (0, 0, side, side):
        assert around is None
    else:
        assert around is not None
        assert list(around.around(Box(0, 0, 1, 1))) == pytest.approx([edge / side for edge in pixels], abs=1e-6)


def test_a_box_covers_the_same_pixels_after_padding() -> None:
    picture = Image.new("L", (640, 480), 255)
    picture.paste(0, (160, 120, 320, 360))
    square = Image.new("L", (256, 256), 255)
    square.paste(picture.resize((256, 192), Image.Resampling.BOX), (0, 32))
    around = frame(stored(256, 256, (640, 480)), border=True)
    assert around is not None
    box = around.around(Box(160 / 640, 120 / 480, 320 / 640, 360 / 480))
    left, top, right, bottom = Image.eval(square, lambda level: 255 - level).getbbox() or ()
    assert [side * 256 for side in box] == [left, top, right, bottom]


@pytest.mark.parametrize(("original", "side", "pixels"), [one for one in PADDED if one[2][3] - one[2][1] < one[1] - 1])
def test_a_square_of_a_picture_that_was_none_is_rejected_unless_it_is_said_to_be_padded(
    original: tuple[int, int], side: int, pixels: tuple[int, ...]
) -> None:
    with pytest.raises(ImageError, match=r"^padded or cropped by the downloader: "):
        frame(stored(side, side, original), border=False)


@pytest.mark.parametrize(
    ("width", "height", "original"),
    [
        (256, 384, (1000, 1500)),
        (256, 171, (1000, 667)),
        (384, 256, (1500, 1001)),
        (256, 257, (1000, 1002)),
        (1024, 693, (1024, 693)),
        (64, 1, (3000, 17)),
        (512, 512, (300, 300)),
    ],
)
def test_a_picture_that_kept_its_shape_but_for_rounding_is_whole(
    width: int, height: int, original: tuple[int, int]
) -> None:
    for border in (False, True):
        assert frame(stored(width, height, original), border) is None


def test_a_picture_that_is_no_square_was_never_padded() -> None:
    for border in (False, True):
        with pytest.raises(
            ImageError, match=r"^padded or cropped by the downloader: 256x200, the original is 640x480$"
        ):
            frame(stored(256, 200, (640, 480)), border)


def test_two_pixels_off_are_more_than_rounding() -> None:
    assert frame(stored(256, 193, (640, 480)), border=False) is None
    for height in (190, 194):
        with pytest.raises(ImageError, match="padded or cropped"):
            frame(stored(256, height, (640, 480)), border=False)


def test_where_nothing_was_re_encoded_the_picture_is_whole() -> None:
    for border in (False, True):
        assert frame(stored(None, None, (None, None)), border) is None


@pytest.mark.parametrize("sizes", [(256, 256, (None, None)), (None, 256, (None, None)), (256, 192, (640, None)),
                                   (256, 192, (None, 480)), (None, None, (640, None))])  # fmt: skip
def test_where_the_size_of_the_original_is_not_known_it_may_have_been_padded(
    sizes: tuple[int | None, int | None, tuple[int | None, int | None]],
) -> None:
    for border in (False, True):
        with pytest.raises(ImageError, match=r"^size of the original unknown: the picture is "):
            frame(stored(*sizes), border)


@pytest.mark.parametrize("sizes", [(None, None, (640, 480)), (256, None, (640, 480)), (None, 192, (640, 480))])
def test_where_the_size_of_the_picture_is_not_known_it_may_have_been_padded(
    sizes: tuple[int | None, int | None, tuple[int | None, int | None]],
) -> None:
    for border in (False, True):
        with pytest.raises(ImageError, match=r"^size of the picture unknown: the original is 640x480$"):
            frame(stored(*sizes), border)


@pytest.mark.parametrize("sizes", [(0, 0, (640, 480)), (256, 192, (640, 0)), (-4, -3, (-640, -480))])
def test_a_size_of_nothing_is_rejected(sizes: tuple[int, int, tuple[int, int]]) -> None:
    for border in (False, True):
        with pytest.raises(ImageError, match=r"^picture without a size: "):
            frame(stored(*sizes), border)
