"""Flickr30k captions in each of their forms, and Flickr30k Entities read from its zip."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

XML = (
    b"<annotation><filename>%d.jpg</filename><size><width>200</width><height>100</height><depth>3</depth></size>"
    b"<object><name>1</name><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>"
    b"</annotation>"
)
MARKED = b"[/EN#1/people A man] .\n[/EN#0/notvisual It] is\xc2\xa0 he .\nThree\nFour <p>\nFive\n"
FILES = {
    "Annotations/11.xml": XML % 11,
    "Sentences/11.txt": MARKED,
    "Annotations/12.xml": XML % 12,
    "Sentences/12.txt": MARKED,
}
UNRELATED = b"# format: <imageID> <sentence number>\n11 5"
TOKEN = (
    b"12.jpg#0\tA man .\n12.jpg#1\tAnother\n11.jpg#0\tA man .\n11.jpg#1\tIt is  he .\n11.jpg#2\tThree\n"
    b"11.jpg#3\tFour <p>\n11.jpg#4\tFive\n13.jpg#0\tOf another split\n"
)
CAPTIONS = [("11-0", "A man ."), ("11-1", "It is he ."), ("11-2", "Three"), ("11-3", "Four <\\p>")]
KARPATHY: dict[str, Any] = {
    "images": [
        {
            "sentids": [0, 1],
            "imgid": 0,
            "sentences": [
                {"tokens": ["a"], "raw": "A man. ", "imgid": 0, "sentid": 0},
                {"tokens": [], "raw": " ", "imgid": 0, "sentid": 1},
            ],
            "split": split,
            "filename": name,
        }
        for split, name in (("train", "11.jpg"), ("val", "12.jpg"), ("test", "13.jpg"), ("test", "COCO_14.jpg"))
    ]
    + [{"split": "train", "filename": "15.jpg"}],
    "dataset": "flickr30k",
}


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.fixture
def lists(put: Put) -> None:
    put("val.txt", b"11\n12\n")
    put("UNRELATED_CAPTIONS", UNRELATED)


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """Key without its ends, and the answer or else the reason."""
    return [(one.key.split("/")[2], one.record.messages[1].content if one.record else one.reason) for one in outcomes]


def test_a_caption_record_is_whole(lists: None, put: Put, run: Run) -> None:
    put("annotations.zip", zipped(FILES))
    first = run("flickr30k_caption", "val")[0]
    assert first.image is not None
    assert (first.image.id, first.image.width, first.image.height) == ("flickr30k/11", 200, 100)
    assert msgspec.to_builtins(first.record) == {
        "key": "flickr30k_caption/val/11-0/caption",
        "source": "flickr30k_caption",
        "split": "val",
        "task": "caption",
        "messages": [
            {"role": "user", "content": "[caption] tell me in short what is going on in this picture"},
            {"role": "assistant", "content": "A man ."},
        ],
        "boxes": [],
        "draw": {"pool": "caption", "slots": [], "answers": []},
        "meta": [],
    }


@pytest.mark.parametrize("form", ["folders", "zip", "token"])
def test_the_published_forms_give_the_same_captions(lists: None, put: Put, run: Run, form: str) -> None:
    files = {"zip": {"annotations.zip": zipped(FILES)}, "token": {"results_20130124.token": TOKEN}}.get(form, FILES)
    for name, data in files.items():
        put(name, data)
    found = told(run("flickr30k_caption", "val"))
    assert found[:5] == [*CAPTIONS, ("11-4", "unrelated caption")]
    assert found[5] == ("12-0", "A man .")


def test_a_token_file_without_a_list_of_unrelated_captions_keeps_them(put: Put, run: Run) -> None:
    put("val.txt", b"11\n")
    put("results_20130124.token", TOKEN)
    assert told(run("flickr30k_caption", "val")) == [*CAPTIONS, ("11-4", "Five")]


def test_every_line_of_a_listed_picture_counts_and_every_one_that_it_lacks(put: Put, run: Run) -> None:
    put("val.txt", b"11\n404\n../11\n12\n")
    lines = [b"11.jpg#0\tcaf\xe9", b"11.jpg#5\tsix", b"11.jpg#0", b"11.png#0\tone", b"12.jpg#4\tLast", b"11.jpg#0\t "]
    put("results_20130124.token", b"\n".join([*lines, b"11.jpg#1\ta\tb", b"11.jpg#1\tTwice"]))
    assert told(run("flickr30k_caption", "val")) == [
        *[(f"row{place}", "malformed row") for place in range(4)],
        ("11-0", "empty caption"),
        ("11-1", "a b"),
        ("11-1", "duplicate key"),
        *[(f"row404-{number}", "malformed row") for number in range(5)],
        *[("row..", "malformed row")] * 5,
        ("12-4", "Last"),
        *[(f"row12-{number}", "malformed row") for number in range(1, 5)],
    ]
    details = {one.detail for one in run("flickr30k_caption", "val") if "row12-" in one.key}
    assert details == {"malformed row: no sentence: '12' has 1 of 5"}


@pytest.mark.parametrize(("strays", "each"), [(0, 5), (2, 5), (3, 6), (7, 10)])
def test_a_line_without_a_number_is_one_that_some_picture_lacks_or_else_counts_in_every_split(
    put: Put, run: Run, strays: int, each: int
) -> None:
    put("train.txt", b"11\n")
    put("val.txt", b"12\n")
    said = [(11, 0), (11, 1), (11, 2), *((12, number) for number in range(5))]
    others = ([b"x.jpg#0\tA man", b"", b"\xff", b"1" * 21] * 2)[:strays]
    put("results_20130124.token", b"\n".join([*others, *(b"%d.jpg#%d\tA man ." % one for one in said)]))
    train, val = run("flickr30k_caption", "train"), run("flickr30k_caption", "val")
    assert (len(train), len(val)) == (each, each)
    assert [sum(one.record is not None for one in found) for found in (train, val)] == [3, 5]


def test_a_picture_of_which_every_number_is_lost_counts_its_five_only(put: Put, run: Run) -> None:
    put("train.txt", b"11\n")
    put("results_20130124.token", b"".join(b"x.jpg#%d\tA man .\n" % number for number in range(5)))
    assert told(run("flickr30k_caption", "train")) == [(f"row11-{number}", "malformed row") for number in range(5)]


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        ("train", [("11-0", "A man."), ("11-1", "empty caption"), ("row4-0", "malformed row")]),
        ("val", [("12-0", "A man."), ("12-1", "empty caption")]),
        (
            "test",
            [
                ("13-0", "A man."),
                ("13-1", "empty caption"),
                ("rowCOCO_14-0", "malformed row"),
                ("rowCOCO_14-1", "malformed row"),
            ],
        ),
    ],
)
def test_karpathys_file_is_read_by_its_own_splits(put: Put, run: Run, split: str, wanted: list[Any]) -> None:
    put("dataset_flickr30k.json", KARPATHY)
    assert told(run("flickr30k_caption", split)) == wanted


def test_karpathys_file_of_coco_is_not_taken_for_that_of_flickr(put: Put, run: Run) -> None:
    coco = [{"cocoid": 7, "filepath": "val2014", "split": "train", "sentences": [{"raw": "A dog", "sentid": 1}]}]
    put("dataset_flickr30k.json", {"images": coco, "dataset": "coco"})
    with pytest.raises(SourceError, match=r"dataset_flickr30k.json is there, but .* not as published"):
        run("flickr30k_caption", "train")


def test_folders_are_read_before_the_zip_and_both_before_the_token_file(lists: None, put: Put, run: Run) -> None:
    put("results_20130124.token", b"11.jpg#0\ttoken\n")
    assert told(run("flickr30k_caption", "val"))[0] == ("11-0", "token")
    put("annotations.zip", zipped(FILES | {"Sentences/11.txt": b"zip\nb\nc\nd\ne"}))
    assert told(run("flickr30k_caption", "val"))[0] == ("11-0", "zip")
    for name, data in (FILES | {"Sentences/11.txt": b"folders\nb\nc\nd\ne"}).items():
        put(name, data)
    assert told(run("flickr30k_caption", "val"))[0] == ("11-0", "folders")
    assert told(run("flickr30k_caption", "val", form="zip"))[0] == ("11-0", "zip")


@pytest.mark.parametrize("source", ["flickr30k_grounded", "flickr30k_parsing", "flickr30k_phrase"])
def test_the_zip_and_the_folders_give_the_same_records(lists: None, put: Put, run: Run, source: str) -> None:
    put("annotations.zip", zipped(FILES))
    from_zip = run(source, "val", options={"min_phrases": "1"})
    for name, data in FILES.items():
        put(name, data)
    assert sum(one.record is not None for one in from_zip) == 2
    assert run(source, "val", form="folders", options={"min_phrases": "1"}) == from_zip
    put("Sentences/11.txt", b"which\nof\nthem\nis\nread")
    assert run(source, "val", options={"min_phrases": "1"}) != from_zip


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"Sentences/12.txt": MARKED + b" " * 2**20}, "zip member too long: Sentences/12.txt"),
        ({"Annotations/12.xml": b"<annotation/>"}, "malformed annotation"),
        (
            {f"flickr/{name}": data for name, data in FILES.items() if "12" in name},
            "no such file: Sentences/12",
        ),
    ],
)
def test_a_member_that_is_wrong_costs_its_own_picture_only(
    lists: None, put: Put, run: Run, files: dict[str, bytes], detail: str
) -> None:
    kept = {name: data for name, data in FILES.items() if f"flickr/{name}" not in files}
    put("annotations.zip", zipped(kept | files))
    found = run("flickr30k_grounded", "val", options={"min_phrases": "1"})
    assert [one.record is not None for one in found] == [True] + [False] * 9
    assert [one.reason for one in found[5:]] == ["malformed row"] * 5
    assert all(one.detail.startswith(f"malformed row: {detail}") for one in found[5:])


def test_a_damaged_member_costs_its_own_picture_only(lists: None, put: Put, run: Run) -> None:
    path = put("annotations.zip", zipped(FILES))
    data = bytearray(path.read_bytes())
    start = data.index(b"Sentences/12.txt") + len("Sentences/12.txt")
    data[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert [one.record is not None for one in run("flickr30k_caption", "val")] == [True] * 4 + [False] * 6


def test_a_zip_that_is_none_is_named(lists: None, put: Put, run: Run) -> None:
    put("annotations.zip", b"PK no zip")
    with pytest.raises(SourceError, match=r"annotations\.zip: not a readable zip"):
        run("flickr30k_phrase", "val")
