"""Flickr30k: five people's sentences per picture.

Reads one of
  folders, zip  Flickr30k Entities, its marks taken out of the sentences (see flickr30k_entities.py)
  token         results_20130124.token, as published: ``<picture>.jpg#<0-4>``, a tab, the sentence. It knows no splits:
                they are those of Flickr30k Entities, from its <split>.txt; so are the sentences left out by its
                UNRELATED_CAPTIONS, where that lies there too
  karpathy      dataset_flickr30k.json: the sentences as they were typed, and a split of its own, with other pictures
                in train, val and test than Entities has
Each sentence gives one ``caption`` record, the same under the same key in all forms but karpathy. Quirks: all but
Karpathy's are tokenised, with blanks before full stops; where a picture that a split lists has no sentences, they are
counted as malformed.
Young et al., From image descriptions to visual denotations, 2014; Karpathy and Fei-Fei, 2015.
"""

from collections.abc import Iterator

import msgspec

from converters._entities import SENTENCES, plain
from converters._flickr30k import (
    LICENCE,
    NAMES,
    PLACES,
    SPLITS,
    Sentence,
    entities_forms,
    flickr_image,
    insist_related,
    picture_ids,
    unrelated_sentences,
)
from converters._read import Broken, decode, items, read
from converters._table import Form, Reading, Row, Shape, Source, Variant, malformed, record_of
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Record
from schemas.text import tidy


class _Raw(msgspec.Struct, frozen=True):
    raw: str


class _Picture(msgspec.Struct, frozen=True):
    filename: str
    split: str
    sentences: list[_Raw]


class _Images(msgspec.Struct, frozen=True):
    images: msgspec.Raw


def token_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split's pictures, in the split's order."""
    path, ids, *lists = reading.files
    unwanted = frozenset().union(*map(unrelated_sentences, lists))
    said: dict[str, list[tuple[str, str]]] = {}
    for place, line in enumerate(read(path).rstrip(b"\n").split(b"\n")):
        try:
            id, number, caption = _token(line)
        except (RecordError, ValueError) as error:
            yield malformed(reading, place, f"no line of captions: {error}")
        else:
            said.setdefault(id, []).append((number, caption))
    for id in picture_ids(ids):
        if id not in said:
            yield from (malformed(reading, f"{id[:40]}-{n}", f"no sentences: {id[:40]!r}") for n in range(SENTENCES))
        for number, caption in said.get(id, ()):
            yield _sentence(reading, id, number, caption, f"{id}-{number}" in unwanted)


def _token(line: bytes) -> tuple[str, str, str]:
    name, tab, caption = line.decode().partition("\t")
    id, _, number = name.partition(".jpg#")
    flickr_image(id)
    if not tab or number not in ("0", "1", "2", "3", "4"):
        raise RecordError(f"{name[:40]!r}, wanted <picture>.jpg#<0-4> and a tab")
    return id, number, caption


def karpathy_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split's pictures."""
    (path,) = reading.files
    for entry in items(decode(read(path), _Images, path).images, _Picture, path):
        if isinstance(entry, Broken):
            yield malformed(reading, entry.index, entry.why)
        elif entry.split == reading.split:
            id = entry.filename.removesuffix(".jpg")
            for number, sentence in enumerate(entry.sentences):
                yield _sentence(reading, id, str(number), sentence.raw)


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
    insist_related(row)
    return record_of(row, "caption", slots=[], reply=[tidy(plain(row.pieces), "caption")], boxes=[], wording=wording)


_DATASET = Shape("object", frozenset({"images"}), "images", frozenset({"filename", "sentences"}))
_TOKEN = ("results_20130124.token", "{split}.txt")
_COUNTS = {"train": 148_915, "val": 5_000, "test": 5_000}
_KARPATHY = {"train": 145_000, "val": 5_070, "test": 5_000}

CONVERTERS = (
    Source(
        name="flickr30k_caption",
        title="Flickr30k captions",
        collection="flickr30k",
        splits=SPLITS,
        forms=(
            *entities_forms(_COUNTS),
            Form("token", _TOKEN, NAMES, token_rows, None, _COUNTS, ("UNRELATED_CAPTIONS",)),
            Form("karpathy", ("dataset_flickr30k.json",), NAMES, karpathy_rows, _DATASET, _KARPATHY),
        ),
        variants=(Variant("caption", candidate="a sentence", record=caption, boxed=False),),
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
