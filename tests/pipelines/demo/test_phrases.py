import re
from collections import Counter
from itertools import combinations

import pytest

from pipelines.demo.phrases import MARGIN, RELATIONS, as_typed, captions, expressions, matches, offset, refs
from pipelines.demo.world import Scene, Shape, scene

SCENES = [scene(11, index) for index in range(400)]

LEFT = Shape("circle", "red", "small", (10.0, 20.0, 30.0, 30.0))
RIGHT = Shape("circle", "red", "small", (150.0, 20.0, 30.0, 30.0))
SQUARE = Shape("square", "blue", "large", (70.0, 90.0, 60.0, 60.0))
BY_HAND = Scene(0, 200, 160, (LEFT, RIGHT, SQUARE))


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("the blue square", [SQUARE]),
        ("the large blue square", [SQUARE]),
        ("the small blue square", []),
        ("the red circle", [LEFT, RIGHT]),
        ("the red circle left of the blue square", [LEFT]),
        ("the red circle that is right of the blue square", [RIGHT]),
        ("the small red circle above the blue square", [LEFT, RIGHT]),
        ("the red circle below the blue square", []),
        ("the red circle left of the red circle", [LEFT]),
        ("the blue square below the red circle", [SQUARE]),
        ("the blue square left of the blue square", []),
        ("the blue square above the green star", []),
    ],
)
def test_an_expression_is_read_as_a_person_would_read_it(expression: str, meant: list[Shape]) -> None:
    assert matches(BY_HAND, expression) == meant


@pytest.mark.parametrize("expression", ["", "red circle", "the red circle near the blue square", "the red circle "])
def test_what_is_not_an_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not an expression"):
        matches(BY_HAND, expression)


def test_a_relation_needs_the_stated_margin() -> None:
    near = Shape("star", "pink", "small", (70.0 - 0.9 * MARGIN * 160, 10.0, 60.0, 60.0))
    far = Shape("star", "pink", "small", (70.0 - 1.1 * MARGIN * 160, 10.0, 60.0, 60.0))
    said = "the pink star left of the blue square"
    assert matches(Scene(0, 200, 160, (near, SQUARE)), said) == []
    assert matches(Scene(0, 200, 160, (far, SQUARE)), said) == [far]


def test_an_expression_is_true_of_exactly_one_shape() -> None:
    for told in SCENES:
        for shape in told.shapes:
            for places in (True, False):
                assert all(matches(told, text) == [shape] for text in expressions(told, shape, places))


def test_expressions_are_different_at_most_four_and_shortest_first() -> None:
    for told in SCENES:
        for shape in told.shapes:
            found = expressions(told, shape)
            lengths = [len(text.split()) for text in found]
            assert len(set(found)) == len(found) <= 4
            assert lengths == sorted(lengths)


def test_without_places_no_expression_has_a_relation() -> None:
    found = [text for told in SCENES for shape in told.shapes for text in expressions(told, shape, places=False)]
    assert found
    assert not any(relation in text for text in found for relation in RELATIONS)


def test_shapes_that_nothing_tells_apart_get_no_expression() -> None:
    assert expressions(BY_HAND, LEFT, places=False) == []
    lost = [shape for told in SCENES for shape in told.shapes if not expressions(told, shape)]
    assert 0 < len(lost) < 100


def test_some_shapes_need_their_size_and_some_their_place() -> None:
    shortest = [expressions(told, shape)[:1] for told in SCENES for shape in told.shapes]
    needs = Counter(re.sub(r"(red|yellow|green|cyan|blue|pink) \w+", "_", text[0]) for text in shortest if text)
    assert needs["the _"] > 100
    assert needs["the small _"] + needs["the large _"] > 20
    assert needs["the _ left of the _"] > 20


def test_of_any_two_shapes_some_relation_holds() -> None:
    for told in SCENES:
        for shape, other in combinations(told.shapes, 2):
            assert max(offset(told, shape, relation, other) for relation in RELATIONS) >= MARGIN


def test_a_picture_has_five_different_captions_of_plain_words() -> None:
    for told in SCENES:
        said = captions(told)
        assert len(said) == len({text.strip(" .").lower() for text in said}) == 5
        assert all(re.fullmatch(r"[A-Za-z][a-z]*( [a-z]+)*\.? ?", text) for text in said)


def test_some_captions_end_in_a_blank_and_most_do_not() -> None:
    ends = [text.endswith(" ") for told in SCENES for text in captions(told)]
    assert 0 < sum(ends) < 0.1 * len(ends)


def test_captions_name_only_what_is_there() -> None:
    for told in SCENES:
        there = {f"a {shape.size} {shape.colour} {shape.kind}" for shape in told.shapes}
        colours = {shape.colour for shape in told.shapes}
        for text in map(str.lower, captions(told)):
            assert set(re.findall(r"a (?:small|large) \w+ (?:circle|square|triangle|star)", text)) <= there
            assert set(re.findall(r"\b(?:red|yellow|green|cyan|blue|pink)\b", text)) <= colours


def test_captions_count_right() -> None:
    numbers = {"one": 1, "two": 2, "three": 3, "four": 4}
    for told in SCENES:
        kinds: Counter[str] = Counter(shape.kind for shape in told.shapes)
        expected = {"shape": len(told.shapes), **kinds}
        for number, noun in re.findall(r"\b(one|two|three|four) ([a-z]+?)s?\b", " ".join(captions(told))):
            assert expected[noun] == numbers[number]


def test_a_relation_in_a_caption_holds_between_two_of_the_shapes() -> None:
    told_of = 0
    for told in SCENES:
        for text in map(str.lower, captions(told)):
            if found := re.match(rf"a (.*) is ({'|'.join(RELATIONS)}) a ([a-z ]*)", text):
                thing, relation, other = (part.strip() for part in found.groups())
                told_of += 1
                assert any(
                    offset(told, a, relation, b) >= MARGIN
                    for a in told.shapes
                    for b in told.shapes
                    if (f"{a.size} {a.colour} {a.kind}", f"{b.size} {b.colour} {b.kind}") == (thing, other)
                )
    assert told_of > 300


def test_held_out_scenes_are_the_last_three_tenths() -> None:
    splits = {ref.scene.index: ref.split for ref in refs(SCENES, "refcoco")}
    assert {split for index, split in splits.items() if index >= 360} == {"val"}
    assert {split for index, split in splits.items() if 320 <= index < 360} == {"testA"}
    assert {split for index, split in splits.items() if 280 <= index < 320} == {"testB"}
    assert {split for index, split in splits.items() if index < 280} == {"train"}


def test_all_three_sources_hold_out_the_same_scenes() -> None:
    train, plus, long = (
        {ref.scene.index for ref in refs(SCENES, name) if ref.split == "train"}
        for name in ("refcoco", "refcoco+", "refcocog")
    )
    held_out = {ref.scene.index for ref in refs(SCENES, "refcocog") if ref.split != "train"}
    assert not (train | plus | long) & held_out


def test_refcocog_puts_the_place_in_a_relative_clause() -> None:
    said = [text for ref in refs(SCENES, "refcocog") for text in ref.sentences]
    placed = [text for text in said if any(relation in text for relation in RELATIONS)]
    assert len(placed) > 0.5 * len(said)
    assert all(" that is " in text for text in placed)


def test_what_was_typed_has_the_words_of_what_is_meant() -> None:
    typed = [as_typed("the red star", number) for number in range(4)]
    assert len(set(typed)) == 4
    assert all(re.findall("[a-z]+", text.lower()) == ["the", "red", "star"] for text in typed)
