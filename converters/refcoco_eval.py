"""RefCOCO, RefCOCO+ and RefCOCOg, asked as MiniGPT-v2's paper asks when it evaluates: one wording for every phrase.

Reads the files of converters/refcoco.py, held-out splits only. Each sentence gives one ``refer`` record, whose meta
keeps what scores are computed from: the box as its file states it, in 0-based pixels (x, y, width, height), and the
picture's width and height in pixels.
Chen et al., MiniGPT-v2, 2023, arXiv:2310.09478, appendix A.1.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import msgspec

from converters._expressions import Expression
from converters._table import Source, Variant
from converters.refcoco import CONVERTERS as TRAINED
from converters.refcoco import refer
from schemas.prompt import Wording
from schemas.record import Pair, Record, reworded

T = TypeVar("T")


def refer_eval(row: Expression, wording: Wording) -> Record:
    """Phrase to box in the paper's words; BoxError where the box is not there or outside the picture."""
    record = refer(row, wording)
    stated = [
        Pair("bbox", ",".join(map(repr, row.bbox or ()))),
        Pair("width", str(row.image.width)),
        Pair("height", str(row.image.height)),
    ]
    drawn = msgspec.structs.replace(record.draw, pool="refer_eval")
    return reworded(msgspec.structs.replace(record, draw=drawn, meta=[*record.meta, *stated]), wording, epoch=0)


def _held_out(by_split: Mapping[str, T]) -> dict[str, T]:
    return {split: value for split, value in by_split.items() if split != "train"}


def _evaluating(source: Source) -> Source:
    return replace(
        source,
        name=f"{source.name}_eval",
        title=f"{source.title}, evaluation",
        splits=_held_out(source.splits),
        forms=tuple(
            replace(form, splits=_held_out(form.splits), counts=_held_out(form.counts)) for form in source.forms
        ),
        variants=(Variant("refer", candidate="a sentence", record=refer_eval, boxed=True),),
        counted=("refer",),
        notes=f"the held-out splits of {source.name} in the paper's one wording; {source.notes}",
    )


CONVERTERS = tuple(map(_evaluating, TRAINED))
