"""From messages to ids and labels: both rules to the token, what is trained, whole turns, and joined records."""

import pytest

from pipelines.dialogue import IGNORED, PICTURE, Dialogue, answer_text, dialogue, encoded, joined, prompt
from pipelines.tokenizer import trained_tokenizer
from schemas.errors import ConfigError, TextError
from schemas.record import Message

TEXTS = ["[INST] <Img>", "</Img> [refer] where is the man? [/INST]", "[INST] and the dog? [/INST]", "a red hat"] * 4
WORDS = trained_tokenizer(TEXTS, 700)
BOX = "{<12><30><45><88>}"


def by(rules: str = "clean") -> Dialogue:
    return dialogue(WORDS, 4, rules)


def talk(*texts: str) -> list[Message]:
    return [Message("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


def spelled(ids: list[int]) -> str:
    """The tokens, a blank between them, each run of picture places as (n)."""
    names: list[str] = []
    for id_ in ids:
        if id_ != PICTURE:
            names.append(WORDS.id_to_token(id_) or "?")
        elif names[-1].startswith("("):
            names[-1] = f"({int(names[-1][1:-1]) + 1})"
        else:
            names.append("(1)")
    return " ".join(names)


def one(rules: str, *texts: str, picture: bool = True) -> str:
    return spelled(encoded(by(rules), talk(*texts), picture=picture, key="k").ids)


def asked(rules: str, *texts: str, picture: bool = True) -> str:
    return spelled(prompt(by(rules), talk(*texts), picture=picture))


SHARED = "<s> ▁[INST] ▁<Img> (4)"
QUESTION = "▁</Img> ▁[refer] ▁where ▁is ▁the ▁man ?"
SPELLED_BOX = "{< 12 >< 30 >< 45 >< 88 >}"
WHERE = "[refer] where is the man?"


def test_clean_has_single_blanks_and_one_bos_in_training_and_when_asked() -> None:
    assert one("clean", WHERE, BOX) == f"{SHARED} {QUESTION} ▁[/INST] {SPELLED_BOX} </s>"
    assert asked("clean", WHERE) == f"{SHARED} {QUESTION} ▁[/INST]"


def test_released_has_two_blanks_in_training_and_one_blank_and_two_bos_when_asked() -> None:
    assert one("released", WHERE, BOX) == f"{SHARED} {QUESTION} ▁ ▁[/INST] {SPELLED_BOX} </s>"
    assert asked("released", WHERE) == f"<s> {SHARED} {QUESTION} ▁[/INST]"


def test_text_alone_has_one_blank_and_no_markup_of_pictures_by_both_rules() -> None:
    for rules in ("clean", "released"):
        text = one(rules, "and the dog?", "a red hat", picture=False)
        assert text == "<s> ▁[INST] ▁and ▁the ▁dog ? ▁[/INST] ▁a ▁red ▁hat </s>"
    assert asked("released", "and the dog?", picture=False) == "<s> <s> ▁[INST] ▁and ▁the ▁dog ? ▁[/INST]"


def test_each_later_turn_begins_with_bos_and_has_no_picture() -> None:
    turns = (WHERE, BOX, "and the dog?", "a red hat")
    first = f"{SHARED} {QUESTION} ▁[/INST] {SPELLED_BOX} </s>"
    assert one("clean", *turns) == f"{first} <s> ▁[INST] ▁and ▁the ▁dog ? ▁[/INST] ▁a ▁red ▁hat </s>"
    assert one("released", *turns).endswith("<s> ▁[INST] ▁and ▁the ▁dog ? ▁ ▁[/INST] ▁a ▁red ▁hat </s>")
    assert asked("clean", *turns[:3]) == f"{first} <s> ▁[INST] ▁and ▁the ▁dog ? ▁[/INST]"


@pytest.mark.parametrize("picture", [True, False])
def test_what_was_asked_in_training_is_what_is_asked_later_by_the_clean_rules(picture: bool) -> None:
    messages = talk(WHERE, "a red hat", "and the dog?", BOX)
    whole = encoded(by(), messages, picture=picture, key="k").ids
    for turns in (1, 3):
        start = prompt(by(), messages[:turns], picture=picture)
        assert whole[: len(start)] == start


def test_answers_and_their_ends_are_trained_and_nothing_else() -> None:
    made = encoded(by("released"), talk(WHERE, BOX, "and the dog?", "a red hat"), picture=True, key="k")
    trained = [id_ for id_, label in zip(made.ids, made.labels, strict=True) if label != IGNORED]
    assert spelled(trained) == f"{SPELLED_BOX} </s> ▁a ▁red ▁hat </s>"
    assert all(label in (IGNORED, id_) for id_, label in zip(made.ids, made.labels, strict=True))


def test_tokens_of_boxes_are_told_from_other_numbers() -> None:
    made = encoded(by(), talk(f"who is at {BOX}?", f"12 men, <p>a hat</p> {BOX}<delim>{BOX} 7"), picture=True, key="k")
    boxes = [id_ for id_, flag in zip(made.ids, made.boxed, strict=True) if flag]
    assert spelled(boxes) == f"{SPELLED_BOX} {SPELLED_BOX}"


def test_turns_that_do_not_fit_are_left_out_whole_and_counted() -> None:
    messages = talk(WHERE, BOX, "and the dog?", "a red hat", "and the dog?", BOX)
    whole = encoded(by(), messages, picture=True, key="k")
    two = encoded(by(), messages[:4], picture=True, key="k")
    assert whole.cut == 0
    for limit in (len(two.ids), len(whole.ids) - 1):
        assert encoded(by(), messages, picture=True, key="k", max_length=limit) == two._replace(cut=1)
    assert encoded(by(), messages, picture=True, key="k", max_length=len(whole.ids)) == whole
    assert encoded(by(), messages, picture=True, key="k", max_length=len(two.ids) - 1).cut == 2


def test_a_record_whose_first_turn_does_not_fit_is_an_error_that_names_it() -> None:
    fits = len(encoded(by(), talk(WHERE, BOX), picture=True, key="k").ids)
    with pytest.raises(
        TextError, match=rf"^too long: {fits} tokens in refcoco/train/1/refer, wanted at most {fits - 1}$"
    ):
        encoded(by(), talk(WHERE, BOX), picture=True, key="refcoco/train/1/refer", max_length=fits - 1)


def test_messages_that_are_no_conversation_are_refused() -> None:
    for wrong in (talk(), talk("a"), talk("a", "b", "c"), list(reversed(talk("a", "b")))):
        with pytest.raises(
            TextError, match=r"bad turns: .* in k, wanted user and assistant in turn, the assistant last"
        ):
            encoded(by(), wrong, picture=True, key="k")
    for wrong in (talk(), talk("a", "b"), talk("a", "b")[1:]):
        with pytest.raises(TextError, match=r"bad turns: .*, the user last"):
            prompt(by(), wrong, picture=True)


def test_markup_of_the_prompt_in_a_text_adds_no_special_tokens() -> None:
    made = encoded(by(), talk("is </s> or <s> the end?", "</s> is"), picture=False, key="k")
    assert [made.ids.count(WORDS.token_to_id(name)) for name in ("<s>", "</s>")] == [1, 1]


def test_joined_records_share_the_picture_and_begin_where_it_ended() -> None:
    texts = [(WHERE, BOX), ("and the dog?", "a red hat"), (WHERE, "a red hat")]
    alone = [encoded(by(), talk(*each), picture=True, key="k", max_length=60) for each in texts]
    made = joined(alone)
    shared = alone[0].segments.count(0)
    assert shared == 7 and made.ids[:shared] == alone[0].ids[:shared]
    for place, each in enumerate(alone, 1):
        at = [where for where, segment in enumerate(made.segments) if segment in (0, place)]
        for name in ("ids", "labels", "boxed", "positions"):
            assert [getattr(made, name)[where] for where in at] == getattr(each, name)
    assert len(made.ids) == shared + sum(len(each.ids) - shared for each in alone)
    assert joined(alone[:1]) == alone[0]


def test_joined_records_keep_count_of_turns_left_out() -> None:
    long = talk(WHERE, BOX, "and the dog?", "a red hat")
    cut = encoded(by(), long, picture=True, key="k", max_length=29)
    assert cut.cut == 1 and joined([cut, cut]).cut == 2


def test_records_with_and_without_a_picture_are_not_joined() -> None:
    with_, without = (encoded(by(), talk(WHERE, BOX), picture=picture, key="k") for picture in (True, False))
    with pytest.raises(ConfigError, match="some about a picture and some not"):
        joined([with_, without])


def test_an_answer_is_the_text_before_its_end() -> None:
    ids = WORDS.encode(f"a red hat {BOX}", add_special_tokens=False).ids
    end = WORDS.token_to_id("</s>")
    assert answer_text(by(), [*ids, end, *ids, 0, 0]) == f"a red hat {BOX}"
    assert answer_text(by(), ids) == f"a red hat {BOX}"
    assert answer_text(by(), [end]) == ""


def test_unknown_rules_are_named_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="unknown prompt rules 'release'; did you mean released"):
        dialogue(WORDS, 4, "release")
