"""Exports: a pool's records, or those that a lock allows, as one file that other trainers read, boxes in a dialect.

A folder appears whole or not at all. It holds ``records.json`` or ``records.jsonl``, ``refused.jsonl`` (records that
the dialect cannot say, each with its reason), ``images/`` where pictures were asked for, and ``export.json``, which
tells where every record went. Equal input gives equal bytes.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from pipelines import store
from pipelines.chosen import Chosen, source
from pipelines.progress import progress
from schemas.box import Size
from schemas.dialects import OWN, insist_dialect
from schemas.errors import ConfigError, RecordError, RejectsError, unknown
from schemas.ledger import Ledger, Part, Tally
from schemas.pool import FileDigest, RejectLine
from schemas.record import Message, Record, Sample
from schemas.translate import render

SCHEMA = "boxcar-export/1"
TOLD, REFUSED, IMAGES = "export.json", "refused.jsonl", "images"
LLAVA_ROLES = {"user": "human", "assistant": "gpt"}


class Exported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """export.json: what was exported, of what, where every record went, and the digest of the file of records."""

    schema: str
    kind: str
    name: str
    digest: str
    form: str
    dialect: str
    records: int
    pictures: int
    ledger: list[Tally]
    files: list[FileDigest]


@dataclass(frozen=True)
class Form:
    """How a file of records is put together: what it is called, its begin, what stands between two records, its end."""

    name: str
    begin: bytes
    between: bytes
    end: bytes
    line: Callable[[Record, list[Message], Sample, str | None], Mapping[str, Any]]


def _llava(record: Record, said: list[Message], sample: Sample, image: str | None) -> Mapping[str, Any]:
    turns = [{"from": LLAVA_ROLES[turn.role], "value": turn.content} for turn in said]
    if image is None:  # text alone has no such key in LLaVA's own lists either
        return {"id": record.key, "conversations": turns}
    turns[0]["value"] = f"<image>\n{turns[0]['value']}"
    return {"id": record.key, "image": image, "conversations": turns}


def _messages(record: Record, said: list[Message], sample: Sample, image: str | None) -> Mapping[str, Any]:
    picture = sample.image
    return {
        "id": record.key,
        "image": image,
        "width": picture.width if picture else None,
        "height": picture.height if picture else None,
        "messages": said,
        "boxes": record.boxes,
        "source": record.source,
        "split": record.split,
        "task": record.task,
    }


FORMS = {
    "llava": Form("records.json", b"[\n", b",\n", b"\n]\n", _llava),
    "messages": Form("records.jsonl", b"", b"\n", b"\n", _messages),
}


def export(at: str, to: str, form: str = "llava", dialect: str = OWN, images: bool = False) -> Exported:
    """Write the records of the pool or lock at ``at`` to the new folder ``to``, in a form and a dialect.

    With ``images`` each sample's picture is written to ``images/<pool>/``; without, records name tar and member. Raises
    ConfigError for an unknown form or dialect or a folder that is there, ShardError for a pool that is not whole or is
    not the lock's, and RejectsError where the dialect cannot say a single record; nothing is left in these cases.
    """
    if form not in FORMS:
        raise ConfigError(unknown("form", form, [*FORMS, "energon"]))
    insist_dialect(dialect)
    found = source(at)
    with new_folder(to) as aside:
        with _Writing(FORMS[form], dialect, aside, images) as writing, progress("exporting", found.samples) as bar:
            for chosen in found.chosen:
                writing.add(chosen)
                bar.step(note=f"{writing.refused:,} refused" if writing.refused else "")
        if writing.refused and not writing.records:
            raise RejectsError(f"{at}: all {writing.refused:,} records refused: {dialect} can say none of them")
        told = Exported(
            schema=SCHEMA,
            kind=found.kind,
            name=found.name,
            digest=found.digest,
            form=form,
            dialect=dialect,
            records=writing.records,
            pictures=writing.pictures,
            ledger=writing.ledger.tallies(),
            files=[store.digest(str(aside / name), name) for name in (FORMS[form].name, REFUSED)],
        )
        store.write_aside(aside / TOLD, store.canonical(told))
    return told


@contextmanager
def new_folder(to: str) -> Iterator[Path]:
    """A folder to be filled, which becomes ``to`` when all went well; ConfigError where that is there already."""
    if not store.is_local(to):
        if store.files(to):
            raise ConfigError(f"--to {to}: there are files already, wanted a new folder")
        with tempfile.TemporaryDirectory(prefix="boxcar-") as elsewhere:
            yield Path(elsewhere)
            _put(Path(elsewhere), to)
        return
    path = store.local(to)
    if path.exists() or not path.parent.is_dir():
        why = "is there already" if path.exists() else "its folder is not there"
        raise ConfigError(f"--to {to}: {why}, wanted a new folder")
    aside = path.with_name(f".{path.name}.part")
    store.free(str(aside))  # of an export that was killed
    try:
        aside.mkdir()
        yield aside
        os.sync()
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(folder: Path, to: str) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in sorted(paths, key=lambda path: path.name == TOLD):  # last: it says that the rest is there
        store.publish(path, store.join(to, path.relative_to(folder).as_posix()))


@dataclass
class _Writing:
    """The files of an export, record by record; nothing is kept but counts."""

    form: Form
    dialect: str
    aside: Path
    images: bool
    ledger: Ledger = field(default_factory=Ledger)
    records: int = 0
    refused: int = 0
    pictures: int = 0

    def __enter__(self) -> "_Writing":
        self._lines: IO[bytes] = (self.aside / self.form.name).open("wb")
        self._refusals: IO[bytes] = (self.aside / REFUSED).open("wb")
        self._lines.write(self.form.begin)
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.write(self.form.end if self.records or self.form.begin else b"")
        self._lines.close()
        self._refusals.close()

    def add(self, chosen: Chosen) -> None:
        """Write the records of a sample that the dialect can say, refuse the others, and write its picture."""
        before = self.records
        image = _image(chosen, self.images)
        for record, said in chosen.records:
            try:
                self._write(record, said, chosen.sample, image)
            except RecordError as error:
                self._refuse(record, error, chosen.sample)
        if self.images and image is not None and chosen.picture is not None and self.records > before:
            path = self.aside / image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chosen.picture)
            self.pictures += 1

    def _write(self, record: Record, said: Record | RecordError, sample: Sample, image: str | None) -> None:
        if isinstance(said, RecordError):
            raise said
        line = self.form.line(said, render(said, _size(sample), self.dialect), sample, image)
        self._lines.write((self.form.between if self.records else b"") + msgspec.json.encode(line))
        self.records += 1
        self.ledger.written(Part(record.source, record.split, record.task))

    def _refuse(self, record: Record, error: RecordError, sample: Sample) -> None:
        image, part = sample.image, Part(record.source, record.split, record.task)
        names = [*image.aliases, *([image.sha256] if image.sha256 else [])] if image else []
        detail = str(error).partition(": ")[2]
        line = RejectLine(record.key, *part, image.id if image else None, names, error.reason, detail)
        self._refusals.write(msgspec.json.encode(line) + b"\n")
        self.ledger.rejected(part, error.reason)
        self.refused += 1


def _size(sample: Sample) -> Size | None:
    image = sample.image
    return Size(image.width, image.height) if image and image.width and image.height else None


def _image(chosen: Chosen, written: bool) -> str | None:
    # Stems of a pool's tars are plain and unique in it; another pool of the same lock may have the same ones.
    if chosen.name is None:
        return None
    return f"{IMAGES}/{chosen.pool}/{chosen.name}" if written else f"{chosen.tar}/{chosen.name}"


if __name__ == "__main__":
    from pipelines.cli import main

    main(["export", *sys.argv[1:]])
