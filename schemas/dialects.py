"""Dialects: how other models write boxes in text; a row of a table each.

A box is cut to a grid of whole numbers along each axis of its frame, the whole picture or the picture centred on a
square, and written down. What is not said of a dialect elsewhere is known from these:

    shikra      github.com/shikras/shikra: three decimals of the padded square, offset (longer - shorter) // 2
    kosmos-2    huggingface.co/microsoft/kosmos-2-patch14-224, its processor: upper left down, lower right up to a cell
    qwen-vl     github.com/QwenLM/Qwen-VL: its evaluation divides by 999, so 0 and 999 are the picture's edges
    llava-1.5   github.com/haotian-liu/LLaVA issue 606: two decimals of the padded square

MiniGPT-v2's own syntax is ``schemas/dialect.py``'s: records are written in it.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from math import ceil, floor
from typing import Literal

from schemas.box import Bins, Box, Size
from schemas.errors import ConfigError, unknown

_LLAMA = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<unk>", "<image>")
_PATCHES = ("<im_start>", "<im_end>", "<im_patch>")


@dataclass(frozen=True)
class Dialect:
    """A row of the table.

    ``last`` is the largest number of the grid, whose smallest is 0. ``rounding``: ``nearest`` takes the nearest line of
    ``last`` equal steps, ties to even in decimal; ``cell`` takes cells instead of lines, the one that holds the upper
    left corner and the one that holds the lower right one. ``padded``: the frame is the square, not the picture.

    ``number`` spells a number, ``box`` is what stands around them; ``open``, ``joiner`` and ``close`` stand around the
    boxes of one thing, joiner None where there can only be one. ``phrase`` stands around a phrase that has boxes,
    ``gap`` follows it; ``phrase`` None: nothing marks where a phrase begins. ``prefix`` stands in front of the first
    turn of a record with boxes. ``reserved`` are strings that text must not hold.
    """

    name: str
    last: int
    rounding: Literal["nearest", "cell"]
    padded: bool
    number: Literal["whole", "decimal", "index"]
    box: str
    open: str
    joiner: str | None
    close: str
    phrase: tuple[str, str] | None
    gap: str
    prefix: str
    reserved: tuple[str, ...]

    @property
    def decimals(self) -> int:
        """How many digits follow the point of a decimal."""
        return len(str(self.last)) - 1


OWN = "minigpt-v2"

DIALECTS = {
    row.name: row
    for row in (
        Dialect("shikra", 1000, "nearest", True, "decimal", "{},{},{},{}", "[", ";", "]", None, "", "",
                (*_LLAMA, *_PATCHES, "<boxes>", "<points>", "<expr>", "<objs>", "<question>", "<ph_st>", "<ph_ed>")),
        Dialect("kosmos-2", 32, "cell", False, "index", "<patch_index_{}><patch_index_{}>",
                "<object>", "</delimiter_of_multi_objects/>", "</object>", ("<phrase>", "</phrase>"), "", "<grounding>",
                (*_LLAMA, "</image>", "<grounding>", "<phrase>", "</phrase>", "<object>", "</object>",
                 "</delimiter_of_multi_objects/>", "<patch_index_")),
        Dialect("qwen-vl", 999, "nearest", False, "whole", "<box>({},{}),({},{})</box>",
                "", "", "", ("<ref>", "</ref>"), "", "",
                (*_LLAMA, "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>",
                 "<|im_start|>", "<|im_end|>", "<|endoftext|>")),
        Dialect("llava-1.5", 100, "nearest", True, "decimal", "[{}, {}, {}, {}]", "", None, "", None, " ", "",
                (*_LLAMA, *_PATCHES)),
    )
}  # fmt: skip
NAMES = (OWN, *DIALECTS)


def insist_dialect(name: str) -> None:
    """ConfigError with near names where there is no dialect of that name."""
    if name not in NAMES:
        raise ConfigError(unknown("dialect", name, NAMES))


def gridded(box: Box, size: Size, dialect: Dialect) -> Bins:
    """The box on the dialect's grid: lines, or for ``cell`` the first and last cells; a side is never empty.

    No edge moves by more than half a step of the frame, or by less than a whole one where its side was so short that it
    had to be widened; among cells, by less than one.
    """
    x1, y1, x2, y2 = _to_frame(box, size) if dialect.padded else box
    if dialect.rounding == "cell":
        cells = dialect.last
        return floor(x1 * cells), floor(y1 * cells), ceil(x2 * cells) - 1, ceil(y2 * cells) - 1
    (x1_, x2_), (y1_, y2_) = _lines(x1, x2, dialect.last), _lines(y1, y2, dialect.last)
    return x1_, y1_, x2_, y2_


def ungridded(bins: Bins, size: Size, dialect: Dialect) -> Box:
    """The box that the numbers name, within the picture; BoxError where they name none.

    Cells are told as Kosmos-2's processor tells them: from centre to centre, or of one row or column from edge to edge.
    """
    x1, y1, x2, y2 = bins
    if dialect.rounding == "cell":
        inset = 0.0 if x1 == x2 or y1 == y2 else 0.5
        edges = (x1 + inset, y1 + inset, x2 + 1 - inset, y2 + 1 - inset)
    else:
        edges = (float(x1), float(y1), float(x2), float(y2))
    x1_, y1_, x2_, y2_ = (edge / dialect.last for edge in edges)
    return Box(*_from_frame((x1_, y1_, x2_, y2_), size)) if dialect.padded else Box(x1_, y1_, x2_, y2_)


def spelled(bins: Bins, dialect: Dialect) -> str:
    """The box as it is written."""
    return dialect.box.format(*(_digits(number, dialect) for number in _numbers(bins, dialect)))


def read(numbers: tuple[str, ...], dialect: Dialect) -> Bins:
    """The grid's numbers of the digits that ``spelled`` wrote."""
    found = [int(number.replace(".", "")) for number in numbers]
    if dialect.number == "index":
        (y1, x1), (y2, x2) = (divmod(index, dialect.last) for index in found)
        return x1, y1, x2, y2
    x1, y1, x2, y2 = found
    return x1, y1, x2, y2


def number_pattern(dialect: Dialect) -> str:
    """A regular expression for one of the dialect's numbers, exactly as it is written."""
    if dialect.number == "index":
        return r"0[0-9]{3}|10[01][0-9]|102[0-3]"  # of 32 x 32 cells
    if dialect.number == "decimal":
        return rf"0\.[0-9]{{{dialect.decimals}}}|1\.0{{{dialect.decimals}}}"
    return r"0|[1-9][0-9]{0,2}"


def _numbers(bins: Bins, dialect: Dialect) -> tuple[int, ...]:
    x1, y1, x2, y2 = bins
    return (y1 * dialect.last + x1, y2 * dialect.last + x2) if dialect.number == "index" else bins


def _digits(number: int, dialect: Dialect) -> str:
    if dialect.number == "decimal":
        return f"{number / dialect.last:.{dialect.decimals}f}"
    return f"{number:04d}" if dialect.number == "index" else str(number)


def _lines(low: float, high: float, last: int) -> tuple[int, int]:
    first, second = _nearest(low, last), _nearest(high, last)
    if first < second:
        return first, second
    # Widen towards where the side really lies, so that the step still covers as much of it as one step can.
    lower = first == last or (first > 0 and (low + high) / 2 * last < first)
    return (first - 1, first) if lower else (first, first + 1)


def _nearest(value: float, last: int) -> int:
    # Of the double's exact value, as formatting to so many decimals rounds it: the product may fall on a tie by chance.
    return int((Decimal(value) * last).to_integral_value(ROUND_HALF_EVEN))


def _to_frame(box: Box, size: Size) -> tuple[float, float, float, float]:
    (width, height), longer = size, max(size)
    left, top = (longer - width) // 2, (longer - height) // 2
    x1, x2 = ((x * width + left) / longer for x in (box.x1, box.x2))
    y1, y2 = ((y * height + top) / longer for y in (box.y1, box.y2))
    return x1, y1, x2, y2


def _from_frame(edges: tuple[float, float, float, float], size: Size) -> tuple[float, ...]:
    (width, height), longer = size, max(size)
    left, top = (longer - width) // 2, (longer - height) // 2
    sides = ((left, width), (top, height)) * 2
    return tuple(
        min(max((edge * longer - start) / side, 0.0), 1.0) for edge, (start, side) in zip(edges, sides, strict=True)
    )
