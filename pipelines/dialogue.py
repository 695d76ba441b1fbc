"""From a record's messages to token ids, labels, and the place where picture embeddings go.

    <s>[INST] <Img> (picture) </Img> [refer] where is the man? [/INST] {<12><30><45><88>}</s>

Each piece of text (before the picture, after it, every answer) is tokenised alone, as MiniGPT-v2's code does, so that
Llama's tokenizer begins each with a ``▁``. Only answers and the ``</s>`` behind them have labels. Every turn begins
with ``<s>`` and ends with ``</s>``, as Llama-2-chat was taught. Rules:

    clean      single blanks; one ``<s>`` in front both in training and when asked
    released   what MiniGPT-v2's released code feeds its model (Vision-CAIR/MiniGPT-4, d94738a): in training two blanks
               before ``[/INST]`` in conversations about a picture, one in text alone; when asked, one blank and ``<s>``
               twice

A sequence has segments: 0 is what records of one picture share (``<s>[INST] <Img>`` and the picture), 1 and up are
the records. Joined, they lie one behind the other, and each one's positions go on where the shared part ended: a record
that sees segment 0 and its own is computed as if it were alone.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tokenizers import Tokenizer

from pipelines.tokenizer import BOS, EOS
from schemas.dialect import ONE_BOX
from schemas.errors import ConfigError, TextError, unknown
from schemas.record import Message, Role

PICTURE = -1  # the id of a place that a picture embedding fills
IGNORED = -100  # the label of a token that is not trained

_BEFORE = "[INST] <Img>"


class Rules(NamedTuple):
    """How conversations are written: blanks behind questions about a picture in training; ``<s>``s when asked."""

    behind: str
    openings: int


RULES = {"clean": Rules("", 1), "released": Rules(" ", 2)}


class Dialogue(NamedTuple):
    """What writing a conversation takes: a tokenizer of Llama's kind, the rules, and how many tokens a picture is."""

    tokenizer: Tokenizer
    rules: Rules
    picture_tokens: int


class Encoded(NamedTuple):
    """One sequence, all lists of its length: ids, labels, whether a label is of a box token, segments, positions.

    ``cut`` counts the later turns that were left out because the sequence would have been too long.
    """

    ids: list[int]
    labels: list[int]
    boxed: list[bool]
    segments: list[int]
    positions: list[int]
    cut: int


class _Piece(NamedTuple):
    ids: list[int]
    labels: list[int]
    boxed: list[bool]


def dialogue(tokenizer: Tokenizer, picture_tokens: int, rules: str = "clean") -> Dialogue:
    """A dialogue by the name of its rules; ConfigError for an unknown name."""
    if rules not in RULES:
        raise ConfigError(unknown("prompt rules", rules, RULES))
    return Dialogue(tokenizer, RULES[rules], picture_tokens)


def encoded(
    by: Dialogue, messages: Sequence[Message], *, picture: bool, key: str, max_length: int | None = None
) -> Encoded:
    """A record's conversation as one sequence to train on, of at most ``max_length`` tokens.

    Turns are kept whole: those that would not fit any more are left out and counted. TextError, naming the key, where
    not even the first one fits or the messages are no conversation.
    """
    _check(messages, "assistant", key)
    shared = _shared(by) if picture else []
    turns = [
        _turn(by, asked.content, said.content, picture, first=place == 0)
        for place, (asked, said) in enumerate(zip(messages[::2], messages[1::2], strict=True))
    ]
    length, kept = len(shared), 0
    while kept < len(turns) and (max_length is None or length + len(turns[kept].ids) <= max_length):
        length, kept = length + len(turns[kept].ids), kept + 1
    if not kept:
        raise TextError(f"too long: {len(shared) + len(turns[0].ids)} tokens in {key}, wanted at most {max_length}")
    return _sequence([_plain(shared)], turns[:kept], cut=len(turns) - kept)


def joined(several: Sequence[Encoded]) -> Encoded:
    """Records of one picture (or text alone) as one sequence, in which they do not see each other."""
    shared = several[0].segments.count(0)
    if any(other.segments.count(0) != shared for other in several):
        raise ConfigError("records joined: some about a picture and some not, wanted those of one picture")
    starts = [0] + [shared] * (len(several) - 1)
    pairs = list(zip(several, starts, strict=True))
    return Encoded(
        ids=[id_ for one, start in pairs for id_ in one.ids[start:]],
        labels=[label for one, start in pairs for label in one.labels[start:]],
        boxed=[flag for one, start in pairs for flag in one.boxed[start:]],
        segments=[0] * shared + [at for at, one in enumerate(several, 1) for _ in one.ids[shared:]],
        positions=[position for one, start in pairs for position in one.positions[start:]],
        cut=sum(one.cut for one in several),
    )


def prompt(by: Dialogue, messages: Sequence[Message], *, picture: bool, key: str = "the question") -> list[int]:
    """The ids after which the model answers the last message, the user's; earlier turns stand as in training."""
    _check(messages, "user", key)
    bos = _id(by, BOS)
    shared = [bos] * (by.rules.openings - 1) + (_shared(by) if picture else [])
    earlier = [
        _turn(by, asked.content, said.content, picture, first=place == 0).ids
        for place, (asked, said) in enumerate(zip(messages[:-1:2], messages[1::2], strict=True))
    ]
    last = _question(by, messages[-1].content, picture, behind="", first=not earlier)
    return [*shared, *(id_ for turn in earlier for id_ in turn), *last]


def answer_text(by: Dialogue, ids: Sequence[int]) -> str:
    """What the model said: the text up to ``</s>``, or of all ids where there is none."""
    eos = _id(by, EOS)
    said = list(ids)
    said = said[: said.index(eos)] if eos in said else said
    return str(by.tokenizer.decode(said, skip_special_tokens=True)).strip()


def _check(messages: Sequence[Message], last: Role, key: str) -> None:
    roles = [turn.role for turn in messages]
    in_turn = all(one != two for one, two in pairwise(roles))
    if not roles or not in_turn or (roles[0], roles[-1]) != ("user", last):
        raise TextError(f"bad turns: {roles} in {key}, wanted user and assistant in turn, the {last} last")


def _id(by: Dialogue, name: str) -> int:
    found = by.tokenizer.token_to_id(name)
    if found is None:
        raise ConfigError(f"tokenizer: no {name}, wanted one of Llama's kind")
    return int(found)


def _ids(by: Dialogue, text: str) -> list[int]:
    return list(by.tokenizer.encode(text, add_special_tokens=False).ids)


def _shared(by: Dialogue) -> list[int]:
    return [_id(by, BOS), *_ids(by, _BEFORE), *[PICTURE] * by.picture_tokens]


def _question(by: Dialogue, text: str, picture: bool, *, behind: str, first: bool) -> list[int]:
    if picture and first:
        return _ids(by, f"</Img> {text}{behind} [/INST]")
    return [_id(by, BOS), *_ids(by, f"[INST] {text}{behind} [/INST]")]


def _turn(by: Dialogue, asked: str, said: str, picture: bool, *, first: bool) -> _Piece:
    question = _plain(_question(by, asked, picture, behind=by.rules.behind if picture else "", first=first))
    answer = _answer(by, said)
    return _Piece(question.ids + answer.ids, question.labels + answer.labels, question.boxed + answer.boxed)


def _plain(ids: list[int]) -> _Piece:
    return _Piece(ids, [IGNORED] * len(ids), [False] * len(ids))


def _answer(by: Dialogue, text: str) -> _Piece:
    found = by.tokenizer.encode(text, add_special_tokens=False)
    boxes = [box.span() for box in re.finditer(ONE_BOX, text)]
    boxed = [any(start < right and end > left for left, right in boxes) for start, end in found.offsets]
    ids = [*found.ids, _id(by, EOS)]
    return _Piece(ids, ids, [*boxed, False])


def _sequence(shared: Sequence[_Piece], turns: Sequence[_Piece], cut: int) -> Encoded:
    both = [*shared, *turns]
    ids = [id_ for piece in both for id_ in piece.ids]
    before = sum(len(piece.ids) for piece in shared)
    return Encoded(
        ids=ids,
        labels=[label for piece in both for label in piece.labels],
        boxed=[flag for piece in both for flag in piece.boxed],
        segments=[0] * before + [1] * (len(ids) - before),
        positions=list(range(len(ids))),
        cut=cut,
    )
