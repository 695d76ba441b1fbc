"""Names of files: ranges in them, and what lies under a root in place of a file that is missing."""

import difflib
import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from converters._glance import folders
from converters._read import exists, join, names

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def numbered(name: str) -> list[str]:
    """The names that one with a range stands for: ten for ``a_{0..9}.json``; itself where it has none."""
    found = _RANGE.search(name)
    if not found:
        return [name]
    return [name.replace(found[0], str(number)) for number in range(int(found[1]), int(found[2]) + 1)]


def nearest(root: str, places: Collection[str], name: str, published: Collection[str]) -> str:
    """What may be the file or folder that is missing, relative to the root; empty text where nothing is.

    That is one of its name in the root itself or one folder down, a zip of its name, or what lies in its folder and is
    called almost the same, but is none of the ``published`` names. ``places`` are those where it was looked for.
    """
    exact = (near for near in _exact(root, places, name) if exists(join(root, near)))
    alike = (near for place in places if (near := _alike(root, place, name, published)))
    return next(exact, "") or next(alike, "")


def meaning(name: str, near: str) -> str:
    """What to do about a name that is missing while that is near, as part of a sentence; empty where nothing is."""
    if not near:
        return ""
    if near.endswith(f"/{name}"):
        return f"{name} lies in {near.removesuffix(name)}: give that folder as the root"
    if name.endswith(f"/{near}"):
        return f"{near} lies in the root itself: give the folder above it as the root"
    if near.endswith(".zip"):
        return f"found {near}: still packed?"
    return f"found {near}: misspelt or another split?"


def _exact(root: str, places: Collection[str], name: str) -> Iterator[str]:
    parent, _, base = name.removesuffix("/").rpartition("/")
    if parent:
        yield name.removeprefix(f"{parent}/")
    yield from (f"{folder}/{name}" for folder in folders(root))
    for place in places:
        yield _path(place, parent, f"{PurePosixPath(base).stem}.zip")


def _alike(root: str, place: str, name: str, published: Collection[str]) -> str:
    parent, _, base = name.removesuffix("/").rpartition("/")
    there = [other for other in names(join(root, place, parent)) if _path(parent, other) not in published]
    near = difflib.get_close_matches(base, there, n=1, cutoff=0.8)
    return _path(place, parent, near[0]) if near else ""


def _path(*parts: str) -> str:
    return "/".join(filter(None, parts))
