"""VSR and Hateful Memes: labels, picture names and forms."""

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


def jsonl(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def statement(caption: Any, label: Any, image: Any = "000000000042.jpg", **more: Any) -> dict[str, Any]:
    votes = {"annotator_id": 4, "vote_true_validator_id": "[19, 2]", "vote_false_validator_id": "[]"}
    return {"image": image, "caption": caption, "label": label, "relation": "on", **votes, **more}


def meme(number: int, text: Any = "a bowl of soup", **more: Any) -> dict[str, Any]:
    return {"id": number, "img": f"img/{number:05d}.png", "text": text, **more}


def told(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    """The row's id, the picture, and the answer or else the reason."""
    return [
        (
            one.key.split("/")[2],
            one.image.id if one.image else "",
            one.record.messages[1].content if one.record else one.reason,
        )
        for one in outcomes
    ]


def test_a_statement_is_whole(put: Put, run: Run) -> None:
    put("zeroshot/dev.jsonl", jsonl(statement(" The cup is on the\ntable. ", 1, subj="cup", obj="table")))
    (found,) = run("vsr", "dev")
    question = "[vqa] Based on the image, is this statement true or false? The cup is on the table."
    assert msgspec.to_builtins(found.record) == {
        "key": "vsr/dev/0/vqa",
        "source": "vsr",
        "split": "dev",
        "task": "vqa",
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "true"}],
        "boxes": [],
        "draw": {
            "pool": "vsr_eval",
            "slots": [{"name": "statement", "value": "The cup is on the table."}],
            "answers": [{"text": "true", "count": 1}],
        },
        "meta": [{"name": "relation", "value": "on"}, {"name": "label", "value": "1"}],
    }
    assert found.image is not None
    assert found.image.id == "coco/42"


def test_every_statement_gives_a_record_or_a_reject(put: Put, run: Run) -> None:
    rows = (
        statement("It is.", 1, reference_frame=1.0),
        statement("It is not.", 0, reference_frame=None),
        b"\n",
        statement("It may be.", 2),
        statement("It may be.", -1),
        statement("It is.", "1"),
        statement("It is.", None),
        statement(" ", 1),
        statement("It is.", 1, image="cup.jpg"),
        statement(3, 1),
        {"image": "000000000042.jpg", "caption": "No label", "relation": "on"},
        b"[]\n",
    )
    put("random/train.jsonl", jsonl(*rows))
    assert told(run("vsr", "train")) == [
        ("0", "coco/42", "true"),
        ("1", "coco/42", "false"),
        ("2", "coco/42", "no such label"),
        ("3", "coco/42", "no such label"),
        *((f"row{place}", "", "malformed row") for place in (4, 5)),
        ("6", "coco/42", "empty statement"),
        *((f"row{place}", "", "malformed row") for place in (7, 8, 9, 10)),
    ]
    assert "no COCO file name: 'cup.jpg'" in run("vsr", "train")[7].detail


def test_the_zero_shot_splits_are_read_where_both_lie_and_the_repositorys_folders_are_known(put: Put, run: Run) -> None:
    put("random/test.jsonl", jsonl(statement("By chance.", 0)))
    assert told(run("vsr", "test")) == [("0", "coco/42", "false")]
    put("zeroshot/test.jsonl", jsonl(statement("Never seen.", 1)))
    assert told(run("vsr", "test")) == [("0", "coco/42", "true")]
    assert told(run("vsr", "test", form="random")) == [("0", "coco/42", "false")]
    below = put("repository/data/splits/random/dev.jsonl", jsonl(statement("By chance.", 0))).parents[3]
    assert told(run("vsr", "dev", root=below)) == [("0", "coco/42", "false")]


def test_vsrs_missing_files_are_named(run: Run) -> None:
    with pytest.raises(SourceError, match=r"vsr dev: .* wanted zeroshot/dev\.jsonl or random/dev\.jsonl; get it: http"):
        run("vsr", "dev")


def test_a_meme_is_whole_and_its_picture_is_found_by_its_name(put: Put, run: Run) -> None:
    put("dev.jsonl", jsonl(meme(2345, "a  bowl\nof soup", label=0)))
    (found,) = run("hateful_memes", "dev")
    question = "[vqa] This is an image with: a bowl of soup written on it. Is it hateful? Answer:"
    assert msgspec.to_builtins(found.record) == {
        "key": "hateful_memes/dev/2345/vqa",
        "source": "hateful_memes",
        "split": "dev",
        "task": "vqa",
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "no"}],
        "boxes": [],
        "draw": {
            "pool": "hateful_memes_eval",
            "slots": [{"name": "text", "value": "a bowl of soup"}],
            "answers": [{"text": "no", "count": 1}],
        },
        "meta": [{"name": "label", "value": "0"}],
    }
    assert found.image is not None
    assert found.image.id == "hateful_memes/2345"


def test_every_meme_gives_a_record_or_a_reject(put: Put, run: Run) -> None:
    rows = (
        meme(1, label=1),
        meme(2),
        meme(3, label=None),
        meme(4, label=7),
        meme(5, label="1"),
        meme(6, "", label=0),
        meme(7, None, label=0),
        meme(8, label=0, id="00008"),
        meme(9, label=0, img="img/soup.png"),
        meme(9, label=0, img="img/\u0663.png"),
        meme(0, label=0),
        meme(1, label=1),
        meme(10, "[vqa] </s>", label=0),
    )
    put("test_seen.jsonl", jsonl(*rows))
    assert told(run("hateful_memes", "test_seen")) == [
        ("1", "hateful_memes/1", "yes"),
        ("2", "hateful_memes/2", "no label"),
        ("3", "hateful_memes/3", "no label"),
        ("4", "hateful_memes/4", "no such label"),
        ("row4", "", "malformed row"),
        ("6", "hateful_memes/6", "empty text"),
        ("row6", "", "malformed row"),
        ("8", "hateful_memes/8", "no"),
        ("row8", "", "malformed row"),
        ("row9", "", "malformed row"),
        ("0", "hateful_memes/0", "no"),
        ("1", "hateful_memes/1", "duplicate key"),
        ("10", "hateful_memes/10", "no"),
    ]


@pytest.mark.parametrize("split", ["train", "dev", "dev_seen", "dev_unseen", "test_seen", "test_unseen"])
def test_memes_of_both_phases_have_splits_of_their_own(put: Put, run: Run, split: str) -> None:
    with pytest.raises(SourceError, match=rf"wanted {split}\.jsonl; get it: https://"):
        run("hateful_memes", split)
    put(f"{split}.jsonl", jsonl(meme(5, label=1)))
    assert told(run("hateful_memes", split)) == [("5", "hateful_memes/5", "yes")]


def test_the_first_phases_test_has_no_answers(put: Put, run: Run) -> None:
    put("test.jsonl", jsonl(meme(5)))
    with pytest.raises(ConfigError, match="the answers of test were never published"):
        run("hateful_memes", "test")
