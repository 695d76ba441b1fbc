import msgspec
import pytest

from schemas.box import CODECS, Box
from schemas.errors import BoxError, RecordError, TextError
from schemas.record import Draw, Message, Record, lint

ROUND = CODECS["round-100"]
BOX, OTHER = Box(0.1, 0.2, 0.3, 0.4), Box(0.5, 0.5, 1.0, 1.0)
QUESTION = "[detection] find a kite"
ANSWER = "<p>a kite</p> {<10><20><30><40>}<delim>{<50><50><100><100>}"


def record(question: str = QUESTION, answer: str = ANSWER, key: str = "a/b/1/detection") -> Record:
    turns = [Message("user", question), Message("assistant", answer)]
    return Record(key, "a", "b", "detection", turns, [BOX, OTHER], Draw(None, [], []), [])


def test_a_sound_record_passes() -> None:
    lint(record(), ROUND)


@pytest.mark.parametrize(
    "answer",
    [
        "<p>a kite</p> {<10><20><30><41>}<delim>{<50><50><100><100>}",
        "<p>a kite</p> {<11><20><30><40>}<delim>{<50><50><100><100>}",
        "<p>a kite</p> {<50><50><100><100>}<delim>{<10><20><30><40>}",
    ],
)
def test_a_token_that_is_not_its_boxs_is_found(answer: str) -> None:
    with pytest.raises(BoxError, match=r"^tokens differ from boxes: "):
        lint(record(answer=answer), ROUND)


def test_tokens_of_another_codec_are_found() -> None:
    odd = msgspec.structs.replace(record(), boxes=[Box(0.1, 0.2, 0.3, 0.409), OTHER])
    with pytest.raises(BoxError, match=r"^tokens differ from boxes: "):
        lint(odd, ROUND)
    lint(odd, CODECS["trunc-100"])


def test_a_token_without_a_box_is_found() -> None:
    with pytest.raises(BoxError, match=r"^tokens without boxes: "):
        lint(msgspec.structs.replace(record(), boxes=[BOX]), ROUND)


def test_a_box_without_a_token_is_found() -> None:
    with pytest.raises(BoxError, match=r"^boxes without tokens: 2 tokens, 3 boxes in a/b/1/detection"):
        lint(msgspec.structs.replace(record(), boxes=[BOX, OTHER, BOX]), ROUND)


@pytest.mark.parametrize(
    "roles",
    [
        [],
        ["user"],
        ["assistant", "user"],
        ["user", "user"],
        ["user", "assistant", "user"],
        ["user"] * 2 + ["assistant"] * 2,
    ],
)
def test_turns_out_of_order_are_found(roles: list[str]) -> None:
    turns = [msgspec.convert({"role": role, "content": QUESTION}, Message) for role in roles]
    with pytest.raises(RecordError, match=r"^bad turns: "):
        lint(msgspec.structs.replace(record(), messages=turns, boxes=[]), ROUND)


@pytest.mark.parametrize(
    "question", ["find a kite", "[refer] find a kite", "[detection]find a kite", " [detection] find"]
)
def test_a_question_without_its_tasks_identifier_is_found(question: str) -> None:
    with pytest.raises(TextError, match=r"^no task identifier: "):
        lint(record(question=question), ROUND)


@pytest.mark.parametrize(
    "question", ["[detection] [refer] find", "[detection] find <p>a kite</p>", "[detection] {<1>}"]
)
def test_forged_markup_in_a_question_is_found(question: str) -> None:
    with pytest.raises(TextError, match=r"^malformed markup: "):
        lint(record(question=question), ROUND)


@pytest.mark.parametrize("ending", [" </s>", " [INST]", "<b>", " <Img>", " [detection] "])
def test_forged_markup_in_an_answer_is_found(ending: str) -> None:
    with pytest.raises(TextError, match=r"^malformed markup: "):
        lint(record(answer=ANSWER + ending), ROUND)


def test_an_identifier_in_front_of_an_answer_is_found() -> None:
    with pytest.raises(TextError, match=r"^malformed markup: '\[detection\]'"):
        lint(record(answer="[detection] " + ANSWER), ROUND)


@pytest.mark.parametrize("answer", ["", " ", "\n"])
def test_an_empty_turn_is_found(answer: str) -> None:
    with pytest.raises(TextError, match=r"^empty turn: assistant in a/b/1/detection"):
        lint(msgspec.structs.replace(record(answer=answer), boxes=[]), ROUND)


@pytest.mark.parametrize("key", ["", "a b", "a.b", "../x\\", "a/\u00e9", "a/b\n", "a:b"])
def test_a_key_with_other_characters_is_found(key: str) -> None:
    with pytest.raises(RecordError, match=r"^bad record key: "):
        lint(record(key=key), ROUND)
