"""LAION: which caption, which scores, and each filter as a rule that is counted."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters import find
from converters._web import web_id
from pipelines.convert import Outcome, job
from schemas.errors import ConfigError
from schemas.record import ImageRef, Score

Run = Callable[..., list[Outcome]]
PART = "part-00000-5114fd87-297e-42b0-9d11-50f1df323dfa-c000.snappy.parquet"
URL = "http://a.example/{}.jpg"
NAN = float("nan")


def row(place: int = 0, **more: Any) -> dict[str, Any]:
    told = {"SAMPLE_ID": place, "URL": URL.format(place), "TEXT": f"text {place}", "HEIGHT": 300, "WIDTH": 400}
    return {**told, "LICENSE": "?", "NSFW": "UNLIKELY", "similarity": 0.3, **more}


def listed(folder: Path, *rows: dict[str, Any], name: str = PART) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / name)


def downloaded(folder: Path, *rows: dict[str, Any]) -> None:
    renamed = [
        {{"URL": "url", "TEXT": "caption"}.get(name, name): value for name, value in row.items()} for row in rows
    ]
    more = {"key": "000000000", "status": "success", "error_message": None, "width": 200, "height": 150}
    pq.write_table(pa.Table.from_pylist([{**more, **row} for row in renamed]), folder / "00000.parquet")
    (folder / "00000.tar").write_bytes(bytes(1024))
    (folder / "00000_stats.json").write_text("{}")


def ends(outcomes: list[Outcome]) -> dict[str, int]:
    assert all(one.rule for one in outcomes if not one.record)
    return Counter(one.reason or "written" for one in outcomes)


def replies(outcomes: list[Outcome]) -> list[str]:
    return [one.record.messages[1].content for one in outcomes if one.record]


def test_a_row_gives_a_caption_record_and_what_models_think_of_its_picture(tmp_path: Path, run: Run) -> None:
    more = {"LICENSE": "CC-BY", "punsafe": 0.01, "pwatermark": 0.9}
    listed(tmp_path, row(7, **more))
    (one,) = run("laion", "train")
    scores = [Score("similarity", 0.3), Score("punsafe", 0.01), Score("pwatermark", 0.9)]
    assert one.image == ImageRef(web_id(URL.format(7)), [], None, None, None, "CC-BY", scores)
    assert replies([one]) == ["text 7"]


@pytest.mark.parametrize("licence", ["?", None, ""])
@pytest.mark.parametrize("score", [None, NAN, -1.0, float("inf")])
def test_what_is_not_known_is_not_told(tmp_path: Path, run: Run, score: float | None, licence: str | None) -> None:
    listed(tmp_path, row(similarity=score, LICENSE=licence), row(1))
    image = run("laion", "train")[0].image
    assert image is not None
    assert (image.scores, image.license) == ([], None)


def test_sizes_and_ids_may_be_floats_and_columns_may_be_gone(tmp_path: Path, run: Run) -> None:
    listed(tmp_path, row(SAMPLE_ID=1.5e12, WIDTH=640.0, HEIGHT=None), {**row(1), "WIDTH": 640.0})
    listed(tmp_path, {"URL": URL.format(2), "TEXT": "text 2"}, name="part-00001-x.parquet")
    assert replies(run("laion", "train", options={"min_side": "none"})) == ["text 0", "text 1", "text 2"]


def test_which_caption_is_an_option(tmp_path: Path, run: Run) -> None:
    listed(tmp_path, row(0, top_caption="a dog"), row(1, top_caption=None))
    assert replies(run("laion", "train")) == ["text 0", "text 1"]
    first, second = run("laion", "train", options={"caption": "top_caption"})
    assert replies([first, second]) == ["a dog"]
    assert (second.reason, second.rule) == ("caption missing", False)
    assert [first.key, second.key] == [one.key for one in run("laion", "train")]


def test_the_caption_of_a_download_is_the_one_asked_for(tmp_path: Path, run: Run) -> None:
    downloaded(tmp_path, row(0, top_caption="a dog"))
    assert replies(run("laion", "train")) == ["text 0"]
    assert replies(run("laion", "train", options={"caption": "top_caption"})) == ["a dog"]


@pytest.mark.parametrize(
    ("option", "value", "column", "values", "wanted"),
    [
        ("similarity", "0.3", "similarity", [0.29999, 0.3, 0.4, None, NAN, -1.0],
         {"similarity too low": 1, "written": 2, "similarity unknown": 3}),
        ("similarity", "-0.5", "similarity", [-0.6, -0.4], {"similarity too low": 1, "written": 1}),
        ("punsafe", "0.5", "punsafe", [0.5, 0.51, None, -1.0, 0.0],
         {"written": 2, "punsafe too high": 1, "punsafe unknown": 2}),
        ("pwatermark", "0.8", "pwatermark", [0.8, 0.9, None],
         {"written": 1, "pwatermark too high": 1, "pwatermark unknown": 1}),
        ("min_side", "300", "HEIGHT", [300, 299, None, 900, 0],
         {"written": 2, "picture too small": 1, "size unknown": 2}),
        ("min_side", "300", "WIDTH", [300, 299], {"written": 1, "picture too small": 1}),
        ("nsfw", "unlikely", "NSFW", ["UNLIKELY", "UNSURE", "NSFW", None, "", "UNTAGGED"],
         {"written": 1, "nsfw tag": 2, "nsfw tag unknown": 3}),
        ("nsfw", "unlikely_or_untagged", "NSFW", ["UNLIKELY", "UNSURE", "NSFW", None, "", "UNTAGGED"],
         {"written": 4, "nsfw tag": 2}),
        ("language", "de", "LANGUAGE", ["de", "en", None, ""],
         {"written": 1, "language": 1, "language unknown": 2}),
    ],
)  # fmt: skip
def test_a_filter_leaves_out_what_is_beyond_it_and_what_it_knows_nothing_of(
    tmp_path: Path, run: Run, option: str, value: str, column: str, values: list[Any], wanted: dict[str, int]
) -> None:
    listed(tmp_path, *[row(place, **{column: one}) for place, one in enumerate(values)])
    assert ends(run("laion", "train", options={option: value})) == wanted
    assert ends(run("laion", "train")) == {"written": len(values)}


def test_the_size_as_downloaded_goes_before_the_size_as_listed(tmp_path: Path, run: Run) -> None:
    downloaded(tmp_path, row(original_width=500, original_height=250, WIDTH=100, HEIGHT=100))
    assert ends(run("laion", "train", options={"min_side": "250"})) == {"written": 1}
    assert ends(run("laion", "train", options={"min_side": "251"})) == {"picture too small": 1}


def test_a_failed_download_is_that_whatever_filters_say(tmp_path: Path, run: Run) -> None:
    downloaded(tmp_path, row(status="failed_to_download", error_message="timed out", similarity=0.1))
    assert ends(run("laion", "train", options={"similarity": "0.3"})) == {"failed to download": 1}


@pytest.mark.parametrize(
    "options",
    [
        {"similarity": "2"},
        {"punsafe": "-0.1"},
        {"min_side": "0"},
        {"nsfw": "NSFW"},
        {"language": "xx"},
        {"caption": "x"},
    ],
)
def test_an_option_out_of_bounds_is_refused(tmp_path: Path, options: dict[str, str]) -> None:
    listed(tmp_path, row())
    with pytest.raises(ConfigError, match=f"laion: .*{next(iter(options))}"):
        job("laion", str(tmp_path), "train", options=options)


def test_parts_are_read_in_order_of_their_names_in_any_of_the_published_folders(tmp_path: Path, run: Run) -> None:
    for place in (2, 0, 1):
        listed(tmp_path / "laion400m-meta", row(place), name=f"part-0000{place}-x-c000.snappy.parquet")
    assert replies(run("laion", "train")) == ["text 0", "text 1", "text 2"]


def test_what_converters_read_is_kept_in_a_download() -> None:
    links = next(form.links for form in find("laion").forms if form.links)
    assert (links.url, links.caption) == ("URL", "TEXT")
    assert {"similarity", "punsafe", "pwatermark", "LICENSE", "NSFW", "LANGUAGE", "WIDTH", "HEIGHT", "top_caption"} <= {
        *links.keep
    }
