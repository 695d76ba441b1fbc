"""What GRIT's options leave out, and where the boxes of padded pictures go."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.convert import Outcome, job, outcomes
from schemas.errors import ConfigError
from schemas.prompt import Wording

Run = Callable[..., list[Outcome]]
Json = dict[str, Any]
Publish = Callable[..., None]

CAPTION = "a small boat, a pier and two gulls"
BOAT, PIER, GULLS = (0.1, 0.2, 0.3, 0.4), (0.0, 0.5, 1.0, 0.9), ((0.5, 0.1, 0.6, 0.2), (0.7, 0.1, 0.8, 0.2))
MARKED = [[0, 12, *BOAT, 0.7], [14, 20, *PIER, 0.9], [25, 34, *GULLS[0], 0.95], [25, 34, *GULLS[1], 0.66]]
TASKS = ["refer", "identify", "grounding"]


def row(id: int = 1, **more: Any) -> Json:
    url = f"https://pictures.example.org/{id}.jpg"
    marked = [[float(number) for number in entry] for entry in MARKED]
    return {"id": id, "url": url, "caption": CAPTION, "noun_chunks": marked, "ref_exps": marked, **more}


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Writes rows as a published parquet; those with a key as the table of a download beside its folder."""

    def published(*rows: Json) -> None:
        table = pa.Table.from_pylist(list(rows))
        if "key" not in rows[0]:
            pq.write_table(table, tmp_path / "coyo_0_snappy.parquet")
            return
        (tmp_path / "00000").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "00000.parquet")
        (tmp_path / "00000_stats.json").write_text("{}")

    return published


def told(found: Iterable[Outcome]) -> list[str]:
    """The answers, or else the reasons."""
    return [one.record.messages[1].content if one.record else one.reason for one in found]


def resized(width: int | None, height: int | None, original: tuple[int, int] | None = (640, 480), **more: Any) -> Json:
    """A row of a download."""
    sizes = dict(zip(("original_width", "original_height"), original or (None, None), strict=True))
    return row(key="000000000", status="success", width=width, height=height, **sizes, **more)


def test_as_published_no_score_is_too_low_and_no_picture_has_too_many(publish: Publish, run: Run) -> None:
    weak = [[0.0, 12.0, *BOAT, 0.01], [14.0, 20.0, *PIER, -1.0]]
    publish(row(ref_exps=weak, noun_chunks=weak))
    assert [one.reason for one in run("grit", "train")] == [""] * 5


def test_phrases_of_low_score_are_left_out_and_stay_plain_text_in_the_caption(publish: Publish, run: Run) -> None:
    publish(row())
    found = run("grit", "train", options={"min_score": "0.8"}, tasks=["refer", "grounding"])
    assert told(found) == [
        "below min_score",
        "{<0><50><100><90>}",
        "phrase with several boxes",
        "a small boat, <p>a pier</p> {<0><50><100><90>} and two gulls",
    ]
    assert [one.rule for one in found] == [True, False, True, False]
    assert found[3].record is not None
    assert [(pair.name, pair.value) for pair in found[3].record.meta] == [("low_phrases", "2")]


def test_a_caption_none_of_whose_phrases_reaches_the_score_is_left_out(publish: Publish, run: Run) -> None:
    publish(row())
    (found,) = run("grit", "train", options={"min_score": "0.99"}, tasks=["grounding"])
    assert (found.reason, found.rule) == ("below min_score", True)


def test_the_best_expressions_of_a_picture_stay_in_each_task(publish: Publish, run: Run) -> None:
    publish(row(1), row(2))
    found = run("grit", "train", options={"max_per_picture": "1"}, tasks=["refer"])
    assert told(found) == ["beyond max_per_picture", "{<0><50><100><90>}", "phrase with several boxes"] * 2
    assert [one.rule for one in found] == [True, False, True] * 2


@pytest.mark.parametrize(("name", "value"), [("min_score", "1.1"), ("max_per_picture", "0"), ("padded", "crop")])
def test_an_option_of_another_value_is_refused(publish: Publish, run: Run, name: str, value: str) -> None:
    publish(row())
    with pytest.raises(ConfigError, match=name):
        run("grit", "train", options={name: value})


def served(root: Path, seed: int, tasks: list[str], files: int = 300) -> dict[str, set[str]]:
    """The tasks that have a record of each picture."""
    words = {"tasks": tasks, "options": {"tasks_per_picture": "one"}}
    found: dict[str, set[str]] = {}
    for one in outcomes(job("grit", str(root), "train", **words), Wording(seed)):  # type: ignore[arg-type]
        if one.record is None:
            assert one.reason in ("another task's picture", "phrase with several boxes")
            assert one.rule
        elif one.image is not None:
            found.setdefault(one.image.id, set()).add(str(one.part.task))
    return found


def test_a_picture_serves_one_task_drawn_by_its_id_and_the_seed_alone(publish: Publish, tmp_path: Path) -> None:
    publish(*(row(id) for id in range(300)))
    first = served(tmp_path, 0, TASKS)
    assert len(first) == 300
    assert all(len(tasks) == 1 for tasks in first.values())
    for task in TASKS:
        assert 70 < sum(tasks == {task} for tasks in first.values()) < 130
    assert served(tmp_path, 0, ["refer"]) == {id: tasks for id, tasks in first.items() if tasks == {"refer"}}
    assert served(tmp_path, 1, TASKS) != first
    publish(*(row(id) for id in range(299, -1, -1)))
    assert served(tmp_path, 0, TASKS) == first


def test_by_default_a_picture_serves_all_three(publish: Publish, run: Run) -> None:
    publish(row())
    assert {one.part.task for one in run("grit", "train") if one.record} == set(TASKS)


@pytest.mark.parametrize(("width", "height"), [(256, 256), (192, 192), (256, 144)])
def test_a_picture_of_another_shape_than_its_original_is_rejected(
    publish: Publish, run: Run, width: int, height: int
) -> None:
    publish(resized(width, height))
    found = run("grit", "train", tasks=["refer", "grounding"])
    assert told(found) == [
        "padded or cropped by the downloader",
        "padded or cropped by the downloader",
        "phrase with several boxes",
        "padded or cropped by the downloader",
    ]
    assert [one.rule for one in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("width", "height", "original"),
    [(341, 256, (640, 480)), (640, 480, (640, 480)), (None, None, None), (256, 256, (999, 999))],
)
def test_a_picture_that_kept_its_shape_has_its_boxes_as_published(
    publish: Publish, run: Run, width: int | None, height: int | None, original: tuple[int, int] | None
) -> None:
    publish(resized(width, height, original))
    (refer, _, _) = run("grit", "train", tasks=["refer"])
    assert refer.record is not None
    assert [list(box) for box in refer.record.boxes] == [list(BOAT)]
    assert refer.image is not None
    assert (refer.image.width, refer.image.height) == (width, height)


def test_the_boxes_of_a_picture_that_is_said_to_be_padded_are_those_of_the_square(publish: Publish, run: Run) -> None:
    publish(resized(256, 256))
    padded = run("grit", "train", options={"padded": "border"}, tasks=["refer", "identify", "grounding"])
    boxes = [[list(box) for box in one.record.boxes] for one in padded if one.record]
    boat, pier = [0.1, 0.275, 0.3, 0.425], [0.0, 0.5, 1.0, 0.8]
    gulls = [[0.5, 0.2, 0.6, 0.275], [0.7, 0.2, 0.8, 0.275]]
    assert boxes == [[boat], [pier], [boat], [pier], [boat, pier, *gulls]]
    assert told(padded)[-1] == (
        "<p>a small boat</p> {<10><28><30><42>}, <p>a pier</p> {<0><50><100><80>} and "
        "<p>two gulls</p> {<50><20><60><28>}<delim>{<70><20><80><28>}"
    )
    assert all(one.image and (one.image.width, one.image.height) == (256, 256) for one in padded)


@pytest.mark.parametrize("more", [{"url": None}, {"url": "nowhere"}, {"caption": None}])
def test_a_picture_that_was_not_loaded_is_that_whatever_else_its_row_lacks(
    publish: Publish, run: Run, more: Json
) -> None:
    publish(
        {**resized(None, None, None), "status": "failed_to_download", **more}, {**resized(4, 3), "key": "000000001"}
    )
    failed = [one for one in run("grit", "train") if one.reason == "failed to download"]
    assert {one.part.task for one in failed if one.rule} == set(TASKS)
    assert not [one for one in run("grit", "train") if one.reason == "malformed row"]


def test_a_picture_of_which_the_original_is_not_known_is_rejected(publish: Publish, run: Run) -> None:
    publish(resized(256, 256, None))
    found = run("grit", "train", tasks=["refer", "grounding"])
    assert set(told(found)) == {"size of the original unknown", "phrase with several boxes"}
