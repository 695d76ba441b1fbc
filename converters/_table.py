"""What a source is: the rows of the table that every converter module ends with.

A converter is two functions and a table row. ``rows`` of a Form reads and joins files and yields typed rows; ``record``
of a Variant turns one candidate of a row into a Record, or raises RecordError (a reject) or Filtered (a stated rule)
for that candidate alone. Variation by value is a row, never a type.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from converters._read import Broken
from schemas.box import Box
from schemas.dialect import Span
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Answer, ImageRef, Pair, Record, Task, single_turn

T = TypeVar("T")
Use = Literal["train", "eval"]
CHAT = "chat"  # what stands for the task where there is none
NONE = "none"  # and for the value of an option that is not set


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One example in the source's own terms; every shape's row adds its fields.

    ``id`` is unique within (source, split) and stays the same from run to run; ``image`` is what the annotation says
    of the picture, None where there is none to speak of.
    """

    source: str
    split: str
    id: str
    image: ImageRef | None = None

    def key(self, task: str | None) -> str:
        """The key of the record that this row gives for a task, or as plain chat."""
        return f"{self.source}/{self.split}/{self.id}/{task or CHAT}"


class Pictured(Row, frozen=True, kw_only=True):
    """A row about a picture. ``folder`` says which of the collection's folders, where the annotation knows it."""

    image: ImageRef
    folder: str = ""


class Carried(Pictured, frozen=True, kw_only=True):
    """A row whose picture lies beside it, in the same input: ``member`` is what it is called there, empty for none."""

    member: str = ""


class Malformed(Row, frozen=True, kw_only=True):
    """A row that could not be typed: every candidate it would have been is rejected, for this reason."""

    why: str


@dataclass(frozen=True)
class Reading:
    """What a form's ``rows`` is given: the source's name, the split, its files in the form's order, and its options."""

    source: str
    split: str
    files: tuple[str, ...]
    options: Mapping[str, str]

    def number(self, option: str) -> int | None:
        """The value of an option that is a whole number; None where it is ``none``."""
        value = self.options[option]
        return None if value == NONE else int(value)

    def real(self, option: str) -> float | None:
        """The value of an option that is a number; None where it is ``none``."""
        value = self.options[option]
        return None if value == NONE else float(value)


def malformed(reading: Reading, place: int | str, why: str) -> Malformed:
    """The row at that place of a file, of which nothing but its being wrong is known."""
    return Malformed(source=reading.source, split=reading.split, id=f"row{place}", why=why)


def each(reading: Reading, found: Iterable[T | Broken], row: Callable[[Reading, int, T], Row]) -> Iterator[Row]:
    """One row per entry of a file, made of it and its place; malformed where the entry or the row of it is none."""
    for place, entry in enumerate(found):
        if isinstance(entry, Broken):
            yield malformed(reading, place, entry.why)
            continue
        try:
            made = row(reading, place, entry)
        except RecordError as error:
            made = malformed(reading, place, str(error))
        yield made


def record_of(
    row: Row,
    task: Task,
    *,
    slots: Sequence[Pair],
    reply: Sequence[Span] | Sequence[Answer],
    boxes: Sequence[Box],
    wording: Wording,
    meta: Sequence[Pair] = (),
    pool: str | None = None,
) -> Record:
    """The row's single-turn record for a task (see schemas.record.single_turn)."""
    key = row.key(task)
    return single_turn(
        key, row.source, row.split, task, slots=slots, reply=reply, boxes=boxes, wording=wording, meta=meta, pool=pool
    )


Rows = Callable[[Reading], Iterable[Row]]


class Recorder(Protocol):
    """Turns one candidate into a record; pure."""

    def __call__(self, row: Any, wording: Wording) -> Record: ...


@dataclass(frozen=True)
class Variant:
    """One task that a source trains, or None for chat: what a candidate is, in words, and how it becomes a record.

    ``candidates`` takes a row apart where a row holds several (a picture's regions); ``boxed`` says that a record needs
    the picture's size.
    """

    task: Task | None
    candidate: str
    record: Recorder
    boxed: bool
    candidates: Callable[[Any], Iterable[Row]] = lambda row: (row,)

    @property
    def name(self) -> str:
        """What the task is called on the command line and in tables."""
        return self.task or CHAT


@dataclass(frozen=True)
class Shape:
    """How a form's JSON file, the first of its files, is told from others by its content.

    ``keys`` are those of the top-level object, or of the first item where ``kind`` is a list, or of the first value
    where it is a ``table`` (an object whose keys are ids), or of the first of ``lines`` in a .jsonl file; where
    ``array`` is named, the first object of that array has ``inner``. Keys in ``without`` must not be there.
    """

    kind: Literal["list", "object", "table", "lines"]
    keys: frozenset[str]
    array: str = ""
    inner: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Whole:
    """An option that is a whole number of at least ``least``, or ``none`` where the default is None."""

    default: int | None
    least: int = 1

    @property
    def text(self) -> str:
        """The default as it is written."""
        return NONE if self.default is None else str(self.default)


@dataclass(frozen=True)
class Real:
    """An option that is a number from ``least`` to ``most``, or ``none`` where the default is None."""

    default: float | None
    least: float = 0.0
    most: float = 1.0

    @property
    def text(self) -> str:
        """The default as it is written."""
        return NONE if self.default is None else str(self.default)


Option = tuple[str, ...] | Whole | Real


@dataclass(frozen=True)
class LinkList:
    """A published list of links to pictures: how its rows lie in its files, and which of their columns matter.

    ``url`` and ``caption`` are what those columns are called there; ``columns`` are all of a TSV's that has no header,
    in order; ``keep`` are further columns that converters need, carried along under their own names.
    """

    kind: Literal["parquet", "tsv", "json", "jsonl", "arrays", "texts"]
    url: str
    caption: str
    columns: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


class Piece(NamedTuple):
    """Where the bytes of a picture lie: in a file, from an offset on."""

    path: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class Form:
    """One published layout of a source: its files under a root, how to know it, and how to read it.

    ``splits`` maps our split names to the word that replaces ``{split}`` in ``files``; a name that ends in a slash is a
    folder, and one that then has a range in it, such as ``a_{0..9}.json``, stands for as many files. A form without a
    ``shape`` is known by its names alone. Files in ``optional`` are read where they lie beside the others, after them.
    ``counts`` are the published numbers of the source's unit per split. In a name ``#`` stands for any digits and ``*``
    for anything: all such files are the form's inputs; ``proof`` names the file that says that one is finished.
    ``links`` tells how to read a list of links; ``carried`` finds the pictures that lie in an input, by member.
    """

    name: str
    files: tuple[str, ...]
    splits: Mapping[str, str]
    rows: Rows
    shape: Shape | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    proof: str = ""
    links: LinkList | None = None
    carried: Callable[[str], Mapping[str, Piece]] | None = None


@dataclass(frozen=True)
class Source:
    """A published dataset: one row of the table that ``boxcar sources`` prints.

    ``unit`` is what the forms' counts count: the candidates of each of the ``counted`` tasks. ``places`` are the
    folders under a root where its files may lie. Of several forms found there the first in ``preferred`` is read, and
    where nothing is preferred the user has to choose. An option is one of the listed words, the first by default, or a
    number. ``closed`` are splits whose answers were never published.
    """

    name: str
    title: str
    collection: str | None
    splits: Mapping[str, Use]
    forms: tuple[Form, ...]
    variants: tuple[Variant, ...]
    unit: str
    counted: tuple[str, ...]
    licence: str
    citation: str
    homepage: str
    places: tuple[str, ...] = ("",)
    preferred: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class Folder:
    """A folder of pictures inside a collection's location; ``<path>.zip`` beside it serves as well.

    The pattern matches a file's name, or, where ``nested``, the name of the folder it lies in and its own.
    """

    path: str
    pattern: str
    nested: bool = False


@dataclass(frozen=True)
class Collection:
    """A set of pictures that several sources share, found by id: earlier folders win where several hold a picture.

    A folder's pattern has a group ``id``, which is what follows ``<collection>/`` in the image id, and loses its
    leading zeros where ``numeric``. ``told`` says that annotations tell which folder holds a picture.
    """

    name: str
    title: str
    folders: tuple[Folder, ...]
    numeric: bool
    told: bool = False
