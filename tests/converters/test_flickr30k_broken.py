"""Flickr30k Entities with files that are gone or wrong: what is rejected, how often, and in which words."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import _flickr30k_files
from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

XML = (
    b"<annotation><filename>11.jpg</filename><size><width>200</width><height>100</height><depth>3</depth></size>"
    b"<object><name>1</name><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>"
    b"</annotation>"
)
MARKED = (
    b"[/EN#1/people A man] sees [/EN#1/people him]\n[/EN#0/notvisual It] is he .\nNo phrase\n"
    b"[[/EN#1/people a man] and [/EN#1/people he]\nA [bad sentence\n"
)
EACH = ["11-0", "11-1", "11-2", "11-3", "row11-4"]
PHRASES = ["11-0-0", "11-0-1", "11-1-0", "11-3-0", "11-3-1", "row11-4"]


@pytest.fixture
def published(put: Put) -> None:
    put("Annotations/11.xml", XML)
    put("Sentences/11.txt", MARKED)
    put("train.txt", b"11\n")
    put("UNRELATED_CAPTIONS", b"11 2\n")


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """Key without its ends, and the reason."""
    return [(one.key.split("/")[2], one.reason) for one in outcomes]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"<!DOCTYPE x []>" + XML, "malformed annotation: "),
        (XML.replace(b"11.jpg", b"12.jpg"), "malformed annotation: "),
        (None, "no such file: Annotations/11.xml"),
    ],
)
@pytest.mark.parametrize(
    ("source", "candidates"),
    [
        ("flickr30k_grounded", EACH),
        ("flickr30k_parsing", EACH),
        ("flickr30k_caption", EACH),
        ("flickr30k_phrase", PHRASES),
    ],
)
def test_a_picture_without_boxes_costs_its_sentences_and_the_phrases_they_mark(
    published: None, put: Put, run: Run, source: str, candidates: list[str], content: bytes | None, detail: str
) -> None:
    put("Annotations/12.xml", XML)
    path = put("Annotations/11.xml", content or b"")
    if content is None:
        path.unlink()
    found = run(source, "train", options={} if source == "flickr30k_caption" else {"min_phrases": "1"})
    assert told(found) == [(candidate, "malformed row") for candidate in candidates]
    assert {one.detail.startswith(f"malformed row: {detail}") for one in found} == {True}


def test_a_sentence_that_does_not_come_apart_costs_the_phrases_that_it_marks(published: None, run: Run) -> None:
    found = run("flickr30k_phrase", "train", options={"min_phrases": "1"})
    assert told(found) == [
        ("11-0-0", ""),
        ("11-0-1", ""),
        ("11-1-0", "unrelated caption"),
        ("11-3-0", "malformed row"),
        ("11-3-1", "malformed row"),
        ("row11-4", "malformed row"),
    ]
    assert {one.detail.partition(" in '")[0] for one in found[3:]} == {
        "malformed row: malformed sentence: a bracket out of place"
    }
    assert told(run("flickr30k_grounded", "train"))[3:] == [("11-3", "malformed row"), ("row11-4", "malformed row")]


def zipped(folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.glob("[AS]*/*")):
            archive.write(path, f"{path.parent.name}/{path.name}")
    return file.getvalue()


def test_no_reject_tells_where_the_files_lie_or_in_which_way(
    published: None, put: Put, run: Run, tmp_path: Path
) -> None:
    put("train.txt", b"11\n12\n13\n14\n")
    put("Sentences/12.txt", MARKED)
    put("Sentences/13.txt", b"")
    put("annotations.zip", zipped(tmp_path))
    from_folders = run("flickr30k_grounded", "train", form="folders")
    assert [one.detail for one in from_folders[5::5]] == [
        "malformed row: no such file: Annotations/12.xml",
        "malformed row: malformed sentences: 1 lines, wanted 5, none of them empty",
        "malformed row: no such file: Sentences/14.txt",
    ]
    assert run("flickr30k_grounded", "train", form="zip") == from_folders


def test_a_file_that_is_there_and_cannot_be_read_is_said_to_be(
    published: None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _flickr30k_files.read

    def forbidden(path: str) -> bytes:
        if path.endswith("11.txt"):
            raise SourceError(f"cannot read {path}: Permission denied")
        return whole(path)

    monkeypatch.setattr(_flickr30k_files, "read", forbidden)
    assert {one.detail for one in run("flickr30k_grounded", "train")} == {
        "malformed row: file unreadable: Sentences/11.txt"
    }
