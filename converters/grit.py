"""GRIT-20M: 20 million web pictures whose captions have phrases tied to boxes, told from COYO by a model.

Reads one of
  links      grit-20m/coyo_0_snappy.parquet and so on, as published (huggingface.co/datasets/zzliang/GRIT)
  jsonl      grit_coyo.jsonl, the older single file (github.com/microsoft/unilm, kosmos-2)
  img2dataset, files    what a download of these left, if it kept id, noun_chunks and ref_exps
converters/_spans.py tells how phrases are marked. ``noun_chunks`` are short and seldom meet, ``ref_exps`` are the same
things told so as to find them, and nest. It gives
  refer, identify   an expression to its box, and a box to its expression
  grounding         the caption, its phrases followed by all their boxes
Rules and their defaults, of which no published recipe tells: ``min_score`` none, as the authors have cut at 0.65;
``max_per_picture`` none, as mixtures weigh tasks; ``tasks_per_picture`` all, as the picture is stored once anyway (with
``one``, a hash of its id draws which of the three tasks it serves); ``spans`` noun_chunks, as of nested ones most would
go; ``padded`` reject (see converters/_padding.py). A phrase with several boxes is left out of refer and identify, whose
answer is one thing; so is one said twice. In grounding the best phrases that do not meet stand (score, length, place),
the others stay plain text and are counted; a phrase has the score of its weakest box, as some of its boxes would be
half an answer. One bad entry makes the caption a reject: its offsets are not those of this text.
Quirks: offsets are floats, of code points in the untouched caption; ``key``, ``width`` and ``height`` are of the
authors' own download; boxes may overhang a little (clipped up to 1 %). Peng et al., Kosmos-2, 2023.
"""

from collections.abc import Sequence

from converters._grit import SCORES, Expression, GritEntry, Grounded, expressions, grounded, marked
from converters._padding import Frame, frame
from converters._spans import Marked, apart, low, pieces, sound
from converters._table import LinkList, Real, Source, Variant, Whole, record_of
from converters._web import download_forms, insist_loaded, link_form
from schemas.box import Box, encode
from schemas.dialect import Boxes, Phrase
from schemas.errors import Filtered
from schemas.prompt import Wording, draw
from schemas.record import Pair, Record, Task

_TASKS: tuple[Task, ...] = ("refer", "identify", "grounding")


def refer(row: Expression, wording: Wording) -> Record:
    """Expression to box."""
    phrase, box, meta = _one(row, wording, "refer")
    slot, tokens = Pair("phrase", phrase.text), Boxes((encode(box, wording.codec),))
    return record_of(row, "refer", slots=[slot], reply=[tokens], boxes=[box], wording=wording, meta=meta)


def identify(row: Expression, wording: Wording) -> Record:
    """Box to expression: the same pair reversed."""
    phrase, box, meta = _one(row, wording, "identify")
    slot = Pair("box", "0")
    return record_of(row, "identify", slots=[slot], reply=[phrase.text], boxes=[box], wording=wording, meta=meta)


def grounding(row: Grounded, wording: Wording) -> Record:
    """A description is asked for, the answer is the caption with its phrases grounded."""
    _insist_served(row, wording, "grounding")
    found, least = [sound(one) for one in marked(row, row.rules.spans)], row.rules.min_score
    strong = [one for one in found if not low(one, least)]
    if not strong:
        raise Filtered(low(found[0], least) if found else f"no phrases: {row.image.id} has no {row.rules.spans}")
    chosen, around = apart(strong), _frame(row)
    spans: list[str | Phrase] = []
    boxes: list[Box] = []
    for piece in pieces(row.caption, chosen):
        if isinstance(piece, str):
            spans.append(piece)
            continue
        placed = _placed(piece, around)
        spans.append(Phrase(piece.text, tuple([encode(box, wording.codec) for box in placed])))
        boxes += placed
    plain = _notes(low_phrases=len(found) - len(strong), overlapping_phrases=len(strong) - len(chosen))
    meta = [*_changed(chosen), *plain]
    return record_of(row, "grounding", slots=[], reply=spans, boxes=boxes, wording=wording, meta=meta)


def _one(row: Expression, wording: Wording, task: Task) -> tuple[Marked, Box, list[Pair]]:
    _insist_served(row, wording, task)
    phrase = sound(row.phrase)
    if row.rule:
        raise Filtered(row.rule)
    (box,) = _placed(phrase, _frame(row))
    return phrase, box, [Pair("score", f"{phrase.score:.6g}"), *_changed([phrase])]


def _insist_served(row: Grounded, wording: Wording, task: Task) -> None:
    insist_loaded(row.entry)
    if row.rules.one_task and (drawn := _TASKS[draw(wording.seed, row.image.id, 0, "task") % len(_TASKS)]) != task:
        raise Filtered(f"another task's picture: {row.image.id} serves {drawn}")


def _frame(row: Grounded) -> Frame | None:
    return frame(row.entry, row.rules.border)


def _placed(phrase: Marked, around: Frame | None) -> list[Box]:
    return [around.around(box) for box in phrase.boxes] if around else list(phrase.boxes)


def _changed(phrases: Sequence[Marked]) -> list[Pair]:
    clipped = sum([one.clipped for one in phrases])
    return _notes(clipped_boxes=clipped, duplicate_boxes=sum([one.entries - len(one.boxes) for one in phrases]))


def _notes(**counts: int) -> list[Pair]:
    return [Pair(name, str(count)) for name, count in counts.items() if count]


_SPLITS = {"train": "train"}
_KEPT = ("id", *SCORES, "noun_chunks", "ref_exps")
_LINKS = ("coyo_#_snappy.parquet",), LinkList("parquet", "url", "caption", keep=_KEPT)
_LINES = ("grit_coyo.jsonl",), LinkList("jsonl", "url", "caption", keep=_KEPT)

CONVERTERS = (
    Source(
        name="grit",
        title="GRIT-20M, web captions grounded by a model",
        collection=None,
        splits={"train": "train"},
        forms=(
            link_form("links", _LINKS[0], _SPLITS, _LINKS[1], GritEntry, grounded),
            link_form("jsonl", _LINES[0], _SPLITS, _LINES[1], GritEntry, grounded),
            *download_forms(("train",), GritEntry, grounded),
        ),
        variants=(
            Variant("refer", "an expression", refer, boxed=False, candidates=expressions),
            Variant("identify", "an expression", identify, boxed=False, candidates=expressions),
            Variant("grounding", "a picture", grounding, boxed=False),
        ),
        unit="pictures",
        counted=("grounding",),
        licence="MS-PL (annotations); of the pictures each owner's",
        citation="Peng et al. 2023, arXiv:2306.14824",
        homepage="https://huggingface.co/datasets/zzliang/GRIT",
        places=("", "grit-20m"),
        preferred=("img2dataset", "files", "links", "jsonl"),
        options={
            "spans": ("noun_chunks", "ref_exps"),
            "min_score": Real(None),
            "max_per_picture": Whole(None),
            "tasks_per_picture": ("all", "one"),
            "padded": ("reject", "border"),
        },
        notes="spans is what grounding marks; max_per_picture is for each task; padded=border says that img2dataset "
        "padded pictures to squares, which are rejected else",
    ),
)
