"""The sentences of Flickr30k and of Flickr30k Entities, of one type whatever files they come from."""

from collections.abc import Mapping, Sequence

from converters._entities import Boxes, Mention
from converters._flickr30k_files import MAX_DIGITS
from converters._table import Pictured, Use
from schemas.box import Size
from schemas.errors import Filtered, RecordError
from schemas.record import ImageRef, image_ref

LICENCE = "research and education only, non-commercial; Flickr terms (pictures)"
PLACES = ("", "flickr30k_entities")
SPLITS: Mapping[str, Use] = {"train": "train", "val": "eval", "test": "eval"}
NAMES = {split: split for split in SPLITS}  # in file names


class Sentence(Pictured, frozen=True, kw_only=True):
    """One sentence in pieces, with its picture's boxes by chain, and how many phrases that have some are asked for.

    ``why`` is why it and its phrases are malformed, empty where they are not.
    """

    pieces: Sequence[str | Mention]
    boxes: Boxes
    unrelated: bool = False
    fewest: int = 0
    why: str = ""


def insist_usable(row: Sentence) -> None:
    """RecordError where the sentence is malformed, Filtered where it was written for another picture."""
    if row.why:
        raise RecordError(f"malformed row: {row.why}")
    if row.unrelated:
        raise Filtered("unrelated caption: it was written for another picture")


def flickr_image(id: str, size: Size | None = None) -> ImageRef:
    """The reference of the picture of that number; RecordError where it is none."""
    if not (id.isascii() and id.isdigit() and len(id) <= MAX_DIGITS):
        raise RecordError(f"no picture id: {id[:40]!r}, wanted at most {MAX_DIGITS} digits")
    return image_ref(f"flickr30k/{id}", size)
