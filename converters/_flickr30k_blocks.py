"""Flickr30k Entities as it is published, in folders or a zip, picture after picture, as blocks of sentences.

A picture that is listed and whose sentences cannot be read costs five, as many malformed rows. Where only its boxes
cannot be read, or where a sentence's marks are broken, it costs the sentences and phrases that it is known to have.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, compress, count, repeat
from operator import sub
from typing import NamedTuple

import msgspec

from converters._block import LOOKED_AT, NO_THING, Block, InBlocks, Spans
from converters._entities import (
    SENTENCES,
    Mention,
    Named,
    annotation,
    boxes_of,
    lines,
    pieces,
    taken_apart,
    unread,
)
from converters._flickr30k import NAMES, Sentence, flickr_image
from converters._flickr30k_files import File, in_folders, in_zip, picture_ids, unrelated_sentences
from converters._table import Form, Reading, Row, malformed
from schemas.errors import RecordError
from schemas.record import ImageRef

COUNTS = {
    "sentences": {"train": 148_915, "val": 5_000, "test": 5_000},
    "phrases": {"train": 524_520, "val": 17_728, "test": 17_519},
}
_PICTURES = 200  # of a block
_JSON = msgspec.json.Encoder()


class _Picture(NamedTuple):
    id: str
    image: ImageRef
    said: list[str]
    named: Named
    why: str


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
    listed, unwanted = picture_ids(ids), unrelated_sentences(unrelated)
    again = {id for id, times in Counter(listed).items() if times > 1}
    run: list[_Picture] = []

    def block() -> Block:  # and nothing of it stays here
        nonlocal run
        pictures, run = run, []
        return _block(reading, pictures, unwanted, again)

    for id in listed:
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
    try:
        size, named = annotation(file(f"Annotations/{id}.xml"), f"{id}.jpg")
    except RecordError as error:
        return _Picture(id, image, said, [()] * 5, str(error))
    return _Picture(id, flickr_image(id, size), said, named, "")


def _block(reading: Reading, run: Sequence[_Picture], unwanted: frozenset[str], again: Collection[str]) -> Block:
    spans, chained, left_out = _spans(run)
    ids = [f"{picture.id}-{number}" for picture in run for number in range(SENTENCES)]
    images = [_JSON.encode(one.image).decode() for one in run]
    for place in (place for place, one in enumerate(run) if one.why or one.id in again):
        left_out.update(range(place * SENTENCES, (place + 1) * SENTENCES))
    boxed, *corners = ([*chain.from_iterable(picture.named[side] for picture in run)] for side in (1, 1, 2, 3, 4))
    # From 1-based pixels, last ones included.
    x, y = ([int(side) - 1 for side in column if side] for column in corners[:2])
    right, below = ([*map(int, filter(None, column))] for column in corners[2:])
    widths, heights = ([getattr(one.image, side) or 0 for one in run] for side in ("width", "height"))
    named = [len(picture.named[0]) for picture in run]
    return Block(
        ids=ids,
        images=[image for image in images for _ in range(SENTENCES)],
        texts=spans.texts(),
        row=_rows(reading, run, unwanted),
        xywh=(x, y, [*map(sub, right, x)], [*map(sub, below, y)]),
        sizes=[[*compress(chain.from_iterable(map(repeat, sides, named)), boxed)] for sides in (widths, heights)],
        alone=left_out.union(at for at, id in enumerate(ids) if id in unwanted),
        once=True,
        spans=spans,
        things=[*compress(chained, boxed)],
        fewest=int(reading.options.get("min_phrases", "0")),
    )


def _spans(run: Sequence[_Picture]) -> tuple[Spans, list[int], set[int]]:
    """What is said of the pictures, the things that their chains are, as often as named, and the sentences left out."""
    plain, words, things, chained, left_out, first = [""], list[str](), list[int](), list[int](), set[int](), 0
    for at, picture in enumerate(run):
        known = dict(zip(dict.fromkeys(picture.named[0]), count(first), strict=False))
        first += len(known)
        chained += map(known.__getitem__, picture.named[0])
        known["0"] = NO_THING
        apart, unclear = taken_apart(picture.said)
        plain[-1] += f"\n{apart[0]}" if at else apart[0]
        plain += apart[3::3]
        words += apart[2::3]
        things += map(known.get, apart[1::3], repeat(LOOKED_AT))
        if unclear:
            left_out.update(at * SENTENCES + place for place in unclear)
    return Spans(plain, words, things), chained, left_out


def _rows(reading: Reading, run: Sequence[_Picture], unwanted: frozenset[str]) -> Callable[[int], Row]:
    boxes = cache(lambda place: boxes_of(run[place].named))
    fewest = int(reading.options.get("min_phrases", "0"))

    def row(at: int) -> Row:
        place, number = divmod(at, SENTENCES)
        picture = run[place]
        id, why = f"{picture.id}-{number}", picture.why
        found: Sequence[str | Mention]
        try:
            found = pieces(picture.said[number])
        except RecordError as error:
            found, why = unread(picture.said[number]), why or str(error)
            if not found:
                return malformed(reading, id, why)
        return Sentence(
            source=reading.source,
            split=reading.split,
            id=id,
            image=picture.image,
            pieces=found,
            boxes=boxes(place),
            unrelated=id in unwanted,
            fewest=fewest,
            why=why,
        )

    return row
