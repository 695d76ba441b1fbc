"""The linter's look at a plain record lets through exactly what the long proof lets through."""

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import schemas.record
from schemas.box import CODECS, Box
from schemas.errors import RecordError
from schemas.record import Draw, Message, Record, lint

BY = CODECS["round-100"]
ONE, TWO = Box(0.1, 0.2, 0.3, 0.4), Box(0.0, 0.5, 0.001, 1.0)
FRAGMENTS = (
    "{<10><20><30><40>}", "{<0><50><1><100>}", "{<10><20><30><40>}<delim>{<0><50><1><100>}", "{<1><2><3><4>}", "a dog",
    "<delim>", "}<p>", "<p>", "</p> ", "<p>a dog</p> ", "[refer] ", "[vqa] ", " ", "\n", "\u2028", "<", "{", "[", "\\",
)  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=5).map("".join)
roles = st.sampled_from(["user", "assistant"])


def record(
    question: str, answer: str, boxes: list[Box], task: str | None = "refer", key: str = "a/b/1/refer"
) -> Record:
    turns = [Message("user", question), Message("assistant", answer)]
    return Record(key, "a", "b", task, turns, boxes, Draw(None, [], []), [])  # type: ignore[arg-type]


@st.composite
def records(given_draw: st.DrawFn) -> Record:
    made = record(
        given_draw(st.sampled_from(["[refer] ", "", "[vqa] "])) + given_draw(texts),
        given_draw(texts),
        given_draw(st.lists(st.sampled_from([ONE, TWO]), max_size=2)),
        given_draw(st.sampled_from(["refer", "vqa", None])),
        given_draw(st.sampled_from(["a/b/1/refer"] * 5 + ["a b", ""])),
    )
    more = given_draw(st.lists(st.builds(Message, roles, texts), max_size=2))
    swapped = made.messages[::-1] if given_draw(st.integers(0, 9)) == 9 else made.messages
    return msgspec.structs.replace(made, messages=[*swapped, *more] if given_draw(st.booleans()) else swapped)


def told(one: Record) -> object:
    try:
        return lint(one, BY)
    except RecordError as error:
        return type(error), str(error)


PROVED = (
    record("[refer] a dog", "{<10><20><30><40>}", [ONE]),
    record("[refer] what is in {<10><20><30><40>}?", "a dog", [ONE]),
    record("[refer] a dog", "<p>a dog</p> {<10><20><30><40>}<delim>{<0><50><1><100>}", [ONE, TWO]),
    record("[refer] a dog", "two of them: {<10><20><30><40>}<delim>{<0><50><1><100>}.", [ONE, TWO]),
    record("[refer] a dog", "it is <p>a dog</p> {<10><20><30><40>}.", [ONE]),
    record("[refer] a dog", "<p>a dog</p> {<10><20><30><40>} on {<0><50><1><100>}", [ONE, TWO]),
    record("[refer] what is\nat {<10><20><30><40>}?", "<p>a dog</p> {<0><50><1><100>}, too", [ONE, TWO]),
    record("[refer] a dog", "no", []),
    record("hello", "hello to you", [], task=None),
)
REFUSED = (
    record("[refer] a dog", "{<10><20><30><40>}", [TWO]),
    record("[refer] a dog", "{<10><20><30><40>}", []),
    record("[refer] a dog", "nothing", [ONE]),
    record("[refer] {<10><20><30><40>}", "{<10><20><30><40>}", [ONE]),
    record("[refer] a dog", "{<10><20><30><40>}<delim>{<0><50><1><100>}", [TWO, ONE]),
    record("[refer] a dog\n<p>", "<p>a dog</p> {<10><20><30><40>}", [ONE]),
    record("[refer] a dog", "<p>a\n<p>dog</p> {<10><20><30><40>}", [ONE]),
    record("[refer] a dog</p> {<10><20><30><40>}", "<p>", [ONE]),
    record("[refer] a dog", "{<10><20><30><40>}<", [ONE]),
    record("[refer] a <s> dog", "{<10><20><30><40>}", [ONE]),
    record("[refer] what is in {<10><20><30><40>}?", "a <s> dog", [ONE]),
    record("[refer] a dog", "{<10><20><30><40>}<p>a dog</p> {<0><50><1><100>}", [ONE, TWO]),
    record("[refer] a dog", "<p>a [refer] dog</p> {<10><20><30><40>} {<0><50><1><100>}", [ONE, TWO]),
    record("[refer] a <p>dog", "so</p> {<10><20><30><40>} {<0><50><1><100>}", [ONE, TWO]),
    record("[refer] a dog", "{<10><20><30><40>}<delim> {<0><50><1><100>}", [ONE, TWO]),
    record("[refer] a dog", "{<10><20><30><40>} {<0><50><1><100>}", [ONE]),
    record("a dog", "{<10><20><30><40>}", [ONE]),
    record("[refer] a dog", " \n", []),
    record("", "a dog", [], task=None),
    record(" \n", "a dog", [], task=None),
    record("[refer] a <p>dog", "and</p> {<10><20><30><40>}", [ONE]),
    record("[refer] a <p>dog", "a <p>dog</p> {<10><20><30><40>}", [ONE]),
    msgspec.structs.replace(record("a dog", "so", [], task=None), messages=[Message("assistant", "a")] * 2),
    msgspec.structs.replace(record("a dog", "so", [], task=None), messages=[Message("user", "a")] * 2),
    record("[refer] a dog", "a dog", [], key="a b"),
)


@settings(max_examples=600)
@given(records())
@example(PROVED[2])
def test_the_look_and_the_long_proof_say_the_same(one: Record) -> None:
    looked = told(one)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schemas.record, "_plainly_sound", lambda record, by: False)
        assert told(one) == looked


@pytest.mark.parametrize("one", PROVED)
def test_what_is_plain_is_seen_at_a_look(one: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(text: str) -> list[object]:
        raise AssertionError(f"parsed {text!r}")

    monkeypatch.setattr(schemas.record, "parse", parsed)
    lint(one, BY)


@pytest.mark.parametrize("one", REFUSED)
def test_what_is_wrong_is_refused_at_a_look_too(one: Record) -> None:
    with pytest.raises(RecordError):
        lint(one, BY)


@pytest.mark.parametrize("one", [*PROVED, *REFUSED])
def test_the_long_proof_agrees_on_each_of_these(one: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = told(one)
    monkeypatch.setattr(schemas.record, "_plainly_sound", lambda record, by: False)
    assert told(one) == looked
