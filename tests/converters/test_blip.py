"""BLIP's lists: arrays of objects, six files of two sources, streamed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import find
from converters._web import web_id
from pipelines.convert import Outcome, job
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

A, B = "http://a.example/1.jpg", "https://b.example/2.png"
FORMS = {"synthetic_large": "synthetic_filtered_large", "synthetic": "synthetic_filtered", "web": "filtered"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prefix", ["ccs", "laion"])
def test_each_of_the_six_files_is_a_form_of_its_source(put: Put, run: Run, prefix: str, form: str) -> None:
    put(f"{prefix}_{FORMS[form]}.json", [{"caption": "a dog", "url": A}, {"url": B, "caption": "a cat"}])
    outcomes = run(f"blip_{prefix}", "train", form=form)
    assert [one.record.messages[1].content for one in outcomes if one.record] == ["a dog", "a cat"]
    assert [one.image.id for one in outcomes if one.image] == [web_id(A), web_id(B)]


def test_where_several_lie_the_user_chooses(put: Put, tmp_path: Path) -> None:
    for file in FORMS.values():
        put(f"ccs_{file}.json", [])
    with pytest.raises(SourceError, match="use --form synthetic or --form synthetic_large or --form web"):
        job("blip_ccs", str(tmp_path), "train")


def test_items_that_are_no_objects_are_rejects_and_cost_no_other(put: Put, run: Run) -> None:
    items = [{"url": A, "caption": "a dog"}, 7, {"image": "a.jpg", "caption": "x"}, {"url": B, "caption": "a cat"}]
    put("ccs_filtered.json", items)
    assert [one.reason for one in run("blip_ccs", "train")] == ["", "malformed row", "malformed row", ""]


def test_a_list_that_is_cut_short_is_no_source(put: Put, run: Run, tmp_path: Path) -> None:
    whole = json.dumps([{"url": A, "caption": "a dog"}] * 3).encode()
    put("ccs_filtered.json", whole[:-9])
    with pytest.raises(SourceError, match="it is cut short"):
        run("blip_ccs", "train")
    put("ccs_filtered.json", whole[:-9] + b'"a dog]')
    with pytest.raises(SourceError, match="ends within the array, after 2 items"):
        run("blip_ccs", "train")


def test_the_folders_that_minigpt4_downloads_to_are_places(put: Put, tmp_path: Path) -> None:
    for folder, source in (("cc_sbu_dataset", "blip_ccs"), ("laion_dataset", "blip_laion")):
        put(f"{folder}/00000.tar", bytes(1024))
        put(f"{folder}/00000_stats.json", {})
        assert job(source, str(tmp_path), "train").found.files == (f"{tmp_path}/{folder}/00000.tar",)


def test_the_lists_have_no_collection_as_their_pictures_lie_beside_their_rows() -> None:
    assert {find(name).collection for name in ("blip_ccs", "blip_laion", "cc3m", "cc12m", "sbu", "laion")} == {None}
