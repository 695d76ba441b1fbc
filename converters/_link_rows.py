"""The rows of a list of links that is text, one at a time: TSV, JSON arrays and lines, parallel arrays, parallel files.

A row is a tuple of its link, its caption, and what is kept; one that cannot be typed has None for all of them.
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import fsspec
import msgspec

from converters._read import Broken, decode, items, read
from converters._split import array_items
from converters._table import LinkList
from schemas.errors import SourceError

Values = tuple[Any, ...]
_MOST_LINE = 2**20  # bytes


def link_rows(links: LinkList, files: Sequence[str]) -> Iterator[Values]:
    """Every row of the files of a list that is text; SourceError where a file as a whole is not as published."""
    return _KINDS[links.kind](links, files)


def _tsv(links: LinkList, files: Sequence[str]) -> Iterator[Values]:
    """Rows of a TSV in which nothing is quoted: a TAB too many is the caption's, as a link has none."""
    parts, link_last = len(links.columns), links.columns[-1] == links.url
    wanted, header = _places(links), "\t".join(links.columns)
    for path in files:
        for number, line in enumerate(_text_lines(path)):
            if number == 0 and line == header:
                continue  # img2dataset wants one, so people put it there; it is no row
            values = (line.rsplit if link_last else line.split)("\t", parts - 1) if line else []
            yield _picked(values, wanted) if len(values) == parts else _nothing(links)


def _texts(links: LinkList, files: Sequence[str]) -> Iterator[Values]:
    """Rows of parallel text files, ``columns`` of which say what each of them holds."""
    wanted = _places(links)
    for number, lines in enumerate(zip_longest(*map(_text_lines, files), fillvalue=_END)):
        if _END in lines:
            ended = files[lines.index(_END)]
            raise SourceError(f"{ended}: ends after {number:,} lines, the one beside it goes on: wanted as many")
        yield _nothing(links) if None in lines else _picked(lines, wanted)


def _picked(values: Sequence[Any], wanted: Sequence[int]) -> Values:
    """What is wanted of a line, its link first; blanks around that go, so that other line ends give the same one."""
    url, *others = (values[place] for place in wanted)
    return (url.strip(), *others)


def _places(links: LinkList) -> list[int]:
    return [links.columns.index(name) for name in (links.url, links.caption, *links.keep)]


def _nothing(links: LinkList) -> Values:
    return (None,) * (2 + len(links.keep))


def _text_lines(path: str) -> Iterator[str | None]:
    for line in _lines(path):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            yield None
        else:
            yield text


def _lines(path: str) -> Iterator[bytes]:
    """The lines of a file without what ends each, LF or CR LF; one that is endless comes as what is no UTF-8."""
    try:
        with fsspec.open(path, "rb") as file:
            if file.read(len(BOM_UTF8)) != BOM_UTF8:
                file.seek(0)
            while line := file.readline(_MOST_LINE):
                if len(line) == _MOST_LINE and not line.endswith(b"\n"):
                    line = _ENDLESS
                    while (rest := file.readline(_MOST_LINE)) and not rest.endswith(b"\n"):
                        pass
                yield line.removesuffix(b"\n").removesuffix(b"\r")
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error or type(error).__name__}") from error


def _objects(links: LinkList, files: Sequence[str]) -> Iterator[Values]:
    """Rows of JSON objects: the items of one array, or the lines that are not empty."""
    split: Callable[[str], Iterable[bytes]] = array_items if links.kind == "json" else _filled_lines
    for path in files:
        for item in split(path):
            try:
                row = decode(item, dict[str, Any], path)
            except SourceError:
                row = {}
            url, caption = row.get(links.url), row.get(links.caption)
            typed = isinstance(url, str | None) and isinstance(caption, str | None)
            yield (url, caption, *map(row.get, links.keep)) if typed else _nothing(links)


def _filled_lines(path: str) -> Iterator[bytes]:
    return filter(bytes.strip, _lines(path))


def _arrays(links: LinkList, files: Sequence[str]) -> Iterator[Values]:
    """Rows of one object of parallel arrays, which is held whole."""
    (path,) = files
    found = decode(read(path), dict[str, msgspec.Raw], path)
    names = (links.url, links.caption, *links.keep)
    if absent := [name for name in names if name not in found]:
        raise SourceError(f"{path}: has no {absent[0]!r}: wanted arrays called {', '.join(names)}")
    kinds = [str, str, *[Any] * len(links.keep)]
    columns = [list(items(found.pop(name), kind, path)) for name, kind in zip(names, kinds, strict=True)]
    if len(lengths := {len(column) for column in columns}) > 1:
        raise SourceError(f"{path}: its arrays have {sorted(lengths)} items: wanted as many of each")
    for values in zip(*columns, strict=True):
        yield _nothing(links) if any(isinstance(value, Broken) for value in values) else values


_END = object()
_ENDLESS = b"\xff"
_KINDS: dict[str, Callable[[LinkList, Sequence[str]], Iterator[Values]]] = {
    "tsv": _tsv,
    "json": _objects,
    "jsonl": _objects,
    "arrays": _arrays,
    "texts": _texts,
}
