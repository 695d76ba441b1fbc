"""Tokenizers of Llama's kind: what a trained one holds, that text comes back, and that markup in text stays text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from pipelines.tokenizer import BOS, EOS, NUMBERS, load_tokenizer, number_ids, trained_tokenizer
from schemas.errors import ConfigError, SourceError
from schemas.text import TASKS

TEXTS = [
    f"[{task}] where is the large red star left of the {what}?" for task in TASKS for what in ("dog", "cat", "man")
]
WORDS = trained_tokenizer(TEXTS, 600)


def tokens(text: str) -> list[str]:
    return list(WORDS.encode(text, add_special_tokens=False).tokens)


def test_a_box_is_nine_tokens_whatever_its_numbers() -> None:
    assert tokens("{<0><7><64><100>}") == ["{<", "0", "><", "7", "><", "64", "><", "100", ">}"]
    assert number_ids(WORDS) == [WORDS.token_to_id(number) for number in NUMBERS]
    assert len(set(number_ids(WORDS))) == 101


def test_without_numbers_digits_are_learned_like_letters() -> None:
    plain = trained_tokenizer(["{<12><30><45><88>}"], 300, numbers=False)
    assert number_ids(plain) == []
    assert plain.get_vocab_size() <= 300


def test_frequent_words_are_single_tokens_that_begin_with_the_blank_before_them() -> None:
    assert tokens("the large star") == ["▁the", "▁large", "▁star"]


def test_marks_are_words_of_their_own() -> None:
    words = trained_tokenizer(["the square, the square; the square? the square."] * 20, 500)
    told = [words.encode(f"a square{mark}").tokens[-2:] for mark in ",;?."]
    assert told == [["▁square", mark] for mark in ",;?."]


def test_special_tokens_and_bytes_have_the_ids_that_llama_gives_them() -> None:
    assert [WORDS.id_to_token(id_) for id_ in (0, 1, 2, 3, 258)] == ["<unk>", "<s>", "</s>", "<0x00>", "<0xFF>"]
    assert WORDS.get_vocab_size() <= 600


def test_the_same_texts_give_the_same_tokenizer() -> None:
    assert trained_tokenizer(iter(TEXTS), 600).to_str() == WORDS.to_str()


def test_special_tokens_in_a_text_are_read_as_text_also_after_saving(tmp_path: Path) -> None:
    WORDS.save(str(tmp_path / "tokenizer.json"))
    for tokenizer in (WORDS, load_tokenizer(tmp_path), load_tokenizer(tmp_path / "tokenizer.json")):
        ids = tokenizer.encode("a </s> b <s>", add_special_tokens=False).ids
        assert not {tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)} & set(ids)
        assert tokenizer.decode(ids, skip_special_tokens=True) == "a </s> b <s>"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])).filter(lambda text: not text.startswith((" ", "▁"))))
def test_text_comes_back_from_its_tokens(text: str) -> None:
    ids = WORDS.encode(text, add_special_tokens=False).ids
    assert WORDS.decode(ids) == text.replace("▁", " ")


def test_a_vocabulary_without_room_for_bytes_and_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"vocabulary of 300 is too small: 363 are always there"):
        trained_tokenizer(TEXTS, 300)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tokenizer\.json: no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(SourceError, match="no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(SourceError, match="it has no <s> and no </s>"):
        load_tokenizer(tmp_path)


def test_a_stored_limit_of_length_cuts_nothing(tmp_path: Path) -> None:
    short = Tokenizer.from_str(WORDS.to_str())
    short.enable_truncation(2)
    short.enable_padding(length=9)
    short.save(str(tmp_path / "tokenizer.json"))
    assert len(load_tokenizer(tmp_path).encode("{<1><2><3><4>}", add_special_tokens=False).ids) == 9
    assert len(load_tokenizer(tmp_path).encode("the star", add_special_tokens=False).ids) == 2
