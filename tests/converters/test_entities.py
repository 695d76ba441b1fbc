"""The two files of Flickr30k Entities, each alone: the strict XML, and sentences with marks."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from converters._entities import Boxes, Mention, annotation, boxes_of, lines, parts, pieces, plain, taken_apart
from schemas.box import Size
from schemas.errors import RecordError, TextError
from schemas.text import MAX_CHARS, tidy

HEAD = "<annotation>\n\t<filename>11.jpg</filename>\n\t<size>\n\t\t<width>200</width>\n\t\t<height>100</height>\n\t\t"
HEAD += "<depth>3</depth>\n\t</size>\n\t"
BOX = "<bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
FLAGS = "<scene>1</scene><nobndbox>0</nobndbox>"
ONE = f"<object><name>1</name>{BOX}</object>"
END = "</annotation>"


def read(data: bytes) -> tuple[Size, Boxes]:
    size, named = annotation(data, "11.jpg")
    return size, boxes_of(named)


def test_a_box_belongs_to_every_chain_that_its_object_names() -> None:
    names = "".join(f"<name>{chain}</name>" for chain in (1, 6, 12345678901))
    size, boxes = read(f"{HEAD}<object>{names}{BOX}</object>{END}".encode())
    assert size == Size(200, 100)
    assert boxes == {"0": [], **{chain: [(21, 11, 60, 50)] for chain in ("1", "6", "12345678901")}}


def test_a_chain_has_all_its_boxes_in_the_order_of_the_file() -> None:
    corners = "<xmin>1</xmin>\r\n<ymin>2</ymin>\t<xmax>3</xmax> <ymax>4</ymax>"
    second = f"<object>\n\t<name>1</name>\n<bndbox>\n{corners}</bndbox>\n"
    _, boxes = read(f"{HEAD}{ONE}\n{second}</object>\n{ONE}{END}\n".encode())
    assert boxes == {"0": [], "1": [(21, 11, 60, 50), (1, 2, 3, 4), (21, 11, 60, 50)]}


@pytest.mark.parametrize("flags", ["01", "10", "11"])
def test_a_chain_that_is_only_named_has_no_box(flags: str) -> None:
    flagged = f"<scene>{flags[0]}</scene><nobndbox>{flags[1]}</nobndbox>"
    _, boxes = read(f"{HEAD}<object><name>7</name>{flagged}</object>{ONE}{END}".encode())
    assert boxes == {"0": [], "7": [], "1": [(21, 11, 60, 50)]}


def test_an_annotation_without_objects_is_one() -> None:
    assert read(f"{HEAD}{END}".encode()) == (Size(200, 100), {"0": []})


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        f"{HEAD}{ONE}",
        f"{HEAD}{ONE}{END}{END}",
        f"{HEAD}{ONE}{END}more",
        f"{HEAD}text{ONE}{END}",
        f"{HEAD}{ONE}text{ONE}{END}",
        f"{HEAD}<!-- {ONE} -->{END}",
        f"{HEAD}<object><name>0</name>{BOX}</object>{END}",
        f"{HEAD}<object><name>a</name>{BOX}</object>{END}",
        f"{HEAD}<object><name>{'1' * 20}</name>{BOX}</object>{END}",
        f"{HEAD}<object>{BOX}</object>{END}",
        f"{HEAD}<object><name>1</name></object>{END}",
        f"{HEAD}<object><name>1</name>{BOX}{FLAGS}</object>{END}",
        f"{HEAD}<object><name>1</name>{BOX}{BOX}</object>{END}",
        f"{HEAD}<object><name>1</name>{FLAGS.replace('0', '2')}</object>{END}",
        f"{HEAD}{ONE.replace('<xmax>60</xmax>', '')}{END}",
        f"{HEAD}{ONE.replace('60', '6e1')}{END}",
        f"{HEAD}{ONE.replace('60', '6 0')}{END}",
        f"{HEAD}{ONE.replace('60', '&x;')}{END}",
        f"{HEAD}{ONE.replace('60', '&#54;0')}{END}",
        f"{HEAD}{ONE.replace('60', '6' * 400)}{END}",
        f"{HEAD}{ONE}{END}".replace("<object>", "<object id='1'>"),
        f"{HEAD.replace('200', '0')}{ONE}{END}",
        f"{HEAD.replace('11.jpg', '12.jpg')}{ONE}{END}",
        f"{HEAD.replace('11.jpg', '../11.jpg')}{ONE}{END}",
        f'<!DOCTYPE annotation [<!ENTITY x "60">]>{HEAD}{ONE}{END}',
        f'<?xml version="1.0"?>{HEAD}{ONE}{END}',
        f"\ufeff{HEAD}{ONE}{END}",
    ],
)
def test_what_is_not_exactly_the_published_layout_is_no_annotation(text: str) -> None:
    with pytest.raises(RecordError, match=r"^malformed annotation: "):
        annotation(text.encode(), "11.jpg")


@pytest.mark.parametrize(
    "rest", ["<object><name>1</name>" * 40_000, " " * 800_000, "<object>" + "<name>1</name> " * 60_000 + END]
)
def test_a_megabyte_that_is_none_is_refused_in_no_time(rest: str) -> None:
    with pytest.raises(RecordError, match=r"^malformed annotation: "):
        annotation(f"{HEAD}{rest}".encode(), "11.jpg")


def test_a_sentence_comes_apart_at_its_marks() -> None:
    assert pieces("[/EN#1/people A man]'s [/EN#0/notvisual own] [/EN#22/bodyparts/people thin hand] .\n") == [
        Mention("A man", "1"),
        "'s ",
        Mention("own", "0"),
        " ",
        Mention("thin hand", "22"),
        " .",
    ]


@pytest.mark.parametrize("line", ["no mark at all", " [/EN#1/other all]\t", "a \u00a0 b\u0085[/EN#2/x c  d]\re"])
def test_the_parts_join_to_the_sentence_without_its_marks_tidied(line: str) -> None:
    unmarked = line.replace("[/EN#1/other ", "").replace("[/EN#2/x ", "").replace("]", "")
    assert plain(pieces(line)) == " ".join(unmarked.split())


@pytest.mark.parametrize(
    "line",
    [
        "a [bracket",
        "a bracket]",
        "[/EN#1/people a [/EN#2/other nested] one]",
        "[/EN#1/people ]",
        "[/EN#1/people]",
        "[/EN#1 a man]",
        "[/EN#1/ a man]",
        "[/EN#one/people a man]",
        "[/EN#01/people a man]",
        "[/EN#/people a man]",
        "[EN#1/people a man]",
        "[/EN#1/people a man ]",
        "[/EN#1/people a man]]",
        "[/EN#1/people a man] [",
    ],
)
def test_a_bracket_out_of_place_makes_it_no_sentence(line: str) -> None:
    with pytest.raises(RecordError, match=r"^malformed sentence: a bracket out of place in "):
        pieces(line)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_file_has_five_sentences(end: bytes) -> None:
    assert lines("a\nb\nc \u2028 c\x85\n\u00e9\r\ne".encode() + end) == ["a", "b", "c \u2028 c\x85", "\u00e9\r", "e"]


@pytest.mark.parametrize("data", [b"", b"a\nb\nc\nd", b"a\nb\nc\nd\ne\nf", b"a\nb\n\nd\ne", b"a\nb\nc\nd\n \n"])
def test_a_file_of_other_than_five_sentences_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError, match=r"^malformed sentences: [0-9] lines, wanted 5"):
        lines(data)


def test_sentences_that_are_no_utf_8_are_refused() -> None:
    with pytest.raises(RecordError, match=r"^malformed sentences: no UTF-8"):
        lines("caf\u00e9\nb\nc\nd\ne".encode("latin-1"))


MARKED = (
    "[/EN#1/people a man]",
    "[/EN#0/notvisual it]",
    "[/EN#2/a/b  c]",
    "[/EN#",
    "[",
    "]",
    " ",
    "  ",
    "\t",
    "and",
    "é",
)


@given(st.lists(st.lists(st.sampled_from(MARKED), max_size=5).map("".join), min_size=1, max_size=5))
@example(["[/EN#1/people a", "man] b"])
@example(["[/EN#1/a\tb c]"])
@example(["[/EN#1/a \tc]", "[/EN#2/a/b c]"])
@example(["[/EN#1/é c]", "[/EN#1/\uffff c]"])
@example(["a", "[/EN#1/people a man] " + "b" * MAX_CHARS, "[/EN#2/people c]"])
@example([f"[/EN#1/{'a' * MAX_CHARS} c]", "b"])
def test_sentences_come_apart_together_as_each_does_alone(said: list[str]) -> None:
    found, left_out = taken_apart(said)
    rows = "|".join(found).split("\n")
    assert len(rows) == len(said)
    for place, (line, row) in enumerate(zip(said, rows, strict=True)):
        apart = row.split("|")
        unmarked = "".join(piece for at, piece in enumerate(apart) if at % 3 != 1)
        if place in left_out:
            assert row == "left out"
        elif is_tidy(unmarked):  # else the row is looked at alone
            assert apart == parts(line)


def is_tidy(text: str) -> bool:
    try:
        return tidy(text) == text
    except TextError:
        return False


def test_sentences_as_published_are_not_left_out() -> None:
    said = ["[/EN#1/people/other a man] .", "é [/EN#0/notvisual it]", "[ [/EN#1/people a man] ."]
    assert taken_apart(said) == (
        ["", "1", "a man", " .\né ", "0", "it", "\nleft out"],
        {2},
    )
