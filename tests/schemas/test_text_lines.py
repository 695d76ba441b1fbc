"""The second text rule: chat keeps its lines."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.errors import TextError
from schemas.text import tidy_lines

texts = st.text(st.sampled_from(list("ab \t\n\r\x00\x0b\x85\u2028\u00a0\u3000é🦕")), max_size=30)


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("def f():\n    return 1  \n\n", "def f():\n    return 1"),
        ("\n \n  a", "  a"),
        ("a\n\n\nb", "a\n\n\nb"),
        ("a\x00b\x1fc\x7fd", "a b c d"),
        ("a\u2028b\u2029c\x85d", "a\nb\nc\nd"),
        ("a\tb", "a\tb"),
        ("a  b", "a  b"),
        ("Ã¤ WOW!!", "Ã¤ WOW!!"),
    ],
)
def test_lines_and_indentation_stay_and_blanks_at_their_ends_go(text: str, tidied: str) -> None:
    assert tidy_lines(text) == tidied


@given(text=texts)
def test_it_is_done_once_and_loses_nothing_that_is_seen(text: str) -> None:
    assume(any(not char.isspace() and char not in "\x00\x0b\x85" for char in text))
    tidied = tidy_lines(text)
    assert tidy_lines(tidied) == tidied
    assert [char for char in tidied if char in "abé🦕"] == [char for char in text if char in "abé🦕"]
    assert not set(tidied) & set("\r\x00\x0b\x85\u2028")
    assert all(line == line.rstrip() for line in tidied.split("\n"))


@pytest.mark.parametrize("text", ["", " \n\t\n", "\x00"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(TextError, match=r"^empty answer$"):
        tidy_lines(text, "answer")


def test_it_is_bounded_and_valid_like_all_text() -> None:
    with pytest.raises(TextError, match="over-long text: 20,001 characters"):
        tidy_lines("a" * 20_001)
    with pytest.raises(TextError, match="lone surrogates"):
        tidy_lines("a\n\ud83d")
