"""What a glance at a file tells: whether it is there and whole, and what it looks like from outside.

Downloads that broke off and error pages saved under a file's name are known by their ends: nothing is read through.
"""

import zipfile
from typing import IO, cast

import msgspec

from converters._read import Outline, exists, filesystem, lines, names, outline

MISSING = "missing"
EMPTY = "empty"
NO_JSON = "not the JSON it should be"
_END = 4096  # bytes at either end of a file within which its first and last character are looked for
_SHOWN = 24
_CLOSED = {"{": "}", "[": "]"}


def fault(path: str) -> str:
    """Why the file, or the folder where the path ends in a slash, cannot be as published; empty text where it may be.

    It is MISSING, EMPTY, or in words what is wrong with a zip, with JSON or JSON lines, as their names end.
    """
    if not exists(path):
        return MISSING
    if path.endswith("/"):
        return "" if names(path) else EMPTY
    fs, name = filesystem(path)
    try:
        if fs.size(name) == 0:
            return EMPTY
        with fs.open(name, "rb") as file:
            return _fault_of(file, name)
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"


def seen(path: str) -> Outline | None:
    """The outline of a JSON file; of one that is called .jsonl it is of kind ``lines``, with the keys of the first."""
    return _first_line(path) if path.endswith(".jsonl") else outline(path)


def folders(path: str) -> list[str]:
    """The base names of the folders in a folder, sorted; empty where there is none."""
    fs, name = filesystem(path)
    if not fs.isdir(name):
        return []
    within = (entry["name"] for entry in fs.ls(name, detail=True) if entry["type"] == "directory")
    return sorted(folder.rstrip("/").rpartition("/")[2] for folder in within)


def _fault_of(file: IO[bytes], name: str) -> str:
    if name.endswith(".zip"):
        return "" if zipfile.is_zipfile(file) else "not a readable zip"
    if name.endswith((".json", ".jsonl")):
        return _json_fault(file, whole=name.endswith(".json"))
    return ""


def _json_fault(file: IO[bytes], whole: bool) -> str:
    begin = file.read(_END).decode(errors="replace").removeprefix("\ufeff").lstrip()
    if begin and begin[0] not in _CLOSED:
        return f"{NO_JSON}: it begins with {begin[:_SHOWN]!r}"
    if not whole:
        return ""  # a line of JSON lines that is cut short is that row's reject
    file.seek(max(0, file.seek(0, 2) - _END))
    end = file.read().decode(errors="replace").rstrip()
    if begin and end and not end.endswith(_CLOSED[begin[0]]):
        return f"{NO_JSON}: it is cut short, it ends with {end[-_SHOWN:]!r}"
    return ""


def _first_line(path: str) -> Outline | None:
    fs, name = filesystem(path)
    with fs.open(name, "rb") as file:
        line = next(filter(bytes.strip, file), b"")
    first = next(lines(cast(bytes, line), dict[str, msgspec.Raw]), None)
    return Outline("lines", frozenset(first), {}) if isinstance(first, dict) else None
