import json
from collections.abc import Callable

import msgspec
import pytest

from pipelines.show_mix import mixed, passes
from schemas.lock import Lock, LockedPart


def printed(lock: Lock, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    mixed(lock, "out/stage3.lock.json", as_json=False)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_each_part_is_a_row_with_what_is_left_and_what_will_be_drawn(
    lock: Lock, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(lock, capsys)
    head = "part pool weight records images lost filtered samples tokens draws epochs tokens each"
    assert lines[:2] == [["stage", "3"], head.split()]
    row = "refcoco/train/refer coco 1 700 350 200 100 50.00% 25.00% 1,400 2 20.0, 90"
    assert lines[2] == row.split()
    assert lines[3][:2] == ["llava_detail/train/chat", "coco"]
    assert lines[3][8:11] == ["75.00%", "1,400", "0.125"]


def test_parts_that_are_drawn_by_batches_tell_their_sizes(
    lock: Lock, locked: Callable[..., LockedPart], capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [locked("vg", "refer", batch_size=6), locked("gqa", "vqa", batch_size=2)]
    lines = printed(msgspec.structs.replace(lock, unit="batch", parts=parts), capsys)
    assert lines[1][2:5] == ["weight", "batch", "records"]
    assert [line[3] for line in lines[2:4]] == ["6", "2"]
    assert " ".join(lines[-3]).endswith("100 steps of 28 batches of one part each, 11,200 items in all")


def test_a_part_that_asks_for_passes_says_so_in_place_of_its_weight(
    lock: Lock, locked: Callable[..., LockedPart], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = locked("refcoco", "refer", weight=None, epochs_wanted=2.5)
    lines = printed(msgspec.structs.replace(lock, parts=[asked]), capsys)
    assert lines[2][2:4] == ["2.5", "\N{MULTIPLICATION SIGN}"]


def test_held_out_splits_say_what_they_cost(lock: Lock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(lock, capsys)
    assert ["held", "out", "known", "from", "pictures", "records", "lost"] in lines
    assert ["refcoco/val", "pool", "1,500", "12,345"] in lines
    assert ["vsr/test", "annotations", "9", "0"] in lines


def test_nothing_held_out_is_no_table(lock: Lock, capsys: pytest.CaptureFixture[str]) -> None:
    assert not any("held" in line for line in printed(msgspec.structs.replace(lock, held_out=[]), capsys))


def test_the_end_says_where_the_lock_is_and_what_it_comes_to(lock: Lock, capsys: pytest.CaptureFixture[str]) -> None:
    mixed(lock, "out/stage3.lock.json", as_json=False)
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "out/stage3.lock.json: 2 parts, 1,400 records of 1 pool; 100 steps of 28 draws, 2,800 items in all",
        "tokens counted by estimate: so and so",
        f"digest {lock.digest}",
    ]


def test_as_json_it_is_the_lock_itself(lock: Lock, capsys: pytest.CaptureFixture[str]) -> None:
    mixed(lock, "a.lock.json", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told.pop("out") == "a.lock.json"
    assert msgspec.convert(told, Lock) == lock


@pytest.mark.parametrize(
    ("epochs", "said"), [(0.01531, "0.0153"), (1.0, "1"), (12.34, "12.3"), (99.96, "100"), (1234.5, "1,234")]
)
def test_passes_are_told_to_three_figures(epochs: float, said: str) -> None:
    assert passes(epochs) == said
