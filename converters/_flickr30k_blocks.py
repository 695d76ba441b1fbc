"""Flickr30k Entities as it is published, in folders or a zip, picture after picture, as blocks of sentences.

A picture that is listed and whose sentences cannot be read costs five, as many malformed rows. Where only its boxes
cannot be read, or where a sentence's marks are broken, it costs the sentences and phrases that it is known to have.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from converters._block import Block, InBlocks, Spans
from converters._entities import SENTENCES, Boxes, Mention, annotation, lines, parts, pieces_of, unread
from converters._flickr30k import NAMES, Sentence, flickr_image
from converters._flickr30k_files import File, in_folders, in_zip, picture_ids, unrelated_sentences
from converters._table import Form, Reading, Row, malformed
from schemas.box import XYXY
from schemas.errors import RecordError
from schemas.record import ImageRef

COUNTS = {
    "sentences": {"train": 148_915, "val": 5_000, "test": 5_000},
    "phrases": {"train": 524_520, "val": 17_728, "test": 17_519},
}
_PICTURES = 50  # of a block
_JSON = msgspec.json.Encoder()


class _Picture(NamedTuple):
    id: str
    image: ImageRef
    said: list[str]
    boxes: Boxes
    why: str


class _Things(NamedTuple):
    """The boxes of some pictures' things, each thing's left to right, and what their pictures measure."""

    runs: list[tuple[int, int]]
    boxes: list[XYXY]
    sizes: list[tuple[int, int]]

    def of(self, picture: _Picture) -> dict[str, int | None]:
        """The picture's chains, each with the place of its boxes, None where it has none."""
        known = {chain: self._place(boxes) if boxes else None for chain, boxes in picture.boxes.items()}
        size = (picture.image.width or 0, picture.image.height or 0)
        self.sizes.extend([size] * (len(self.boxes) - len(self.sizes)))
        return known

    def _place(self, boxes: Sequence[XYXY]) -> int:
        begin = len(self.boxes)
        self.boxes.extend(boxes if len(boxes) == 1 else sorted(set(boxes)))
        self.runs.append((begin, len(self.boxes)))
        return len(self.runs) - 1


def entities_forms(counts: Mapping[str, int]) -> tuple[Form, ...]:
    """The two layouts of Flickr30k Entities, for a source with those official counts."""
    lists = ("{split}.txt", "UNRELATED_CAPTIONS")
    return (
        Form("folders", ("Annotations/", "Sentences/", *lists), NAMES, InBlocks(folder_blocks), counts=counts),
        Form("zip", ("annotations.zip", *lists), NAMES, InBlocks(zip_blocks), counts=counts),
    )


def folder_blocks(reading: Reading) -> Iterator[Block | Row]:
    """One row per sentence, picture after picture in the split's order."""
    boxes, sentences, ids, unrelated = reading.files
    return _blocks(reading, ids, unrelated, in_folders({"Annotations": boxes, "Sentences": sentences}))


def zip_blocks(reading: Reading) -> Iterator[Block | Row]:
    """The same from the zip; a member that is damaged costs its picture's sentences only."""
    archive, ids, unrelated = reading.files
    return _blocks(reading, ids, unrelated, in_zip(archive))


def _blocks(reading: Reading, ids: str, unrelated: str, file: File) -> Iterator[Block | Row]:
    unwanted = unrelated_sentences(unrelated)
    run: list[_Picture] = []
    for id in picture_ids(ids):
        try:
            image = flickr_image(id)  # before files of that name are looked for
            run.append(_picture(id, image, lines(file(f"Sentences/{id}.txt")), file))
        except RecordError as error:
            yield _block(reading, run, unwanted)
            yield from (malformed(reading, f"{id[:40]}-{number}", str(error)) for number in range(SENTENCES))
            run = []
        if len(run) == _PICTURES:
            yield _block(reading, run, unwanted)
            run = []
    yield _block(reading, run, unwanted)


def _picture(id: str, image: ImageRef, said: list[str], file: File) -> _Picture:
    try:
        size, boxes = annotation(file(f"Annotations/{id}.xml"), f"{id}.jpg")
    except RecordError as error:
        return _Picture(id, image, said, {}, str(error))
    return _Picture(id, flickr_image(id, size), said, boxes, "")


def _block(reading: Reading, run: Sequence[_Picture], unwanted: frozenset[str]) -> Block:
    things, fewest = _Things([], [], []), int(reading.options.get("min_phrases", "0"))
    ids = [f"{picture.id}-{number}" for picture in run for number in range(SENTENCES)]
    of = [picture for picture in run for _ in range(SENTENCES)]
    apart = [_apart(line) for picture in run for line in picture.said]
    alone = {at for at, id in enumerate(ids) if id in unwanted or not _usable(apart[at], of[at], fewest)}
    asked = {of[at].id for at in {*range(len(ids))} - alone}
    known = [things.of(picture) if picture.id in asked else {} for picture in run]
    x, y, right, below = zip(*things.boxes, strict=True) if things.boxes else ((),) * 4
    images = {picture.id: _JSON.encode(picture.image).decode() for picture in run}
    return Block(
        ids=ids,
        images=[images[picture.id] for picture in of],
        texts=["alone" if at in alone else _text(found) for at, found in enumerate(apart)],
        row=lambda at: _sentence(reading, of[at], at % SENTENCES, apart[at], ids[at] in unwanted),
        # From 1-based pixels, last ones included.
        xywh=(
            [side - 1 for side in x],
            [side - 1 for side in y],
            [end - side + 1 for side, end in zip(x, right, strict=True)],
            [end - side + 1 for side, end in zip(y, below, strict=True)],
        ),
        sizes=[[size[side] for size in things.sizes] for side in range(2)],
        alone=alone,
        spans=[("",) if at in alone else _spans(found, known[at // SENTENCES]) for at, found in enumerate(apart)],
        things=things.runs,
    )


def _apart(line: str) -> list[str] | str:
    """The sentence taken apart, or why it cannot be."""
    try:
        return parts(line)
    except RecordError as error:
        return str(error)


def _usable(apart: list[str] | str, picture: _Picture, fewest: int) -> bool:
    if isinstance(apart, str) or picture.why:
        return False
    boxes = [picture.boxes.get(chain) for chain in apart[1::3]]
    return None not in boxes and len(boxes) - boxes.count([]) >= fewest


def _text(apart: list[str] | str) -> str:
    pairs = zip(apart[::3], [*apart[2::3], ""], strict=True) if isinstance(apart, list) else ()
    return "".join([part for pair in pairs for part in pair])


def _spans(apart: list[str] | str, known: Mapping[str, int | None]) -> Spans:
    spans: list[Any] = [*apart]
    spans[1::3] = [known[chain] for chain in spans[1::3]]
    return spans


def _sentence(reading: Reading, picture: _Picture, number: int, apart: list[str] | str, unrelated: bool) -> Row:
    id, line, why = f"{picture.id}-{number}", picture.said[number], picture.why
    found: Sequence[str | Mention] = unread(line) if isinstance(apart, str) else pieces_of(apart)
    if isinstance(apart, str):
        why = why or apart
        if not found:
            return malformed(reading, id, why)
    return Sentence(
        source=reading.source,
        split=reading.split,
        id=id,
        image=picture.image,
        pieces=found,
        boxes=picture.boxes,
        unrelated=unrelated,
        fewest=int(reading.options.get("min_phrases", "0")),
        why=why,
    )
