"""VSR and Hateful Memes, asked as MiniGPT-v2's paper asks when it evaluates: one wording each, so that scores compare.

Reads
  vsr            zeroshot/<split>.jsonl or random/<split>.jsonl (github.com/cambridgeltl/visual-spatial-reasoning)
  hateful_memes  <split>.jsonl (hatefulmemeschallenge.com)
Each line gives one ``vqa`` record: a statement about a COCO picture, true (1) or false (0), or the text on a meme,
hateful (1) or not (0). Quirks: VSR's pictures are named as in COCO 2017 and lie in train and in val, its keys differ
from file to file, its votes are text that holds lists (not read here); a meme's id has lost the zeros that its
picture's name has kept, so the name counts; the first phase's test.jsonl has no labels, the second's files have them.
Liu et al., Visual Spatial Reasoning, 2023; Kiela et al., The Hateful Memes Challenge, 2020.
"""

from collections.abc import Iterator

import msgspec

from converters._coco import image_id, number_of
from converters._read import lines, read
from converters._table import Form, Pictured, Reading, Row, Source, Variant, each, record_of
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Pair, Record, counted, image_ref
from schemas.text import tidy


class _Statement(msgspec.Struct, frozen=True):
    image: str
    caption: str
    label: int
    relation: str


class _Meme(msgspec.Struct, frozen=True):
    img: str
    text: str
    label: int | None = None


class Labelled(Pictured, frozen=True, kw_only=True):
    """A text about or on a picture, and the answer to what is asked of it: 1 or 0, None where none was published."""

    text: str
    label: int | None
    relation: str = ""


def statements(reading: Reading) -> Iterator[Row]:
    """One row per statement; lines have no id, so their place is it."""
    (path,) = reading.files
    return each(reading, lines(read(path), _Statement), _statement)


def _statement(reading: Reading, place: int, line: _Statement) -> Row:
    return Labelled(
        source=reading.source,
        split=reading.split,
        id=str(place),
        image=image_ref(image_id(number_of(line.image)), None),
        text=line.caption,
        label=line.label,
        relation=line.relation,
    )


def memes(reading: Reading) -> Iterator[Row]:
    """One row per meme; the number in its picture's name is its id."""
    (path,) = reading.files
    return each(reading, lines(read(path), _Meme), _meme)


def _meme(reading: Reading, place: int, line: _Meme) -> Row:
    digits = line.img.rpartition("/")[2].removesuffix(".png")
    if not (digits.isascii() and digits.isdigit()):
        raise RecordError(f"no picture of a meme: {line.img!r}, wanted img/<digits>.png")
    id = digits.lstrip("0") or "0"
    image = image_ref(f"hateful_memes/{id}", None)
    return Labelled(source=reading.source, split=reading.split, id=id, image=image, text=line.text, label=line.label)


def judge(row: Labelled, wording: Wording) -> Record:
    """A statement, and whether it is true."""
    return _asked(row, "statement", ("false", "true"), [Pair("relation", row.relation)], "vsr_eval", wording)


def rate(row: Labelled, wording: Wording) -> Record:
    """The text on a meme, and whether the meme is hateful."""
    return _asked(row, "text", ("no", "yes"), [], "hateful_memes_eval", wording)


def _asked(row: Labelled, slot: str, answers: tuple[str, str], meta: list[Pair], pool: str, wording: Wording) -> Record:
    if row.label is None:
        raise RecordError(f"no label: {row.source} {row.split} {row.id} has none")
    if row.label not in (0, 1):
        raise RecordError(f"no such label: {row.label}, wanted 0 or 1")
    slots = [Pair(slot, tidy(row.text, slot))]
    meta = [*meta, Pair("label", str(row.label))]
    return record_of(
        row, "vqa", slots=slots, reply=counted([answers[row.label]]), boxes=[], wording=wording, meta=meta, pool=pool
    )


_VSR = {"train": "train", "dev": "dev", "test": "test"}
_MEMES = {"train": 8_500, "dev": 500, "dev_seen": 500, "dev_unseen": 540, "test_seen": 1_000, "test_unseen": 2_000}

CONVERTERS = (
    Source(
        name="vsr",
        title="Visual Spatial Reasoning",
        collection="coco",
        splits=dict.fromkeys(_VSR, "eval"),
        forms=tuple(
            Form(name, (f"{name}/{{split}}.jsonl",), _VSR, statements, counts=dict(zip(_VSR, counts, strict=True)))
            for name, counts in (("zeroshot", (3_489, 340, 1_222)), ("random", (7_680, 1_097, 2_195)))
        ),
        variants=(Variant("vqa", candidate="a statement", record=judge, boxed=False),),
        unit="statements",
        counted=("vqa",),
        licence="Apache-2.0 (annotations); Flickr terms (pictures)",
        citation="Liu et al. 2023, arXiv:2205.00363",
        homepage="https://github.com/cambridgeltl/visual-spatial-reasoning",
        places=("", "data/splits"),
        preferred=("zeroshot",),
        notes="MiniGPT-v2 is evaluated on test of the zero-shot splits, which share no concept",
    ),
    Source(
        name="hateful_memes",
        title="Hateful Memes",
        collection="hateful_memes",
        splits=dict.fromkeys(_MEMES, "eval"),
        forms=(Form("published", ("{split}.jsonl",), {split: split for split in _MEMES}, memes, counts=_MEMES),),
        variants=(Variant("vqa", candidate="a meme", record=rate, boxed=False),),
        unit="memes",
        counted=("vqa",),
        licence="Hateful Memes licence: research only, no redistribution",
        citation="Kiela et al. 2020, arXiv:2005.04790",
        homepage="https://hatefulmemeschallenge.com",
        closed=("test",),
        notes="dev is the first phase's; the second's dev_seen holds the same memes",
    ),
)
