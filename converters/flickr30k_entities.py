"""Flickr30k Entities: five sentences per picture, their phrases tied to boxes.

Reads one of
  folders   Annotations/<id>.xml and Sentences/<id>.txt
  zip       annotations.zip, which holds these two, as published; read in place
with <split>.txt, a picture id per line, and UNRELATED_CAPTIONS, sentences that were written for another picture, all
from github.com/BryanPlummer/flickr30k_entities; converters/_entities.py tells how they look. Boxes are (xmin, ymin,
xmax, ymax) in 1-based pixels, last ones included. Of sentences that have ``min_phrases`` phrases with boxes or more
(MiniGPT-v2's authors took five) it gives
  grounding   the sentence, each of these phrases followed by all its boxes, left to right
  detection   the sentence, answered with these phrases and boxes; or one phrase (flickr30k_phrase) with its boxes
Quirks: a box may belong to several chains of mentions, a chain have many boxes and one of them twice; chain ids occur
again in other pictures; phrases without a box (scenes, what cannot be seen) stay plain text; sentences are tokenised.
Plummer et al., Flickr30k Entities, 2015.
"""

from collections.abc import Iterator, Sequence

from converters._block import Told
from converters._entities import Mention, plain
from converters._flickr30k import LICENCE, PLACES, SPLITS, Sentence, insist_usable
from converters._flickr30k_blocks import COUNTS, entities_forms
from converters._table import Pictured, Source, Variant, Whole, record_of
from schemas.box import XYXY, Box, Size, encode, from_inclusive, overhang
from schemas.dialect import Phrase
from schemas.errors import Filtered, RecordError
from schemas.prompt import Wording
from schemas.record import ImageRef, Pair, Record

_Grounded = tuple[list[str | Phrase], list[Box], list[Pair]]


class Mentioned(Pictured, frozen=True, kw_only=True):
    """One marked phrase of a sentence."""

    sentence: Sentence
    mention: Mention


def mentions(row: Sentence) -> Iterator[Mentioned]:
    """The sentence's marked phrases, numbered from 0, with boxes or without."""
    for number, one in enumerate(piece for piece in row.pieces if isinstance(piece, Mention)):
        id = f"{row.id}-{number}"
        yield Mentioned(source=row.source, split=row.split, id=id, image=row.image, sentence=row, mention=one)


def grounding(row: Sentence, wording: Wording) -> Record:
    """A description is asked for, the answer is the sentence with its phrases grounded."""
    spans, boxes, notes = _grounded(row, row.pieces, wording)
    return record_of(row, "grounding", slots=[], reply=spans, boxes=boxes, wording=wording, meta=notes)


def parsing(row: Sentence, wording: Wording) -> Record:
    """Sentence to its phrases and their boxes, in the order of the sentence."""
    spans, boxes, notes = _grounded(row, row.pieces, wording)
    phrases = [span for span in spans if isinstance(span, Phrase)]
    return record_of(
        row,
        "detection",
        slots=[Pair("caption", plain(row.pieces))],
        reply=[one for phrase in phrases for one in (" ", phrase)][1:],
        boxes=boxes,
        wording=wording,
        meta=notes,
        pool="detection_caption",
    )


def phrase(row: Mentioned, wording: Wording) -> Record:
    """Phrase to all its boxes."""
    spans, boxes, notes = _grounded(row.sentence, [row.mention], wording)
    if not boxes:
        raise Filtered("phrase without boxes: a scene, or nothing that can be seen")
    return record_of(
        row,
        "detection",
        slots=[Pair("phrase", row.mention.text)],
        reply=spans,
        boxes=boxes,
        wording=wording,
        meta=[Pair("chain", row.mention.chain), *notes],
        pool="detection_phrase",
    )


def _grounded(row: Sentence, wanted: Sequence[str | Mention], wording: Wording) -> _Grounded:
    _insist_asked_for(row, wanted)
    spans: list[str | Phrase] = []
    boxes: list[Box] = []
    notes: list[Pair] = []
    for piece in wanted:
        if isinstance(piece, str) or not row.boxes[piece.chain]:
            spans.append(piece if isinstance(piece, str) else piece.text)
            continue
        found = [_placed(xyxy, row.image) for xyxy in sorted(set(row.boxes[piece.chain]))]
        spans.append(Phrase(piece.text, tuple(encode(box, wording.codec) for box, _ in found)))
        boxes += [box for box, _ in found]
        notes += [note for _, noted in found for note in noted]
    return spans, boxes, notes


def _placed(xyxy: XYXY, image: ImageRef) -> tuple[Box, list[Pair]]:
    size = Size(image.width or 0, image.height or 0)
    x1, y1, x2, y2 = xyxy
    beyond = overhang((x1 - 1, y1 - 1, x2, y2), size)
    return from_inclusive(xyxy, size), [Pair("clipped_px", f"{beyond:.2f}")] if beyond else []


def _insist_asked_for(row: Sentence, wanted: Sequence[str | Mention]) -> None:
    insist_usable(row)
    for piece in wanted:
        if isinstance(piece, Mention) and piece.chain not in row.boxes:
            raise RecordError(f"no such chain: {piece.chain} of {piece.text!r} is not in the picture's annotation")
    boxed = sum(isinstance(piece, Mention) and bool(row.boxes.get(piece.chain)) for piece in row.pieces)
    if boxed < row.fewest:
        raise Filtered(f"too few boxed phrases: {boxed} in {row.id}, min_phrases is {row.fewest}")


def _source(name: str, title: str, unit: str, variant: Variant) -> Source:
    return Source(
        name=name,
        title=f"Flickr30k Entities, {title}",
        collection="flickr30k",
        splits=SPLITS,
        forms=entities_forms(COUNTS[unit]),
        variants=(variant,),
        unit=unit,
        counted=(variant.name,),
        licence=LICENCE,
        citation="Plummer et al. 2015, arXiv:1505.04870",
        homepage="https://github.com/BryanPlummer/flickr30k_entities",
        places=PLACES,
        preferred=("folders",),
        options={"min_phrases": Whole(5)},
        notes="min_phrases is how many phrases of a sentence have to have boxes",
    )


_GROUNDING = Variant("grounding", "a sentence", Told(grounding, "grounding", slot=None, reply="grounded"), boxed=True)
_PARSING = Variant("detection", "a sentence", parsing, boxed=True)
_PHRASE = Variant("detection", "a phrase", phrase, boxed=True, candidates=mentions)

CONVERTERS = (
    _source("flickr30k_grounded", "grounded captions", "sentences", _GROUNDING),
    _source(
        "flickr30k_parsing", "a caption's phrases", "sentences", Variant("detection", "a sentence", parsing, boxed=True)
    ),
    _source("flickr30k_phrase", "single phrases", "phrases", _PHRASE),
)
