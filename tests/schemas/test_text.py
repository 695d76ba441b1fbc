import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.errors import TextError
from schemas.text import markup, quote, tidy, unquote

# Written out here once more, so that a token dropped from the source is noticed.
TOKENS = (
    *("<p>", "</p>", "<delim>", "{<", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<unk>"),
    *("<Img>", "</Img>", "<ImageHere>", "<image>"),
    *("[caption]", "[grounding]", "[refer]", "[identify]", "[detection]", "[vqa]"),
)
PIECES = (
    *TOKENS,
    *("\\", "\\\\", "<", "{", "[", ">", "}", "p>", "/p>", "s>", "delim>", "refer]", "INST]", "<SYS>>", "<\\p>", "{\\<"),
    *("<10>", "{<1><2><3><4>}", "}<", " ", "a", "\U0001f697", "\u00e9", "\u2028", "\u200b", "\x00"),
)
unicode_text = st.text(st.characters(codec="utf-8"))
texts = st.lists(st.one_of(st.sampled_from(PIECES), unicode_text), max_size=12).map("".join)


def is_blank(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) == "Cc"


@given(text=texts)
def test_unquoting_gives_the_quoted_text_back(text: str) -> None:
    assert unquote(quote(text)) == text


@given(text=texts)
def test_quoted_text_holds_no_reserved_string(text: str) -> None:
    quoted = quote(text)
    assert [token for token in TOKENS if token in quoted] == []
    assert markup(quoted) is None


@given(text=texts)
def test_text_quoted_twice_is_unquoted_twice(text: str) -> None:
    assert unquote(unquote(quote(quote(text)))) == text


@given(text=texts)
def test_text_without_reserved_or_quoted_strings_stays_as_it_is(text: str) -> None:
    assume(not any(token in text.replace("\\", "") for token in TOKENS))
    assert quote(text) == text


@pytest.mark.parametrize("token", TOKENS)
def test_a_reserved_string_gets_a_backslash_after_its_first_character(token: str) -> None:
    assert quote(f"a {token} b") == f"a {token[0]}\\{token[1:]} b"
    assert markup(f"a {token} b") == token


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("{<p>", "{\\<\\p>"),
        ("<<SYS>>", "<\\<SYS>>"),
        ("<\\p>", "<\\\\p>"),
        ("\\<p>", "\\<\\p>"),
        ("<P>", "<P>"),
        ("< p>", "< p>"),
        ("i <3 {u}", "i <3 {u}"),
    ],
)
def test_quoting_is_what_the_rule_says(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_the_first_reserved_string_is_the_one_told() -> None:
    assert markup("a </s> and <p>") == "</s>"


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("  a dog \n", "a dog"),
        ("a\n\ndog\r\n runs", "a dog runs"),
        ("a\u00a0dog\u2003runs\u2028off", "a dog runs off"),
        ("a\tdog\x00runs\x7foff\x85now", "a dog runs off now"),
        ("A  Dog,with   'QUOTES' .", "A Dog,with 'QUOTES' ."),
        ("caf\u00c3\u00a9 \U0001f697", "caf\u00c3\u00a9 \U0001f697"),
        ("<PERSON> {x} [y]", "<PERSON> {x} [y]"),
    ],
)
def test_white_space_is_tidied_and_nothing_else(text: str, tidied: str) -> None:
    assert tidy(text) == tidied


@given(text=texts)
def test_tidied_text_keeps_every_character_that_is_no_blank(text: str) -> None:
    assume(any(not is_blank(char) for char in text))
    tidied = tidy(text)
    assert [char for char in tidied if not is_blank(char)] == [char for char in text if not is_blank(char)]


@given(text=texts)
def test_tidied_text_has_single_blanks_within_and_none_around(text: str) -> None:
    assume(any(not is_blank(char) for char in text))
    tidied = tidy(text)
    assert {char for char in tidied if is_blank(char)} <= {" "}
    assert "  " not in tidied
    assert tidied.strip(" ") == tidied


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00\x1f", "\u00a0\u3000"])
def test_text_of_nothing_but_blanks_is_refused(text: str) -> None:
    with pytest.raises(TextError, match=r"^empty caption$"):
        tidy(text, "caption")


def test_text_is_measured_once_it_is_tidied() -> None:
    assert len(tidy("a" * 20_000 + " " * 50)) == 20_000
    with pytest.raises(TextError, match=r"^over-long phrase: 20,001 characters, at most 20,000$"):
        tidy("a" * 20_001, "phrase")


@pytest.mark.parametrize("text", ["a \ud83d b", "\udfff", "\udce9t\udce9"])
def test_lone_surrogates_are_refused(text: str) -> None:
    with pytest.raises(TextError, match=r"^broken text: lone surrogates"):
        tidy(text)
