"""An input of a source whose pictures lie beside its rows: what worker processes read of it, and how they get at it."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import fsspec

from converters import find
from converters._table import Carried, Form, Reading, Row, Variant
from pipelines import store
from pipelines.pictures import Located


@dataclass(frozen=True)
class Input:
    """One input of a job, as a worker finds its way to it; it pickles."""

    source: str
    split: str
    form: str
    name: str
    path: str
    tasks: tuple[str, ...] = field(repr=False)
    options: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.source} {self.name}"

    def rows(self) -> Iterator[Row]:
        """The rows of the input, in the order of their keys."""
        return iter(self._form().rows(Reading(self.source, self.split, (self.path,), self.options)))

    def pictures(self, path: str) -> dict[str, Located]:
        """Where the pictures lie in the input, or in a copy of it, by what they are called there."""
        carried = self._form().carried
        pieces = carried(path) if carried else {}
        return {key: Located(piece.path, None, piece.bytes, piece.offset) for key, piece in pieces.items()}

    def variants(self) -> list[Variant]:
        """The tasks asked for."""
        return [variant for variant in find(self.source).variants if variant.name in self.tasks]

    def _form(self) -> Form:
        return next(form for form in find(self.source).forms if form.name == self.form)


def picture_of(row: Row, pictures: Mapping[str, Located]) -> Located | None:
    """Where the picture of a row lies, among those of its input; None where it is not there."""
    return pictures.get(row.member) if isinstance(row, Carried) else None


@contextmanager
def at_hand(input: Input, aside: Path) -> Iterator[str]:
    """The path of an input on this machine; a tar that is elsewhere is copied to ``aside`` for the while.

    A folder that is elsewhere stays there: its files are read one by one.
    """
    if store.is_local(input.path) or input.path.endswith("/"):
        yield input.path
        return
    copy = aside / f"{blake2b(input.path.encode(), digest_size=8).hexdigest()}.tar"
    with fsspec.open(input.path, "rb") as there, copy.open("wb") as here:
        shutil.copyfileobj(there, here, store.CHUNK)
    try:
        yield str(copy)
    finally:
        copy.unlink()
