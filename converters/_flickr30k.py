"""The sentences of Flickr30k and of Flickr30k Entities, of one type whatever files they come from.

A picture that is listed and whose sentences cannot be read costs five, as many malformed rows. Where only its boxes
cannot be read, or where a sentence's marks are broken, it costs the sentences and phrases that it is known to have.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from converters._entities import SENTENCES, Boxes, Mention, annotation, lines, pieces, unread
from converters._flickr30k_files import MAX_DIGITS, File, in_folders, in_zip, picture_ids, unrelated_sentences
from converters._table import Form, Pictured, Reading, Row, Use, malformed
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


class _Picture(NamedTuple):
    image: ImageRef
    boxes: Boxes
    why: str


def insist_usable(row: Sentence) -> None:
    """RecordError where the sentence is malformed, Filtered where it was written for another picture."""
    if row.why:
        raise RecordError(f"malformed row: {row.why}")
    if row.unrelated:
        raise Filtered("unrelated caption: it was written for another picture")


def entities_forms(counts: Mapping[str, int]) -> tuple[Form, ...]:
    """The two layouts of Flickr30k Entities, for a source with those official counts."""
    lists = ("{split}.txt", "UNRELATED_CAPTIONS")
    return (
        Form("folders", ("Annotations/", "Sentences/", *lists), NAMES, folder_rows, counts=counts),
        Form("zip", ("annotations.zip", *lists), NAMES, zip_rows, counts=counts),
    )


def folder_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence, picture after picture in the split's order."""
    boxes, sentences, ids, unrelated = reading.files
    return _rows(reading, ids, unrelated, in_folders({"Annotations": boxes, "Sentences": sentences}))


def zip_rows(reading: Reading) -> Iterator[Row]:
    """The same from the zip; a member that is damaged costs its picture's sentences only."""
    archive, ids, unrelated = reading.files
    return _rows(reading, ids, unrelated, in_zip(archive))


def _rows(reading: Reading, ids: str, unrelated: str, file: File) -> Iterator[Row]:
    unwanted = unrelated_sentences(unrelated)
    for id in picture_ids(ids):
        try:
            image = flickr_image(id)  # before files of that name are looked for
            said = lines(file(f"Sentences/{id}.txt"))
        except RecordError as error:
            yield from (malformed(reading, f"{id[:40]}-{number}", str(error)) for number in range(SENTENCES))
            continue
        picture = _annotated(id, image, file)
        for number, line in enumerate(said):
            yield _sentence(reading, f"{id}-{number}", line, picture, unwanted)


def _annotated(id: str, image: ImageRef, file: File) -> _Picture:
    try:
        size, boxes = annotation(file(f"Annotations/{id}.xml"), f"{id}.jpg")
    except RecordError as error:
        return _Picture(image, {}, str(error))
    return _Picture(flickr_image(id, size), boxes, "")


def _sentence(reading: Reading, id: str, line: str, picture: _Picture, unwanted: frozenset[str]) -> Row:
    found: Sequence[str | Mention]
    why = picture.why
    try:
        found = pieces(line)
    except RecordError as error:
        found, why = unread(line), why or str(error)
        if not found:
            return malformed(reading, id, why)
    return Sentence(
        source=reading.source,
        split=reading.split,
        id=id,
        image=picture.image,
        pieces=found,
        boxes=picture.boxes,
        unrelated=id in unwanted,
        fewest=int(reading.options.get("min_phrases", "0")),
        why=why,
    )


def flickr_image(id: str, size: Size | None = None) -> ImageRef:
    """The reference of the picture of that number; RecordError where it is none."""
    if not (id.isascii() and id.isdigit() and len(id) <= MAX_DIGITS):
        raise RecordError(f"no picture id: {id[:40]!r}, wanted at most {MAX_DIGITS} digits")
    return image_ref(f"flickr30k/{id}", size)
