"""Inputs of a form: all files of a kind in a documented place; those without their proof are told apart."""

from pathlib import Path

import pytest

from converters._files import available, lacking, resolve
from converters._inputs import Inputs, listed, wild
from converters._table import Form, Source
from schemas.errors import SourceError

TARS = Form("tars", ("#.tar",), {"train": ""}, lambda reading: [], proof="#_stats.json")
FOLDERS = Form("folders", ("#/",), {"train": ""}, lambda reading: [], proof="#_stats.json")
PARTS = Form("parts", ("in/{split}-#-*.parquet",), {"train": "tr", "val": "va"}, lambda reading: [])


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")


def names(inputs: Inputs, folder: Path) -> tuple[list[str], list[str]]:
    return tuple([path.removeprefix(f"{folder}/") for path in part] for part in inputs)  # type: ignore[return-value]


def source(*forms: Form) -> Source:
    return Source(
        name="toy",
        title="Toy",
        collection=None,
        splits={"train": "train", "val": "eval"},
        forms=forms,
        variants=(),
        unit="pictures",
        counted=(),
        licence="none",
        citation="none",
        homepage="https://toy.example",
        places=("", "toy"),
    )


@pytest.mark.parametrize(
    ("name", "is_wild"), [("#.tar", True), ("part-*.parquet", True), ("a.tsv", False), ("a/", False)]
)
def test_a_name_is_wild_where_it_stands_for_many(name: str, is_wild: bool) -> None:
    assert wild(name) == is_wild


def test_inputs_are_sorted_by_name_and_those_without_proof_stand_apart(tmp_path: Path) -> None:
    touch(tmp_path, "00010.tar", "00002.tar", "00003.tar", "00010_stats.json", "00002_stats.json", "00002.parquet")
    touch(tmp_path, "x00004.tar", "00005.tar.part", "00006.tar/", "_tmp/", "a.tar", "00007_stats.json", "00008xtar")
    assert names(listed(TARS, str(tmp_path), "train"), tmp_path) == (
        ["00002.tar", "00010.tar"],
        ["00003.tar", "00006.tar", "00007_stats.json"],
    )


def test_a_proof_stands_for_the_input_that_it_lacks_where_others_are_finished(tmp_path: Path) -> None:
    touch(tmp_path, "00000.tar", "00000_stats.json", "00003/", "00003_stats.json", "x00004_stats.json")
    assert names(listed(TARS, str(tmp_path), "train"), tmp_path) == (["00000.tar"], ["00003_stats.json"])
    assert names(listed(FOLDERS, str(tmp_path), "train"), tmp_path) == (["00003/"], ["00000_stats.json"])


def test_a_proof_alone_is_no_unfinished_input(tmp_path: Path) -> None:
    touch(tmp_path, "00003/", "00003_stats.json")
    assert listed(TARS, str(tmp_path), "train") == ((), ())
    (lack,) = lacking(source(TARS), str(tmp_path), "train", TARS)
    assert lack.absent


def test_folders_are_inputs_too_and_files_of_their_name_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "00000/", "00001/", "00000_stats.json", "00002", "00002_stats.json", "0000a/")
    assert names(listed(FOLDERS, str(tmp_path), "train"), tmp_path) == (["00000/"], ["00001/"])


def test_a_pattern_has_its_split_a_folder_and_every_sign_taken_at_its_word(tmp_path: Path) -> None:
    touch(
        tmp_path, "in/tr-0-x.y.parquet", "in/tr-12-.parquet", "in/va-0-x.parquet", "in/tr-a-x.parquet", "tr-0-x.parquet"
    )
    touch(tmp_path, "in/tr-0-xparquet", "in/deep/tr-0-x.parquet")
    assert names(listed(PARTS, str(tmp_path), "train"), tmp_path) == (["in/tr-0-x.y.parquet", "in/tr-12-.parquet"], [])
    assert names(listed(PARTS, str(tmp_path), "val"), tmp_path) == (["in/va-0-x.parquet"], [])
    assert listed(PARTS, str(tmp_path / "nowhere"), "val") == ((), ())


def test_a_source_is_found_by_its_finished_inputs_in_any_of_its_places(tmp_path: Path) -> None:
    touch(tmp_path, "toy/0.tar", "toy/0_stats.json", "toy/1.tar")
    found = resolve(source(TARS, FOLDERS), str(tmp_path), "train")
    assert (found.form, found.files) == (TARS, (f"{tmp_path}/toy/0.tar",))
    assert found.unfinished == (f"{tmp_path}/toy/1.tar",)


def test_a_download_of_which_nothing_is_finished_says_what_is_wanted(tmp_path: Path) -> None:
    touch(tmp_path, "0.tar", "1.tar")
    toy = source(TARS)
    assert available(toy, str(tmp_path), "train") == []
    (lack,) = lacking(toy, str(tmp_path), "train", TARS)
    assert lack.why == "there, but nowhere finished: #_stats.json is wanted beside each"
    with pytest.raises(SourceError, match=r"#\.tar: there, but nowhere finished: #_stats\.json is wanted"):
        resolve(toy, str(tmp_path), "train")


def test_nothing_at_all_names_the_pattern_and_where_people_get_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"toy train: not found under .*: wanted #\.tar or #/; get it: https://toy"):
        resolve(source(TARS, FOLDERS), str(tmp_path), "train")
