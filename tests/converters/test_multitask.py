"""Conversations of several tasks: what may follow what, and that nothing is said before it is asked."""

from typing import Any

import pytest

from converters import find
from converters._files import resolve
from converters.multitask import conversation, facts
from schemas.box import CODECS, Box, encode
from schemas.dialect import Boxes, Phrase
from schemas.errors import ConfigError, Filtered
from schemas.prompt import Wording
from schemas.record import Pair, Record, Task, counted, image_ref, lint, single_turn

WORDING = Wording()
LEFT = Box(0.1, 0.1, 0.3, 0.5)
NEARLY_LEFT = Box(0.1, 0.1, 0.31, 0.52)
RIGHT = Box(0.6, 0.2, 0.9, 0.7)
BELOW = Box(0.4, 0.8, 0.6, 0.95)


def said(key: str, task: Task, **words: Any) -> Record:
    return single_turn(f"some/train/{key}", "some", "train", task, wording=WORDING, **words)


def refer(key: str, phrase: str, box: Box) -> Record:
    reply = [Boxes((encode(box, WORDING.codec),))]
    return said(key, "refer", slots=[Pair("phrase", phrase)], reply=reply, boxes=[box])


def identify(key: str, phrase: str, box: Box) -> Record:
    return said(key, "identify", slots=[Pair("box", "0")], reply=[phrase], boxes=[box])


def caption(key: str, text: str) -> Record:
    return said(key, "caption", slots=[], reply=[text], boxes=[])


def vqa(key: str, question: str, answer: str) -> Record:
    return said(key, "vqa", slots=[Pair("question", question)], reply=counted([answer]), boxes=[])


def detection(key: str, name: str, *boxes: Box) -> Record:
    reply = [Phrase(name, tuple(encode(box, WORDING.codec) for box in boxes))]
    return said(key, "detection", slots=[Pair("phrase", name)], reply=reply, boxes=boxes)


def made(*records: Record, turns: tuple[int, int] = (2, 6), count: int = 1, seed: int = 0) -> list[Record]:
    rows = facts(image_ref("coco/7", None), "train", records, turns, count)
    return [conversation(row, Wording(seed)) for row in rows]


def sources(record: Record) -> list[str]:
    return [pair.value.removeprefix("some/train/") for pair in record.meta if pair.name == "record"]


def insist_none(*records: Record) -> None:
    for seed in range(8):
        with pytest.raises(Filtered, match=r"^too few facts: 1 turns of coco/7, wanted 2 of two tasks or more$"):
            made(*records, seed=seed)


def test_a_conversation_is_whole_and_names_the_records_it_is_made_of() -> None:
    talk, dog = refer("a", "the red ball", LEFT), vqa("b", "who plays?", "a dog")
    (one,) = made(talk, dog)
    assert (one.key, one.source, one.split, one.task) == ("multitask/train/coco/7-0/chat", "multitask", "train", None)
    by_key = {"a": talk, "b": dog}
    assert sorted(sources(one)) == ["a", "b"]
    assert one.messages == [message for key in sources(one) for message in by_key[key].messages]
    assert one.boxes == [LEFT]
    assert one.draw.pool is None
    lint(one, CODECS["round-100"])


def test_boxes_stand_in_the_order_of_their_tokens() -> None:
    (one,) = made(refer("a", "the ball", LEFT), identify("b", "a hat", RIGHT), detection("c", "cup", BELOW))
    assert len(one.boxes) == 3
    lint(one, CODECS["round-100"])


@pytest.mark.parametrize("other", [LEFT, NEARLY_LEFT])
def test_a_box_and_its_phrase_reversed_never_meet(other: Box) -> None:
    insist_none(refer("a", "the red ball", LEFT), identify("b", "a toy", other))


def test_a_phrase_that_was_said_is_no_answer_any_more() -> None:
    questions = [refer("a", "the Red Ball, on grass", LEFT), identify("b", "red ball", RIGHT)]
    for seed in range(8):
        (one,) = made(*questions, turns=(2, 2), seed=seed)
        assert sources(one) == ["b", "a"]


def test_a_word_within_another_word_gives_nothing_away() -> None:
    (one,) = made(refer("a", "the catalogue", LEFT), identify("b", "cat", RIGHT), turns=(2, 2))
    assert sorted(sources(one)) == ["a", "b"]
    orders = {
        tuple(sources(made(refer("a", "a catalogue", LEFT), identify("b", "cat", RIGHT), seed=s)[0])) for s in range(9)
    }
    assert orders == {("a", "b"), ("b", "a")}


def test_a_detection_is_not_followed_by_a_question_for_one_of_its_boxes() -> None:
    insist_none(detection("a", "cup", LEFT, RIGHT), refer("b", "the blue cup", NEARLY_LEFT))


def test_a_description_neither_gives_an_answer_nor_repeats_it() -> None:
    insist_none(caption("a", "Two dogs play."), vqa("b", "what animals are there?", "dogs"))
    made(caption("a", "Two dogs play."), vqa("b", "what animals are there?", "horses"))


@pytest.mark.parametrize("answer", ["yes", "No, it is not", "2", "three dogs"])
def test_what_can_be_known_unsaid_is_asked_only_of_what_was_not_spoken_of(answer: str) -> None:
    asked = vqa("b", "how many dogs are in this picture?", answer)
    for seed in range(8):
        (one,) = made(asked, refer("a", "the left one of the dogs", LEFT), seed=seed)
        assert sources(one) == ["b", "a"]
    orders = {tuple(sources(made(asked, refer("a", "this picture", LEFT), seed=seed)[0])) for seed in range(12)}
    assert orders == {("a", "b"), ("b", "a")}


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        (detection("a", "dog", LEFT, RIGHT), vqa("b", "How many dogs are there?", "2")),
        (detection("a", "person", LEFT, RIGHT), vqa("b", "Is anybody alone?", "no")),
        (caption("a", "Two cats and a man."), vqa("b", "Is there a cat?", "yes")),
        (caption("a", "A star beside a square and a circle."), vqa("b", "How many shapes are there?", "3")),
        (refer("a", "the children", LEFT), vqa("b", "how many of them is a child", "three")),
    ],
)
def test_what_was_listed_or_spoken_of_in_another_number_is_not_counted_after(told: Record, asked: Record) -> None:
    for seed in range(8):
        try:
            (one,) = made(told, asked, seed=seed)
        except Filtered:
            continue
        assert sources(one) == ["b", "a"]


def test_an_answer_in_the_plural_is_given_away_in_the_singular() -> None:
    insist_none(detection("a", "dog", LEFT), vqa("b", "What plays here?", "dogs"))


def test_a_number_is_the_same_in_words_and_digits() -> None:
    insist_none(caption("a", "There are two dogs."), vqa("b", "how many cups?", "2"))
    insist_none(caption("a", "There are 3 dogs."), vqa("b", "how many cups?", "three"))


def test_a_question_with_choices_is_the_same_question() -> None:
    slots = [Pair("question", "what colour?"), Pair("choices", "red, blue")]
    chosen = said("a", "vqa", slots=slots, reply=counted(["blue"]), boxes=[], pool="vqa_choices")
    insist_none(chosen, vqa("b", "What colour?", "it is azure"))


def test_boxes_of_one_token_are_one_box() -> None:
    tiny, beside = Box(0.1010, 0.1010, 0.1022, 0.1022), Box(0.1030, 0.1030, 0.1045, 0.1045)
    insist_none(refer("a", "the bolt", tiny), identify("b", "a nut", beside))


def test_an_answer_of_signs_alone_is_looked_for_as_it_stands() -> None:
    for seed in range(8):
        (one,) = made(refer("a", "the sign with a $ on it", LEFT), vqa("b", "what is written?", "$"), seed=seed)
        assert sources(one) == ["b", "a"]


def test_a_picture_is_described_once() -> None:
    insist_none(caption("a", "Two dogs play."), caption("b", "It is sunny."))


def test_a_question_is_asked_once() -> None:
    insist_none(vqa("a", "What colour?", "red"), vqa("b", "what colour", "crimson"))


def test_one_task_alone_makes_no_conversation() -> None:
    with pytest.raises(Filtered, match="too few facts"):
        made(refer("a", "the ball", LEFT), refer("b", "the hat", RIGHT))


@pytest.mark.parametrize("turns", [(2, 2), (3, 3), (2, 4)])
def test_the_number_of_turns_is_within_its_bounds(turns: tuple[int, int]) -> None:
    records = [vqa(f"v{number}", f"what is number {number}", f"thing{number}") for number in range(5)]
    records += [refer("a", "the ball", LEFT), refer("b", "the hat", RIGHT), caption("c", "A nice day.")]
    lengths = {len(made(*records, turns=turns, seed=seed)[0].messages) // 2 for seed in range(40)}
    assert lengths == set(range(turns[0], turns[1] + 1))


def test_tasks_that_were_not_asked_yet_come_first() -> None:
    records = [vqa(f"v{number}", f"what is number {number}", f"thing{number}") for number in range(9)]
    for seed in range(8):
        (one,) = made(*records, refer("a", "the ball", LEFT), turns=(2, 2), seed=seed)
        assert "a" in sources(one)


def test_several_conversations_of_a_picture_share_no_record() -> None:
    records = [vqa(f"v{number}", f"what is number {number}", f"thing{number}") for number in range(6)]
    records += [refer("a", "the ball", LEFT), refer("b", "the hat", RIGHT)]
    first, second = made(*records, turns=(3, 3), count=2)
    assert not set(sources(first)) & set(sources(second))
    assert [first.key, second.key] == ["multitask/train/coco/7-0/chat", "multitask/train/coco/7-1/chat"]


def test_a_conversation_is_a_function_of_the_seed_and_the_picture_not_of_order() -> None:
    records = [vqa(f"v{number}", f"what is number {number}", f"thing{number}") for number in range(6)]
    records += [refer("a", "the ball", LEFT), caption("c", "A nice day.")]
    assert made(*records) == made(*reversed(records))
    assert len({str(made(*records, seed=seed)[0].messages) for seed in range(6)}) > 1


def test_chats_of_several_turns_are_no_material() -> None:
    (talk,) = made(refer("a", "the ball", LEFT), vqa("b", "who?", "a dog"))
    insist_none(talk, caption("c", "A nice day."))


def test_it_has_no_files_to_convert() -> None:
    with pytest.raises(ConfigError, match=r"^multitask has no files of its own: .*put multitask: \{\} into"):
        resolve(find("multitask"), "/data", "train")
