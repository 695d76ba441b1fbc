"""COCO instances: a box against its own segmentation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask

from pipelines.convert import Outcome

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

WIDTH, HEIGHT = 60, 40
BOX = [10.0, 5.0, 30.0, 20.0]
OFF = "box off its segmentation"
UNREADABLE = "segmentation unreadable"


def polygon(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def painted(x1: int, y1: int, x2: int, y2: int) -> Any:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[y1:y2, x1:x2] = 1
    return np.asfortranarray(pixels)


def uncompressed(x1: int, y1: int, x2: int, y2: int) -> dict[str, Any]:
    """Runs of 0 and 1 by turns, down the columns, counted one by one."""
    counts, last = [0], 0
    for pixel in painted(x1, y1, x2, y2).flatten(order="F").tolist():
        if pixel != last:
            counts.append(0)
        counts[-1] += 1
        last = pixel
    return {"counts": counts, "size": [HEIGHT, WIDTH]}


def compressed(x1: int, y1: int, x2: int, y2: int) -> dict[str, Any]:
    coded = mask.encode(painted(x1, y1, x2, y2))
    return {"counts": coded["counts"].decode("ascii"), "size": [HEIGHT, WIDTH]}


@pytest.fixture
def reason(put: Put, run: Run) -> Callable[..., str]:
    """Why the one region with that segmentation and box was rejected; empty where it was not."""

    def found(segmentation: Any, bbox: list[float] = BOX, width: int = WIDTH, height: int = HEIGHT, **more: Any) -> str:
        row = {"id": 1, "image_id": 7, "bbox": bbox, "category_id": 1, "segmentation": segmentation, **more}
        images = [{"id": 7, "width": width, "height": height}]
        put(
            "instances_val2014.json",
            {"images": images, "annotations": [row], "categories": [{"id": 1, "name": "dog"}]},
        )
        (outcome,) = run("coco_instances", "val", tasks=["identify"])
        assert not outcome.rule or more
        return outcome.reason

    return found


Reason = Callable[..., str]


@pytest.mark.parametrize("shape", [lambda *edges: [polygon(*edges)], uncompressed, compressed])
@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ((10, 5, 40, 25), ""),
        ((13, 5, 40, 25), ""),
        ((10, 8, 37, 22), ""),
        ((7, 2, 43, 28), ""),
        ((14, 5, 40, 25), OFF),
        ((6, 5, 40, 25), OFF),
        ((10, 9, 40, 25), OFF),
        ((10, 1, 40, 25), OFF),
        ((10, 5, 44, 25), OFF),
        ((10, 5, 36, 25), OFF),
        ((10, 5, 40, 29), OFF),
        ((10, 5, 40, 21), OFF),
    ],
)
def test_a_box_may_be_three_pixels_off_its_segmentation_on_each_side(
    reason: Reason, shape: Callable[..., Any], edges: tuple[int, int, int, int], expected: str
) -> None:
    assert reason(shape(*edges)) == expected


@pytest.mark.parametrize(("x1", "expected"), [(13.0, ""), (13.01, OFF), (7.0, ""), (6.99, OFF)])
def test_the_tolerance_of_a_polygon_is_exact(reason: Reason, x1: float, expected: str) -> None:
    assert reason([polygon(x1, 5, 40, 25)]) == expected


def test_all_parts_of_a_segmentation_count_together(reason: Reason) -> None:
    assert reason([polygon(10, 5, 20, 10), polygon(30, 15, 40, 25)]) == ""
    assert reason([polygon(10, 5, 20, 10)]) == OFF


@pytest.mark.parametrize("nothing", [None, [], [[]], uncompressed(0, 0, 0, 0), compressed(0, 0, 0, 0)])
def test_without_a_segmentation_the_box_stands_alone(reason: Reason, nothing: Any) -> None:
    assert reason(nothing) == ""


def test_a_crowd_is_left_out_before_its_runs_are_looked_at(reason: Reason) -> None:
    assert reason({"counts": "broken", "size": [1, 1]}, iscrowd=1) == "crowd"


@pytest.mark.parametrize("size", [[HEIGHT, WIDTH + 1], [WIDTH, HEIGHT], [0, 0], [-HEIGHT, WIDTH]])
def test_runs_over_another_size_than_the_pictures_are_rejected(reason: Reason, size: list[int]) -> None:
    assert reason({**uncompressed(10, 5, 40, 25), "size": size}) == "segmentation of another size"
    assert reason({**compressed(10, 5, 40, 25), "size": size}) == "segmentation of another size"


@pytest.mark.parametrize(
    "broken",
    [
        "text",
        5,
        {},
        {"counts": [2400]},
        {"counts": [2400], "size": [HEIGHT]},
        {"counts": [2399], "size": [HEIGHT, WIDTH]},
        {"counts": [2500], "size": [HEIGHT, WIDTH]},
        {"counts": [-100, 2500], "size": [HEIGHT, WIDTH]},
        {"counts": [2**32 + 2400], "size": [HEIGHT, WIDTH]},
        {"counts": [1200.5, 1199.5], "size": [HEIGHT, WIDTH]},
        {"counts": None, "size": [HEIGHT, WIDTH]},
        {"counts": [], "size": [HEIGHT, WIDTH]},
        [["a", "b"]],
        [5, 6],
        [[10]],
        [[10, 5, 40]],
        [[10, 5, 40, 25], [1, 2, 3]],
        [[[10, 5]]],
    ],
)
def test_a_segmentation_that_cannot_be_read_is_rejected(reason: Reason, broken: Any) -> None:
    assert reason(broken) == UNREADABLE


@pytest.mark.parametrize("cut", ["o", "oo", "Po", "`Q1o", "PPPPPPPPPPPP0", " ", "~", "p0", "\x00", "\u1234", "0\n"])
def test_compressed_runs_that_would_be_read_past_their_end_are_rejected(reason: Reason, cut: str) -> None:
    assert reason({"counts": cut, "size": [HEIGHT, WIDTH]}) == UNREADABLE


@pytest.mark.parametrize("counts", [[0, 5_000_000_000], "0"])
def test_runs_over_more_pixels_than_can_be_counted_are_rejected(reason: Reason, counts: Any) -> None:
    runs = {"counts": counts, "size": [1, 5_000_000_000]}
    assert reason(runs, [0, 0, 5_000_000_000, 1], width=5_000_000_000, height=1) == UNREADABLE
