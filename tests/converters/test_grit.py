"""GRIT's rows three ways: whole records, and each rule and quirk above a row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters._web import web_id
from pipelines.convert import Outcome

Run = Callable[..., list[Outcome]]
Json = dict[str, Any]

URL = "https://pictures.example.org/kitchen/{}.jpg"
CAPTION = "A kettle on a blue stove, and two mugs"
KETTLE = [0.10, 0.25, 0.4, 0.75]
STOVE = [0.05, 0.5, 0.95, 1.0]
MUGS = [0.5, 0.3, 0.6, 0.45], [0.65, 0.31, 0.74, 0.45]
THREE = [[12.0, 24.0, *STOVE, 0.91], [30.0, 38.0, *MUGS[1], 0.72], [30.0, 38.0, *MUGS[0], 0.75]]
CHUNKS = [THREE[0], [0.0, 8.0, *KETTLE, 0.83], *THREE[1:]]
EXPRESSIONS = [THREE[0], [0.0, 24.0, *KETTLE, 0.83], *THREE[1:]]


def row(id: int | None = 77, caption: str | None = CAPTION, **more: Any) -> Json:
    return {
        "clip_similarity_vitb32": 0.31,
        "clip_similarity_vitl14": 0.27,
        "id": id,
        "url": URL.format(id),
        "caption": caption,
        "width": 640,
        "height": 480,
        "noun_chunks": CHUNKS,
        "ref_exps": EXPRESSIONS,
        "key": "000373938",
        **more,
    }


def kept(key: str = "000000000", **more: Any) -> Json:
    """A row of a finished download."""
    sizes = {"width": 256, "height": 192, "original_width": 640, "original_height": 480}
    return {**row(), "key": key, "status": "success", "error_message": None, **sizes, **more}


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., None]:
    """Writes rows as the published parquet of that number."""

    def published(*rows: Json, number: int = 0, folder: str = "grit-20m") -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows)), tmp_path / folder / f"coyo_{number}_snappy.parquet")

    return published


@pytest.fixture
def download(tmp_path: Path) -> Callable[..., None]:
    """Writes rows as the table of a download whose pictures lie in a folder."""

    def downloaded(*rows: Json) -> None:
        (tmp_path / "00000").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows)), tmp_path / "00000.parquet")
        (tmp_path / "00000_stats.json").write_text("{}")

    return downloaded


Write = Callable[..., None]


def told(found: list[Outcome]) -> list[tuple[str, str]]:
    """Key, and the answer or else the reason."""
    return [
        (one.key.removeprefix("grit/train/"), one.record.messages[1].content if one.record else one.reason)
        for one in found
    ]


def answers(found: list[Outcome]) -> list[str]:
    return [text for _, text in told(found)]


def whole(found: list[Outcome]) -> list[Any]:
    return [msgspec.to_builtins(one.record) for one in found if one.record]


def test_an_expression_is_asked_for_its_box_and_the_box_for_its_expression(publish: Write, run: Run) -> None:
    publish(row(ref_exps=[EXPRESSIONS[1]]))
    refer, identify = whole(run("grit", "train", tasks=["refer", "identify"]))
    shared = {"source": "grit", "split": "train", "boxes": [[0.1, 0.25, 0.4, 0.75]]}
    meta = [{"name": "score", "value": "0.83"}]
    phrase = "A kettle on a blue stove"
    assert refer == {
        **shared,
        "key": "grit/train/77-0-24/refer",
        "task": "refer",
        "messages": [
            {"role": "user", "content": f"[refer] give me the location of {phrase}"},
            {"role": "assistant", "content": "{<10><25><40><75>}"},
        ],
        "draw": {"pool": "refer", "slots": [{"name": "phrase", "value": phrase}], "answers": []},
        "meta": meta,
    }
    assert identify == {
        **shared,
        "key": "grit/train/77-0-24/identify",
        "task": "identify",
        "messages": [
            {"role": "user", "content": "[identify] this region {<10><25><40><75>} contains"},
            {"role": "assistant", "content": phrase},
        ],
        "draw": {"pool": "identify", "slots": [{"name": "box", "value": "0"}], "answers": []},
        "meta": meta,
    }


def test_a_caption_is_grounded_with_its_noun_chunks_and_all_their_boxes(publish: Write, run: Run) -> None:
    publish(row())
    (grounding,) = whole(run("grit", "train", tasks=["grounding"]))
    assert grounding == {
        "key": "grit/train/77/grounding",
        "source": "grit",
        "split": "train",
        "task": "grounding",
        "messages": [
            {"role": "user", "content": "[grounding] write a sentence about the scene and mark what it names"},
            {
                "role": "assistant",
                "content": "<p>A kettle</p> {<10><25><40><75>} on <p>a blue stove</p> {<5><50><95><100>}, and "
                "<p>two mugs</p> {<50><30><60><45>}<delim>{<65><31><74><45>}",
            },
        ],
        "boxes": [KETTLE, STOVE, *MUGS],
        "draw": {"pool": "grounding", "slots": [], "answers": []},
        "meta": [],
    }


def test_a_caption_is_grounded_with_its_expressions_where_they_are_asked_for(publish: Write, run: Run) -> None:
    publish(row())
    (found,) = run("grit", "train", tasks=["grounding"], options={"spans": "ref_exps"})
    assert found.record is not None
    assert found.record.messages[1].content == (
        "A kettle on <p>a blue stove</p> {<5><50><95><100>}, and "
        "<p>two mugs</p> {<50><30><60><45>}<delim>{<65><31><74><45>}"
    )
    assert msgspec.to_builtins(found.record.meta) == [{"name": "overlapping_phrases", "value": "1"}]


def test_every_expression_ends_in_each_task_and_one_of_several_boxes_is_left_out(publish: Write, run: Run) -> None:
    publish(row())
    found = run("grit", "train", tasks=["refer"])
    assert told(found) == [
        ("77-12-24/refer", "{<5><50><95><100>}"),
        ("77-0-24/refer", "{<10><25><40><75>}"),
        ("77-30-38/refer", "phrase with several boxes"),
    ]
    assert [one.rule for one in found] == [False, False, True]
    assert answers(run("grit", "train", tasks=["identify"])) == [
        "a blue stove",
        "A kettle on a blue stove",
        "phrase with several boxes",
    ]


def test_a_picture_is_known_by_its_number_in_coyo_and_its_link_and_keeps_its_similarities(
    publish: Write, run: Run
) -> None:
    publish(row(clip_similarity_vitl14=None))
    (found,) = run("grit", "train", tasks=["grounding"])
    assert msgspec.to_builtins(found.image) == {
        "id": "coyo/77",
        "aliases": [web_id(URL.format(77))],
        "width": None,
        "height": None,
        "sha256": None,
        "license": None,
        "scores": [{"name": "clip_similarity_vitb32", "value": 0.31}],
    }


def test_a_picture_whose_number_was_not_kept_is_known_by_its_link(publish: Write, run: Run) -> None:
    publish({key: value for key, value in row().items() if key != "id"})
    (found,) = run("grit", "train", tasks=["grounding"])
    assert found.image is not None
    link = web_id(URL.format(77))
    assert (found.image.id, found.image.aliases) == (link, [])
    assert found.key == f"grit/train/{link.removeprefix('web/')}/grounding"


@pytest.mark.parametrize("folder", ["grit-20m", ""])
def test_all_published_files_are_read_from_their_folder_or_the_root(publish: Write, run: Run, folder: str) -> None:
    publish(row(1), number=0, folder=folder)
    publish(row(2), number=12, folder=folder)
    assert [one.key for one in run("grit", "train", tasks=["grounding"])] == [
        "grit/train/1/grounding",
        "grit/train/2/grounding",
    ]


def test_the_older_file_of_lines_gives_the_same_records(publish: Write, run: Run, tmp_path: Path) -> None:
    rows = [row(1), row(2, "📷 a dog", noun_chunks=[[2, 7, *KETTLE, 1]], ref_exps=[[2, 7, *KETTLE, 1]])]
    publish(*rows)
    new = run("grit", "train")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "grit_coyo.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    assert run("grit", "train", tmp_path / "older") == new
    assert sum(one.record is not None for one in new) == 2 + 2 + 1 + 3


def test_a_download_is_read_where_a_list_of_links_lies_beside_it(publish: Write, download: Write, run: Run) -> None:
    publish(row(1))
    download(kept(id=5))
    (found,) = run("grit", "train", tasks=["grounding"])
    assert (found.key, found.image and (found.image.width, found.image.height)) == (
        "grit/train/5/grounding",
        (256, 192),
    )


def test_what_was_not_downloaded_is_left_out_expression_by_expression(download: Write, run: Run) -> None:
    sizes = dict.fromkeys(("width", "height", "original_width", "original_height"))
    download(kept(status="failed_to_download", error_message="HTTP Error 404: Not Found", **sizes))
    found = run("grit", "train")
    assert [one.reason for one in found] == ["failed to download"] * 7
    assert all(one.rule for one in found)


def test_a_download_that_did_not_keep_the_spans_is_told_so_once_a_task(download: Write, run: Run) -> None:
    bare = kept()
    del bare["ref_exps"], bare["noun_chunks"]
    download(bare)
    assert told(run("grit", "train")) == [
        ("77-entry0/refer", "no ref_exps"),
        ("77-entry0/identify", "no ref_exps"),
        ("77/grounding", "no noun_chunks"),
    ]


def test_a_picture_in_which_nothing_is_marked_has_no_expressions_and_no_grounding(publish: Write, run: Run) -> None:
    publish(row(1), row(2, noun_chunks=[], ref_exps=[]))
    found = [one for one in run("grit", "train") if "/2" in one.key]
    assert [(one.key, one.reason, one.rule) for one in found] == [("grit/train/2/grounding", "no phrases", True)]


def test_a_malformed_entry_is_one_reject_and_takes_the_grounding_with_it(publish: Write, run: Run) -> None:
    broken = [0.0, 99.0, *KETTLE, 0.9]
    publish(row(ref_exps=[broken, EXPRESSIONS[1]], noun_chunks=[broken, CHUNKS[1]]))
    assert told(run("grit", "train", tasks=["refer", "grounding"])) == [
        ("77-0-24/refer", "{<10><25><40><75>}"),
        ("77-entry0/refer", "malformed span"),
        ("77/grounding", "malformed span"),
    ]


def test_a_box_that_is_none_is_one_reject_and_takes_the_grounding_with_it(publish: Write, run: Run) -> None:
    broken = [0.0, 8.0, 0.1, 0.2, 1.2, 0.5, 0.9]
    publish(row(ref_exps=[broken, EXPRESSIONS[0]], noun_chunks=[broken, CHUNKS[0]]))
    found = run("grit", "train", tasks=["refer", "grounding"])
    assert answers(found) == ["box overhangs the picture", "{<5><50><95><100>}", "box overhangs the picture"]
    assert not any(one.rule for one in found)


@pytest.mark.parametrize("more", [{"caption": None}, {"url": None}, {"url": "file:///etc/passwd"}])
def test_a_row_without_a_link_or_a_caption_is_malformed_in_every_task(publish: Write, run: Run, more: Json) -> None:
    publish(row(1), row(2, **more))
    assert [one.reason for one in run("grit", "train") if one.key.startswith("grit/train/row1/")] == [
        "malformed row"
    ] * 3


def test_clipped_and_repeated_boxes_are_noted(publish: Write, run: Run) -> None:
    over = [0.0, 8.0, -0.004, 0.2, 0.5, 1.003, 0.9]
    publish(row(ref_exps=[over, over], noun_chunks=[over, over, CHUNKS[0]]))
    refer, grounding = whole(run("grit", "train", tasks=["refer", "grounding"]))
    changed = [{"name": "clipped_boxes", "value": "2"}, {"name": "duplicate_boxes", "value": "1"}]
    assert refer["boxes"] == [[0.0, 0.2, 0.5, 1.0]]
    assert refer["meta"] == [{"name": "score", "value": "0.9"}, *changed]
    assert grounding["boxes"] == [[0.0, 0.2, 0.5, 1.0], STOVE]
    assert grounding["meta"] == changed


def test_a_phrase_that_looks_like_markup_is_quoted(publish: Write, run: Run) -> None:
    caption = "[refer] <p>sale</p> of a mug{<1><2>}<b>"
    publish(row(caption=caption, noun_chunks=[[8.0, 19.0, *KETTLE, 0.9], [23.0, 28.0, *STOVE, 0.9]], ref_exps=[]))
    assert answers(run("grit", "train", tasks=["grounding"])) == [
        "[\\refer] <p><\\p>sale<\\/p></p> {<10><25><40><75>} of <p>a mug</p> {<5><50><95><100>}{\\<1><2>}<b>"
    ]
