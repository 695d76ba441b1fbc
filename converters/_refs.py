"""Referring expressions as REFER publishes them, a pickle of refs and the instances beside it, known by ``ann_id``.

See converters/refcoco.py for fields and quirks.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated as Meant
from typing import Any

import msgspec

from converters._annotated import UNPLACED, Annotated, annotated
from converters._block import Block
from converters._coco import picture_json, picture_ref
from converters._expressions import Expression
from converters._pickle import unpickle
from converters._read import RUN, Broken, collector_resting, objects
from converters._table import Reading, Row, malformed
from schemas.errors import SourceError
from schemas.record import Pair

MOST_SENTENCES = 2_000_000  # RefCOCO has 142,210; a pickle can say one list over and over for a few bytes each time
_MANY = 16  # sentences of one ref; people wrote ten at most
_REFS = RUN // 3  # in a block, as many sentences as belong together
_SPLITS = ("train", "val", "testA", "testB", "test")
_META = msgspec.json.encode([Pair("ann_id", "|")]).decode().split("|")

# A pickle may hold integers of any length, and Python refuses to print those of thousands of digits.
_Id = Meant[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


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


class _Sound(_Ref, frozen=True, gc=False):
    sentences: list[_Sentence]


def refs_blocks(reading: Reading) -> Iterator[Block | Row]:
    """One row per sentence of the split, from the refs pickle and the instances beside it."""
    path, instances = reading.files
    with collector_resting():  # the pickle's many dicts are gone before it goes on
        refs = [ref for ref in _typed(_listed(path)) if _wanted(ref, reading.split)]
    known = annotated(instances)
    run: list[_Sound] = []
    for ref in refs:
        if isinstance(ref, _Sound) and ref.split == reading.split and len(ref.sentences) < _MANY:
            run.append(ref)
        else:
            yield _block(reading, run, known)
            yield from _alone(reading, ref, known)
            run = []
        if len(run) == _REFS:
            yield _block(reading, run, known)
            run = []
    yield _block(reading, run, known)


def _typed(listed: list[Any]) -> Iterator[_Ref | Broken]:
    for place, ref in enumerate(objects(listed, _Sound)):
        yield _unsound(place, listed[place]) if isinstance(ref, Broken) else ref


def _unsound(place: int, item: Any) -> _Ref | Broken:
    (ref,) = objects([item], _Ref)
    if isinstance(ref, Broken):
        return Broken(place, ref.why, ref.item)
    return msgspec.structs.replace(ref, sentences=list(objects(ref.sentences, _Sentence)))


def _block(reading: Reading, run: Sequence[_Sound], known: Annotated) -> Block:
    of = [place for place, ref in enumerate(run) for _ in ref.sentences]
    said = [sentence for ref in run for sentence in ref.sentences]
    images = {number: picture_json(number, known.pictures) for number in {ref.image_id for ref in run}}
    boxes = [known.bbox(ref.ann_id, ref.image_id) or UNPLACED for ref in run]
    sizes = [known.size(ref.image_id) for ref in run]
    meta = [str(ref.ann_id).join(_META) for ref in run]
    return Block(
        ids=[f"{run[place].ref_id}-{sentence.sent_id}" for place, sentence in zip(of, said, strict=True)],
        images=[images[run[place].image_id] for place in of],
        texts=[_phrase(reading, sentence) for sentence in said],
        row=lambda place: _expression(reading, run[of[place]], said[place], known),
        xywh=[[boxes[place][side] for place in of] for side in range(4)],
        sizes=[[sizes[place][side] for place in of] for side in range(2)],
        meta=[meta[place] for place in of],
    )


def _listed(path: str) -> list[Any]:
    listed = unpickle(path)
    if not isinstance(listed, list):
        raise SourceError(f"{path}: a pickle of {type(listed).__name__}, wanted the list of refs")
    if len(listed) > MOST_SENTENCES or sum(map(_sentence_count, listed)) > MOST_SENTENCES:
        raise SourceError(f"{path}: over {MOST_SENTENCES:,} sentences: no refs file is so large")
    return listed


def _wanted(ref: _Ref | Broken, split: str) -> bool:
    return isinstance(ref, Broken) or ref.split == split or ref.split not in _SPLITS


def _broken(reading: Reading, ref: Broken) -> Iterator[Row]:
    split = ref.item.get("split") if isinstance(ref.item, dict) else None
    if split == reading.split or split not in _SPLITS:
        for place in range(max(1, _sentence_count(ref.item))):
            yield malformed(reading, f"{ref.index}-{place}", ref.why)


def _sentence_count(ref: Any) -> int:
    sentences = ref.get("sentences") if isinstance(ref, dict) else None
    return len(sentences) if isinstance(sentences, list) else 0


def _alone(reading: Reading, ref: _Ref | Broken, known: Annotated) -> Iterator[Row]:
    if isinstance(ref, Broken):
        yield from _broken(reading, ref)
    elif ref.split != reading.split:
        yield malformed(reading, ref.ref_id, f"no such split: {ref.split!r}")
    else:
        for sentence in ref.sentences:
            if isinstance(sentence, Broken):
                yield malformed(reading, f"{ref.ref_id}-{sentence.index}", sentence.why)
            else:
                yield _expression(reading, ref, sentence, known)


def _expression(reading: Reading, ref: _Ref, sentence: _Sentence, known: Annotated) -> Expression:
    return Expression(
        source=reading.source,
        split=reading.split,
        id=f"{ref.ref_id}-{sentence.sent_id}",
        image=picture_ref(ref.image_id, known.pictures),
        phrase=_phrase(reading, sentence),
        bbox=known.bbox(ref.ann_id, ref.image_id),
        meta=_meta(ref),
    )


def _phrase(reading: Reading, sentence: _Sentence) -> str:
    return sentence.raw if reading.options["text"] == "raw" else sentence.sent


def _meta(ref: _Ref) -> list[Pair]:
    return [Pair("ann_id", str(ref.ann_id))]
