"""The first pass over an input whose pictures lie beside its rows: what its rows say, and what becomes of them.

It reads the rows, and of the pictures no more than where they lie, unless they are to be told apart by what is in them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import Path

import msgspec

from converters._table import Carried
from pipelines.candidates import Candidates, put_by
from pipelines.convert import ended
from pipelines.duplicates import How
from pipelines.hashes import ID_BYTES, MAX_IDS, PictureHashes, write_hashes
from pipelines.images import likeness_of
from pipelines.inputs import Input, at_hand, picture_of
from pipelines.pictures import Located, read_picture
from pipelines.stage import staged_of
from schemas.errors import ImageError
from schemas.ledger import Part
from schemas.prompt import Wording


class Scanned(msgspec.Struct, frozen=True):
    """What the first pass tells of an input: its rows, the bytes of its pictures, a digest of what is known of both.

    ``name`` is that of the file of its pictures' hashes; ``candidates`` are counted per part.
    """

    name: str
    rows: int
    bytes: int
    digest: str
    candidates: list[tuple[Part, int]]


@dataclass(frozen=True)
class Scan:
    """One input to be scanned, what for, and where the hashes of its pictures go, and its candidates; it pickles."""

    input: Input
    hashes: Path
    candidates: Path
    dedupe: How
    wording: Wording = field(repr=False)

    def __str__(self) -> str:
        return str(self.input)


@dataclass
class _Read:
    """What is gathered while the rows of an input go by."""

    said: "hashlib._Hash" = field(default_factory=sha256)
    parts: Counter[Part] = field(default_factory=Counter)
    hashes: list[PictureHashes] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0


def scan(task: Scan) -> Scanned:
    """The first pass over an input: its candidates put by, and the hashes of its pictures written to a file.

    Only a picture that is there and of which a record comes keeps others of its link out.
    """
    read = _Read()
    with at_hand(task.input, task.hashes.parent) as path:
        put_by(task.candidates, _candidates(task, path, read))
    digest = write_hashes(task.hashes, read.hashes)
    read.said.update(digest.sha256.encode())
    counted = sorted(read.parts.items(), key=lambda item: str(item[0]))
    return Scanned(str(task.hashes), read.rows, read.bytes, read.said.hexdigest(), counted)


def _candidates(task: Scan, path: str, read: _Read) -> Iterator[Candidates]:
    pictures, variants, keys = task.input.pictures(path), task.input.variants(), set[str]()
    for place, row in enumerate(task.input.rows()):
        located = picture_of(row, pictures)
        read.said.update(msgspec.msgpack.encode((row, located.bytes if located else None)))
        read.rows, read.bytes = read.rows + 1, read.bytes + (located.bytes if located else 0)
        found = [one for variant in variants for one in ended(row, variant, task.wording, keys)]
        read.parts.update(one.part for one in found)
        if located and isinstance(row, Carried) and any(one.record for one in found):
            read.hashes.append(_hashes(place, row, located, task.dedupe))
        within = located._replace(path=located.path.removeprefix(path)) if located else None
        yield Candidates([staged_of(one, task.wording.seed) for one in found], within)


def _hashes(place: int, row: Carried, located: Located, dedupe: str) -> PictureHashes:
    ids = [row.image.id, *row.image.aliases][:MAX_IDS]
    named = tuple(blake2b(id.encode(), digest_size=ID_BYTES).digest() for id in ids)
    content, alike = named[0] * 2, None  # of a picture that is not read: its own
    if dedupe != "link":
        try:
            data = read_picture(located)
            content = sha256(data).digest()
            alike = likeness_of(data) if dedupe == "near" else None
        except ImageError:
            alike = None
    return PictureHashes(place, named, content, alike)
