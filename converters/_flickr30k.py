"""The sentences of Flickr30k and of Flickr30k Entities, of one type whatever files they come from.

A picture that is listed and cannot be read costs its five sentences, as many malformed rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from converters._entities import SENTENCES, Boxes, Mention, annotation, lines, pieces
from converters._read import read
from converters._table import Form, Pictured, Reading, Row, Use, malformed
from converters._zip import members
from schemas.box import Size
from schemas.errors import Filtered, RecordError, SourceError
from schemas.record import ImageRef, image_ref

MAX_DIGITS = 20  # of a picture's id; published ones have ten at most
MAX_BYTES = 2**20  # of one picture's file in a zip; the largest published one has some thousands

LICENCE = "research and education only, non-commercial; Flickr terms (pictures)"
PLACES = ("", "flickr30k_entities")
SPLITS: Mapping[str, Use] = {"train": "train", "val": "eval", "test": "eval"}
NAMES = {split: split for split in SPLITS}  # in file names

Files = Callable[[str], tuple[bytes, bytes]]


class Sentence(Pictured, frozen=True, kw_only=True):
    """One sentence in pieces, with its picture's boxes by chain, and how many phrases that have some are asked for."""

    pieces: Sequence[str | Mention]
    boxes: Boxes
    unrelated: bool = False
    fewest: int = 0


def insist_related(row: Sentence) -> None:
    """Filtered where the sentence was written for another picture."""
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
    return _rows(reading, ids, unrelated, lambda id: (read(f"{boxes}{id}.xml"), read(f"{sentences}{id}.txt")))


def zip_rows(reading: Reading) -> Iterator[Row]:
    """The same from the zip; a member that is damaged costs its picture's sentences only."""
    archive, ids, unrelated = reading.files
    member = members(archive, MAX_BYTES)
    return _rows(reading, ids, unrelated, lambda id: (member(f"Annotations/{id}.xml"), member(f"Sentences/{id}.txt")))


def _rows(reading: Reading, ids: str, unrelated: str, files: Files) -> Iterator[Row]:
    unwanted = unrelated_sentences(unrelated)
    for id in picture_ids(ids):
        try:
            image, boxes, said = _picture(id, files)
        except (RecordError, SourceError) as error:
            yield from (malformed(reading, f"{id[:40]}-{number}", str(error)) for number in range(SENTENCES))
            continue
        for number, line in enumerate(said):
            yield _sentence(reading, f"{id}-{number}", line, image, boxes, unwanted)


def _picture(id: str, files: Files) -> tuple[ImageRef, Boxes, list[str]]:
    flickr_image(id)  # before files of that name are looked for
    xml, text = files(id)
    size, boxes = annotation(xml, f"{id}.jpg")
    return flickr_image(id, size), boxes, lines(text)


def _sentence(reading: Reading, id: str, line: str, image: ImageRef, boxes: Boxes, unwanted: frozenset[str]) -> Row:
    try:
        found = pieces(line)
    except RecordError as error:
        return malformed(reading, id, str(error))
    return Sentence(
        source=reading.source,
        split=reading.split,
        id=id,
        image=image,
        pieces=found,
        boxes=boxes,
        unrelated=id in unwanted,
        fewest=int(reading.options.get("min_phrases", "0")),
    )


def flickr_image(id: str, size: Size | None = None) -> ImageRef:
    """The reference of the picture of that number; RecordError where it is none."""
    if not (id.isascii() and id.isdigit() and len(id) <= MAX_DIGITS):
        raise RecordError(f"no picture id: {id[:40]!r}, wanted at most {MAX_DIGITS} digits")
    return image_ref(f"flickr30k/{id}", size)


def picture_ids(path: str) -> list[str]:
    """The ids that a split's file lists, one per line, whatever they may be."""
    return [id for line in read(path).decode(errors="replace").split("\n") if (id := line.strip())]


def unrelated_sentences(path: str) -> frozenset[str]:
    """``<picture id>-<number>`` of the sentences written for another picture, numbered from 0 (the file: from 1).

    SourceError where a line is neither that nor a comment: what should be left out is then not known.
    """
    rows = [row for line in read(path).splitlines() if (row := line.split()) and not row[0].startswith(b"#")]
    if not all(len(row) == 2 and row[0].isdigit() and row[1] in b"1 2 3 4 5".split() for row in rows):
        raise SourceError(f"{path}: not the list it should be, wanted a picture id and a number from 1 to 5 per line")
    return frozenset(f"{id.decode()}-{int(number) - 1}" for id, number in rows)
