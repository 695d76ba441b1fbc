"""Referring expressions as REFER publishes them, a pickle of refs and the instances beside it, joined by ``ann_id``.

See converters/refcoco.py for fields and quirks.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from converters._coco import Region, by_id, outer, picture_ref, pictures
from converters._expressions import Expression
from converters._pickle import unpickle
from converters._read import Broken, collector_resting, items, objects, read
from converters._table import Reading, Row, malformed
from schemas.errors import SourceError
from schemas.record import ImageRef, Pair

MOST_SENTENCES = 2_000_000  # RefCOCO has 142,210; a pickle can say one list over and over for a few bytes each time
_SPLITS = ("train", "val", "testA", "testB", "test")

# A pickle may hold integers of any length, and Python refuses to print those of thousands of digits.
_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Sentence(msgspec.Struct, frozen=True, gc=False):
    sent_id: _Id
    sent: str
    raw: str = ""


class _Ref(msgspec.Struct, frozen=True, gc=False):
    ref_id: _Id
    ann_id: _Id
    image_id: _Id
    split: str
    sentences: list[Any]  # dicts, then _Sentence | Broken


def refs_rows(reading: Reading) -> Iterator[Row]:
    """One row per sentence of the split, from the refs pickle and the instances beside it."""
    path, instances = reading.files
    with collector_resting():  # the pickle's many dicts are gone before it goes on
        refs = [_typed(ref) for ref in objects(_listed(path), _Ref) if _wanted(ref, reading.split)]
    file = outer(read(instances), instances)
    known, regions = pictures(file.images, instances), by_id(items(file.annotations, Region, instances))
    del file  # its bytes, once they are typed
    for ref in refs:
        if isinstance(ref, Broken):
            yield from _broken(reading, ref)
        elif ref.split == reading.split:
            yield from _sentences(reading, ref, regions.get(ref.ann_id), picture_ref(ref.image_id, known))
        else:
            yield malformed(reading, ref.ref_id, f"no such split: {ref.split!r}")


def _listed(path: str) -> list[Any]:
    listed = unpickle(path)
    if not isinstance(listed, list):
        raise SourceError(f"{path}: a pickle of {type(listed).__name__}, wanted the list of refs")
    if len(listed) > MOST_SENTENCES or sum(map(_sentence_count, listed)) > MOST_SENTENCES:
        raise SourceError(f"{path}: over {MOST_SENTENCES:,} sentences: no refs file is so large")
    return listed


def _wanted(ref: _Ref | Broken, split: str) -> bool:
    return isinstance(ref, Broken) or ref.split == split or ref.split not in _SPLITS


def _typed(ref: _Ref | Broken) -> _Ref | Broken:
    if isinstance(ref, Broken):
        return ref
    return msgspec.structs.replace(ref, sentences=list(objects(ref.sentences, _Sentence)))


def _broken(reading: Reading, ref: Broken) -> Iterator[Row]:
    split = ref.item.get("split") if isinstance(ref.item, dict) else None
    if split == reading.split or split not in _SPLITS:
        for place in range(max(1, _sentence_count(ref.item))):
            yield malformed(reading, f"{ref.index}-{place}", ref.why)


def _sentence_count(ref: Any) -> int:
    sentences = ref.get("sentences") if isinstance(ref, dict) else None
    return len(sentences) if isinstance(sentences, list) else 0


def _sentences(reading: Reading, ref: _Ref, region: Region | None, image: ImageRef) -> Iterator[Row]:
    bbox = region.bbox if region and region.image_id == ref.image_id else None
    meta = [Pair("ann_id", str(ref.ann_id))]
    for sentence in ref.sentences:
        if isinstance(sentence, Broken):
            yield malformed(reading, f"{ref.ref_id}-{sentence.index}", sentence.why)
            continue
        yield Expression(
            source=reading.source,
            split=reading.split,
            id=f"{ref.ref_id}-{sentence.sent_id}",
            image=image,
            phrase=sentence.raw if reading.options["text"] == "raw" else sentence.sent,
            bbox=bbox,
            meta=meta,
        )
