"""Tests of what the page is told of a record: pieces that put together are the text, groups, boxes and loss."""

import json

import msgspec
import pytest

from pipelines.view.told import taken_apart, told, told_record
from schemas.box import codec
from schemas.record import Answer, Box, Draw, ImageRef, Message, Pair, Record, Sample, Task

BY = codec("round-100")


def record(task: Task | None, *said: str, boxes: list[Box] | None = None, slots: list[Pair] | None = None) -> Record:
    roles = ["user", "assistant"] * len(said)
    turns = [Message(role, text) for role, text in zip(roles, said, strict=False)]  # type: ignore[arg-type]
    draw = Draw(task, slots or [], [Answer("yes", 3)])
    return Record("a/train/1/x", "a", "train", task, turns, boxes or [], draw, [Pair("ann_id", "7")])


ONE, TWO = Box(0.101, 0.2, 0.3, 0.404), Box(0.5, 0.5, 0.75, 1.0)


def test_a_phrase_and_its_boxes_are_one_group_and_another_phrase_another() -> None:
    said = "<p>a dog</p> {<10><20><30><40>}<delim>{<50><50><75><100>} on <p>grass</p> {<0><0><100><100>}"
    taken = taken_apart(record("grounding", "[grounding] tell", said))
    assert taken.turns == [
        [("task", "[grounding] ", None), ("plain", "tell", None)],
        [
            ("phrase", "a dog", 0),
            ("token", "{<10><20><30><40>}<delim>{<50><50><75><100>}", 0),
            ("plain", " on ", None),
            ("phrase", "grass", 1),
            ("token", "{<0><0><100><100>}", 1),
        ],
    ]
    assert [group for _, group in taken.boxes] == [0, 0, 1]


def test_what_is_referred_to_has_the_colour_of_its_box() -> None:
    slots = [Pair("phrase", "a <p> man")]
    taken = taken_apart(
        record("refer", r"[refer] where is a <\p> man?", "{<10><20><30><40>}", boxes=[ONE], slots=slots)
    )
    assert taken.turns[0] == [
        ("task", "[refer] ", None),
        ("plain", "where is ", None),
        ("phrase", "a <p> man", 0),
        ("plain", "?", None),
    ]


def test_what_names_a_box_has_its_colour() -> None:
    taken = taken_apart(record("identify", "[identify] {<10><20><30><40>}", "the man", boxes=[ONE]))
    assert taken.turns == [
        [("task", "[identify] ", None), ("token", "{<10><20><30><40>}", 0)],
        [("phrase", "the man", 0)],
    ]


def test_boxes_are_told_from_the_tokens_and_exactly_with_what_is_lost() -> None:
    found = told_record(
        record("refer", "[refer] man", "{<10><20><30><40>}<delim>{<50><50><75><100>}", boxes=[ONE, TWO]), BY
    )
    first, second = found["boxes"]
    assert first == {"token": [0.1, 0.2, 0.3, 0.4], "exact": [0.101, 0.2, 0.3, 0.404], "group": 0, "loss": 0.0244}
    assert second["loss"] == 0.0 and found["odd"] is None and found["of"] == 2
    # By hand: the exact box lies in the token's but for 4 thousandths below: 0.199 x 0.2 of 0.2 x 0.2 + 0.199 x 0.004.
    assert first["loss"] == pytest.approx(1 - 0.199 * 0.2 / (0.2 * 0.2 + 0.199 * 0.004), abs=1e-4)


@pytest.mark.parametrize(
    ("answer", "boxes", "odd"),
    [
        ("{<10><20><30><40>}", [], "1 tokens, 0 boxes"),
        ("nothing", [ONE], "0 tokens, 1 boxes"),
        ("<p>open", [ONE], "malformed"),
        ("{<999><0><1><1>}", [ONE], "malformed"),
    ],
)
def test_what_does_not_fit_together_is_shown_and_said(answer: str, boxes: list[Box], odd: str) -> None:
    found = told_record(record("refer", "[refer] man", answer, boxes=boxes), BY)
    assert odd in found["odd"]
    assert "".join(text for _, text, _ in found["turns"][1]["pieces"]) == answer
    assert len(found["boxes"]) == 1


def test_all_of_a_sample_is_told_and_a_card_is_brief() -> None:
    image = ImageRef("coco/1", ["vg/2"], 640, 480, "0", "CC-BY", [])
    many = [record(None, "word " * 900, "x" * 3000) for _ in range(40)]
    sample = Sample("boxcar/1", image, many)
    whole, card = told(sample, BY), told(sample, BY, [3, 5, *range(6, 30), 999], brief=True)
    assert [one["place"] for one in whole["records"]] == list(range(40)) and whole["of"] == 40
    assert [one["place"] for one in card["records"]] == [3, 5, 6, 7, 8, 9] and card["matching"] == 26
    assert len(json.dumps(card)) < 6 * 900
    assert whole["records"][0]["answers"] == [["yes", 3]] and whole["records"][0]["meta"] == [["ann_id", "7"]]
    assert json.loads(msgspec.json.encode(whole)) is not None
