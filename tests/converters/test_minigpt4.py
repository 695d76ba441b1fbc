"""The files of MiniGPT-v2's authors: boxes that are tokens in a text, and conversations that hold identifiers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters import find
from pipelines.convert import Outcome, job, outcomes
from schemas.box import CODECS
from schemas.errors import SourceError
from schemas.prompt import Wording
from schemas.record import reworded

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

MAN = "<p>A man</p> {<8><0><62><91>}"
SOFAS = "<p>sofas</p> {<57><49><70><72>}<delim>{<26><48><43><71>}"
NO_TEXT = {
    "{<8><0><62><101>}": "malformed markup",
    "{<8><0><62>}": "malformed markup",
    "{<08><0><62><91>}": "malformed markup",
    "{<8> <0><62><91>}": "malformed markup",
    "{<62><0><8><91>}": "box not inside the picture",
    "{<8><0><8><91>}": "box not inside the picture",
    "{<8><0><62><91>}<delim>": "malformed markup",
}


def told(outcomes: list[Outcome]) -> list[str]:
    """The answer or else the reason."""
    return [one.record.messages[-1].content if one.record else one.reason for one in outcomes]


def test_grounded_captions_are_read_as_they_stand(put: Put, run: Run) -> None:
    entries = [
        {"image_id": "36979", "grounded_caption": f" {MAN} naps  by {SOFAS} ."},
        {"image_id": 36979, "grounded_caption": "A man naps ."},
        {"image_id": "36979.jpg", "grounded_caption": MAN},
        {"image_id": 36979, "grounded_caption": 5},
        {"image_id": 36979, "grounded_caption": "<p>A man</p>{<8><0><62><91>}"},
        {"image_id": 36979, "grounded_caption": f"{MAN} {SOFAS}"},
        {"image_id": 36979, "grounded_caption": f"{MAN}{SOFAS}"},
        {"image_id": 36979, "grounded_caption": "\n"},
        *[{"image_id": 36979, "grounded_caption": f"<p>A man</p> {tokens}"} for tokens in NO_TEXT],
    ]
    put("filtered_flickr/groundedcaption.json", entries)
    assert told(run("minigpt4_flickr_grounded", "train")) == [
        f"{MAN} naps by {SOFAS} .",
        "no boxes",
        "malformed row",
        "malformed row",
        "malformed markup",
        f"{MAN} {SOFAS}",
        "malformed markup",
        "empty answer",
        *NO_TEXT.values(),
    ]


def test_a_record_of_tokens_is_whole(put: Put, run: Run) -> None:
    put("captiontobbox.json", [{"image_id": "0036979", "caption": "A man naps on sofas\n", "output": f"{MAN} {SOFAS}"}])
    (found,) = run("minigpt4_flickr_parsing", "train")
    assert found.image is not None
    assert (found.image.id, found.image.width) == ("flickr30k/0036979", None)
    assert msgspec.to_builtins(found.record) == {
        "key": "minigpt4_flickr_parsing/train/0/detection",
        "source": "minigpt4_flickr_parsing",
        "split": "train",
        "task": "detection",
        "messages": [
            {"role": "user", "content": "[detection] locate everything this sentence names: A man naps on sofas"},
            {"role": "assistant", "content": f"{MAN} {SOFAS}"},
        ],
        "boxes": [[0.08, 0.0, 0.62, 0.91], [0.57, 0.49, 0.7, 0.72], [0.26, 0.48, 0.43, 0.71]],
        "draw": {
            "pool": "detection_caption",
            "slots": [{"name": "caption", "value": "A man naps on sofas"}],
            "answers": [],
        },
        "meta": [{"name": "boxes", "value": "token-precise"}],
    }


def test_a_phrase_is_asked_for_and_answered_with_itself_and_its_boxes(put: Put, run: Run) -> None:
    boxes = SOFAS.removeprefix("<p>sofas</p> ")
    entries = [
        {"image_id": 1, "phrase": " the  sofas", "bbox": f"{boxes}\n"},
        {"image_id": 1, "phrase": "<p>", "bbox": boxes},
        {"image_id": 1, "phrase": "", "bbox": boxes},
        {"image_id": 1, "phrase": "sofas", "bbox": SOFAS},
        {"image_id": 1, "phrase": "sofas", "bbox": "none"},
        {"image_id": 1, "phrase": "sofas", "bbox": f"{boxes} and {boxes}"},
        {"image_id": 1, "phrase": "sofas", "bbox": [57, 49, 70, 72]},
        *[{"image_id": 1, "phrase": "sofas", "bbox": tokens} for tokens in NO_TEXT],
    ]
    put("phrasetobbox.json", entries)
    found = run("minigpt4_flickr_phrase", "train")
    assert told(found) == [
        f"<p>the sofas</p> {boxes}",
        f"<p><\\p></p> {boxes}",
        "empty phrase",
        "not boxes alone",
        "not boxes alone",
        "not boxes alone",
        "malformed row",
        *NO_TEXT.values(),
    ]
    assert found[0].record is not None
    assert (found[0].record.draw.pool, found[0].record.draw.slots[0].value) == ("detection_phrase", "the sofas")


def chat(*said: str, id: object = "000000203564", speakers: tuple[str, ...] = ("human", "gpt")) -> dict[str, Any]:
    turns = [{"from": speakers[place % len(speakers)], "value": text} for place, text in enumerate(said)]
    return {"id": id, "conversations": turns}


def test_a_conversation_keeps_its_identifiers_and_tokens(put: Put, run: Run) -> None:
    said = [
        "<image>\n[refer] the\ncup",
        "{<1><2><3><4>}",
        "[identify] {<10><20><100><100>}",
        "a plate\n* of food",
        "So?",
        ".",
    ]
    put("multitask_conversation/multitask_conversation.json", [chat(*said)])
    (found,) = run("minigpt4_multitask", "train")
    assert found.image is not None
    assert found.image.id == "coco/203564"
    assert msgspec.to_builtins(found.record) == {
        "key": "minigpt4_multitask/train/0/chat",
        "source": "minigpt4_multitask",
        "split": "train",
        "task": None,
        "messages": [
            {"role": "user", "content": "[refer] the cup"},
            {"role": "assistant", "content": "{<1><2><3><4>}"},
            {"role": "user", "content": "[identify] {<10><20><100><100>}"},
            {"role": "assistant", "content": "a plate\n* of food"},
            {"role": "user", "content": "So?"},
            {"role": "assistant", "content": "."},
        ],
        "boxes": [[0.01, 0.02, 0.03, 0.04], [0.1, 0.2, 1.0, 1.0]],
        "draw": {"pool": None, "slots": [], "answers": []},
        "meta": [{"name": "boxes", "value": "token-precise"}],
    }
    assert found.record is not None
    assert reworded(found.record, Wording(seed=3), epoch=2) == found.record


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (chat("<image>\nHello", "Hello."), ""),
        (chat("Hello", "Hello.", id=17), ""),
        (chat("Hello", "Hello.", id="COCO_17"), "malformed row"),
        (chat("Hello", "Hello.", id="1" * 13), "malformed row"),
        (chat("Hello", "Hello.", id=-1), "malformed row"),
        (chat("Hello", "Hello.", id=None), "malformed row"),
        ({"id": "17", "conversations": [{"from": "human"}]}, "malformed row"),
        (chat(), "bad turns"),
        (chat("Hello"), "bad turns"),
        (chat("Hello", "Hello.", "Go on"), "bad turns"),
        (chat("Hello", "Hello.", speakers=("gpt", "human")), "bad turns"),
        (chat("Hello", "Hello.", speakers=("human",)), "bad turns"),
        (chat("Hello", "Hello.", speakers=("human", "system")), "unknown speaker"),
        (chat("<image>\n", "Hello."), "empty turn"),
        (chat("Hello", " \n"), "empty turn"),
        (chat("Hello", "Hello.", "<image> again", "Yes"), "malformed markup"),
        (chat("[refer]cup", "{<1><2><3><4>}"), "malformed markup"),
        (chat("<image>\n[refer]", "{<1><2><3><4>}"), "malformed markup"),
        (chat("[refer] [refer] cup", "{<1><2><3><4>}"), "malformed markup"),
        (chat("Hello", "[refer] cup"), "malformed markup"),
        (chat("Hello [/INST]", "Hello."), "malformed markup"),
        *[(chat("[refer] cup", tokens), reason) for tokens, reason in NO_TEXT.items()],
        *[(chat(f"[identify] {tokens}", "a cup"), reason) for tokens, reason in NO_TEXT.items()],
    ],
)
def test_a_conversation_is_taken_as_it_is_or_rejected(put: Put, run: Run, entry: Any, reason: str) -> None:
    put("multi_task_conversation.json", [chat("Is it there?", "It is."), entry])
    first, second = run("minigpt4_multitask", "train")
    assert first.record is not None
    assert first.record.meta == []
    assert (second.reason, second.record is None) == (reason, bool(reason))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("low", range(100))
def test_every_token_is_given_again_by_every_codec(put: Put, tmp_path: Path, codec: str, low: int) -> None:
    texts = [f"<p>A man</p> {{<{low}><{low}><{high}><{high}>}}" for high in range(low + 1, 101)]
    put("groundedcaption.json", [{"image_id": 1, "grounded_caption": text} for text in texts])
    found = list(outcomes(job("minigpt4_flickr_grounded", str(tmp_path), "train"), Wording(codec=CODECS[codec])))
    assert told(found) == texts


@pytest.mark.parametrize(
    ("source", "name", "wanted"),
    [
        ("minigpt4_flickr_grounded", "groundedcaption.json", r"wanted groundedcaption\.json"),
        ("minigpt4_flickr_parsing", "captiontobbox.json", r"wanted captiontobbox\.json"),
        ("minigpt4_flickr_phrase", "phrasetobbox.json", r"wanted phrasetobbox\.json"),
        ("minigpt4_multitask", "multitask_conversation.json", r"wanted multitask_.*\.json or multi_task_.*\.json"),
    ],
)
def test_missing_and_foreign_files_are_named(put: Put, run: Run, source: str, name: str, wanted: str) -> None:
    with pytest.raises(SourceError, match=wanted):
        run(source, "train")
    put(name, [{"image_id": 1, "caption": "LAVIS has such rows"}])
    with pytest.raises(SourceError, match=rf"{wanted}.*; .*{name}"):
        run(source, "train")
    assert find(source).splits == {"train": "train"}
