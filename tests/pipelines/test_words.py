"""Rendering: each epoch's wording, another codec, no identifiers, and the released recipe's text rules by table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tar import members
from pipelines.words import MAX_WORDS, Words, released, rendered
from schemas.box import CODECS, Box
from schemas.dialect import Boxes, Phrase
from schemas.errors import RecordError
from schemas.prompt import Wording, templates
from schemas.record import Answer, Pair, Record, Sample, Task, chat, lint, reworded, single_turn

BOX = Box(0.126, 0.2, 0.558, 0.909)
WORDING = Wording(seed=3)
PLAIN = Words(WORDING, pool=None, reword=True, recode=False, identifiers=True, released=False)
TRUNC = CODECS["trunc-100"]
RECODED = replace(PLAIN, wording=Wording(3, TRUNC), recode=True)


def asked(task: Task, slots: dict[str, str], reply: Sequence[object], boxes: Sequence[Box] = (), **more: str) -> Record:
    pairs = [Pair(name, value) for name, value in slots.items()]
    return single_turn(
        f"s/train/1/{task}", "s", "train", task, slots=pairs, reply=reply, boxes=boxes, wording=WORDING, **more
    )  # type: ignore[arg-type]


REFER = asked("refer", {"phrase": "The U.S. flag: left!"}, [Boxes(((13, 20, 56, 91),))], [BOX])
IDENTIFY = asked("identify", {"box": "0"}, ["The Man (at 10:30)"], [BOX])
VQA = asked("vqa", {"question": "What's the time?"}, [Answer("10:30", 2), Answer("U.S.", 1)])
CAPTION = asked("caption", {}, ["A Dog. It runs!"])
GROUNDED = asked("grounding", {}, [Phrase("The Man", ((13, 20, 56, 91),)), ", walking."], [BOX])


def texts(record: Record) -> list[str]:
    return [turn.content for turn in record.messages]


@pytest.fixture(scope="module")
def stored(demo_pool: Path) -> list[Record]:
    found = []
    for path in sorted(demo_pool.glob("*.tar")):
        with path.open("rb") as file:
            parts = [part.data for part in members(file, path.name) if part.extension == "json"]
        found += [record for data in parts for record in msgspec.json.decode(data, type=Sample).records]
    return found


def test_epoch_nought_is_the_stored_wording(stored: list[Record]) -> None:
    by = replace(PLAIN, wording=Wording())
    assert len(stored) > 500
    assert [rendered(record, by, 0) for record in stored] == stored


def test_an_epoch_is_worded_as_the_draw_says_and_again_the_same(stored: list[Record]) -> None:
    by = replace(PLAIN, wording=Wording())
    later = [rendered(record, by, 5) for record in stored]
    assert later == [reworded(record, Wording(), 5) for record in stored]
    assert sum(one != other for one, other in zip(later, stored, strict=True)) > len(stored) / 2


def test_without_rewording_every_epoch_is_the_stored_one() -> None:
    assert {str(texts(rendered(VQA, replace(PLAIN, reword=False), epoch))) for epoch in range(9)} == {str(texts(VQA))}


@pytest.mark.parametrize("by", [PLAIN, RECODED, replace(PLAIN, released=True), replace(RECODED, released=True)])
def test_whatever_is_rendered_still_passes_the_linter(stored: list[Record], by: Words) -> None:
    for record in stored:
        lint(rendered(record, by, 2), by.wording.codec)


def test_without_identifiers_only_they_are_missing(stored: list[Record]) -> None:
    for record in stored:
        kept = rendered(record, PLAIN, 1)
        bare = rendered(record, replace(PLAIN, identifiers=False), 1)
        assert texts(kept)[0] == f"[{record.task}] {texts(bare)[0]}"
        assert texts(kept)[1:] == texts(bare)[1:]
        lint(msgspec.structs.replace(bare, task=None), WORDING.codec)


def test_identifiers_within_a_conversation_go_too_but_quoted_ones_stay() -> None:
    turns = [["[vqa] why?"], ["so"], ["[refer] it"], ["there"]]
    talk = chat("m/train/1/chat", "multitask", "train", turns, [])
    named = msgspec.structs.replace(
        talk, messages=[msgspec.structs.replace(turn, content=turn.content.replace("\\", "")) for turn in talk.messages]
    )
    bare = replace(PLAIN, identifiers=False)
    assert texts(rendered(named, bare, 0)) == ["why?", "so", "it", "there"]
    assert texts(rendered(talk, bare, 0)) == texts(talk)


def test_another_codec_writes_question_and_reply_anew() -> None:
    assert texts(rendered(REFER, RECODED, 0))[1] == "{<12><20><55><90>}"
    assert "{<12><20><55><90>}" in texts(rendered(IDENTIFY, RECODED, 0))[0]
    assert texts(rendered(GROUNDED, RECODED, 0))[1] == "<p>The Man</p> {<12><20><55><90>}, walking."


def test_tokens_that_are_not_the_boxes_are_found_when_they_are_written_anew() -> None:
    with pytest.raises(RecordError, match="boxes without tokens"):
        rendered(msgspec.structs.replace(GROUNDED, boxes=[BOX, BOX]), RECODED, 0)


def test_a_part_may_be_worded_from_another_pool() -> None:
    assert texts(rendered(VQA, replace(PLAIN, pool="vqa_eval"), 4))[0].removeprefix("[vqa] ") in {
        template.format(question="What's the time?") for template in templates()["vqa_eval"]
    }
    assert rendered(CAPTION, replace(PLAIN, pool="grounding"), 0).draw == CAPTION.draw


def test_a_pool_with_other_slots_is_refused_by_name() -> None:
    with pytest.raises(RecordError, match=r"wording does not fit: pool 'refer' has slots \('phrase',\), s/train/1/vqa"):
        rendered(VQA, replace(PLAIN, pool="refer"), 0)


def test_templates_of_the_mixture_stand_in_for_the_stored_ones_from_the_first_epoch_on() -> None:
    by = replace(PLAIN, wording=Wording(3, pools={**templates(), "caption": ("say it",)}))
    assert texts(rendered(CAPTION, by, 0))[0] == "[caption] say it"


RELEASED = replace(PLAIN, released=True)


@pytest.mark.parametrize(
    ("record", "question", "answer"),
    [
        (REFER, "the u s flag left", "{<13><20><56><91>}"),
        (IDENTIFY, "{<13><20><56><91>}", "the man at 10 30"),
        (CAPTION, "", "a dog it runs"),
        (GROUNDED, "", "<p>The Man</p> {<13><20><56><91>}, walking."),
        (VQA, "what's the time?", ("10 30", "u s")),
    ],
    ids=["refer", "identify", "caption", "grounding", "vqa"],
)
def test_the_released_rules_touch_slots_and_answers_by_task(
    record: Record, question: str, answer: str | tuple[str, ...]
) -> None:
    for epoch in range(4):
        said, plain = (texts(rendered(record, by, epoch)) for by in (RELEASED, PLAIN))
        assert said[1] in answer if isinstance(answer, tuple) else said[1] == answer
        assert question in said[0]
        if record.task in ("caption", "grounding", "identify"):  # nothing but the template and a box: as it was
            assert said[0] == plain[0]


LONG = " ".join(f"Word{at}" for at in range(60))
CUT = " ".join(f"word{at}" for at in range(MAX_WORDS))


@pytest.mark.parametrize(
    ("source", "question", "answer"),
    [
        ("llava_detail", CUT, LONG),
        ("llava_reason", CUT, LONG),
        ("unnatural", CUT, CUT),
        ("llava_conversation", LONG, LONG),
        ("multitask", LONG, LONG),
    ],
)
def test_the_released_rules_touch_plain_chat_by_source(source: str, question: str, answer: str) -> None:
    talk = chat(f"{source}/train/1/chat", source, "train", [[LONG], [LONG]], [])
    assert texts(rendered(talk, RELEASED, 0)) == [question, answer]


def test_quoted_markup_is_processed_as_what_it_was_and_quoted_again() -> None:
    talk = chat("unnatural/train/1/chat", "unnatural", "train", [["Say <p> and [INST]!"], ["OK: <p>"]], [])
    assert texts(rendered(talk, RELEASED, 0)) == ["say <\\p> and [inst]", "ok <\\p>"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('A $3.50 (or 10:30) "deal"; it\'s ~100% #1, e.g. U.S.!', "a $3 50 or 10 30 deal it's 100% 1, e g u s"),
        ("one\ntwo\n\nthree \n", "one\ntwo three"),
        ("Why? yes, a/b - <c> {d} [e] & f'", "why? yes, a/b - <c> {d} [e] & f'"),
        ("!!!", "!!!"),
    ],
)
def test_the_released_text_rule(text: str, left: str) -> None:
    assert released(text) == left


@given(st.text(max_size=300))
def test_the_released_text_rule_changes_nothing_twice(text: str) -> None:
    assert released(released(text)) == released(text)
