"""Phrases that are marked in a caption: which there are, which stand, and the text around them."""

import math
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters._spans import Fault, Marked, apart, low, marks, pieces, ruled, sound
from schemas.box import Box
from schemas.errors import RecordError, TextError
from schemas.text import tidy

BOX = (0.1, 0.2, 0.5, 0.6)
OTHER = (0.5, 0.2, 0.9, 0.6)
CAPTION = "a dog near a dog and three cats"

caption_texts = st.text(st.sampled_from("ab <|[p>\n\t\xa0\x00é📷{"), max_size=30)


def entry(start: float, end: float, box: tuple[float, ...] = BOX, score: float = 0.8) -> list[float]:
    return [start, end, *box, score]


def marked(caption: str, *entries: list[float]) -> list[Marked]:
    return [one for one in marks(caption, list(entries)) if isinstance(one, Marked)]


def fault(caption: str, one: Any) -> str:
    (found,) = marks(caption, [one])
    return found.fault


def rules(caption: str, *entries: list[float], least: float | None = None, most: int | None = None) -> list[str]:
    """The rule for each phrase, without its details."""
    return [rule.partition(":")[0] for rule in ruled(marks(caption, list(entries)), least, most)]


def texts(found: list[Marked]) -> list[str]:
    return [one.text for one in found]


def test_a_phrase_is_cut_out_of_the_caption_and_keeps_its_box_and_score() -> None:
    assert marks(CAPTION, [entry(2.0, 5.0)]) == [Marked(2, 5, "dog", (Box(*BOX),), 0.8, 1, 0)]


@pytest.mark.parametrize(
    ("caption", "start", "end", "text"),
    [
        ("📷 a dog", 2, 7, "a dog"),
        ("a café", 2, 6, "café"),
        ("cafe\u0301 bar", 6, 9, "bar"),
        ("one\xa0two\xa0dogs", 4, 12, "two dogs"),
        ("two\n\n  dogs here", 0, 11, "two dogs"),
        ("  a  dog", 2, 8, "a dog"),
    ],
)
def test_offsets_count_code_points_of_the_untouched_caption(caption: str, start: int, end: int, text: str) -> None:
    assert texts(marked(caption, entry(start, end))) == [text]


@pytest.mark.parametrize(("start", "end"), [(0, 7), (1, 6), (0, 6), (1, 7)])
def test_blanks_at_the_ends_of_a_phrase_are_no_part_of_it(start: int, end: int) -> None:
    (found,) = marked("\n a dog\x00\xa0ran", entry(start + 1, end + 1))
    assert (found.start, found.end, found.text) == (2, 7, "a dog")


@pytest.mark.parametrize(
    "one",
    [
        [0, 5, 0.1, 0.2, 0.5, 0.6],
        [0, 5, 0.1, 0.2, 0.5, 0.6, 0.8, 1.0],
        [],
        entry(0.5, 5),
        entry(0, 4.5),
        entry(5, 2),
        entry(2, 2),
        entry(-1, 5),
        entry(0, len(CAPTION) + 1),
        entry(math.nan, 5),
        entry(0, math.inf),
        entry(0, 1e300),
        entry(0, 5, (math.nan, 0.2, 0.5, 0.6)),
        entry(0, 5, (0.1, 0.2, math.inf, 0.6)),
        entry(0, 5, score=math.nan),
    ],
)
def test_an_entry_that_marks_no_phrase_is_malformed_and_named_by_its_place(one: list[float]) -> None:
    (whole, broken) = marks(CAPTION, [one, entry(0, 5)])
    assert isinstance(broken, Fault)
    assert (whole.name, broken.name) == ("0-5", "entry0")
    assert broken.fault.startswith("malformed span: ")
    with pytest.raises(RecordError, match="malformed span"):
        sound(broken)


def test_a_phrase_of_blanks_alone_is_empty() -> None:
    assert fault("a \n dog", entry(1, 4)) == "empty phrase"


@pytest.mark.parametrize(
    ("given", "box", "clipped"),
    [
        ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), 0),
        ((-0.009, 0.2, 0.5, 0.6), (0.0, 0.2, 0.5, 0.6), 1),
        ((0.1, -0.0099, 0.5, 0.6), (0.1, 0.0, 0.5, 0.6), 1),
        ((0.1, 0.2, 1.0099, 0.6), (0.1, 0.2, 1.0, 0.6), 1),
        ((0.1, 0.2, 0.5, 1.009), (0.1, 0.2, 0.5, 1.0), 1),
        ((0.12345678, 0.2, 0.5, 0.6), (0.123457, 0.2, 0.5, 0.6), 0),
    ],
)
def test_a_box_is_clipped_up_to_a_hundredth_beyond_the_picture(
    given: tuple[float, ...], box: tuple[float, ...], clipped: int
) -> None:
    (found,) = marked(CAPTION, entry(0, 5, given))
    assert (found.boxes, found.clipped) == ((Box(*box),), clipped)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((-0.011, 0.2, 0.5, 0.6), "box overhangs the picture"),
        ((0.1, -0.011, 0.5, 0.6), "box overhangs the picture"),
        ((0.1, 0.2, 1.011, 0.6), "box overhangs the picture"),
        ((0.1, 0.2, 0.5, 1.011), "box overhangs the picture"),
        ((0.1, 0.2, 0.1, 0.6), "empty box"),
        ((0.1, 0.6, 0.5, 0.6), "empty box"),
        ((0.5, 0.2, 0.1, 0.6), "empty box"),
        ((1.0, 0.2, 1.005, 0.6), "box not inside the picture"),
    ],
)
def test_a_box_that_is_none_is_its_phrases_fault(given: tuple[float, ...], why: str) -> None:
    assert fault(CAPTION, entry(0, 5, given)).startswith(f"{why}: ")
    (several,) = marked(CAPTION, entry(0, 5), entry(0, 5, given))
    assert several.fault.startswith(f"{why}: ")


def test_a_phrase_with_several_entries_has_all_their_boxes_left_to_right_and_the_lowest_score() -> None:
    found = marked(CAPTION, entry(21, 31, OTHER, 0.7), entry(0, 5), entry(21, 31, BOX, 0.9))
    assert [(one.text, one.boxes, one.score, one.entries) for one in found] == [
        ("three cats", (Box(*BOX), Box(*OTHER)), 0.7, 2),
        ("a dog", (Box(*BOX),), 0.8, 1),
    ]


def test_the_same_box_given_twice_for_a_phrase_is_one_of_two_entries() -> None:
    (found,) = marked(CAPTION, entry(0, 5), entry(0, 5, score=0.7))
    assert (found.boxes, found.entries, found.score) == ((Box(*BOX),), 2, 0.7)
    assert rules(CAPTION, entry(0, 5), entry(0, 5)) == [""]


def test_an_expression_with_several_boxes_names_none_of_them() -> None:
    several = entry(21, 31, BOX), entry(21, 31, OTHER)
    assert rules(CAPTION, *several, entry(2, 5)) == ["phrase with several boxes", ""]


def test_a_weak_box_still_makes_a_phrase_one_of_several() -> None:
    several = entry(21, 31, BOX, 0.9), entry(21, 31, OTHER, 0.1)
    assert rules(CAPTION, *several, least=0.5) == ["phrase with several boxes"]


def test_the_same_words_said_of_two_boxes_name_neither() -> None:
    assert rules("A dog, a dog", entry(0, 5), entry(7, 12, OTHER)) == ["phrase with several boxes"] * 2


def test_the_same_words_said_of_one_box_are_kept_once_at_the_better_score() -> None:
    assert rules(CAPTION, entry(0, 5, score=0.7), entry(11, 16)) == ["expression said twice", ""]
    assert rules(CAPTION, entry(0, 5), entry(11, 16)) == ["", "expression said twice"]


def test_what_is_at_fault_is_nobodys_rival_and_breaks_no_rule() -> None:
    broken = entry(11, 16, (0.5, 0.2, 0.1, 0.6))
    assert rules(CAPTION, entry(0, 5), broken, entry(3, 1), least=0.5, most=1) == ["", "", ""]


@pytest.mark.parametrize(("score", "rule"), [(0.65, ""), (0.6499, "below min_score")])
def test_a_score_has_to_reach_the_least(score: float, rule: str) -> None:
    assert rules(CAPTION, entry(0, 5, score=score), least=0.65) == [rule]
    (found,) = marked(CAPTION, entry(0, 5, score=score), entry(0, 5, OTHER, 0.9))
    assert low(found, 0.65).partition(":")[0] == rule
    assert low(found, None) == ""


def test_at_most_so_many_stay_the_best_first_then_the_longest_then_the_first() -> None:
    given = entry(0, 1, BOX, 0.7), entry(2, 5, BOX, 0.9), entry(6, 10, BOX, 0.7), entry(17, 20, BOX, 0.7)
    kept = {most: [not rule for rule in rules(CAPTION, *given, most=most)] for most in (1, 2, 3, 4)}
    assert kept == {
        1: [False, True, False, False],
        2: [False, True, True, False],
        3: [False, True, True, True],
        4: [True, True, True, True],
    }
    assert rules(CAPTION, *given, most=3)[0] == "beyond max_per_picture"


def test_what_another_rule_leaves_out_takes_nobodys_place() -> None:
    given = entry(21, 31, BOX, 0.99), entry(21, 31, OTHER, 0.99), entry(0, 5, BOX, 0.7)
    assert rules(CAPTION, *given, most=1) == ["phrase with several boxes", ""]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([(0, 16, 0.9), (0, 5, 0.8), (11, 16, 0.7)], ["a dog near a dog"]),
        ([(0, 16, 0.7), (0, 5, 0.8), (11, 16, 0.9)], ["a dog", "a dog"]),
        ([(0, 16, 0.8), (0, 5, 0.8)], ["a dog near a dog"]),
        ([(6, 16, 0.8), (0, 10, 0.8)], ["a dog near"]),
        ([(0, 10, 0.8), (6, 31, 0.9)], ["near a dog and three cats"]),
        ([(2, 5, 0.8), (2, 4, 0.8)], ["dog"]),
        ([(2, 4, 0.8), (4, 5, 0.9)], ["g"]),
        ([(2, 4, 0.9), (4, 5, 0.8)], ["do"]),
        ([(0, 2, 0.8), (2, 5, 0.9)], ["a", "dog"]),
    ],
)
def test_phrases_that_meet_give_way_to_the_best(given: list[tuple[int, int, float]], kept: list[str]) -> None:
    for order in (given, given[::-1]):
        found = marked(CAPTION, *(entry(start, end, BOX, score) for start, end, score in order))
        assert texts(apart(found)) == kept


spans = st.tuples(st.integers(0, 30), st.integers(1, 30), st.sampled_from((0.7, 0.8, 0.9)))


@given(caption_texts, st.lists(spans, max_size=6))
def test_the_pieces_of_any_caption_say_what_it_says(caption: str, given: list[tuple[int, int, float]]) -> None:
    found = marked(caption, *(entry(start, start + more, BOX, score) for start, more, score in given))
    chosen = apart(found)
    assert all(one.end < other.start for one, other in combinations(chosen, 2))
    assert all(
        one in chosen or any(one.start <= other.end and other.start <= one.end for other in chosen) for one in found
    )
    if not caption.strip("\n\t\xa0\x00 "):
        with pytest.raises(TextError, match="empty caption"):
            list(pieces(caption, chosen))
        return
    cut = list(pieces(caption, chosen))
    assert "".join(one if isinstance(one, str) else one.text for one in cut) == tidy(caption)
    assert [one for one in cut if isinstance(one, Marked)] == chosen
    assert "" not in cut
    assert not any(isinstance(one, Marked) and isinstance(other, Marked) for one, other in pairwise(cut))


def test_text_between_phrases_keeps_one_blank_where_there_were_any_and_none_where_there_were_none() -> None:
    caption = " \na dog ,\xa0\n (two  cats) and\x00a bird \n"
    spans = [(2, 8), (13, 22), (28, 34)]
    chosen = apart(marked(caption, *(entry(start, end) for start, end in spans)))
    assert [one if isinstance(one, str) else [one.text] for one in pieces(caption, chosen)] == [
        ["a dog"], " , (", ["two cats"], ") and ", ["a bird"],
    ]  # fmt: skip


def test_a_caption_that_is_too_long_is_so_whatever_its_pieces_are() -> None:
    caption = f"a dog {'x' * 15_000} a dog {'x' * 15_000}"
    chosen = apart(marked(caption, entry(0, 5), entry(15_007, 15_012)))
    with pytest.raises(TextError, match="over-long caption"):
        list(pieces(caption, chosen))


def test_a_hostile_number_of_phrases_is_judged_in_time() -> None:
    caption = "a " * 20_000
    found = marks(caption, [entry(2 * place, 2 * place + 1) for place in range(20_000)])
    assert sum(not rule for rule in ruled(found, None, None)) == 1
    assert len(apart(one for one in found if isinstance(one, Marked))) == 20_000
