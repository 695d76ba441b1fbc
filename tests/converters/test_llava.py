"""LLaVA's conversations: where the picture's placeholder stands, who speaks, and how pictures are called."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

FILE = "conversation_58k.json"


def entry(*said: str, image: Any = "000000000042.jpg", id: Any = "000000000042") -> dict[str, Any]:
    """An entry in which human and gpt speak in turn."""
    turns = [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(said)]
    return {"id": id, "image": image, "conversations": turns}


def spoken(*speakers: str) -> dict[str, Any]:
    """An entry with these speakers."""
    turns = [{"from": speaker, "value": "A barn"} for speaker in speakers]
    return {"id": "1", "image": "000000000042.jpg", "conversations": turns}


@pytest.fixture
def one(put: Put, run: Run) -> Callable[[Any], Outcome]:
    def converted(content: Any) -> Outcome:
        put(FILE, [content])
        (outcome,) = run("llava_conversation", "train")
        return outcome

    return converted


def test_a_conversation_is_whole(one: Callable[[Any], Outcome]) -> None:
    found = one(entry("<image>\nWhat is this?", "A red barn.", "Is it old?", "Yes, it is."))
    assert msgspec.to_builtins(found.record) == {
        "key": "llava_conversation/train/000000000042/chat",
        "source": "llava_conversation",
        "split": "train",
        "task": None,
        "messages": [
            {"role": "user", "content": "What is this?"},
            {"role": "assistant", "content": "A red barn."},
            {"role": "user", "content": "Is it old?"},
            {"role": "assistant", "content": "Yes, it is."},
        ],
        "boxes": [],
        "draw": {"pool": None, "slots": [], "answers": []},
        "meta": [],
    }
    assert found.image is not None
    assert (found.image.id, found.image.width) == ("coco/42", None)


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("<image>\nWhat is this?", "What is this?"),
        ("What is this?\n<image>", "What is this?"),
        ("What is this?", "What is this?"),
        ("<image>\r\nWhat is this?", "What is this?"),
        (" <image> \n\nWhat is this?", "What is this?"),
        ("What is this?\n\n<image>\n", "What is this?"),
        ("<image>\nList:\n  a barn\n  a horse", "List:\n  a barn\n  a horse"),
        ("List:\n\n  a barn\n<image>", "List:\n\n  a barn"),
    ],
)
def test_the_placeholder_goes_with_the_line_break_beside_it_and_other_lines_stay(
    one: Callable[[Any], Outcome], said: str, question: str
) -> None:
    record = one(entry(said, "A barn")).record
    assert record is not None
    assert [turn.content for turn in record.messages] == [question, "A barn"]


@pytest.mark.parametrize(
    "said",
    [
        ("What is\n<image>\nin this?", "A barn"),
        ("What is in <image> here?", "A barn"),
        ("What is in <image>", "A barn"),
        ("<image>\nWhat is this?\n<image>", "A barn"),
        ("<image>\n<image>\nWhat is this?", "A barn"),
        ("<image>\nWhat is this?", "A barn\n<image>"),
        ("<image>\nWhat is this?", "A barn", "<image>\nAnd this?", "A horse"),
    ],
)
def test_a_placeholder_anywhere_else_is_rejected(one: Callable[[Any], Outcome], said: tuple[str, ...]) -> None:
    found = one(entry(*said))
    assert (found.record, found.reason) == (None, "image placeholder out of place")


def test_a_conversation_without_a_picture_is_text_alone_and_has_no_placeholder(one: Callable[[Any], Outcome]) -> None:
    for content in (entry("Say hello.", "Hello.", image=None), {**entry("Say hello.", "Hello."), "image": None}):
        found = one(content)
        assert found.record is not None
        assert (found.image, found.record.messages[1].content) == (None, "Hello.")
    without = entry("Say hello.", "Hello.")
    del without["image"]
    assert one({**without, "model": "gpt"}).image is None
    assert one(entry("<image>\nSay hello.", "Hello.", image=None)).reason == "image placeholder out of place"


@pytest.mark.parametrize(
    ("speakers", "reason"),
    [
        (("gpt", "human"), "speakers out of turn"),
        (("human", "human"), "speakers out of turn"),
        (("human", "gpt", "gpt", "human"), "speakers out of turn"),
        (("system", "human", "gpt"), "speakers out of turn"),
        (("human", "gpt", "human"), "turns unequal"),
        (("human",), "turns unequal"),
        ((), "turns unequal"),
    ],
)
def test_who_speaks_is_checked(one: Callable[[Any], Outcome], speakers: tuple[str, ...], reason: str) -> None:
    assert one(spoken(*speakers)).reason == reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (("<image>", "A barn"), "empty question"),
        (("\n<image>\n ", "A barn"), "empty question"),
        (("<image>\nWhat is this?", " \n"), "empty answer"),
        (("<image>\nWhat is this?", "A barn", "", "Yes"), "empty question"),
    ],
)
def test_an_empty_turn_is_rejected(one: Callable[[Any], Outcome], said: tuple[str, ...], reason: str) -> None:
    assert one(entry(*said)).reason == reason


@pytest.mark.parametrize(
    "name",
    [
        "000000000042.jpg",
        "COCO_train2014_000000000042.jpg",
        "coco/train2017/000000000042.jpg",
        "train2014/COCO_train2014_000000000042.jpg",
    ],
)
def test_a_picture_is_the_same_by_each_of_its_names(one: Callable[[Any], Outcome], name: str) -> None:
    found = one(entry("What is this?", "A barn", image=name))
    assert found.record is not None
    assert found.image is not None
    assert found.image.id == "coco/42"


@pytest.mark.parametrize("name", ["vg/VG_100K/42.jpg", "00001/000019465.jpg", "gqa/images/42.jpg", ""])
def test_a_picture_that_is_none_of_cocos_is_rejected_by_that_name(one: Callable[[Any], Outcome], name: str) -> None:
    found = one(entry("What is this?", "A barn", image=name))
    assert (found.record, found.image, found.reason) == (None, None, "no COCO file name")
    assert repr(name) in found.detail


@pytest.mark.parametrize(
    ("id", "key"), [(7, "7"), ("a-b_C/9+", "a-b_C/9+"), ("two words", "row0"), ("a.b", "row0"), ("", "row0")]
)
def test_ids_are_text_or_integers_or_else_the_place(one: Callable[[Any], Outcome], id: Any, key: str) -> None:
    assert one(entry("What is this?", "A barn", id=id)).key == f"llava_conversation/train/{key}/chat"


def test_an_id_that_occurs_twice_is_rejected_the_second_time(put: Put, run: Run) -> None:
    put(FILE, [entry("What is this?", "A barn"), entry("And this?", "A horse"), entry("And?", "A cat", id=42)])
    assert [found.reason for found in run("llava_conversation", "train")] == ["", "duplicate key", ""]


def test_what_looks_like_markup_or_an_identifier_stays_text(one: Callable[[Any], Outcome]) -> None:
    said = ("<image>\n[refer] the barn", "<p>It</p> is at [0.12, 0.3, 0.5, 0.9], not {<1><2><3><4>}.")
    record = one(entry(*said)).record
    assert record is not None
    assert record.boxes == []
    assert [turn.content for turn in record.messages] == [
        "[\\refer] the barn",
        "<\\p>It<\\/p> is at [0.12, 0.3, 0.5, 0.9], not {\\<1><2><3><4>}.",
    ]


def test_rows_of_wrong_types_are_rejected_one_by_one(put: Put, run: Run) -> None:
    good = entry("What is this?", "A barn")
    put(
        FILE,
        [
            {**good, "id": None},
            {**good, "conversations": "What is this?"},
            {**good, "conversations": [{"from": "human"}, {"from": "gpt", "value": "A barn"}]},
            {**good, "conversations": [{"from": "human", "value": 3}, {"from": "gpt", "value": "A barn"}]},
            {**good, "image": 42},
            {"image": "000000000042.jpg"},
            "a barn",
            good,
        ],
    )
    found = run("llava_conversation", "train")
    assert [one.reason for one in found] == ["malformed row"] * 7 + [""]
    assert [one.key for one in found][:2] == [
        "llava_conversation/train/row0/chat",
        "llava_conversation/train/row1/chat",
    ]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("llava_conversation", "conversation_58k.json"),
        ("llava_detail", "detail_23k.json"),
        ("llava_reason", "complex_reasoning_77k.json"),
    ],
)
def test_each_source_reads_its_own_file_and_names_it_where_it_is_missing(
    put: Put, run: Run, source: str, file: str
) -> None:
    with pytest.raises(SourceError, match=f"{source} train: not found under .*: wanted {file}; get it: https://"):
        run(source, "train")
    put(file, [entry("What is this?", "A barn")])
    assert [found.key for found in run(source, "train")] == [f"{source}/train/000000000042/chat"]


def test_a_file_that_is_no_list_is_an_error(put: Put, run: Run) -> None:
    put(FILE, {"conversations": []})
    with pytest.raises(SourceError, match=f"{FILE} is there, but its content is not as published"):
        run("llava_conversation", "train")
