"""Answers that several people gave, drawn by frequency; plain chat; records asked by another pool than their task's."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.box import CODECS, Box, codec, encode, token_box
from schemas.dialect import Boxes
from schemas.errors import BoxError
from schemas.prompt import Wording, templates
from schemas.record import Answer, Pair, Record, answered, chat, counted, lint, reworded, single_turn

WORDING = Wording()
VOTES = [Answer("yes", 7), Answer("no", 2), Answer("</s> maybe", 1)]


def question(key: str = "vqav2/train/1/vqa", answers: list[Answer] = VOTES, pool: str | None = None) -> Record:
    slots = [Pair("question", "is it <p>?")]
    if pool == "vqa_choices":
        slots.append(Pair("choices", "yes, no"))
    return single_turn(key, "vqav2", "train", "vqa", slots=slots, reply=answers, boxes=[], wording=WORDING, pool=pool)


def test_answers_are_counted_most_frequent_first_then_as_they_came() -> None:
    assert counted(["b", "a", "c", "a", "c"]) == [Answer("a", 2), Answer("c", 2), Answer("b", 1)]
    assert counted([]) == []


def test_a_question_keeps_all_its_answers_and_replies_with_one() -> None:
    record = question()
    assert record.draw.answers == VOTES
    assert record.messages[0].content.startswith("[vqa] ")
    assert record.messages[1].content in {"yes", "no", "<\\/s> maybe"}
    lint(record, CODECS["round-100"])


def test_answers_are_drawn_as_often_as_they_were_given() -> None:
    drawn = Counter(answered(VOTES, f"vqav2/train/{number}/vqa", WORDING, 0) for number in range(10_000))
    assert {text: round(count / 1000) for text, count in drawn.items()} == {"yes": 7, "no": 2, "<\\/s> maybe": 1}


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=4), epoch=st.integers(0, 5), seed=st.integers(0, 5))
def test_a_draw_is_a_pure_function_of_seed_key_and_epoch(counts: list[int], epoch: int, seed: int) -> None:
    answers = [Answer(f"a{place}", count) for place, count in enumerate(counts)]
    drawn = {answered(answers, "a/b/1/vqa", Wording(seed), epoch) for _ in range(3)}
    assert len(drawn) == 1 and drawn <= {answer.text for answer in answers}


def test_another_epoch_words_the_question_and_draws_the_answer_again() -> None:
    record = question()
    assert reworded(record, WORDING, 0) == record
    later = [reworded(record, WORDING, epoch) for epoch in range(60)]
    assert {one.messages[1].content for one in later} == {"yes", "no", "<\\/s> maybe"}
    assert len({one.messages[0].content for one in later}) == len(templates()["vqa"])
    for one in later:
        lint(one, CODECS["round-100"])
        assert (one.key, one.draw, one.meta) == (record.key, record.draw, record.meta)


def test_the_answer_and_the_wording_are_drawn_apart() -> None:
    pairs = {
        (record.messages[0].content, record.messages[1].content)
        for record in (question(f"vqav2/train/{number}/vqa") for number in range(2000))
    }
    assert len(pairs) == 3 * len(templates()["vqa"])


def test_a_record_is_asked_by_the_pool_it_names() -> None:
    record = question(pool="vqa_choices")
    assert (record.task, record.draw.pool) == ("vqa", "vqa_choices")
    assert record.messages[0].content.startswith("[vqa] ") and "yes, no" in record.messages[0].content
    assert "yes, no" in reworded(record, WORDING, 3).messages[0].content


def test_a_chat_is_said_as_it_is_and_never_worded_again() -> None:
    record = chat(
        "l/train/1/chat", "l", "train", [["[refer] <image>?"], ["one\ntwo"], ["b"], ["c"]], [], [Pair("a", "b")]
    )
    assert [(turn.role, turn.content) for turn in record.messages] == [
        ("user", "[\\refer] <\\image>?"),
        ("assistant", "one\ntwo"),
        ("user", "b"),
        ("assistant", "c"),
    ]
    assert (record.task, record.draw.pool, record.meta) == (None, None, [Pair("a", "b")])
    assert reworded(record, WORDING, 5) == record
    lint(record, CODECS["round-100"])


def test_a_chat_may_hold_boxes() -> None:
    box = Box(0.1, 0.2, 0.3, 0.4)
    reply = [Boxes((encode(box, WORDING.codec),))]
    lint(chat("l/train/1/chat", "l", "train", [["where?"], reply], [box]), CODECS["round-100"])
    with pytest.raises(BoxError, match="boxes without tokens"):
        lint(chat("l/train/1/chat", "l", "train", [["where?"], ["there"]], [box]), CODECS["round-100"])


@pytest.mark.parametrize("name", sorted(CODECS))
def test_the_box_of_a_token_is_encoded_to_that_token_again(name: str) -> None:
    by = codec(name)
    for low in range(100):
        for high in (low + 1, (low + 101) // 2, 100):
            if low < high:
                assert encode(token_box((low, 0, high, 100), by), by) == (low, 0, high, 100)
                assert encode(token_box((0, low, 1, high), by), by) == (0, low, 1, high)
    for wrong in ((5, 0, 5, 9), (9, 0, 5, 9), (-1, 0, 5, 9)):
        with pytest.raises(BoxError):
            token_box(wrong, by)
