from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.box import CODECS, Box, Size, encode
from schemas.dialect import Boxes, Phrase
from schemas.prompt import Wording
from schemas.record import (
    Answer,
    Draw,
    ImageRef,
    Message,
    Pair,
    Record,
    Sample,
    Score,
    image_ref,
    lint,
    recoded,
    reworded,
    single_turn,
)

ROUND, TRUNC = CODECS["round-100"], CODECS["trunc-100"]
PLAIN = Wording(
    pools={
        "caption": ("say it",),
        "refer": ("where is {phrase}?",),
        "identify": ("what is in {box}?",),
        "detection": ("find {phrase}",),
    }
)
BOX, OTHER = Box(0.1203, 0.2991, 0.4466, 0.8812), Box(0.5, 0.0, 1.0, 0.257)

_side = st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True).map(sorted)
any_box = st.tuples(_side, _side).map(lambda at: Box(at[0][0] / 1e6, at[1][0] / 1e6, at[0][1] / 1e6, at[1][1] / 1e6))
_pieces = st.sampled_from(
    ("<p>", "</p> ", "{<", "[refer] ", "</s>", "\\", "{<1><2><3><4>}", "{phrase}", "<", "\U0001f697")
)
phrases = st.lists(st.one_of(_pieces, st.text(st.characters(codec="utf-8"))), max_size=6).map(
    lambda found: "x" + "".join(found)
)


def refer(phrase: str, box: Box, wording: Wording = PLAIN, key: str = "refcoco/val/17-2/refer") -> Record:
    reply = [Boxes((encode(box, wording.codec),))]
    slots = [Pair("phrase", phrase)]
    return single_turn(key, "refcoco", "val", "refer", slots=slots, reply=reply, boxes=[box], wording=wording)


def identify(phrase: str, box: Box, wording: Wording = PLAIN) -> Record:
    key, slots = "refcoco/val/17-2/identify", [Pair("box", "0")]
    return single_turn(key, "refcoco", "val", "identify", slots=slots, reply=[phrase], boxes=[box], wording=wording)


def detection(phrase: str, boxes: list[Box], wording: Wording = PLAIN) -> Record:
    reply = [Phrase(phrase, tuple(encode(box, wording.codec) for box in boxes))]
    slots = [Pair("phrase", phrase)]
    return single_turn("a/b/1/detection", "a", "b", "detection", slots=slots, reply=reply, boxes=boxes, wording=wording)


records = st.one_of(
    st.builds(refer, phrases, any_box),
    st.builds(identify, phrases, any_box),
    st.builds(detection, phrases, st.lists(any_box, min_size=1, max_size=4)),
)


def test_a_refer_record_is_written_as_the_design_shows() -> None:
    assert msgspec.to_builtins(refer("the man in red", BOX)) == {
        "key": "refcoco/val/17-2/refer",
        "source": "refcoco",
        "split": "val",
        "task": "refer",
        "messages": [
            {"role": "user", "content": "[refer] where is the man in red?"},
            {"role": "assistant", "content": "{<12><30><45><88>}"},
        ],
        "boxes": [[0.1203, 0.2991, 0.4466, 0.8812]],
        "draw": {"pool": "refer", "slots": [{"name": "phrase", "value": "the man in red"}], "answers": []},
        "meta": [],
    }


def test_an_identify_record_asks_with_the_token_and_keeps_the_boxs_place() -> None:
    record = identify("a red kite", BOX)
    assert [turn.content for turn in record.messages] == ["[identify] what is in {<12><30><45><88>}?", "a red kite"]
    assert record.draw == Draw(pool="identify", slots=[Pair("box", "0")], answers=[])


def test_markup_in_a_phrase_is_quoted_in_the_question_and_kept_plain_in_the_draw() -> None:
    record = refer("the <p> [vqa] {<1>", BOX)
    assert record.messages[0].content == "[refer] where is the <\\p> [\\vqa] {\\<1>?"
    assert record.draw.slots == [Pair("phrase", "the <p> [vqa] {<1>")]


@given(record=records)
def test_a_record_survives_json(record: Record) -> None:
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


@given(record=records)
def test_a_record_passes_the_linter_as_it_was_made(record: Record) -> None:
    lint(record, ROUND)


@given(record=records)
def test_recoding_there_and_back_changes_nothing(record: Record) -> None:
    truncated = recoded(record, TRUNC)
    lint(truncated, TRUNC)
    assert truncated.boxes == record.boxes
    assert recoded(truncated, ROUND) == record


def test_recoding_writes_the_other_codecs_tokens() -> None:
    record = recoded(detection("kite", [BOX, OTHER]), TRUNC)
    assert record.messages[1].content == "<p>kite</p> {<12><29><44><88>}<delim>{<50><0><100><25>}"


def test_recoding_follows_the_boxes_through_all_turns() -> None:
    turns = ["see {<12><30><45><88>}", "yes, and {<50><0><100><26>}", "no", "{<12><30><45><88>} again"]
    record = chat(turns, boxes=[BOX, OTHER, BOX])
    assert [turn.content for turn in recoded(record, TRUNC).messages] == [
        "see {<12><29><44><88>}",
        "yes, and {<50><0><100><25>}",
        "no",
        "{<12><29><44><88>} again",
    ]


def chat(turns: list[str], boxes: list[Box]) -> Record:
    roles: list[Any] = ["user", "assistant"]
    messages = [Message(roles[place % 2], turn) for place, turn in enumerate(turns)]
    return Record("a/b/1/chat", "a", "b", None, messages, boxes, Draw(None, [], []), [])


@given(record=records, epoch=st.integers(1, 10**6))
def test_a_reworded_record_keeps_its_answer_and_passes_the_linter(record: Record, epoch: int) -> None:
    again = reworded(record, Wording(), epoch)
    lint(again, ROUND)
    assert msgspec.structs.replace(again, messages=record.messages) == record
    assert again.messages[1] == record.messages[1]


@pytest.mark.parametrize("make", [refer, identify])
def test_the_stored_wording_is_that_of_epoch_zero(make: Callable[[str, Box, Wording], Record]) -> None:
    record = make("a {phrase} <p>", BOX, Wording(seed=3))
    assert reworded(record, Wording(seed=3), 0) == record


def test_other_epochs_ask_in_other_words() -> None:
    record = refer("a kite", BOX, Wording())
    asked = {reworded(record, Wording(), epoch).messages[0].content for epoch in range(100)}
    assert len(asked) == 11
    assert all(question.startswith("[refer] ") and "a kite" in question for question in asked)


def test_a_record_of_which_nothing_is_drawn_is_never_reworded() -> None:
    record = chat(["hello", "hi"], [])
    assert all(reworded(record, Wording(), epoch) is record for epoch in range(5))


def test_pictures_and_samples_survive_json() -> None:
    image = ImageRef("vg/5", ["coco/7"], 640, 427, "ab" * 32, "CC0", [Score("similarity", 0.31)])
    drawn = Draw("vqa", [Pair("question", "why?")], [Answer("because", 7), Answer("so", 3)])
    record = Record(
        "a/b/1/vqa", "a", "b", "vqa", [Message("user", "[vqa] why?"), Message("assistant", "so")], [], drawn, []
    )
    for sample in (Sample("boxcar/1", image, [record]), Sample("boxcar/1", None, [record])):
        assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample) == sample


def test_every_field_of_a_sample_is_always_there() -> None:
    sample = Sample("boxcar/1", image_ref("coco/5", None), [])
    assert msgspec.json.decode(msgspec.json.encode(sample)) == {
        "schema": "boxcar/1",
        "image": {
            "id": "coco/5",
            "aliases": [],
            "width": None,
            "height": None,
            "sha256": None,
            "license": None,
            "scores": [],
        },
        "records": [],
    }


def test_a_picture_carries_the_annotated_size() -> None:
    image = image_ref("coco/5", Size(640, 427))
    assert (image.width, image.height) == (640, 427)


@pytest.mark.parametrize("damage", [{"extra": 1}, {"task": "dance"}, {"boxes": [[0.1, 0.2, 0.3]]}, {"draw": None}])
def test_json_that_is_no_record_is_refused(damage: dict[str, Any]) -> None:
    damaged = {**msgspec.to_builtins(refer("a kite", BOX)), **damage}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(damaged), type=Record)
