import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dialect import Boxes, Phrase, Span, box_text, parse, render
from schemas.errors import TextError

PIECES = (
    *("<p>", "</p>", "</p> ", "<delim>", "{<", "[INST]", "</s>", "<Img>", "[refer]", "[refer] ", "\\", "\\\\", "<"),
    *("{", "}", ">", "[", "}<", "{<1><2><3><4>}", "<p>x</p> {<1><2><3><4>}", "<\\p>", "\\<", "p>", "delim>", "s>"),
    *(" ", "a", "\U0001f697", "\u00e9", "\n", "<b>", "100>}"),
)
unicode_text = st.text(st.characters(codec="utf-8"), max_size=8)
texts = st.lists(st.one_of(st.sampled_from(PIECES), unicode_text), max_size=6).map("".join)
bins = st.tuples(*[st.integers(0, 100)] * 4)
groups = st.lists(bins, min_size=1, max_size=3).map(tuple)
spans = st.lists(st.one_of(texts, groups.map(Boxes), st.builds(Phrase, texts, groups)), max_size=6)

BOX_THEN_ANGLE = re.compile(r"\{(?:<[0-9]+>){4}\}<(?!delim>\{)")


def merged(given_spans: list[Span]) -> list[Span]:
    """The same spans as parsing can tell them apart: neighbouring text is one, and phrases stand after text."""
    kept: list[Span] = []
    for span in given_spans:
        if isinstance(span, str) and kept and isinstance(kept[-1], str):
            kept[-1] += span
        elif isinstance(span, Phrase) and kept and not isinstance(kept[-1], str):
            kept += [" ", span]
        elif span != "":
            kept.append(span)
    return kept


@given(given_spans=spans.map(merged))
def test_parsing_gives_the_rendered_spans_back(given_spans: list[Span]) -> None:
    parsed = parse(render(given_spans))
    assert parsed == given_spans
    assert [type(span) for span in parsed] == [type(span) for span in given_spans]


@given(given_spans=spans.map(merged))
def test_no_angle_bracket_follows_a_box_but_the_one_of_the_next(given_spans: list[Span]) -> None:
    assert BOX_THEN_ANGLE.search(render(given_spans)) is None


@given(given_spans=spans.map(merged))
def test_rendered_text_holds_as_many_boxes_as_it_was_given(given_spans: list[Span]) -> None:
    wanted = [box for span in given_spans if not isinstance(span, str) for box in span.boxes]
    found = re.findall(r"\{<([0-9]+)><([0-9]+)><([0-9]+)><([0-9]+)>\}", render(given_spans))
    assert [tuple(map(int, box)) for box in found] == wanted


@given(pieces=st.lists(texts, max_size=5))
def test_text_in_pieces_is_rendered_as_the_text_in_one(pieces: list[str]) -> None:
    assert render(pieces) == render(["".join(pieces)])


@pytest.mark.parametrize(
    ("given_spans", "text"),
    [
        ([Boxes(((12, 30, 45, 88),))], "{<12><30><45><88>}"),
        ([Boxes(((0, 0, 1, 1), (50, 0, 99, 100)))], "{<0><0><1><1>}<delim>{<50><0><99><100>}"),
        ([Phrase("a man", ((1, 2, 3, 4),))], "<p>a man</p> {<1><2><3><4>}"),
        (
            ["see ", Phrase("it", ((1, 2, 3, 4), (5, 6, 7, 8))), "."],
            "see <p>it</p> {<1><2><3><4>}<delim>{<5><6><7><8>}.",
        ),
        ([Boxes(((1, 2, 3, 4),)), "<b> x"], "{<1><2><3><4>}\\<b> x"),
        (["write <p> or {<"], "write <\\p> or {\\<"),
        ([Phrase("a </p> b", ((1, 2, 3, 4),))], "<p>a <\\/p> b</p> {<1><2><3><4>}"),
        ([], ""),
    ],
)
def test_spans_are_written_as_minigpt_v2_writes_them(given_spans: list[Span], text: str) -> None:
    assert render(given_spans) == text
    assert parse(text) == given_spans


@pytest.mark.parametrize(
    "text",
    [
        "<p>a man</p>",
        "<p>a man</p>{<1><2><3><4>}",
        "<p>a man {<1><2><3><4>}",
        "<p>a <p>b</p> {<1><2><3><4>}",
        "a</p> {<1><2><3><4>}",
        "{<1><2><3>}",
        "{<1><2><3><4><5>}",
        "{<1><2><3><101>}",
        "{<01><2><3><4>}",
        "{<-1><2><3><4>}",
        "{<1.5><2><3><4>}",
        "{<\uff11><2><3><4>}",
        "{< 1><2><3><4>}",
        "{<1><2><3><4>",
        "{<1><2><3><4>}<delim>",
        "{<1><2><3><4>}<delim> {<1><2><3><4>}",
        "<delim>{<1><2><3><4>}",
        "{<1><2><3><4>}<p>a</p> {<1><2><3><4>}",
        "{<1><2><3><4>}<b>",
        "hello</s>",
        "[INST] hi",
        "[refer] hi",
        "<Img>",
    ],
)
def test_malformed_markup_is_refused(text: str) -> None:
    with pytest.raises(TextError, match=r"^malformed markup: "):
        parse(text)


def test_a_phrase_right_after_a_box_is_refused() -> None:
    with pytest.raises(TextError, match=r"^phrase right after a box: 'it'"):
        render([Boxes(((1, 2, 3, 4),)), "", Phrase("it", ((1, 2, 3, 4),))])


def test_a_span_of_no_boxes_is_refused() -> None:
    with pytest.raises(TextError, match=r"^no boxes: "):
        render([Phrase("it", ())])
    with pytest.raises(TextError, match=r"^no boxes: "):
        box_text(())
