"""The files of Flickr30k and of Flickr30k Entities: a picture's, in folders or a zip, token lines, and the lists.

What is said of a picture's file names it as the zip does, wherever it lies, so that a reject reads the same everywhere.
"""

from collections.abc import Callable, Mapping
from functools import partial

from converters._read import exists, read
from converters._zip import members
from schemas.errors import RecordError, SourceError

MAX_DIGITS = 20  # of a picture's id; published ones have ten at most
MAX_BYTES = 2**20  # of one picture's file in a zip; the largest published one has some thousands

File = Callable[[str], bytes]
Line = tuple[int, bytes]  # of the token file, with its place in it


def in_folders(folders: Mapping[str, str]) -> File:
    """A function that gives the bytes of ``<folder>/<file>``, the folders being paths by name.

    It raises RecordError where the file is not there or cannot be read.
    """
    return partial(_in_folders, folders)


def _in_folders(folders: Mapping[str, str], name: str) -> bytes:
    folder, _, base = name.partition("/")
    path = folders[folder] + base
    try:
        return read(path)
    except SourceError as error:
        raise RecordError(f"{'file unreadable' if exists(path) else 'no such file'}: {name}") from error


def in_zip(archive: str) -> File:
    """The same for a zip of both folders; SourceError where it is none."""
    return members(archive, MAX_BYTES)


def picture_ids(path: str) -> list[str]:
    """The ids that a split's file lists, one per line, whatever they may be."""
    return [id for line in read(path).decode(errors="replace").split("\n") if (id := line.strip())]


def unrelated_sentences(path: str) -> frozenset[str]:
    """``<picture id>-<number>`` of the sentences written for another picture, numbered from 0 (the file: from 1).

    SourceError where a line is neither that nor a comment: what should be left out is then not known.
    """
    rows = [row for line in read(path).splitlines() if (row := line.split()) and not row[0].startswith(b"#")]
    if not all(len(row) == 2 and row[0].isdigit() and row[1] in b"1 2 3 4 5".split() for row in rows):
        raise SourceError(f"{path}: not the list it should be, wanted a picture id and a number from 1 to 5 per line")
    return frozenset(f"{id.decode()}-{int(number) - 1}" for id, number in rows)


def by_picture(data: bytes) -> tuple[dict[str, list[Line]], list[int]]:
    """The lines of a token file by the picture whose number they begin with, and the places of those that do not."""
    said: dict[str, list[Line]] = {}
    strays = []
    for place, line in enumerate(data.rstrip(b"\n").split(b"\n")):
        id = line.partition(b".")[0]
        if id.isdigit() and len(id) <= MAX_DIGITS:
            said.setdefault(id.decode(), []).append((place, line))
        else:
            strays.append(place)
    return said, strays


def token_line(id: str, line: bytes) -> tuple[str, str]:
    """The sentence's number and the sentence; RecordError or ValueError where it is no line of that picture."""
    name, tab, caption = line.decode().partition("\t")
    number = name.removeprefix(f"{id}.jpg#")
    if not tab or number not in ("0", "1", "2", "3", "4"):
        raise RecordError(f"{name[:40]!r}, wanted <picture>.jpg#<0-4> and a tab")
    return number, caption
