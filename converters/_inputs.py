"""The inputs of a form: every file or folder of its kind in a documented place, told by their names alone.

Web pictures lie in as many inputs as people had patience for: ``00000.tar``, ``00001.tar`` and so on. The place is
listed once, however many there are; nothing in them is looked at before they are read.
"""

import re
from functools import cache
from typing import NamedTuple

from converters._glance import folders
from converters._read import join, names
from converters._table import Form

_WILD = {"#": "[0-9]+", "*": "[^/]*"}


class Inputs(NamedTuple):
    """The paths of a form's inputs, sorted by name; folders end in a slash.

    Unfinished ones lack their proof. Where some are finished, a proof whose input is not there stands for it.
    """

    finished: tuple[str, ...]
    unfinished: tuple[str, ...]


def wild(name: str) -> bool:
    """Whether the name stands for all files of its kind: ``#`` in it for any digits, ``*`` for anything."""
    return any(sign in name for sign in _WILD)


def listed(form: Form, folder: str, split: str) -> Inputs:
    """The inputs of a form, which has one wild name, in a folder; none where there is no such folder."""
    pattern = form.files[0].format(split=form.splits[split])
    parent, _, base = pattern.removesuffix("/").rpartition("/")
    place = join(folder, parent)
    there, slash = names(place), "/" * pattern.endswith("/")
    known = set(there)
    inputs: tuple[list[str], list[str]] = ([], [])
    for name in folders(place) if slash else there:
        if found := _pattern(base).fullmatch(name):
            unproved = bool(form.proof) and _filled(form.proof, found) not in known
            inputs[unproved].append(join(place, name) + slash)
    if form.proof and inputs[0]:
        proofs = [(name, _pattern(form.proof).fullmatch(name)) for name in there]
        inputs[1].extend(join(place, name) for name, found in proofs if found and _filled(base, found) not in known)
    return Inputs(tuple(inputs[0]), tuple(inputs[1]))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(
        "".join(f"({_WILD[part]})" if part in _WILD else re.escape(part) for part in re.split("([#*])", name))
    )


def _filled(name: str, found: re.Match[str]) -> str:
    """The name with each wild sign replaced by what the same one of the pattern matched."""
    matched = iter(found.groups())
    return "".join(next(matched) if part in _WILD else part for part in re.split("([#*])", name))
