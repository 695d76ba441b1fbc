"""Which form of a source lies under a root."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.registry import known_implementations

from converters import find
from converters._files import available, expected, resolve
from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

CAPTIONS: Any = {"images": [], "annotations": [{"id": 1, "image_id": 7, "caption": "a dog"}]}
INSTANCES: Any = {
    "images": [{"id": 7, "width": 100, "height": 100}],
    "annotations": [{"id": 1, "image_id": 7, "bbox": [10, 10, 20, 20], "category_id": 1}],
    "categories": [{"id": 1, "name": "dog"}],
}
KARPATHY: Any = {"images": [{"cocoid": 7, "split": "train", "sentences": [{"raw": "a dog", "sentid": 1}]}]}
LAVIS: Any = [{"image": "train2014/COCO_train2014_000000000007.jpg", "caption": "a dog", "image_id": "coco_7"}]
REFS = [{"ref_id": 0, "ann_id": 1, "image_id": 7, "split": "val", "sentences": [{"sent_id": 0, "sent": "a dog"}]}]


def form(name: str, root: object, split: str, asked: str = "auto") -> tuple[str, tuple[str, ...]]:
    found = resolve(find(name), str(root), split, asked)
    return found.form.name, tuple(Path(file).relative_to(str(root)).as_posix() for file in found.files)


def test_captions_of_two_years_together_are_an_error_that_names_the_choice(put: Put, tmp_path: Path) -> None:
    put("annotations/captions_train2014.json", CAPTIONS)
    put("annotations/captions_train2017.json", CAPTIONS)
    with pytest.raises(
        SourceError, match=r"coco_caption train: the same rows lie in several forms .*use --form 2014 or --form 2017$"
    ):
        resolve(find("coco_caption"), str(tmp_path), "train")
    assert form("coco_caption", tmp_path, "train", "2017") == ("2017", ("annotations/captions_train2017.json",))


def test_karpathys_split_beside_the_published_one_is_a_choice_too(put: Put, tmp_path: Path) -> None:
    put("captions_train2014.json", CAPTIONS)
    put("dataset_coco.json", KARPATHY)
    with pytest.raises(SourceError, match=r"use --form 2014 or --form karpathy$"):
        resolve(find("coco_caption"), str(tmp_path), "train")


def test_instances_of_two_years_together_are_an_error_that_names_the_choice(put: Put, tmp_path: Path) -> None:
    put("instances_val2014.json", INSTANCES)
    put("annotations/instances_val2017.json", INSTANCES)
    with pytest.raises(SourceError, match=r"coco_instances val: .*use --form 2014 or --form 2017$"):
        resolve(find("coco_instances"), str(tmp_path), "val")


@pytest.mark.parametrize(("name", "folder", "by"), [("refcoco", "refcoco", "unc"), ("refcocog", "refcocog", "umd")])
def test_the_usual_split_is_preferred_over_googles_without_a_question(
    put: Put, tmp_path: Path, name: str, folder: str, by: str
) -> None:
    put(f"{folder}/refs({by}).p", REFS)
    put(f"{folder}/refs(google).p", REFS)
    put(f"{folder}/instances.json", INSTANCES)
    put(f"finetune_{folder}_val.json", {"images": [{"caption": "a", "original_id": 1}], "annotations": []})
    assert form(name, tmp_path, "val")[0] == by
    assert form(name, tmp_path, "val", "google") == ("google", (f"{folder}/refs(google).p", f"{folder}/instances.json"))


def test_googles_split_is_read_where_it_lies_alone(put: Put, tmp_path: Path) -> None:
    put("refcoco/refs(google).p", REFS)
    put("refcoco/instances.json", INSTANCES)
    assert form("refcoco", tmp_path, "val")[0] == "google"


def test_the_same_file_in_two_places_is_never_read_twice(put: Put, tmp_path: Path) -> None:
    put("captions_train2014.json", CAPTIONS)
    put("annotations/captions_train2014.json", CAPTIONS)
    with pytest.raises(SourceError, match=r"the same rows lie twice under .*; keep one$"):
        resolve(find("coco_caption"), str(tmp_path), "train")


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("dataset_coco.json", LAVIS, "lavis"),
        ("coco_karpathy_train.json", KARPATHY, "karpathy"),
        ("captions_train2014.json", LAVIS, "lavis"),
        ("coco_karpathy_train.json", LAVIS, "lavis"),
        ("captions_train2017.json", CAPTIONS, "2017"),
    ],
)
def test_a_file_is_known_by_its_content_and_not_by_its_name(
    put: Put, run: Run, tmp_path: Path, name: str, content: Any, found: str
) -> None:
    put(name, content)
    assert form("coco_caption", tmp_path, "train") == (found, (name,))
    assert [one.record.messages[1].content for one in run("coco_caption", "train") if one.record] == ["a dog"]


@pytest.mark.parametrize("content", [INSTANCES, [], {}, {"annotations": []}, [[1]]])
def test_a_file_of_another_kind_is_named_as_not_as_published(put: Put, tmp_path: Path, content: Any) -> None:
    put("annotations/captions_train2014.json", content)
    with pytest.raises(
        SourceError, match=r"; annotations/captions_train2014\.json is there, but its content is not as published; get"
    ):
        resolve(find("coco_caption"), str(tmp_path), "train")


@pytest.mark.parametrize(
    "content", [b'{"images": [{"\xff": 1}], "annotations": []}', b'[{"\xff": 1}]', b"[" * 100_000, b'{"a": ' * 100_000]
)
def test_a_hostile_file_is_only_not_the_json_it_should_be(put: Put, tmp_path: Path, content: bytes) -> None:
    put("captions_train2014.json", content)
    put("coco_karpathy_train.json", content)
    with pytest.raises(SourceError, match=r"; captions_train2014\.json: not the JSON it should be"):
        resolve(find("coco_caption"), str(tmp_path), "train")


def test_a_file_re_indented_by_a_mirror_is_known(put: Put, tmp_path: Path) -> None:
    put("dataset_coco.json", b"\r\n\t " + json.dumps(KARPATHY, indent=4).encode())
    assert form("coco_caption", tmp_path, "train")[0] == "karpathy"


def test_a_file_without_any_annotation_is_still_what_its_name_says(put: Put, tmp_path: Path) -> None:
    put("captions_val2014.json", {"images": [], "annotations": []})
    assert form("coco_caption", tmp_path, "val") == ("2014", ("captions_val2014.json",))


def test_nothing_there_says_what_was_wanted_and_where_people_get_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        resolve(find("refcoco"), str(tmp_path), "testA")
    told = str(raised.value)
    assert told.startswith(
        f"refcoco testA: not found under {tmp_path}: wanted refcoco/refs(unc).p + refcoco/instances.json"
    )
    assert "finetune_refcoco_testA.json or refcoco/refcoco_testA.json" in told
    assert told.endswith("get it: https://github.com/lichengunc/refer")


def test_a_missing_root_says_the_same(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"refcoco val: not found under .*/absent: wanted "):
        resolve(find("refcoco"), str(tmp_path / "absent"), "val")


def test_the_pickle_without_its_instances_is_told(put: Put, tmp_path: Path) -> None:
    put("refcoco/refs(unc).p", REFS)
    with pytest.raises(SourceError, match=r"; refcoco/instances\.json is missing; get it: "):
        resolve(find("refcoco"), str(tmp_path), "val")


def test_a_root_given_one_folder_too_deep_is_told(put: Put, tmp_path: Path) -> None:
    put("refcoco/refs(unc).p", REFS)
    put("refcoco/instances.json", INSTANCES)
    with pytest.raises(SourceError, match="lies in the root itself: give the folder above it as the root"):
        resolve(find("refcoco"), str(tmp_path / "refcoco"), "val")


def test_a_misspelt_file_is_told(put: Put, tmp_path: Path) -> None:
    put("refcocog/refs(und).p", REFS)
    with pytest.raises(SourceError, match=r"found refcocog/refs\(und\)\.p: misspelt or another split\?"):
        resolve(find("refcocog"), str(tmp_path), "val")


@pytest.mark.parametrize(
    ("split", "asked", "message"),
    [
        ("testa", "auto", r"refcoco: unknown split 'testa'; did you mean test"),
        ("val", "uncc", r"refcoco: unknown form 'uncc'; did you mean unc"),
        ("zzz", "auto", r"refcoco: unknown split 'zzz'; known: test, testA, testB, train, val"),
    ],
)
def test_an_unknown_split_or_form_offers_near_ones(tmp_path: Path, split: str, asked: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(find("refcoco"), str(tmp_path), split, asked)


def test_a_form_that_has_not_this_split_says_so(put: Put, tmp_path: Path) -> None:
    put("refcoco/refs(google).p", REFS)
    put("refcoco/instances.json", INSTANCES)
    with pytest.raises(SourceError, match=r"refcoco testA: .*wanted no form of it that has this split"):
        resolve(find("refcoco"), str(tmp_path), "testA", "google")


def test_a_folder_of_a_files_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "captions_train2014.json").mkdir()
    assert available(find("coco_caption"), str(tmp_path), "train") == []


@pytest.mark.parametrize("root", ["nosuchprotocol://x", "s3://bucket/x"])
def test_a_root_that_cannot_be_reached_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.setitem(known_implementations, "s3", {"class": "absent_s3fs.S3", "err": "Install s3fs"})
    with pytest.raises(SourceError, match=r"^cannot read (s3|nosuchprotocol)://"):
        resolve(find("coco_caption"), root, "train")


@pytest.fixture
def in_memory() -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    yield "memory://published"
    fs.rm("/published", recursive=True)


@pytest.mark.parametrize(
    ("name", "folder", "split"),
    [
        ("refcoco", "refer", "testB"),
        ("refcocog", "refer", "val"),
        ("refcoco", "mdetr", "val"),
        ("refcoco", "flat", "val"),
        ("coco_caption", "coco", "val"),
        ("coco_caption", "karpathy", "test"),
        ("coco_caption", "lavis", "restval"),
        ("coco_instances", "coco", "val"),
    ],
)
def test_every_form_reads_the_same_from_disk_from_memory_and_by_url(
    run: Run, in_memory: str, demo_files: Path, name: str, folder: str, split: str
) -> None:
    local = demo_files / folder
    for file in find_files(local):
        fsspec.filesystem("memory").pipe(f"/published/{file.relative_to(local).as_posix()}", file.read_bytes())
    by_disk = run(name, split, local)
    assert any(one.record for one in by_disk)
    assert run(name, split, in_memory) == by_disk
    assert run(name, split, f"{in_memory}/") == by_disk
    assert run(name, split, f"file://{local}") == by_disk


def find_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".p")]


def test_a_forms_files_are_named_for_the_split() -> None:
    forms = {form.name: form for form in find("refcocoplus").forms}
    assert expected(forms["unc"], "testA") == ("refcoco+/refs(unc).p", "refcoco+/instances.json")
    assert expected(forms["mdetr"], "testA") == ("finetune_refcoco+_testA.json",)
    assert expected(forms["flat"], "testA") == ("refcoco+/refcoco+_testA.json",)
