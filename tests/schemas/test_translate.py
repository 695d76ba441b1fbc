"""Tests of records in each dialect: strings written by hand, and what is said is read back, whatever is said."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import dialect as own
from schemas.box import CODECS, Box, Size, encode
from schemas.dialects import DIALECTS, NAMES, OWN, gridded, ungridded
from schemas.errors import BoxError, ConfigError, TextError
from schemas.record import Draw, Message, Record, chat
from schemas.translate import Boxed, Turn, flat, parse, render, turns

SIZE = Size(640, 480)
MAN, WHOLE = Box(0.25, 0.5, 0.75, 0.9375), Box(0.0, 0.0, 1.0, 1.0)
ROUND = CODECS["round-100"]

PIECES = (
    *("<ref>", "</ref>", "<box>", "<box>(1,2),(3,4)</box>", "<phrase>", "</phrase>", "<object>", "</object>", "<p>"),
    *("<patch_index_0001>", "</delimiter_of_multi_objects/>", "<grounding>", "<image>", "</s>", "[INST]", "<boxes>"),
    *("[0.10, 0.20, 0.30, 0.40]", "[0.100,0.200,0.300,0.400]", "[0.1,.2,0.3,1.]", ";0.1", "[", "]", "(", "[ 0.5, "),
    *("[0.100,0.200,0.300,0.400;0.100,0.200,0.300,0.400]", "<ref>x</ref><box>(1,2),(3,4)</box>", "0.1, 0.2, 0.3]"),
    *("\\", "\\\\", "<", ">", " ", "a", "\n", "\U0001f697", "<|im_end|>", "[refer] ", "ref>", "0.10", ","),
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=6).map("".join)
_side = st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True).map(sorted)
boxes = st.tuples(_side, _side).map(lambda s: Box(s[0][0] / 1e6, s[1][0] / 1e6, s[0][1] / 1e6, s[1][1] / 1e6))
groups = st.lists(boxes, min_size=1, max_size=3).map(tuple)
one_box = boxes.map(lambda box: (box,))
boxed = st.builds(Boxed, st.none() | texts, groups)
sizes = st.one_of(st.builds(Size, st.integers(1, 3000), st.integers(1, 3000)), st.just(SIZE))


def record_of(said: list[Turn], prefix: str = "") -> Record:
    """A record that says this, with the tokens of our own codec."""
    spans = [[piece if isinstance(piece, str) else spanned(piece) for piece in turn] for turn in said]
    every = [box for turn in said for piece in turn if isinstance(piece, Boxed) for box in piece.boxes]
    record = chat("s/train/1", "s", "train", spans, every)
    first = Message("user", prefix + record.messages[0].content)
    return Record(record.key, "s", "train", None, [first, *record.messages[1:]], every, Draw(None, [], []), [])


def spanned(piece: Boxed) -> own.Span:
    bins = tuple(encode(box, ROUND) for box in piece.boxes)
    return own.Boxes(bins) if piece.phrase is None else own.Phrase(piece.phrase, bins)


def apart(turn: Turn) -> Turn:
    """The same turn as records can say it: neighbouring text is one, and text stands between boxes."""
    kept: Turn = []
    for piece in turn:
        if isinstance(piece, str) and kept and isinstance(kept[-1], str):
            kept[-1] += piece
        elif isinstance(piece, Boxed) and kept and isinstance(kept[-1], Boxed):
            kept += [" and ", piece]
        elif piece != "":
            kept.append(piece)
    return kept


def spoken(name: str) -> st.SearchStrategy[list[Turn]]:
    """Two turns; of one box to a thing where the dialect knows no more."""
    many = name == OWN or DIALECTS[name].joiner is not None
    piece = st.one_of(texts, boxed if many else st.builds(Boxed, st.none() | texts, one_box))
    return st.lists(st.lists(piece, max_size=5).map(apart), min_size=2, max_size=2)


def on_grid(turn: Turn, size: Size, name: str) -> Turn:
    """The turn with its boxes as the dialect's grid has them."""
    row = DIALECTS[name]
    return [
        piece if isinstance(piece, str) else Boxed(
            piece.phrase, tuple(ungridded(gridded(box, size, row), size, row) for box in piece.boxes)
        )
        for piece in turn
    ]  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data(), size=sizes)
def test_what_is_said_is_read_back(name: str, data: st.DataObject, size: Size) -> None:
    said = data.draw(spoken(name))
    messages = render(record_of(said), size, name)
    assert parse(messages, size, name) == [on_grid(flat(turn, name), size, name) for turn in said]
    assert [turn.role for turn in messages] == ["user", "assistant"]


@given(data=st.data())
def test_our_own_dialect_is_the_record_as_it_is(data: st.DataObject) -> None:
    said = data.draw(spoken(OWN))
    record = record_of(said, prefix="[refer] ")
    assert render(record, None, OWN) == record.messages
    found = parse(record.messages, None, OWN)
    assert [[piece if isinstance(piece, str) else piece.phrase for piece in turn] for turn in found] == [
        [piece if isinstance(piece, str) else piece.phrase for piece in turn] for turn in said
    ]
    moved = [abs(a - b) for turn, back in zip(said, found, strict=True) for one, other in zip(turn, back, strict=True)
             if isinstance(one, Boxed) and isinstance(other, Boxed)
             for box, again in zip(one.boxes, other.boxes, strict=True)
             for a, b in zip(box, again, strict=True)]  # fmt: skip
    assert max(moved, default=0) <= 0.01 + 1e-9


@pytest.mark.parametrize("name", DIALECTS)
@given(text=texts)
def test_text_never_says_a_box(name: str, text: str) -> None:
    assume(text)
    messages = render(record_of([[text], ["yes"]]), SIZE, name)
    assert parse(messages, SIZE, name)[0] == [text]


@given(data=st.data())
def test_the_exact_boxes_of_a_record_are_told_with_what_is_said(data: st.DataObject) -> None:
    said = data.draw(spoken(OWN))
    assert turns(record_of(said, prefix="[grounding] ")) == said


SAID: list[Turn] = [
    ["who is ", Boxed(None, (MAN,)), "?"],
    [Boxed("a man", (MAN,)), " in ", Boxed("two rooms", (WHOLE, MAN)), "."],
]


WRITTEN = [
    (
        "minigpt-v2",
        "[identify] who is {<25><50><75><94>}?",
        "<p>a man</p> {<25><50><75><94>} in <p>two rooms</p> {<0><0><100><100>}<delim>{<25><50><75><94>}.",
    ),
    (
        "shikra",
        "who is [0.250,0.500,0.750,0.828]?",
        "a man[0.250,0.500,0.750,0.828] in two rooms[0.000,0.125,1.000,0.875;0.250,0.500,0.750,0.828].",
    ),
    (
        "kosmos-2",
        "<grounding>who is <object><patch_index_0520><patch_index_0951></object>?",
        "<phrase>a man</phrase><object><patch_index_0520><patch_index_0951></object> in <phrase>two rooms</phrase>"
        "<object><patch_index_0000><patch_index_1023></delimiter_of_multi_objects/>"
        "<patch_index_0520><patch_index_0951></object>.",
    ),
    (
        "qwen-vl",
        "who is <box>(250,500),(749,937)</box>?",
        "<ref>a man</ref><box>(250,500),(749,937)</box> in <ref>two rooms</ref>"
        "<box>(0,0),(999,999)</box><box>(250,500),(749,937)</box>.",
    ),
]


@pytest.mark.parametrize(("name", "question", "answer"), WRITTEN)
def test_a_record_is_written_as_by_hand(name: str, question: str, answer: str) -> None:
    record = record_of(SAID, prefix="[identify] ")
    assert [turn.content for turn in render(record, SIZE, name)] == [question, answer]


def test_the_docs_show_each_dialect_as_it_is_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")
    for name, question, answer in WRITTEN:
        assert f"| `{name}` | `{question}` |\n| | `{answer}` |\n" in page


def test_llava_writes_one_box_to_a_thing_and_marks_no_phrase() -> None:
    record = record_of([SAID[0], [Boxed("a man", (MAN,)), "."]], prefix="[identify] ")
    assert [turn.content for turn in render(record, SIZE, "llava-1.5")] == [
        "who is [0.25, 0.50, 0.75, 0.83]?",
        "a man [0.25, 0.50, 0.75, 0.83].",
    ]
    with pytest.raises(TextError, match=r"^several boxes of one thing: llava-1.5 has no way to write 2 of them"):
        render(record_of(SAID), SIZE, "llava-1.5")


def test_boxes_side_by_side_are_refused_where_they_would_be_taken_for_one_things() -> None:
    record = record_of([["where?"], [Boxed(None, (MAN,)), Boxed(None, (WHOLE,))]])
    with pytest.raises(TextError, match=r"^boxes side by side: "):
        render(record, SIZE, "qwen-vl")
    assert "[0.250,0.500,0.750,0.828][0.000" in render(record, SIZE, "shikra")[1].content


@pytest.mark.parametrize(
    ("name", "text", "quoted"),
    [
        ("shikra", "at [0.100,0.200,0.300,0.400]", "at [\\0.100,0.200,0.300,0.400]"),
        ("kosmos-2", "<object><patch_index_0001>", "<\\object><\\patch_index_0001>"),
        ("qwen-vl", "<box>(1,2),(3,4)</box>", "<\\box>(1,2),(3,4)<\\/box>"),
        ("llava-1.5", "at [0.1, .2, 0.3, 0.40] or [1, 2]", "at [\\0.1, .2, 0.3, 0.40] or [1, 2]"),
        ("llava-1.5", "an <image>", "an <\\image>"),
    ],
)
def test_text_that_looks_like_markup_is_quoted(name: str, text: str, quoted: str) -> None:
    assert render(record_of([[text], ["yes"]]), SIZE, name)[0].content == quoted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shikra", "[0.1,0.2,0.3,0.4]"),
        ("shikra", "[0.100,0.200,0.300,0.400;]"),
        ("kosmos-2", "<phrase>a man</phrase>"),
        ("kosmos-2", "<object><patch_index_1024><patch_index_0001></object>"),
        ("kosmos-2", "<object></object>"),
        ("qwen-vl", "<box>(1,2),(3,1000)</box>"),
        ("qwen-vl", "<ref>a man</ref> <box>(1,2),(3,4)</box>"),
        ("llava-1.5", "[0.10,0.20,0.30,0.40]"),
        ("llava-1.5", "hello</s>"),
    ],
)
def test_malformed_markup_is_refused(name: str, text: str) -> None:
    with pytest.raises(TextError, match=r"^malformed markup: "):
        parse([Message("user", text)], SIZE, name)


@pytest.mark.parametrize("name", ["shikra", "llava-1.5"])
def test_a_dialect_that_pads_pictures_needs_to_know_their_size(name: str) -> None:
    with pytest.raises(BoxError, match=r"^picture of unknown size: "):
        render(record_of([["where?"], [Boxed(None, (MAN,))]]), None, name)
    assert render(record_of([["where?"], ["here"]]), None, name)[1].content == "here"


def test_a_record_whose_boxes_are_not_its_tokens_is_refused() -> None:
    record = record_of([["where?"], [Boxed(None, (MAN,))]])
    for wrong in ([], [MAN, MAN]):
        odd = Record(record.key, "s", "train", None, record.messages, wrong, record.draw, [])
        with pytest.raises(BoxError, match=r"^(tokens without boxes|boxes without tokens): "):
            turns(odd)


def test_an_unknown_dialect_is_refused() -> None:
    for call in (lambda: render(record_of([["a"], ["b"]]), None, "shikara"), lambda: parse([], None, "shikara")):
        with pytest.raises(ConfigError, match="did you mean shikra"):
            call()
    assert NAMES[0] == OWN
