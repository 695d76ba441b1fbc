"""Flickr30k Entities as it is published, in folders or a zip, picture after picture, as blocks of sentences.

A picture that is listed and whose sentences cannot be read costs five, as many malformed rows. Where only its boxes
cannot be read, or where a sentence's marks are broken, it costs the sentences and phrases that it is known to have.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from converters._block import NO_THING, ROW_ENDS, Block, InBlocks, Spans
from converters._entities import SENTENCES, Boxes, Mention, annotation, lines, pieces_of, taken_apart, unread
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
_LEFT_OUT: Spans = ("left out", ROW_ENDS, "\n")
_JSON = msgspec.json.Encoder()


class _Picture(NamedTuple):
    id: str
    image: ImageRef
    said: list[str]
    apart: list[list[str] | str]
    boxes: Boxes
    why: str


class _Things(NamedTuple):
    """The boxes of some pictures' things, each thing's left to right, and what their pictures measure."""

    runs: list[tuple[int, int]]
    boxes: list[XYXY]
    sizes: list[tuple[int, int]]

    def of(self, picture: _Picture) -> dict[str, int]:
        """The picture's chains, each with the place of its boxes, -1 where it has none."""
        known, (runs, placed, sizes) = {}, self
        for one, boxes in picture.boxes.items():
            known[one] = len(runs) if boxes else NO_THING
            if boxes:
                begin = len(placed)
                placed += boxes if len(boxes) == 1 else sorted(set(boxes))
                runs.append((begin, len(placed)))
        sizes += [(picture.image.width or 0, picture.image.height or 0)] * (len(placed) - len(sizes))
        return known


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

    def block() -> Block:  # and nothing of it stays here
        nonlocal run
        pictures, run = run, []
        return _block(reading, pictures, unwanted)

    for id in picture_ids(ids):
        try:
            image = flickr_image(id)  # before files of that name are looked for
            run.append(_picture(id, image, lines(file(f"Sentences/{id}.txt")), file))
        except RecordError as error:
            yield block()
            yield from (malformed(reading, f"{id[:40]}-{number}", str(error)) for number in range(SENTENCES))
        if len(run) == _PICTURES:
            yield block()
    yield block()


def _picture(id: str, image: ImageRef, said: list[str], file: File) -> _Picture:
    apart = taken_apart(said)
    try:
        size, boxes = annotation(file(f"Annotations/{id}.xml"), f"{id}.jpg")
    except RecordError as error:
        return _Picture(id, image, said, apart, {}, str(error))
    return _Picture(id, flickr_image(id, size), said, apart, boxes, "")


def _block(reading: Reading, run: Sequence[_Picture], unwanted: frozenset[str]) -> Block:
    things, found = _Things([], [], []), list[Spans | None]()
    for picture in run:
        known, fewest = things.of(picture), int(reading.options.get("min_phrases", "0"))
        found += [None if picture.why else _spans(apart, known, fewest) for apart in picture.apart]
    ids = [f"{picture.id}-{number}" for picture in run for number in range(SENTENCES)]
    images = [_JSON.encode(picture.image).decode() for picture in run]
    spans = [*chain.from_iterable(_LEFT_OUT if one is None else one for one in found)]
    x, y, right, below = zip(*things.boxes, strict=True) if things.boxes else ((),) * 4
    return Block(
        ids=ids,
        images=[image for image in images for _ in range(SENTENCES)],
        texts=_texts(spans),
        row=lambda at: _sentence(reading, run[at // SENTENCES], at % SENTENCES, ids[at] in unwanted),
        # From 1-based pixels, last ones included.
        xywh=(
            [side - 1 for side in x],
            [side - 1 for side in y],
            [end - side + 1 for side, end in zip(x, right, strict=True)],
            [end - side + 1 for side, end in zip(y, below, strict=True)],
        ),
        sizes=[[size[side] for size in things.sizes] for side in range(2)],
        alone={at for at, (id, one) in enumerate(zip(ids, found, strict=True)) if one is None or id in unwanted},
        spans=spans,
        things=things.runs,
    )


def _spans(apart: list[str] | str, known: Mapping[str, int], fewest: int) -> Spans | None:
    """The sentence as spans, a line; None where it is no such sentence as is asked for."""
    if isinstance(apart, str):
        return None
    things = [*map(known.get, apart[1::3])]
    if None in things or len(things) - things.count(NO_THING) < fewest:
        return None
    spans: list[Any] = [*apart, ROW_ENDS, "\n"]
    spans[1:-2:3] = things
    return spans


def _texts(spans: Spans) -> list[str]:
    """The lines of text that spans are, without anything's place."""
    words = [*spans]
    del words[1::3]
    return "".join(words).split("\n")[:-1]


def _sentence(reading: Reading, picture: _Picture, number: int, unrelated: bool) -> Row:
    id, apart, why = f"{picture.id}-{number}", picture.apart[number], picture.why
    found: Sequence[str | Mention] = unread(picture.said[number]) if isinstance(apart, str) else pieces_of(apart)
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
