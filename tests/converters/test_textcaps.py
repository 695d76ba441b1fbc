"""TextCaps' captions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.convert import Outcome
from schemas.errors import ConfigError, SourceError

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]
Json = dict[str, Any]

PICTURE = "00aa11bb22cc33dd"
SAID = ["A sign says stop.", " A red\nsign ", "A sign says stop."]


def entry(number: int, caption: Any, **more: Any) -> Json:
    return {
        "image_id": PICTURE,
        "image_classes": ["Stop sign"],
        "flickr_original_url": None,
        "image_width": 1024,
        "image_height": 702,
        "set_name": "train",
        "image_name": PICTURE,
        "image_path": f"train/{PICTURE}.jpg",
        "caption_id": 100_000_000 + number,
        "caption_str": caption,
        "caption_tokens": ["<s>", "a", "sign", "</s>"],
        "reference_strs": SAID,
        "reference_tokens": [["<s>", "a", "sign", "</s>"]],
        **more,
    }


def file(*entries: Any) -> Json:
    return {"dataset_type": "train", "dataset_name": "textcaps", "dataset_version": 0.1, "data": list(entries)}


def told(found: list[Outcome]) -> list[tuple[str, str]]:
    """Key, and the caption or else the reason."""
    return [
        (one.key.removeprefix("textcaps/"), one.record.messages[1].content if one.record else one.reason)
        for one in found
    ]


def test_a_caption_record_is_whole(put: Put, run: Run) -> None:
    put("TextCaps_0.1_train.json", file(entry(7, "A sign says stop.")))
    (found,) = run("textcaps", "train")
    assert msgspec.to_builtins(found.record) == {
        "key": "textcaps/train/100000007/caption",
        "source": "textcaps",
        "split": "train",
        "task": "caption",
        "messages": [
            {"role": "user", "content": "[caption] sum up the scene in a few words"},
            {"role": "assistant", "content": "A sign says stop."},
        ],
        "boxes": [],
        "draw": {"pool": "caption", "slots": [], "answers": []},
        "meta": [],
    }
    assert found.image is not None
    assert (found.image.id, found.image.width, found.image.height) == (f"openimages/{PICTURE}", 1024, 702)


def test_each_entry_is_one_caption_though_it_repeats_those_of_its_picture(put: Put, run: Run) -> None:
    put("TextCaps_0.1_train.json", file(*[entry(number, text) for number, text in enumerate(SAID)]))
    assert told(run("textcaps", "train")) == [
        ("train/100000000/caption", "A sign says stop."),
        ("train/100000001/caption", "A red sign"),
        ("train/100000002/caption", "A sign says stop."),
    ]


def test_the_order_of_the_keys_does_not_matter(put: Put, run: Run) -> None:
    whole = file(entry(0, SAID[0]), entry(1, SAID[1]))
    put("TextCaps_0.1_val.json", whole)
    found = told(run("textcaps", "val"))
    assert len(found) == 2
    backwards = [dict(reversed(one.items())) for one in whole["data"]]
    put("TextCaps_0.1_val.json", {"data": backwards, "dataset_type": "val"})
    assert told(run("textcaps", "val")) == found


def test_an_entry_without_a_caption_is_rejected(put: Put, run: Run) -> None:
    without = {key: value for key, value in entry(1, "").items() if key != "caption_str"}
    put("TextCaps_0.1_train.json", file(entry(0, " \n"), without, entry(2, None), entry(3, "Stop")))
    assert told(run("textcaps", "train")) == [
        ("train/100000000/caption", "empty caption"),
        ("train/100000001/caption", "no caption"),
        ("train/100000002/caption", "no caption"),
        ("train/100000003/caption", "Stop"),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        {"caption_str": 5},
        {"caption_id": "100000000"},
        {"caption_id": None},
        {"image_id": None},
        {"image_id": "../00aa11bb22cc3"},
        {"image_id": PICTURE + "\n"},
        {"image_id": PICTURE.upper()},
        {"image_width": "1024"},
    ],
)
def test_a_malformed_entry_is_rejected_alone(put: Put, run: Run, damage: Json) -> None:
    put("TextCaps_0.1_train.json", file(entry(1, "One"), {**entry(2, "Two"), **damage}, entry(3, "Three")))
    assert told(run("textcaps", "train")) == [
        ("train/100000001/caption", "One"),
        ("train/row1/caption", "malformed row"),
        ("train/100000003/caption", "Three"),
    ]


@pytest.mark.parametrize("size", [{"image_width": 0}, {"image_height": -1}])
def test_a_size_that_is_none_is_not_stated(put: Put, run: Run, size: Json) -> None:
    put("TextCaps_0.1_train.json", file({**entry(1, "One"), **size}))
    (found,) = run("textcaps", "train")
    assert found.image is not None
    assert (found.image.width, found.image.height) == (None, None)


def test_a_caption_id_said_twice_is_one_record(put: Put, run: Run) -> None:
    put("TextCaps_0.1_train.json", file(entry(1, "One"), entry(1, "Two")))
    found = told(run("textcaps", "train"))
    assert found == [("train/100000001/caption", "One"), ("train/100000001/caption", "duplicate key")]


def test_test_has_no_captions(put: Put, run: Run) -> None:
    put("TextCaps_0.1_test.json", file({key: value for key, value in entry(1, "").items() if key != "caption_str"}))
    with pytest.raises(ConfigError, match="textcaps: the answers of test were never published"):
        run("textcaps", "test")


def test_textvqas_file_under_that_name_is_not_read(put: Put, run: Run) -> None:
    put("TextCaps_0.1_train.json", {"data": [{"question": "what?", "image_id": PICTURE, "question_id": 1}]})
    with pytest.raises(SourceError, match=r"textcaps train: not found .*wanted TextCaps_0\.1_train\.json"):
        run("textcaps", "train")


def test_a_file_cut_off_is_an_error_that_names_it(put: Put, run: Run) -> None:
    path = put("TextCaps_0.1_train.json", file(entry(1, "One")))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"textcaps train: .*TextCaps_0\.1_train\.json"):
        run("textcaps", "train")
