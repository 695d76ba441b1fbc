"""Forms of several files, of folders, of files that may be there or not; tables by id; splits without answers."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from converters import find
from converters._files import MISSING, fits, resolve
from converters._names import nearest
from converters._read import Broken, entries, lines, outline
from converters._table import Form, Reading, Shape, Source, Whole
from pipelines.convert import job
from pipelines.options import _insist_possible
from pipelines.sources import Wanted, checked
from schemas.errors import ConfigError, SourceError

OFFICIAL = Form(
    "official",
    ("asks_{split}.json", "replies_{split}.json"),
    {"train": "train"},
    lambda reading: (),
    Shape("object", frozenset({"asks"})),
    optional=("more.json", "{split}_notes/"),
)
TABLE = Form(
    "table",
    ("asks_{split}.json",),
    {"train": "train"},
    lambda reading: (),
    Shape("table", frozenset({"ask"}), without=frozenset({"picture"})),
)
FOLDER = Form("folder", ("Notes/", "{split}.txt"), {"train": "train"}, lambda reading: ())


@pytest.fixture
def source() -> Source:
    base = find("coco_caption")
    return dataclasses.replace(
        base, name="asks", splits={"train": "train"}, forms=(OFFICIAL, TABLE, FOLDER), places=("",)
    )


def put(root: Path, name: str, content: Any = None) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def found(source: Source, root: Path) -> tuple[str, list[str]]:
    one = resolve(source, str(root), "train")
    return one.form.name, [file.removeprefix(f"{root}/") for file in one.files]


def test_a_form_known_by_its_content_takes_its_other_files_along(source: Source, tmp_path: Path) -> None:
    put(tmp_path, "asks_train.json", {"asks": []})
    with pytest.raises(SourceError, match=r"wanted asks_train\.json \+ replies_train\.json"):
        resolve(source, str(tmp_path), "train")
    put(tmp_path, "replies_train.json", {})
    assert found(source, tmp_path) == ("official", ["asks_train.json", "replies_train.json"])


def test_optional_files_and_folders_come_after_the_others_where_they_are(source: Source, tmp_path: Path) -> None:
    for name in ("asks_train.json", "replies_train.json", "train_notes/1.txt"):
        put(tmp_path, name, {"asks": []})
    assert found(source, tmp_path)[1] == ["asks_train.json", "replies_train.json", "train_notes/"]
    put(tmp_path, "more.json", [])
    assert found(source, tmp_path)[1] == ["asks_train.json", "replies_train.json", "more.json", "train_notes/"]


def test_a_table_by_id_is_known_by_its_first_value(source: Source, tmp_path: Path) -> None:
    put(tmp_path, "asks_train.json", {"0071": {"ask": "who?"}, "2": {}})
    assert found(source, tmp_path) == ("table", ["asks_train.json"])
    put(tmp_path, "asks_train.json", {"0071": {"ask": "who?", "picture": "a"}})
    with pytest.raises(SourceError, match=r"asks_train\.json is there, but .* not as published"):
        resolve(source, str(tmp_path), "train")


@pytest.mark.parametrize("content", [{}, {"1": [5]}, {"1": "ask"}, [], [{"ask": 1}]])
def test_what_is_no_table_of_objects_is_none(tmp_path: Path, content: Any) -> None:
    put(tmp_path, "f.json", content)
    seen = outline(str(tmp_path / "f.json"))
    assert seen is not None and TABLE.shape is not None
    assert not fits(seen, TABLE.shape)


def test_a_folder_is_no_file_and_a_file_no_folder(source: Source, tmp_path: Path) -> None:
    put(tmp_path, "Notes", "no folder")
    put(tmp_path, "train.txt", "1")
    with pytest.raises(SourceError, match=r"Notes/ \+ train\.txt"):
        resolve(source, str(tmp_path), "train")
    (tmp_path / "Notes").unlink()
    put(tmp_path, "Notes/1.txt", "a")
    assert found(source, tmp_path) == ("folder", ["Notes/", "train.txt"])


def test_a_split_whose_answers_were_never_published_is_refused(source: Source, tmp_path: Path) -> None:
    closed = dataclasses.replace(source, closed=("test",))
    with pytest.raises(
        ConfigError, match=r"^asks: the answers of test were never published: nothing to train or score"
    ):
        resolve(closed, str(tmp_path), "test")


def test_an_option_that_is_a_number_is_read_as_one() -> None:
    reading = Reading("asks", "train", (), {"most": "16384", "least": "none"})
    assert (reading.number("most"), reading.number("least")) == (16384, None)
    assert (Whole(None).text, Whole(5).text) == ("none", "5")


@pytest.mark.parametrize("value", ["-1", "0", "many", "", "1.5", "\u0661"])
def test_a_number_that_is_none_is_told(value: str) -> None:
    numbered = dataclasses.replace(find("coco_caption"), options={"most": Whole(None)})
    with pytest.raises(ConfigError, match=r"coco_caption: most=.*: wanted a whole number of at least 1"):
        _insist_possible(numbered, "most", value)
    for fine in ("1", "99999999999999999999", "none"):
        _insist_possible(numbered, "most", fine)


def test_an_unknown_option_offers_near_ones(demo_files: Path) -> None:
    with pytest.raises(ConfigError, match="unknown option 'texts'; did you mean text"):
        job("refcoco", f"{demo_files}/refer", "val", options={"texts": "raw"})


def test_the_entries_of_a_table_come_with_their_ids_and_the_broken_apart() -> None:
    got = list(entries(b'{"007": 1, "a": "x", "8": 2}', int, "the/file"))
    assert [(key, item if isinstance(item, int) else "broken") for key, item in got] == [
        ("007", 1),
        ("a", "broken"),
        ("8", 2),
    ]
    with pytest.raises(SourceError, match=r"^the/file: not the JSON it should be: "):
        list(entries(b"[1]", int, "the/file"))


def test_an_id_that_stands_in_a_table_twice_comes_twice() -> None:
    assert list(entries(b'{"1": 5, "2": 6, "1": 7}', int, "f")) == [("1", 5), ("2", 6), ("1", 7)]


def test_the_lines_of_a_file_come_one_by_one_and_the_broken_apart() -> None:
    got = list(lines(b'1\r\n\n"x"\n3', int))
    assert [one.index if isinstance(one, Broken) else one for one in got] == [1, 2, 3]


def test_a_half_downloaded_folder_is_told_what_is_missing_and_what_is_wrongly_named(tmp_path: Path) -> None:
    put(tmp_path, "refcoco/refs(unc).p.zip", "")
    put(tmp_path, "refcoco/instances.json", {})
    (told,) = (one for one in checked("refcoco", str(tmp_path)) if (one.split, one.form) == ("val", "unc"))
    assert not told.found
    assert told.wanted == [Wanted("refcoco/refs(unc).p", MISSING, absent=True, near="refcoco/refs(unc).p.zip")]


def test_what_is_there_for_another_split_is_no_misspelling(tmp_path: Path) -> None:
    put(tmp_path, "captions_val2017.json", {"images": [], "annotations": []})
    (told,) = (one for one in checked("coco_caption", str(tmp_path)) if (one.split, one.form) == ("train", "2017"))
    assert told.wanted == [Wanted("captions_train2017.json", MISSING, absent=True, near="")]
    assert nearest(str(tmp_path), [""], "captions_train2017.json", set()) == "captions_val2017.json"
