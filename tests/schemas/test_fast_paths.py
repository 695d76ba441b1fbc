"""Each short cut on the way to a record gives, to the last bit, what the long way gives, which is spelt out here."""

import hashlib
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.box import CODECS, Box, Codec, Size, Slack, encode, from_xyxy, latest, widened
from schemas.dialect import Boxes, Phrase, Span, box_text, parse, render
from schemas.errors import BoxError, RecordError, TextError
from schemas.prompt import draw, fill
from schemas.record import image_json, image_ref
from schemas.text import MAX_CHARS, RESERVED, harmless, markup, quote, tidy, unquote

XYXY = tuple[float, float, float, float]

# Texts in which markup, halves of it and its quoted forms are common.
FRAGMENTS = (
    *RESERVED,
    "{<1><2><3><4>}",
    "{<0><0><100><100>}",
    "<p>a</p> ",
    "<",
    "[",
    "{",
    "\\",
    " ",
    "}",
    "a dog",
    "é",
)
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)


def told(make: Callable[[], object]) -> object:
    """What it gives, as text that tells 0.0 from -0.0, or the error it raises."""
    try:
        return repr(make())
    except RecordError as error:
        return type(error), str(error)


def long_way_box(xyxy: XYXY, size: Size, slack: Slack) -> Box:
    x1, y1, x2, y2 = xyxy
    if not (size.width > 0 and size.height > 0):
        raise BoxError(f"picture has no size: {size.width}x{size.height}")
    if not (x1 < x2 and y1 < y2):
        raise BoxError(f"empty box: xyxy {xyxy} in a {size.width}x{size.height} picture")
    if max(-x1, x2 - size.width) > slack.of(size.width) or max(-y1, y2 - size.height) > slack.of(size.height):
        raise BoxError(f"box overhangs the picture: xyxy {xyxy} in a {size.width}x{size.height} picture")
    fractions = (x1 / size.width, y1 / size.height, x2 / size.width, y2 / size.height)
    return Box(*(round(min(max(value, 0.0), 1.0), 6) for value in fractions))


_odd = st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -1.5])
_side = st.one_of(st.integers(-4, 700), st.floats(-4, 700), st.integers(0, 70_000).map(lambda n: n / 100), _odd)


@given(st.tuples(_side, _side, _side, _side), st.integers(-1, 700), st.integers(-1, 700), st.floats(0, 4))
@example((-0.0, 0, 5.0, 5.0), 10, 10, 2.0)
@example((0, 0, 700, 700), 700, 700, 0.0)
@example((-1, 0, 5, 5), 10, 10, 2.0)
@example((0, -1, 5, 5), 10, 10, 2.0)
@example((0, 0, 11, 5), 10, 10, 2.0)
@example((0, 0, 5, 11), 10, 10, 2.0)
def test_a_box_inside_its_picture_is_what_clipping_would_give(xyxy: XYXY, width: int, height: int, px: float) -> None:
    size, slack = Size(width, height), Slack(px=px)
    assert told(lambda: from_xyxy(xyxy, size, slack)) == told(lambda: long_way_box(xyxy, size, slack))


def near(value: float) -> Iterator[float]:
    """The value and the doubles beside it, within [0, 1]."""
    low, high = math.nextafter(value, 0.0), math.nextafter(value, 1.0)
    return (one for one in (math.nextafter(low, 0.0), low, value, high, math.nextafter(high, 1.0)) if 0.0 < one < 1.0)


@given(st.integers(1, 1_999_999))
@example(1)
@example(1_999_999)
def test_a_fraction_beside_a_tie_is_rounded_as_the_decimal_is(halves: int) -> None:
    for value in near(halves / 2_000_000):
        made, wanted = partial(from_xyxy, (value, 0, 1, 1), Size(1, 1)), partial(Box, round(value, 6), 0.0, 1.0, 1.0)
        assert told(made) == told(wanted)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 0.03), st.sampled_from(list(CODECS.values())))
def test_what_is_surely_not_widened_is_not(sides: list[float], short: float, by: Codec) -> None:
    x, y = sides[0] * 0.9, sides[1] * 0.9
    box = Box(x, y, min(1.0, x + short + 1e-9), min(1.0, y + sides[2] * 0.1 + 1e-9))
    assert widened(box, by) == (by.bin(box.x1) == by.bin(box.x2) or by.bin(box.y1) == by.bin(box.y2))


@given(st.lists(st.floats(0, 0.48), min_size=4, max_size=4), st.sampled_from(list(CODECS.values())))
def test_all_bins_at_once_are_those_of_each_side(sides: list[float], by: Codec) -> None:
    box = Box(sides[0], sides[1], sides[0] + 0.02 + sides[2], sides[1] + 0.02 + sides[3])
    assert encode(box, by) == (by.bin(box.x1), by.bin(box.y1), by.bin(box.x2), by.bin(box.y2))


def test_what_was_asked_last_is_told_again_and_nothing_else_is() -> None:
    asked: list[tuple[list[int], str]] = []

    @latest
    def made(one: list[int], other: str) -> int:
        asked.append((one, other))
        return sum(one)

    first, equal = [1, 2], [1, 2]
    assert (made(first, "a"), made(first, "a"), made(equal, "a"), made(equal, "b"), made(first, "a")) == (3, 3, 3, 3, 3)
    assert [one is first for one, _ in asked] == [True, False, False, True]


def test_an_error_is_raised_every_time_and_never_taken_for_the_last_answer() -> None:
    @latest
    def halved(one: int, other: int) -> float:
        return one / other

    assert halved(4, 2) == 2.0
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            halved(4, 0)
    assert halved(4, 2) == 2.0


_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def test_what_python_prints_holds_no_blank_but_the_space_and_no_surrogate() -> None:
    printable = "".join(filter(str.isprintable, map(chr, range(sys.maxunicode + 1))))
    assert set(_BLANK.findall(printable)) == {" "}
    assert not re.search(r"[\ud800-\udfff]", printable)


@given(st.text(st.sampled_from("ab \t\n\x00\x1f\x85\xa0\u2028\u3000\u200bé\ud800"), max_size=8))
@example(" a")
@example("a ")
@example("a  b")
@example("")
@example("a" * (MAX_CHARS + 1))
@example("a" * MAX_CHARS + " ")
def test_text_that_is_tidy_is_left_as_tidying_would_leave_it(text: str) -> None:
    tidied = _BLANK.sub(" ", text).strip()
    if not tidied or len(tidied) > MAX_CHARS or "\ud800" in tidied:
        with pytest.raises(TextError):
            tidy(text)
    else:
        assert tidy(text) == tidied


def test_no_reserved_string_is_harmless() -> None:
    assert not any(map(harmless, RESERVED))


def long_way_quoted(text: str) -> str:
    backslashed = [f"{re.escape(token[0])}(?=\\\\*{re.escape(token[1:])})" for token in RESERVED]
    return re.sub("|".join(backslashed), lambda first: first.group() + "\\", text)


@given(texts)
def test_text_without_brackets_is_quoted_as_any(text: str) -> None:
    assert quote(text) == long_way_quoted(text)
    assert unquote(quote(text)) == text
    if quote(text) == text:
        assert markup(text) is None


@given(st.sampled_from(["{phrase}", "a {phrase} b", "{question} {choices}", "none", "{a}{b}"]), texts)
def test_a_template_taken_apart_once_is_filled_as_by_substitution(template: str, text: str) -> None:
    slots = {"phrase": text, "question": "{choices}", "choices": text, "a": text, "b": "{a}"}
    assert fill(template, slots) == re.sub(r"\{([a-z]+)\}", lambda slot: slots[slot[1]], template)


@given(
    st.integers(-(2**70), 2**70), st.text(st.characters(codec="utf-8"), max_size=20), st.integers(0, 9), st.text("ab")
)
def test_a_draw_is_the_hash_of_all_it_depends_on(seed: int, key: str, epoch: int, what: str) -> None:
    hashed = hashlib.blake2b(f"{seed}\x1f{key}\x1f{epoch}\x1f{what}".encode(), digest_size=8)
    assert draw(seed, key, epoch, what) == int.from_bytes(hashed.digest(), "big")


@given(st.integers().map(lambda number: f"coco/{number}"), st.none() | st.builds(Size, *[st.integers(1, 2**53)] * 2))
def test_a_picture_is_in_json_what_its_reference_is(id: str, size: Size | None) -> None:
    assert image_json(id, size).encode() == msgspec.json.encode(image_ref(id, size))


def test_a_draw_takes_a_seed_for_what_it_is_written_as() -> None:
    assert draw(1, "k", 0, "w") != draw(True, "k", 0, "w")


_bins = st.sampled_from([(1, 2, 3, 4), (0, 0, 100, 100), (10, 9, 11, 99)])
_some = st.lists(_bins, max_size=3).map(tuple)
spans = st.lists(st.one_of(texts, st.builds(Boxes, _some), st.builds(Phrase, texts, _some)), max_size=6)


def long_way_text(spans: Iterable[Span]) -> str:
    merged: list[Span] = []
    for span in spans:
        if isinstance(span, str) and merged and isinstance(merged[-1], str):
            merged[-1] += span
        elif span != "":
            merged.append(span)
    pieces: list[str] = []
    for place, span in enumerate(merged):
        after_box = place > 0 and not isinstance(merged[place - 1], str)
        if isinstance(span, str):
            quoted = long_way_quoted(span)
            pieces.append("\\" + quoted if after_box and re.match(r"\\*<", quoted) else quoted)
        elif isinstance(span, Phrase) and after_box:
            raise TextError(f"phrase right after a box: {span.text!r}, wanted text between them")
        else:
            named = f"<p>{long_way_quoted(span.text)}</p> " if isinstance(span, Phrase) else ""
            pieces.append(named + box_text(span.boxes))
    return "".join(pieces)


@given(spans)
def test_spans_are_written_as_if_merged_first(spans: list[Span]) -> None:
    assert told(lambda: render(spans)) == told(lambda: long_way_text(spans))


_BOX = r"\{<(?:0|[1-9][0-9]?|100)><(?:0|[1-9][0-9]?|100)><(?:0|[1-9][0-9]?|100)><(?:0|[1-9][0-9]?|100)>\}"
_GROUP = re.compile(rf"(?:<p>(?P<phrase>(?:(?!</?p>).)*)</p> )?(?P<boxes>{_BOX}(?:<delim>{_BOX})*)", re.DOTALL)


@given(texts)
@example("<p>a <b\n> c</p> {<1><2><3><4>}<delim>{<10><20><30><100>} and")
def test_text_that_parses_holds_the_groups_of_the_plain_grammar(text: str) -> None:
    try:
        found = [span for span in parse(text) if not isinstance(span, str)]
    except TextError:
        return
    groups = list(_GROUP.finditer(text))
    assert [isinstance(span, Phrase) for span in found] == [group["phrase"] is not None for group in groups]
    assert [span.boxes for span in found] == [
        tuple(tuple(map(int, re.findall("[0-9]+", box))) for box in group["boxes"].split("<delim>")) for group in groups
    ]


def test_what_is_remembered_is_never_another_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    boxes = [Box(place / 100, 0.1, (place + 5) / 100, 0.9) for place in range(90)]

    def wrong(start: int) -> int:
        by = CODECS["round-100"]
        return sum(encode(boxes[(start + n) % 90], by)[0] != (start + n) % 90 for n in range(20_000))

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(wrong, range(4))) == 0
