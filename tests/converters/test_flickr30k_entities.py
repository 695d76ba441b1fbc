"""Flickr30k Entities: grounded captions, their phrases, single phrases. What its two files hold: test_entities."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]
Chains = tuple[int, ...]

SCENE, NO_BOX, BOTH = (1, 0), (0, 1), (1, 1)
# A box per row, or the flags scene and nobndbox; 1-based pixels of a picture of 200x100.
OBJECTS: list[tuple[Chains, Chains]] = [
    ((6,), (101, 1, 200, 100)),
    ((1, 6), (21, 11, 60, 50)),
    ((6,), (21, 11, 60, 50)),
    ((2,), SCENE),
    ((3,), NO_BOX),
    ((4,), BOTH),
    ((5,), (1, 1, 200, 100)),
    ((7,), (2, 3, 201, 100)),
    ((8,), (2, 3, 240, 100)),
    ((99,), (1, 1, 2, 2)),
]
SENTENCES = [
    "[/EN#1/people A man] and [/EN#6/people/animals two beings] in [/EN#2/scene a field] by [/EN#5/scene the whole] ; "
    "[/EN#1/people he] is [/EN#4/other there] , [/EN#0/notvisual it] with [/EN#3/other this] and [/EN#5/other all] .",
    "[/EN#1/people A man]  sees\u00a0[/EN#1/people himself] , [/EN#1/people him] and [/EN#1/people him] .",
    "[/EN#1/people 1] , [/EN#1/people 2] , [/EN#1/people 3] , [/EN#1/people 4] , [/EN#1/people 5]",
    "[/EN#77/people Nobody] sees [/EN#1/people a man] .",
    "A [bad sentence",
]
GROUNDED = (
    "<p>A man</p> {<10><10><30><50>} and <p>two beings</p> {<10><10><30><50>}<delim>{<50><0><100><100>} in a field by "
    "<p>the whole</p> {<0><0><100><100>} ; <p>he</p> {<10><10><30><50>} is there , it with this and "
    "<p>all</p> {<0><0><100><100>} ."
)
PLAIN = "A man and two beings in a field by the whole ; he is there , it with this and all ."


def xml(id: int, objects: list[tuple[Chains, Chains]]) -> bytes:
    def box(values: Chains) -> str:
        if len(values) == 2:
            return f"\t\t<scene>{values[0]}</scene>\n\t\t<nobndbox>{values[1]}</nobndbox>\n"
        corners = zip(("xmin", "ymin", "xmax", "ymax"), values, strict=True)
        return (
            "\t\t<bndbox>\n"
            + "".join(f"\t\t\t<{name}>{value}</{name}>\n" for name, value in corners)
            + "\t\t</bndbox>\n"
        )

    def names(chains: Chains) -> str:
        return "".join(f"\t\t<name>{chain}</name>\n" for chain in chains)

    size = "\t<size>\n\t\t<width>200</width>\n\t\t<height>100</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    listed = "".join(f"\t<object>\n{names(chains)}{box(values)}\t</object>\n" for chains, values in objects)
    return f"<annotation>\n\t<filename>{id}.jpg</filename>\n{size}{listed}</annotation>\n".encode()


def text(sentences: list[str]) -> bytes:
    return "".join(f"{sentence}\n" for sentence in sentences).encode()


@pytest.fixture
def published(put: Put) -> None:
    put("Annotations/11.xml", xml(11, OBJECTS))
    put("Sentences/11.txt", text(SENTENCES))
    put("train.txt", b"11\n")
    put("UNRELATED_CAPTIONS", b"# format: <imageID> <sentence number>\n11 3\n12 1")


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """Key without its ends, and the answer or else the reason."""
    return [(one.key.split("/")[2], one.record.messages[1].content if one.record else one.reason) for one in outcomes]


def test_a_sentence_is_grounded_filtered_or_rejected(published: None, run: Run) -> None:
    assert told(run("flickr30k_grounded", "train")) == [
        ("11-0", GROUNDED),
        ("11-1", "too few boxed phrases"),
        ("11-2", "unrelated caption"),
        ("11-3", "no such chain"),
        ("row11-4", "malformed row"),
    ]


@pytest.mark.parametrize(("fewest", "second"), [("4", True), ("5", False)])
def test_phrases_are_counted_as_they_occur_in_the_sentence(
    published: None, run: Run, fewest: str, second: bool
) -> None:
    found = run("flickr30k_grounded", "train", options={"min_phrases": fewest})[1]
    assert (found.record is not None) == second
    assert second or (found.rule and found.detail == "too few boxed phrases: 4 in 11-1, min_phrases is 5")


def test_a_grounded_record_is_whole(published: None, run: Run) -> None:
    first = run("flickr30k_grounded", "train")[0]
    man, right, whole = [0.1, 0.1, 0.3, 0.5], [0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]
    assert first.image is not None
    assert (first.image.id, first.image.width, first.image.height) == ("flickr30k/11", 200, 100)
    assert msgspec.to_builtins(first.record) == {
        "key": "flickr30k_grounded/train/11-0/grounding",
        "source": "flickr30k_grounded",
        "split": "train",
        "task": "grounding",
        "messages": [
            {"role": "user", "content": "[grounding] give an account of the photo that shows where things are"},
            {"role": "assistant", "content": GROUNDED},
        ],
        "boxes": [man, man, right, whole, man, whole],
        "draw": {"pool": "grounding", "slots": [], "answers": []},
        "meta": [],
    }


def test_a_parsed_caption_is_asked_for_plainly_and_answered_with_its_boxed_phrases(published: None, run: Run) -> None:
    found = run("flickr30k_parsing", "train")
    assert [reason for _, reason in told(found)[1:]] == [
        "too few boxed phrases",
        "unrelated caption",
        "no such chain",
        "malformed row",
    ]
    record = found[0].record
    assert record is not None
    assert (record.task, record.draw.pool) == ("detection", "detection_caption")
    assert [(slot.name, slot.value) for slot in record.draw.slots] == [("caption", PLAIN)]
    assert PLAIN in record.messages[0].content
    assert record.messages[1].content == (
        "<p>A man</p> {<10><10><30><50>} <p>two beings</p> {<10><10><30><50>}<delim>{<50><0><100><100>} "
        "<p>the whole</p> {<0><0><100><100>} <p>he</p> {<10><10><30><50>} <p>all</p> {<0><0><100><100>}"
    )


def test_every_phrase_is_a_candidate(published: None, run: Run) -> None:
    assert told(run("flickr30k_phrase", "train")) == [
        ("11-0-0", "<p>A man</p> {<10><10><30><50>}"),
        ("11-0-1", "<p>two beings</p> {<10><10><30><50>}<delim>{<50><0><100><100>}"),
        ("11-0-2", "phrase without boxes"),
        ("11-0-3", "<p>the whole</p> {<0><0><100><100>}"),
        ("11-0-4", "<p>he</p> {<10><10><30><50>}"),
        ("11-0-5", "phrase without boxes"),
        ("11-0-6", "phrase without boxes"),
        ("11-0-7", "phrase without boxes"),
        ("11-0-8", "<p>all</p> {<0><0><100><100>}"),
        *[(f"11-1-{number}", "too few boxed phrases") for number in range(4)],
        *[(f"11-2-{number}", "unrelated caption") for number in range(5)],
        ("11-3-0", "no such chain"),
        ("11-3-1", "too few boxed phrases"),
        ("row11-4", "malformed row"),
    ]


def test_a_single_phrase_tells_its_chain(published: None, run: Run) -> None:
    record = run("flickr30k_phrase", "train")[1].record
    assert record is not None
    assert (record.key, record.draw.pool) == ("flickr30k_phrase/train/11-0-1/detection", "detection_phrase")
    assert [(slot.name, slot.value) for slot in record.draw.slots] == [("phrase", "two beings")]
    assert [(note.name, note.value) for note in record.meta] == [("chain", "6")]
    assert [list(box) for box in record.boxes] == [[0.1, 0.1, 0.3, 0.5], [0.5, 0.0, 1.0, 1.0]]


def test_boxes_of_a_phrase_run_from_left_to_right_and_then_down(published: None, put: Put, run: Run) -> None:
    corners = [(51, 1), (1, 41), (1, 21), (101, 1), (41, 61), (1, 1), (21, 81)]
    put("Annotations/11.xml", xml(11, [((1,), (x, y, 160, 100)) for x, y in corners]))
    put("Sentences/11.txt", text(["[/EN#1/people They]", "b", "c", "d", "e"]))
    record = run("flickr30k_phrase", "train", options={"min_phrases": "1"})[0].record
    assert record is not None
    assert [((box.x1 * 200 + 1), (box.y1 * 100 + 1)) for box in record.boxes] == sorted(corners)
    assert record.messages[1].content.startswith(
        "<p>They</p> {<0><0><80><100>}<delim>{<0><20><80><100>}<delim>{<0><40>"
    )


def test_a_box_is_clipped_by_a_pixel_and_rejected_by_forty(published: None, put: Put, run: Run) -> None:
    put("Sentences/11.txt", text(["[/EN#7/other this] then [/EN#8/other that]", "a", "b", "c", "d"]))
    near, far = run("flickr30k_phrase", "train", options={"min_phrases": "1"})
    assert near.record is not None
    assert [(note.name, note.value) for note in near.record.meta] == [("chain", "7"), ("clipped_px", "1.00")]
    assert [list(box) for box in near.record.boxes] == [[0.005, 0.02, 1.0, 1.0]]
    assert far.reason == "box overhangs the picture"


def test_a_chain_number_means_another_thing_in_another_picture(published: None, put: Put, run: Run) -> None:
    put("train.txt", b"12\n\n11")
    put("Annotations/12.xml", xml(12, [((1,), (101, 51, 200, 100))]))
    put("Sentences/12.txt", text(["unrelated", "[/EN#1/other A thing]", "x", "x", "x"]))
    found = run("flickr30k_grounded", "train", options={"min_phrases": "1"})
    assert told(found)[:2] == [("12-0", "unrelated caption"), ("12-1", "<p>A thing</p> {<50><50><100><100>}")]
    assert told(found)[5] == ("11-0", GROUNDED)


def test_phrases_side_by_side_cannot_be_written_and_quoted_ones_can(published: None, put: Put, run: Run) -> None:
    beside = "[/EN#1/people a man][/EN#1/people himself]"
    put("Sentences/11.txt", text([beside, "[/EN#1/people a <p>] </p>", "c", "d", "e"]))
    found = run("flickr30k_grounded", "train", options={"min_phrases": "1"})
    assert told(found)[:2] == [
        ("11-0", "phrase right after a box"),
        ("11-1", "<p>a <\\p></p> {<10><10><30><50>} <\\/p>"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("Sentences/11.txt", text(SENTENCES[:4]), "malformed sentences: 4 lines"),
        ("train.txt", b"10\n", "no such file: Sentences/10.txt"),
        ("train.txt", b"eleven\n", "no picture id: 'eleven'"),
        ("train.txt", b"../11\n", "no picture id: '../11'"),
        ("train.txt", "\u0661\u0661\n".encode(), "no picture id: "),
        ("train.txt", b"1" * 21, "no picture id: "),
        ("train.txt", b"\xff\xfe", "no picture id: "),
    ],
)
@pytest.mark.parametrize("source", ["flickr30k_grounded", "flickr30k_parsing", "flickr30k_phrase", "flickr30k_caption"])
def test_a_picture_whose_sentences_cannot_be_read_costs_five(
    published: None, put: Put, run: Run, source: str, name: str, content: bytes, detail: str
) -> None:
    put(name, content)
    found = run(source, "train")
    assert [one.reason for one in found] == ["malformed row"] * 5
    assert {one.detail.startswith(f"malformed row: {detail}") for one in found} == {True}
    assert len({one.key for one in found}) == 5


def test_a_picture_listed_twice_is_rejected_once(published: None, put: Put, run: Run) -> None:
    put("train.txt", b"11\n11\n")
    assert [one.reason for one in run("flickr30k_grounded", "train") if one.key.split("/")[2] == "11-0"] == [
        "",
        "duplicate key",
    ]


@pytest.mark.parametrize("line", [b"11", b"11 0", b"11 6", b"11 three", b"eleven 3", b"11 3 4", b"\xff 3"])
def test_a_list_of_unrelated_captions_that_is_none_is_an_error(
    published: None, put: Put, run: Run, line: bytes
) -> None:
    put("UNRELATED_CAPTIONS", b"# comment\n\n12 1\n" + line)
    with pytest.raises(SourceError, match=r"UNRELATED_CAPTIONS: not the list it should be"):
        run("flickr30k_grounded", "train")


def test_a_missing_file_is_named(published: None, run: Run, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"wanted Annotations/ \+ Sentences/ \+ val.txt \+ UNRELATED_CAPTIONS or ann"):
        run("flickr30k_grounded", "val")
    (tmp_path / "UNRELATED_CAPTIONS").unlink()
    with pytest.raises(SourceError, match=r"flickr30k_phrase train: not found"):
        run("flickr30k_phrase", "train")


def test_five_phrases_are_asked_for_and_none_is_too_few_to_ask(published: None, run: Run) -> None:
    assert run("flickr30k_grounded", "train", options={"min_phrases": "5"}) == run("flickr30k_grounded", "train")
    with pytest.raises(ConfigError, match=r"min_phrases=0: wanted a whole number of at least 1"):
        run("flickr30k_grounded", "train", options={"min_phrases": "0"})
