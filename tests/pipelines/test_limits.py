"""How much of a source may be rejected, and what is told where it was more."""

import pytest

from pipelines.limits import bounds, candidates_of, insist_within
from schemas.errors import RejectsError
from schemas.ledger import Count, Tally
from schemas.pool import PoolConfig, SourceEntry

SPLIT = ("refcoco", "val")


def tally(rejected: dict[str, int], candidates: int = 100, task: str = "refer", source: str = "refcoco") -> Tally:
    counts = [Count(name, count) for name, count in rejected.items()]
    return Tally(source, "val", task, candidates, candidates - sum(rejected.values()), counts, [], [])


def insist(limit: float, *tallies: Tally, examples: dict[tuple[str, str, str], str] | None = None) -> None:
    insist_within({SPLIT: limit}, candidates_of(tallies), tallies, examples or {})


def told(limit: float, *tallies: Tally, examples: dict[tuple[str, str, str], str] | None = None) -> str:
    with pytest.raises(RejectsError) as caught:
        insist(limit, *tallies, examples=examples)
    return str(caught.value)


@pytest.mark.parametrize("percent", range(101))
def test_exactly_the_allowed_share_is_within_and_one_more_is_not(percent: int) -> None:
    insist(percent / 100, tally({"box overhangs the picture": percent}))
    if percent < 100:
        assert "rejected" in told(percent / 100, tally({"box overhangs the picture": percent + 1}))


def test_nothing_rejected_of_nothing_is_within_any_bound() -> None:
    insist(0.0, tally({}, candidates=0))
    insist(0.0)


def test_filtered_candidates_count_in_the_whole_but_not_against_it() -> None:
    filtered = Tally("refcoco", "val", "refer", 100, 49, [Count("empty box", 1)], [Count("picture missing", 50)], [])
    insist(0.01, filtered)


def test_the_bound_is_on_a_split_over_all_its_tasks() -> None:
    insist(0.02, tally({"empty box": 4}), tally({}, task="identify"))
    assert told(0.02, tally({"empty box": 5}), tally({}, task="identify")).startswith(
        "refcoco val: 5 of 200 candidates rejected (2.5%, at most 2.0%): "
    )


def test_splits_have_bounds_of_their_own() -> None:
    good, bad = tally({"empty box": 3}), tally({"empty box": 2}, source="gqa")
    limits = {SPLIT: 0.03, ("gqa", "val"): 0.01}
    with pytest.raises(RejectsError, match=r"^gqa val: 2 of 100 candidates rejected \(2\.0%, at most 1\.0%\)"):
        insist_within(limits, candidates_of([good, bad]), [good, bad], {})


def test_the_top_three_reasons_are_told_most_frequent_first_each_with_an_example() -> None:
    reasons = {"empty box": 2, "damaged picture": 9, "box overhangs the picture": 5, "text is empty": 1}
    examples = {
        (*SPLIT, "damaged picture"): "damaged picture: Premature end of JPEG file",
        (*SPLIT, "text is empty"): "text is empty: row 7",
        ("gqa", "val", "empty box"): "empty box: of another source",
    }
    assert told(0.01, tally(reasons), examples=examples) == (
        "refcoco val: 17 of 100 candidates rejected (17.0%, at most 1.0%):"
        " damaged picture 9 (such as: Premature end of JPEG file); box overhangs the picture 5; empty box 2"
        "; --max-reject would let them pass"
    )


def test_one_reason_in_several_tasks_is_one_reason() -> None:
    both = tally({"empty box": 600}, 1000), tally({"empty box": 700}, 1000, task="identify")
    assert ": empty box 1,300;" in told(0.01, *both)


def test_where_pictures_are_missing_the_advice_is_to_filter() -> None:
    missing = told(0.01, tally({"picture missing": 60, "empty box": 30}))
    assert missing.endswith("; missing_images: filter would leave such rows out")
    other = told(0.01, tally({"picture missing": 30, "empty box": 60}))
    assert other.endswith("; --max-reject would let them pass")


def test_bounds_are_the_sources_own_unless_overridden() -> None:
    entries = [
        SourceEntry(name="refcoco", root="/data", splits=["train", "val"], max_reject=0.05),
        SourceEntry(name="gqa", root="/data", splits=["val"]),
    ]
    config = PoolConfig(pool="p", collections={}, sources=entries)
    own = {("refcoco", "train"): 0.05, ("refcoco", "val"): 0.05, ("gqa", "val"): 0.01}
    assert bounds(config, None) == own
    assert bounds(config, 0.0) == dict.fromkeys(own, 0.0)


def test_candidates_are_summed_over_tasks() -> None:
    tallies = [tally({}, 10), tally({}, 7, task="identify"), tally({}, 5, source="gqa")]
    assert candidates_of(tallies) == {SPLIT: 17, ("gqa", "val"): 5}
