"""What Flickr30k Entities writes of one picture: sentences with phrases marked in them, and boxes as XML.

A sentence marks its phrases: ``[/EN#198/clothing a blue hard hat] in [/EN#0/notvisual it] .``: the number of a chain of
mentions of one thing, one or more types, words. Chain 0 is what cannot be seen. An annotation gives chains boxes,
(xmin, ymin, xmax, ymax) in 1-based pixels, last ones included; a box may be that of several chains, a chain may have
many boxes, and a scene or a thing without a box is only named. Source: github.com/BryanPlummer/flickr30k_entities.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.box import XYXY, Size
from schemas.errors import RecordError
from schemas.text import all_tidy, tidy

SENTENCES = 5  # of every picture

_PHRASE = re.compile(r"\[/EN#(0|[1-9][0-9]{0,18})(?:/[^ /\[\]]+)+ ([^ \[\]][^\[\]]*)(?<! )\]")  # white space is tidied


def _element(name: str, *within: str) -> str:
    return rf"<{name}>{''.join(within)}</{name}>\s*"


# The one layout there is, tag by tag. Nothing else of XML is read: no declarations, entities, comments or attributes.
_BLANK = r"\s*"
_SIDE = "([1-9][0-9]{0,6})"
_FILE = _element("filename", "([^<>&]*)")
_SIZE = _element("size", _BLANK, _element("width", _SIDE), _element("height", _SIDE), _element("depth", "[0-9]"))
_CORNERS = (_element(name, "(-?[0-9]{1,7})") for name in ("xmin", "ymin", "xmax", "ymax"))
_CHAIN = "[1-9][0-9]{0,18}"
_CHAINS = f"{_element('name', f'({_CHAIN})')}((?:{_element('name', _CHAIN)})*)"
_BOXED = _element("bndbox", _BLANK, *_CORNERS)
_NAMED = _element("scene", "[01]") + _element("nobndbox", "[01]")
_BEGIN = re.compile(f"{_BLANK}<annotation>{_BLANK}{_FILE}{_SIZE}", re.ASCII)
_OBJECT = re.compile(_element("object", _BLANK, _CHAINS, f"(?:{_BOXED}|{_NAMED})"), re.ASCII)
_END = re.compile(r"</annotation>\s*", re.ASCII)
_NUMBER = re.compile("[0-9]+")

Boxes = Mapping[str, list[XYXY]]  # by chain; none of a chain that is only named


class Mention(NamedTuple):
    """A marked phrase of a sentence and the chain it belongs to."""

    text: str
    chain: str


def annotation(data: bytes, file_name: str) -> tuple[Size, Boxes]:
    """The picture's size and its chains' boxes; RecordError where the file is not exactly of the published layout."""
    text = data.decode("latin-1")  # all that may stand in it is ASCII
    begin = _BEGIN.match(text)
    if begin is None or begin[1] != file_name:
        raise RecordError(f"malformed annotation: {text[:60]!r} does not begin that of {file_name}")
    # Text before an object and its groups (chain, more chains, corners), again and again, and the text after the last.
    parts = _OBJECT.split(text[begin.end() :])
    if any(parts[:-1:7]) or not _END.fullmatch(parts[-1]):
        raise RecordError(f"malformed annotation: {(''.join(parts[:-1:7]) or parts[-1])[:60]!r} in {file_name}")
    return Size(int(begin[2]), int(begin[3])), _boxes(parts)


def _boxes(parts: list[str]) -> dict[str, list[XYXY]]:
    boxes: dict[str, list[XYXY]] = {"0": []}
    for _, chain, more, x1, y1, x2, y2 in zip(*[iter(parts)] * 7, strict=False):  # what is left over is the last text
        box = (int(x1), int(y1), int(x2), int(y2)) if x1 is not None else None
        for one in (chain, *_NUMBER.findall(more)) if more else (chain,):
            found = boxes.setdefault(one, [])
            if box:
                found.append(box)
    return boxes


def lines(data: bytes) -> list[str]:
    """The five sentences of a picture's file, with their marks; RecordError where there are not five."""
    try:
        found = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise RecordError(f"malformed sentences: no UTF-8: {error}") from error
    if len(found) != SENTENCES or not all(line.strip() for line in found):
        raise RecordError(f"malformed sentences: {len(found)} lines, wanted {SENTENCES}, none of them empty")
    return found


def parts(line: str) -> list[str]:
    """The sentence, tidied, taken apart: text, a phrase's chain and its words, text, and so on, ending with text.

    RecordError where a bracket is out of place.
    """
    found = _PHRASE.split(tidy(line, "sentence"))
    between = "".join(found[::3])
    if "[" in between or "]" in between:
        raise RecordError(f"malformed sentence: a bracket out of place in {line[:200]!r}")
    return found


def taken_apart(said: Sequence[str]) -> list[list[str] | str]:
    """Each of the sentences as ``parts`` takes it apart, or why it cannot be."""
    found: list[list[str] | str] = [_PHRASE.split(line) for line in said]
    # As a rule all of them are tidy and have the brackets of their phrases and no more, which is seen at once.
    phrases, whole = (sum(map(len, found)) - len(found)) // 3, "".join(said)
    if all_tidy(said) and whole.count("[") == whole.count("]") == phrases:
        return found
    return [_parts_or_why(line) for line in said]


def _parts_or_why(line: str) -> list[str] | str:
    try:
        return parts(line)
    except RecordError as error:
        return str(error)


def pieces(line: str) -> list[str | Mention]:
    """The sentence as its phrases and what stands between them, tidied; RecordError where a bracket is out of place."""
    return pieces_of(parts(line))


def pieces_of(apart: list[str]) -> list[str | Mention]:
    """The sentence that ``parts`` took apart, as its phrases and what stands between them."""
    found: list[str | Mention] = []
    for text, chain, words in zip(*[iter(apart)] * 3, strict=False):  # what is left over is the text after the last
        if text:
            found.append(text)
        found.append(Mention(words, chain))
    return [*found, apart[-1]] if apart[-1] else found


def unread(line: str) -> list[Mention]:
    """As many phrases as a sentence that does not come apart into pieces marks, nothing else being known of them."""
    return [Mention("", "0")] * line.count("/EN#")


def plain(found: Sequence[str | Mention]) -> str:
    """The sentence without its marks."""
    return "".join(piece if isinstance(piece, str) else piece.text for piece in found)
