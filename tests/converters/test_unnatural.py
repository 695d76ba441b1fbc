"""Unnatural Instructions: its three forms, its instances and reformulations, and the spellings of no constraints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

LISTED = "filtered_unnatural_instruction.json"


def instance(asked: str, output: Any, constraints: Any = "None.") -> dict[str, Any]:
    return {"instruction_with_input": asked, "input": "", "constraints": constraints, "output": output}


def reworded(asked: str, output: Any) -> dict[str, Any]:
    return {"instruction": asked, "instruction_with_input": asked, "input": "", "output": output}


def example(*instances: Any, **more: Any) -> dict[str, Any]:
    return {"instruction": "unread", "instances": list(instances), **more}


def jsonl(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


CORE = (
    example(instance("Add 2 and 3.", "5"), instance("Add 4 and 4.", "8")),
    example(instance("Name a colour.", "red", "One word only.")),
)
FULL = (
    example(
        instance("Add 2 and 3.", "5"),
        instance("Add 4 and 4.", "8"),
        reformulations=[reworded("What are 2 and 3 together?", "5"), reworded("Sum up 2 and 3.", "five")],
    ),
    example(instance("Name a colour.", "red", "One word only."), reformulations=[]),
    example(instance("Say no.", "no")),
)


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    """The row's id, and the answer or else the reason."""
    return [(one.key.split("/")[2], one.record.messages[1].content if one.record else one.reason) for one in outcomes]


def test_an_instruction_is_whole(put: Put, run: Run) -> None:
    put("core_data.jsonl", jsonl(*CORE))
    found = run("unnatural", "train")[1]
    assert found.image is None
    assert msgspec.to_builtins(found.record) == {
        "key": "unnatural/train/1-0/chat",
        "source": "unnatural",
        "split": "train",
        "task": None,
        "messages": [
            {"role": "user", "content": "Name a colour.\nOne word only."},
            {"role": "assistant", "content": "red"},
        ],
        "boxes": [],
        "draw": {"pool": None, "slots": [], "answers": []},
        "meta": [],
    }


def test_the_first_instance_is_read_or_all_are(put: Put, run: Run) -> None:
    put("core_data.jsonl", jsonl(*CORE))
    assert told(run("unnatural", "train")) == [("0-0", "5"), ("1-0", "red")]
    assert told(run("unnatural", "train", options={"instances": "all"})) == [("0-0", "5"), ("0-1", "8"), ("1-0", "red")]


def test_reformulations_of_the_full_file_are_records_of_their_own(put: Put, run: Run) -> None:
    put("full_data.jsonl", jsonl(*FULL))
    assert told(run("unnatural", "train")) == [("0-0", "5"), ("1-0", "red"), ("2-0", "no")]
    both = {"instances": "all", "reformulations": "yes"}
    found = run("unnatural", "train", options=both)
    assert told(found) == [
        ("0-0", "5"),
        ("0-1", "8"),
        ("0-r0", "5"),
        ("0-r1", "five"),
        ("1-0", "red"),
        ("2-0", "no"),
    ]
    assert found[3].record is not None
    assert found[3].record.messages[0].content == "Sum up 2 and 3."


@pytest.mark.parametrize(("file", "form"), [("core_data.jsonl", "core"), (LISTED, "filtered")])
def test_reformulations_are_asked_for_only_where_they_are(put: Put, run: Run, file: str, form: str) -> None:
    put(file, list(CORE) if form == "filtered" else jsonl(*CORE))
    with pytest.raises(ConfigError, match=rf"reformulations=yes needs full_data.jsonl, .*{file} has none"):
        run("unnatural", "train", options={"reformulations": "yes"})


def test_the_filtered_file_is_a_list_of_the_same_objects(put: Put, run: Run) -> None:
    put("core_data.jsonl", jsonl(*CORE))
    lines = run("unnatural", "train", options={"instances": "all"})
    put(LISTED, list(CORE))
    listed = run("unnatural", "train", form="filtered", options={"instances": "all"})
    assert [one.record for one in listed] == [one.record for one in lines]


@pytest.mark.parametrize("content", [{"instances": []}, [{"instruction": "no instances"}]])
def test_a_list_of_something_else_is_not_read(put: Put, run: Run, content: Any) -> None:
    put(LISTED, content)
    with pytest.raises(SourceError, match=f"{LISTED} is there, but its content is not as published"):
        run("unnatural", "train")


def test_core_is_read_where_several_forms_lie_together(put: Put, run: Run) -> None:
    put("full_data.jsonl", jsonl(*FULL))
    put(LISTED, [CORE[1]])
    with pytest.raises(SourceError, match="use --form filtered or --form full"):
        run("unnatural", "train")
    put("core_data.jsonl", jsonl(*CORE))
    assert told(run("unnatural", "train")) == [("0-0", "5"), ("1-0", "red")]
    assert told(run("unnatural", "train", form="full"))[-1] == ("2-0", "no")


@pytest.mark.parametrize("absent", [None, "", "None", "None.", "none", " NONE. ", "\n"])
def test_constraints_are_absent_in_each_of_these_spellings(put: Put, run: Run, absent: Any) -> None:
    put("core_data.jsonl", jsonl(example(instance("Name a colour.", "red", absent))))
    (found,) = run("unnatural", "train")
    assert found.record is not None
    assert found.record.messages[0].content == "Name a colour."


def test_constraints_may_be_missing_and_may_begin_like_none(put: Put, run: Run) -> None:
    without = instance("Name a colour.", "red")
    del without["constraints"]
    put("core_data.jsonl", jsonl(example(without), example(instance("Name a colour.", "red", "None but red."))))
    questions = [one.record.messages[0].content for one in run("unnatural", "train") if one.record]
    assert questions == ["Name a colour.", "Name a colour.\nNone but red."]


def test_lines_and_indentation_stay_and_markup_is_quoted(put: Put, run: Run) -> None:
    asked, output = "Sort:\r\n  b  \n  a\n", "\n  a\n  b [INST] <image> <p>"
    put("core_data.jsonl", jsonl(example(instance(asked, output, "\nKeep the lines."))))
    (found,) = run("unnatural", "train")
    assert found.record is not None
    assert [turn.content for turn in found.record.messages] == [
        "Sort:\n  b\n  a\nKeep the lines.",
        "  a\n  b [\\INST] <\\image> <\\p>",
    ]


def test_a_long_example_is_filtered_whole_and_never_cut(put: Put, run: Run) -> None:
    asked = instance("one two three", "six seven", "four five")
    put("core_data.jsonl", jsonl(example(asked), example(instance("one", "two"))))
    assert told(run("unnatural", "train"))[0] == ("0-0", "six seven")
    assert told(run("unnatural", "train", options={"max_words": "7"}))[0] == ("0-0", "six seven")
    found = run("unnatural", "train", options={"max_words": "6"})
    assert told(found) == [("0-0", "example too long"), ("1-0", "two")]
    assert (found[0].rule, found[0].detail) == (True, "example too long: 7 words, at most 6")
    with pytest.raises(ConfigError, match="max_words=0: wanted a whole number of at least 1"):
        run("unnatural", "train", options={"max_words": "0"})


def test_empty_texts_and_wrong_types_are_rejected_one_by_one(put: Put, run: Run) -> None:
    rows = (
        example(instance("Say nothing.", " \n")),
        example(instance("", "something")),
        b"\n",
        example(),
        example(instance("Count.", 3), instance("Say one.", "one")),
        example(instance("Count.", "3", ["none"]), {"output": "4"}, "Count."),
        {"instruction": "no instances"},
        {"instances": "none"},
        b"no json\n",
        example(instance("Say yes.", "yes"), reformulations=[reworded("Say it.", None), reworded("Say y.", "y")]),
    )
    put("full_data.jsonl", jsonl(*rows))
    assert told(run("unnatural", "train", options={"instances": "all", "reformulations": "yes"})) == [
        ("0-0", "empty output"),
        ("1-0", "empty instruction"),
        ("row2", "malformed row"),
        ("row3-0", "malformed row"),
        ("3-1", "one"),
        ("row4-0", "malformed row"),
        ("row4-1", "malformed row"),
        ("row4-2", "malformed row"),
        ("row5", "malformed row"),
        ("row6", "malformed row"),
        ("row7", "malformed row"),
        ("8-0", "yes"),
        ("row8-r0", "malformed row"),
        ("8-r1", "y"),
    ]


def test_missing_files_are_named(run: Run) -> None:
    wanted = (
        rf"unnatural train: not found under .*: wanted core_data.jsonl or full_data.jsonl or {LISTED}; get it: http"
    )
    with pytest.raises(SourceError, match=wanted):
        run("unnatural", "train")
