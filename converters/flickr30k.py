"""Flickr30k: five people's sentences per picture.

Reads one of
  folders, zip  Flickr30k Entities, its marks taken out of the sentences (see flickr30k_entities.py)
  token         results_20130124.token, as published: ``<picture>.jpg#<0-4>``, a tab, the sentence. It knows no splits:
                they are those of Flickr30k Entities, from its <split>.txt; so are the sentences left out by its
                UNRELATED_CAPTIONS, where that lies there too
  karpathy      dataset_flickr30k.json: the sentences as they were typed, and a split of its own, with other pictures
                in train, val and test than Entities has
Each sentence gives one ``caption`` record, the same under the same key in all forms but karpathy. Quirks: all but
Karpathy's are tokenised, with blanks before full stops; sentences that a listed picture lacks of its five count as
malformed.
Young et al., From image descriptions to visual denotations, 2014; Karpathy and Fei-Fei, 2015.
"""

from collections.abc import Iterator

import msgspec

from converters._block import Told
from converters._entities import SENTENCES, plain
from converters._flickr30k import (
    LICENCE,
    NAMES,
    PLACES,
    SPLITS,
    Sentence,
    flickr_image,
    insist_usable,
)
from converters._flickr30k_blocks import COUNTS, entities_forms
from converters._flickr30k_files import Line, by_picture, picture_ids, token_line, unrelated_sentences
from converters._karpathy import Picture, dataset_rows
from converters._read import read
from converters._table import Form, Reading, Row, Shape, Source, Variant, malformed, record_of
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Record
from schemas.text import tidy


class _Picture(Picture, frozen=True):
    filename: str


class _Raw(msgspec.Struct, frozen=True):
    raw: str


def token_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split's pictures, in the split's order, and per sentence that one of them lacks.

    A line that no picture's id can be read from is taken for one that some picture of the file or of the split lacks;
    as many as are beyond these are malformed in every split.
    """
    path, ids, *lists = reading.files
    unwanted = frozenset().union(*map(unrelated_sentences, lists))
    said, strays = by_picture(read(path))
    listed = picture_ids(ids)
    lacking = sum(max(0, SENTENCES - len(said.get(id, ()))) for id in {*said, *listed})
    for place in strays[lacking:]:
        yield malformed(reading, place, "no line of captions: it does not begin with a picture's number")
    for id in listed:
        yield from _of_picture(reading, id, said.get(id, []), unwanted)


def _of_picture(reading: Reading, id: str, said: list[Line], unwanted: frozenset[str]) -> Iterator[Row]:
    for place, line in said:
        try:
            number, caption = token_line(id, line)
        except (RecordError, ValueError) as error:
            yield malformed(reading, place, f"no line of captions: {error}")
        else:
            yield _sentence(reading, id, number, caption, f"{id}-{number}" in unwanted)
    for lacking in range(len(said), SENTENCES):
        yield malformed(reading, f"{id[:40]}-{lacking}", f"no sentence: {id[:40]!r} has {len(said)} of {SENTENCES}")


def karpathy_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split's pictures."""
    return dataset_rows(reading, NAMES, _Picture, _Raw, _of_dataset)


def _of_dataset(reading: Reading, picture: _Picture, number: int, sentence: _Raw) -> Row:
    return _sentence(reading, picture.filename.removesuffix(".jpg"), str(number), sentence.raw)


def _sentence(reading: Reading, id: str, number: str, caption: str, unrelated: bool = False) -> Row:
    try:
        image = flickr_image(id)
    except RecordError as error:
        return malformed(reading, f"{id[:40]}-{number}", str(error))
    return Sentence(
        source=reading.source,
        split=reading.split,
        id=f"{id}-{number}",
        image=image,
        pieces=[caption],
        boxes={},
        unrelated=unrelated,
    )


def caption(row: Sentence, wording: Wording) -> Record:
    """The sentence, asked for."""
    insist_usable(row)
    return record_of(row, "caption", slots=[], reply=[tidy(plain(row.pieces), "caption")], boxes=[], wording=wording)


_DATASET = Shape("object", frozenset({"images"}), "images", frozenset({"filename", "sentences"}))
_TOKEN = ("results_20130124.token", "{split}.txt")
_KARPATHY = {"train": 145_000, "val": 5_070, "test": 5_000}

CONVERTERS = (
    Source(
        name="flickr30k_caption",
        title="Flickr30k captions",
        collection="flickr30k",
        splits=SPLITS,
        forms=(
            *entities_forms(COUNTS["sentences"]),
            Form("token", _TOKEN, NAMES, token_rows, None, COUNTS["sentences"], ("UNRELATED_CAPTIONS",)),
            Form("karpathy", ("dataset_flickr30k.json",), NAMES, karpathy_rows, _DATASET, _KARPATHY),
        ),
        variants=(Variant("caption", "a sentence", Told(caption, "caption", slot=None, reply="text"), boxed=False),),
        unit="sentences",
        counted=("caption",),
        licence=LICENCE,
        citation="Young et al. 2014, TACL 2, 67-78",
        homepage="https://shannon.cs.illinois.edu/DenotationGraph/",
        places=PLACES,
        preferred=("folders", "zip", "token"),
        notes="train, val and test are those of Flickr30k Entities; the form karpathy has a split of its own",
    ),
)
