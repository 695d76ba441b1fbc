"""SBU Captions in its three forms, each with the same rows."""

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

URLS = [f"http://static.flickr.com/{farm}/{farm}00_abc.jpg" for farm in (2723, 1192, 4104)]
CAPTIONS = ["A chair in the room", "white horse near a hill", 'a "flower" - caf\u00e9']
OLD = "SBU_captioned_photo_dataset_"


def lines(texts: list[str], end: str = "\n") -> bytes:
    return "".join(text + end for text in texts).encode()


def put_all(put: Put) -> None:
    put("new/sbu-captions-all.json", {"image_urls": URLS, "user_ids": ["1@N0", "2@N0", "3@N0"], "captions": CAPTIONS})
    put(f"old/{OLD}urls.txt", lines(URLS, "\r\n"))
    put(f"old/{OLD}captions.txt", lines(CAPTIONS))
    put(f"packed/dataset/{OLD}urls.txt", lines(URLS))
    put(f"packed/dataset/{OLD}captions.txt", lines(CAPTIONS))
    rows = [{"image": "1.jpg", "caption": said, "url": url} for url, said in zip(URLS, CAPTIONS, strict=True)]
    put("lavis/sbu.json", rows)


@pytest.mark.parametrize(
    ("folder", "form"), [("new", "links"), ("old", "texts"), ("packed", "texts"), ("lavis", "lavis")]
)
def test_every_form_gives_the_same_records(put: Put, run: Run, tmp_path: Path, folder: str, form: str) -> None:
    put_all(put)
    outcomes = run("sbu", "train", tmp_path / folder)
    assert job("sbu", str(tmp_path / folder), "train").found.form.name == form
    assert [one.image.id for one in outcomes if one.image] == [web_id(url) for url in URLS]
    assert [one.record.messages[1].content for one in outcomes if one.record] == CAPTIONS
    assert [one.key for one in outcomes] == [one.key for one in run("sbu", "train", tmp_path / "new")]


def test_a_caption_of_another_type_costs_its_own_row_alone(put: Put, run: Run) -> None:
    put("sbu-captions-all.json", {"image_urls": URLS, "user_ids": ["1", "2", "3"], "captions": ["one", 2, "three"]})
    assert [one.reason for one in run("sbu", "train")] == ["", "malformed row", ""]


@pytest.mark.parametrize("users", [["1@N0", 2, None], ["1@N0"], {"a": 1}])
def test_who_took_a_picture_is_nobodys_concern(put: Put, run: Run, users: Any) -> None:
    put("sbu-captions-all.json", {"image_urls": URLS, "user_ids": users, "captions": CAPTIONS})
    assert [one.reason for one in run("sbu", "train")] == ["", "", ""]


def test_arrays_and_files_of_unequal_length_are_no_source(put: Put, run: Run, tmp_path: Path) -> None:
    put("new/sbu-captions-all.json", {"image_urls": URLS, "user_ids": [], "captions": CAPTIONS[:1]})
    with pytest.raises(SourceError, match=r"its arrays have \[1, 3\] items: wanted as many of each"):
        run("sbu", "train", tmp_path / "new")
    put(f"old/{OLD}urls.txt", lines(URLS))
    put(f"old/{OLD}captions.txt", lines(CAPTIONS[:-1]))
    with pytest.raises(SourceError, match=r"captions\.txt: ends after 2 lines"):
        run("sbu", "train", tmp_path / "old")


def test_half_of_the_old_form_names_the_other_half(put: Put, tmp_path: Path) -> None:
    put(f"{OLD}urls.txt", lines(URLS))
    with pytest.raises(SourceError, match=f"{OLD}captions.txt is missing"):
        job("sbu", str(tmp_path), "train")


def test_official_counts_stand_in_the_table() -> None:
    counts = {form.name: dict(form.counts) for form in find("sbu").forms}
    assert counts["links"] == counts["texts"] == {"train": 1_000_000}
