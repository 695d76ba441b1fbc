"""Files downloaded by half, cut short, left packed or put a folder down: never taken for what they are not."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import find
from converters._files import MISFIT, expected, named, resolve
from converters._glance import EMPTY, MISSING, NO_JSON, fault, folders, seen
from converters._names import meaning, nearest, numbered
from pipelines.convert import Outcome
from pipelines.sources import FormState, Wanted, checked
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

CUT = f"{NO_JSON}: it is cut short, it ends with "
PAGE = b"<html>quota exceeded</html>"


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def state(name: str, root: Path, split: str, form: str) -> FormState:
    (told,) = (one for one in checked(name, str(root)) if (one.split, one.form) == (split, form))
    return told


def refused(name: str, root: Path, split: str) -> str:
    with pytest.raises(SourceError) as raised:
        resolve(find(name), str(root), split)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", b' \n{"a": [1]}\r\n', ""),
        ("a.json", b"[1, 2]", ""),
        ("a.json", b" " * 5000 + b"[1, 2]", ""),
        ("a.json", b"[1, 2]" + b" " * 5000, ""),
        ("a.json", b"", EMPTY),
        ("a.json", PAGE, f"{NO_JSON}: it begins with '<html>quota exceeded</ht'"),
        ("a.json", b'"a"', f"{NO_JSON}: it begins with '\"a\"'"),
        ("a.json", b"\xff\xfe", f"{NO_JSON}: it begins with '\ufffd\ufffd'"),
        ("a.json", b'{"a": [1', CUT + repr('{"a": [1')),
        ("a.json", b'[{"a": [1]}', CUT + repr('[{"a": [1]}')),
        ("a.json", b'[{"a": 1}' + b" " * 5000 + b"\0" * 9, CUT + repr(" " * 15 + "\0" * 9)),
        ("a.jsonl", b'{"a": 1}\n{"a', ""),
        ("a.jsonl", PAGE, f"{NO_JSON}: it begins with '<html>quota exceeded</ht'"),
        ("a.zip", zipped("b.json"), ""),
        ("a.zip", zipped("b.json")[:-20], "not a readable zip"),
        ("a.zip", b"", EMPTY),
        ("a.zip", PAGE, "not a readable zip"),
        ("a.txt", b"", EMPTY),
        ("a.txt", PAGE, ""),
        ("a/b.txt", b"", MISSING),
    ],
)
def test_a_glance_tells_what_is_wrong_with_a_file(
    put: Put, tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    put(name, content)
    assert fault(f"{tmp_path}/{Path(name).parts[0]}") == why


def test_a_glance_tells_an_empty_folder_from_none_and_from_a_file(put: Put, tmp_path: Path) -> None:
    assert fault(f"{tmp_path}/a/") == MISSING
    put("b", b"1")
    assert fault(f"{tmp_path}/b/") == MISSING
    (tmp_path / "a").mkdir()
    assert fault(f"{tmp_path}/a/") == EMPTY
    put("a/.hidden", b"")
    assert fault(f"{tmp_path}/a/") == ""
    assert (folders(str(tmp_path)), folders(f"{tmp_path}/none")) == (["a"], [])


def test_a_file_that_cannot_be_opened_is_told_and_no_failure(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("a.json", {})

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.open", refuse)
    assert fault(str(path)) == "cannot be read: [Errno 13] Permission denied"


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (b'{"a": 1, "b": 2}\n{"c": 1}\n', {"a", "b"}),
        (b'\n\n{"a": 1}', {"a"}),
        (b'{"a": 1}\nno json', {"a"}),
        (b'[{"a": 1}]', None),
        (b'{\n"a": 1}', None),
        (b'{"\xff": 1}\n', None),
        (b"\n", None),
    ],
)
def test_json_lines_are_known_by_their_first(put: Put, content: bytes, keys: set[str] | None) -> None:
    outline = seen(str(put("a.jsonl", content)))
    assert (outline and (outline.kind, outline.keys)) == (keys and ("lines", keys))


def test_a_range_in_a_name_stands_for_many_files() -> None:
    assert numbered("a/b_{8..10}.json") == ["a/b_8.json", "a/b_9.json", "a/b_10.json"]
    assert numbered("a_{split}.json") == ["a_{split}.json"]
    (form,) = (form for form in find("gqa").forms if form.name == "all")
    assert named(form, "train") == ("train_all_questions/train_all_questions_{0..9}.json",)
    assert expected(form, "train") == tuple(f"train_all_questions/train_all_questions_{n}.json" for n in range(10))
    assert expected(form, "val") == ("val_all_questions.json",)


def test_each_of_many_files_is_named_where_some_are_there_and_the_range_where_none_is(put: Put, tmp_path: Path) -> None:
    folder = "train_all_questions/train_all_questions_"
    assert [one.name for one in state("gqa", tmp_path, "train", "all").wanted] == [folder + "{0..9}.json"]
    for part in (0, 1, 2, 3, 5, 6, 7, 8):
        put(f"questions1.2/{folder}{part}.json", {"1": {}})
    put(f"questions1.2/{folder}9.json", b'{"1": {')
    told = state("gqa", tmp_path, "train", "all")
    assert not told.found
    assert told.wanted == [
        Wanted(f"{folder}4.json", MISSING, absent=True, near=""),
        Wanted(f"questions1.2/{folder}9.json", CUT + repr('{"1": {'), absent=False, near=""),
    ]
    assert f"; {folder}4.json is missing; questions1.2/{folder}9.json: {CUT}" in refused("gqa", tmp_path, "train")


def test_flickrs_empty_zip_and_folders_are_missing(put: Put, tmp_path: Path) -> None:
    for name in ("train.txt", "val.txt", "test.txt", "UNRELATED_CAPTIONS"):
        put(name, b"1\n")
    put("annotations.zip", b"")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Sentences").mkdir()
    for split in ("train", "val", "test"):
        assert [one.name for one in state("flickr30k_phrase", tmp_path, split, "zip").wanted] == ["annotations.zip"]
        told = state("flickr30k_phrase", tmp_path, split, "folders").wanted
        assert [(one.name, one.why) for one in told] == [("Annotations/", EMPTY), ("Sentences/", EMPTY)]
        assert "; annotations.zip is empty; get it" in refused("flickr30k_phrase", tmp_path, split)


QUESTIONS, ANSWERS = "v2_OpenEnded_mscoco_train2014_questions.json", "v2_mscoco_train2014_annotations.json"


@pytest.mark.parametrize(
    ("asks", "answers", "told"),
    [
        ({"questions": []}, None, f"{ANSWERS} is missing"),
        ({"questions": []}, b'{"annotations": [{"answers": [{"answer": "', f"{ANSWERS}: {CUT}"),
        ({"questions": []}, b"", f"{ANSWERS} is empty"),
        (PAGE, None, f"{ANSWERS} is missing; {QUESTIONS}: {NO_JSON}: it begins with '<html>"),
        ({"annotations": []}, {"annotations": []}, f"{QUESTIONS} is {MISFIT}"),
        ([{"question_id": 1}], {"annotations": []}, f"{QUESTIONS} is {MISFIT}"),
        ({"questions": [{"question": "a"}]}, {"annotations": []}, f"{QUESTIONS} is {MISFIT}"),
        (b'{"questions": [nothing]}', {"annotations": []}, f"{QUESTIONS}: {NO_JSON}; get it"),
    ],
)
def test_of_vqas_two_files_that_one_is_named_that_is_absent_or_wrong(
    put: Put, tmp_path: Path, asks: Any, answers: Any, told: str
) -> None:
    put(QUESTIONS, asks)
    if answers is not None:
        put(ANSWERS, answers)
    assert f"; {told}" in refused("vqav2", tmp_path, "train")
    assert not state("vqav2", tmp_path, "train", "official").found


def test_okvqas_questions_are_known_by_their_content_too(put: Put, tmp_path: Path) -> None:
    put("mscoco_val2014_annotations.json", {"annotations": []})
    put("OpenEnded_mscoco_val2014_questions.json", {"questions": []})
    assert state("okvqa", tmp_path, "val", "official").found
    put("OpenEnded_mscoco_val2014_questions.json", {"annotations": []})
    assert not state("okvqa", tmp_path, "val", "official").found


@pytest.mark.parametrize(
    ("name", "file", "content", "told"),
    [
        ("llava_detail", "detail_23k.json", PAGE, f"detail_23k.json: {NO_JSON}"),
        ("llava_detail", "detail_23k.json", [{"caption": "a"}], f"detail_23k.json is {MISFIT}"),
        ("unnatural", "core_data.jsonl", b"", "core_data.jsonl is empty"),
        ("unnatural", "core_data.jsonl", PAGE, f"core_data.jsonl: {NO_JSON}"),
        ("unnatural", "core_data.jsonl", b'{"instruction": "a"}\n', f"core_data.jsonl is {MISFIT}"),
        ("unnatural", "full_data.jsonl", b'{"instruction": "a"}\n', f"full_data.jsonl is {MISFIT}"),
        ("iconqa", "train/choose_txt/", None, "train/choose_txt/ is empty"),
        (
            "vg",
            "region_descriptions.json",
            b'[{"id": 1, "regions": [{',
            "image_data.json is missing; region_descriptions",
        ),
    ],
)
def test_what_is_no_dataset_is_never_taken_for_one(
    put: Put, tmp_path: Path, name: str, file: str, content: Any, told: str
) -> None:
    if content is None:
        (tmp_path / file).mkdir(parents=True)
    else:
        put(file, content)
    assert f"; {told}" in refused(name, tmp_path, "train")
    assert not any(one.found for one in checked(name, str(tmp_path)))


def test_what_lies_one_folder_down_is_told(put: Put, tmp_path: Path) -> None:
    for name in ("Annotations/1.xml", "Sentences/1.txt", "train.txt", "UNRELATED_CAPTIONS"):
        put(f"flickr30k_entities-master/{name}", b"1")
        put(f"a/b/{name}", b"1")
    near = "flickr30k_entities-master/Annotations/"
    assert state("flickr30k_phrase", tmp_path, "train", "folders").wanted[0].near == near
    hint = "Annotations/ lies in flickr30k_entities-master/: give that folder as the root"
    assert f"; {hint}; get it" in refused("flickr30k_phrase", tmp_path, "train")
    assert state("flickr30k_phrase", tmp_path / "flickr30k_entities-master", "train", "folders").found
    assert "lies in" not in refused("flickr30k_phrase", tmp_path / "none", "train")


@pytest.mark.parametrize("packed", ["core_data.zip", "core_data.jsonl.zip"])
def test_what_is_still_packed_is_told(put: Put, tmp_path: Path, packed: str) -> None:
    put(packed, zipped("core_data.jsonl"))
    assert state("unnatural", tmp_path, "train", "core").wanted[0].near == packed
    assert f"; found {packed}: still packed?; get it" in refused("unnatural", tmp_path, "train")


def test_a_hint_stands_beside_the_file_that_is_missing(put: Put, tmp_path: Path) -> None:
    put(QUESTIONS, {"questions": []})
    put(ANSWERS.replace(".json", ".zip"), zipped(ANSWERS))
    hint = f"found {ANSWERS[:-5]}.zip: still packed?"
    assert f"; {ANSWERS} is missing, {hint}; get it" in refused("vqav2", tmp_path, "train")


def test_files_of_the_same_form_are_no_misspellings_of_each_other(put: Put, tmp_path: Path) -> None:
    put("a_1.json", [])
    assert nearest(str(tmp_path), [""], "a_2.json", {"a_1.json", "a_2.json"}) == ""
    assert nearest(str(tmp_path), ["", "b"], "a_2.json", set()) == "a_1.json"
    assert meaning("a_2.json", "a_1.json") == "found a_1.json: misspelt or another split?"
    assert meaning("a_2.json", "") == ""


def test_a_source_without_files_says_so_where_a_folder_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^multitask has no files of its own: made when a pool is packed"):
        checked("multitask", str(tmp_path))


def test_a_whole_file_beside_a_broken_one_elsewhere_is_read(put: Put, run: Run, tmp_path: Path) -> None:
    put("core_data.jsonl", b"")
    text = {"instruction_with_input": "Say yes.", "output": "yes", "constraints": None}
    put("full_data.jsonl", json.dumps({"instances": [text]}).encode())
    assert [one.record.messages[1].content for one in run("unnatural", "train") if one.record] == ["yes"]
    assert (tmp_path / "core_data.jsonl").stat().st_size == 0
