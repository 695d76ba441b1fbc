"""What Flickr30k Entities writes of one picture: sentences with phrases marked in them, and boxes as XML.

A sentence marks its phrases: ``[/EN#198/clothing a blue hard hat] in [/EN#0/notvisual it] .``: the number of a chain of
mentions of one thing, one or more types, words. Chain 0 is what cannot be seen. An annotation gives chains boxes,
(xmin, ymin, xmax, ymax) in 1-based pixels, last ones included; a box may be that of several chains, a chain may have
many boxes, and a scene or a thing without a box is only named. Source: github.com/BryanPlummer/flickr30k_entities.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from schemas.box import XYXY, Size
from schemas.errors import RecordError
from schemas.text import MAX_CHARS, tidy

SENTENCES = 5  # of every picture

# Nothing here can be matched in two ways, so that no part gives back what it took. Groups may, for of those that do not
# Python before 3.11.5 cannot always tell the end.
_MARK = r"\[/EN#(0|[1-9][0-9]{0,18}+)(?:/%s++)+ ([^ \[\]\n][^\[\]\n]*+)(?<! )\]"
_PHRASE = re.compile(_MARK % r"[^ /\[\]]")  # white space is tidied
_SURE = re.compile(_MARK % r"[!-.0-Z\\^-~]")  # a mark in which there is nothing to tidy but perhaps its words
_LEFT_OUT = "left out"


def _element(name: str, *within: str) -> str:
    return rf"<{name}>{''.join(within)}</{name}>\s*+"


# The one layout there is, tag by tag. Nothing else of XML is read: no declarations, entities, comments or attributes.
_BLANK = r"\s*+"
_SIDE = "([1-9][0-9]{0,6}+)"
_FILE = _element("filename", "([^<>&]*+)")
_SIZE = _element("size", _BLANK, _element("width", _SIDE), _element("height", _SIDE), _element("depth", "[0-9]"))
_CORNERS = (_element(name, "(-?[0-9]{1,7}+)") for name in ("xmin", "ymin", "xmax", "ymax"))
_CHAIN = "[1-9][0-9]{0,18}+"
_CHAINS = f"{_element('name', f'({_CHAIN})')}((?:{_element('name', _CHAIN)})*)"
_BOXED = _element("bndbox", _BLANK, *_CORNERS)
_NAMED = _element("scene", "[01]") + _element("nobndbox", "[01]")
_BEGIN = re.compile(f"{_BLANK}<annotation>{_BLANK}{_FILE}{_SIZE}", re.ASCII)
_OBJECT = re.compile(_element("object", _BLANK, _CHAINS, f"(?:{_BOXED}|{_NAMED})"), re.ASCII)
_END = re.compile(r"</annotation>\s*+", re.ASCII)
_NUMBER = re.compile("[0-9]+")

# Chains as often as objects name them, and in four more columns the corners that each has there, None where none.
Named = Sequence[Sequence[str | None]]
Boxes = dict[str, list[XYXY]]  # by chain; none of a chain that is only named


class Mention(NamedTuple):
    """A marked phrase of a sentence and the chain it belongs to."""

    text: str
    chain: str


def annotation(data: bytes, file_name: str) -> tuple[Size, Named]:
    """The picture's size and what its objects name; RecordError where the file is not quite of the published layout."""
    text = data.decode("latin-1")  # all that may stand in it is ASCII
    begin = _BEGIN.match(text)
    if begin is None or begin[1] != file_name:
        raise RecordError(f"malformed annotation: {text[:60]!r} does not begin that of {file_name}")
    # Text before an object and its groups (chain, more chains, corners), again and again, and the text after the last.
    parts = _OBJECT.split(text[begin.end() :])
    if any(parts[:-1:7]) or not _END.fullmatch(parts[-1]):
        raise RecordError(f"malformed annotation: {(''.join(parts[:-1:7]) or parts[-1])[:60]!r} in {file_name}")
    return Size(int(begin[2]), int(begin[3])), _named(parts)


def _named(parts: list[str]) -> Named:
    found, more = [parts[place::7] for place in (1, 3, 4, 5, 6)], parts[2::7]
    if any(more):
        corners = zip(*found[1:], strict=True)
        chains = ((one, *_NUMBER.findall(others)) for one, others in zip(found[0], more, strict=True))
        return [*zip(*((chain, *box) for all, box in zip(chains, corners, strict=True) for chain in all), strict=True)]
    return found


def boxes_of(named: Named) -> Boxes:
    """The boxes that each chain has, in their order."""
    boxes: Boxes = {"0": []}
    for chain, *corners in zip(*named, strict=True):
        found = boxes.setdefault(str(chain), [])
        if None not in corners:
            x1, y1, x2, y2 = (int(side or 0) for side in corners)
            found.append((x1, y1, x2, y2))
    return boxes


def lines(data: bytes) -> list[str]:
    """The five sentences of a picture's file, with their marks; RecordError where there are not five."""
    try:
        found = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise RecordError(f"malformed sentences: no UTF-8: {error}") from error
    if len(found) != SENTENCES or not all(map(str.strip, found)):
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


def taken_apart(said: Sequence[str]) -> tuple[list[str], set[int]]:
    """The lines together as ``parts`` takes each apart, a line feed between two, but for tidying what is between marks.

    And the places of lines left out, for it is not to be seen at once how they come apart.
    """
    text = "\n".join(said)
    found = _whole(text)
    if found:
        return found, set()
    left_out = {place for place, line in enumerate(said) if not _whole(line)}
    kept = [_LEFT_OUT if place in left_out else line for place, line in enumerate(said)]
    return _SURE.split("\n".join(kept)), left_out


def _whole(text: str) -> list[str]:
    """The text in parts, empty where it holds brackets that mark no phrase, or is long."""
    found = _SURE.split(text)
    brackets = text.count("["), text.count("]")
    return found if len(text) <= MAX_CHARS and brackets == (len(found) // 3, len(found) // 3) else []


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
