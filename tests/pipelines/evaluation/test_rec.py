"""What counts as pointing right: the released protocol, number by number."""

import msgspec
import pytest

from pipelines.evaluation.rec import Truth, always, inclusive_iou, pointed, rec, released_box, truth
from schemas.box import Box, Size
from schemas.dialect import Boxes
from schemas.errors import RecordError
from schemas.prompt import Wording
from schemas.record import Pair, Record, image_ref, single_turn


@pytest.fixture
def record() -> Record:
    box = Box(0.1, 0.2, 0.5, 0.6)
    slots = [Pair("phrase", "the red star")]
    spans = [Boxes(((10, 20, 50, 60),))]
    return single_turn(
        "refcoco/val/1", "refcoco", "val", "refer", slots=slots, reply=spans, boxes=[box], wording=Wording()
    )


@pytest.mark.parametrize(
    ("answer", "box"),
    [
        ("{<12><30><45><88>}", (12, 30, 45, 88)),
        (" {< 12 ><30> <45><88>} ", (12, 30, 45, 88)),
        ("<unk>{<12><30><45><88>}", (12, 30, 45, 88)),
        ("{<0><0><999><100>}", (0, 0, 999, 100)),
        ("{<12><30><45><88>} and more", (12, 30, 45, 88)),
        ("{<12><30><45><88>} and 2 more", None),
        ("{<12><30><45><88>}<delim>{<1><2><3><4>}", None),
        ("it is {<12><30><45><88>}", None),
        ("{<12><30><45>}", None),
        ("{<1234><30><45><88>}", None),
        ("", None),
    ],
)
def test_an_answer_points_where_the_released_evaluation_says(answer: str, box: tuple[int, ...] | None) -> None:
    assert released_box(answer) == box


def test_boxes_overlap_as_pixels_whose_last_ones_count() -> None:
    assert inclusive_iou((0, 0, 9, 9), (0, 0, 9, 9)) == 1.0
    assert inclusive_iou((0, 0, 9, 9), (10, 0, 19, 9)) == 0.0
    assert inclusive_iou((0, 0, 9, 9), (0, 0, 9, 4)) == pytest.approx(0.5)
    assert inclusive_iou((0, 0, 9, 9), (9, 9, 18, 18)) == pytest.approx(1 / 199)
    assert inclusive_iou((0, 0, 1, 1), (50, 50, 60, 60)) == 0.0


def test_an_answer_is_right_above_a_half_and_not_at_it() -> None:
    true = Truth((0, 0, 99, 99), 100, 100)
    told = [pointed(f"{{<0><0><{right}><99>}}", true) for right in (49, 50)]
    assert [one.overlap for one in told] == [pytest.approx(0.5), pytest.approx(0.51)]
    assert rec(told[:1]).accuracy == 0.0 and rec(told[1:]).accuracy == 1.0


def test_answers_are_scaled_by_each_side_of_the_picture() -> None:
    told = pointed("{<10><10><50><50>}", Truth((40, 10, 200, 50), 400, 100))
    assert told.overlap == 1.0
    assert told.true == (0.1, 0.1, 0.5, 0.5)


def test_what_cannot_be_parsed_is_wrong_and_counted() -> None:
    true = Truth((0, 0, 99, 99), 100, 100)
    found = rec([pointed("nowhere", true), pointed("{<0><0><99><99>}", true)])
    assert found == (2, 0.5, pytest.approx(0.5), 0.5)
    assert rec([]) == (0, 0.0, 0.0, 0.0)


def test_the_truth_is_the_published_box_where_the_record_says_it_and_else_its_own(record: Record) -> None:
    picture = image_ref("coco/1", Size(200, 100))
    assert truth(record, picture) == ((20.0, 20.0, 100.0, 60.0), 200, 100)
    stated = [Pair("bbox", "3.5,4,10,20"), Pair("width", "640"), Pair("height", "480")]
    assert truth(msgspec.structs.replace(record, meta=stated), picture) == ((3.5, 4.0, 13.5, 24.0), 640.0, 480.0)
    with pytest.raises(RecordError, match="no truth: refcoco/val/1"):
        truth(record, image_ref("coco/1", None))


def test_always_the_same_box_is_scored_like_any_answer() -> None:
    truths = [Truth((0, 0, 50, 50), 100, 100), Truth((50, 50, 100, 100), 100, 100)]
    assert always([0.0, 0.0, 0.5, 0.5], truths).accuracy == 0.5
