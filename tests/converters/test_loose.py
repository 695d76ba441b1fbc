"""Web pictures as loose files: MiniGPT-4's aligned captions, LLaVA's pretraining, CC3M as LAVIS names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from converters import collection
from converters._web import web_id
from pipelines.convert import Outcome
from pipelines.pictures import locate
from schemas.record import Draw, ImageRef, Message, Record

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]
A, B = "http://a.example/1.jpg", "https://b.example/2.png"


def said(image: str, answer: str, *speakers: str) -> dict[str, Any]:
    values = ["Describe it briefly.\n<image>", answer, "more"]
    turns = zip(speakers or ("human", "gpt"), values, strict=False)
    return {"id": "7", "image": image, "conversations": [{"from": speaker, "value": value} for speaker, value in turns]}


def ref(id: str, *aliases: str) -> ImageRef:
    return ImageRef(id, [*aliases], None, None, None, None, [])


def replies(outcomes: list[Outcome]) -> list[str]:
    return [one.record.messages[-1].content for one in outcomes if one.record]


def found(name: str, root: Path) -> set[str]:
    return set(locate(collection(name), [str(root)]))


@pytest.mark.parametrize("folder", ["", "cc_sbu_align/"])
def test_an_aligned_caption_answers_who_asks_for_detail(put: Put, run: Run, folder: str) -> None:
    put(f"{folder}filter_cap.json", {"annotations": [{"image_id": "2", "caption": " A dog.\r\n\r\nIt runs. "}]})
    (one,) = run("cc_sbu_align", "train")
    asked = [Message("user", "Describe this image in detail."), Message("assistant", "A dog.\n\nIt runs.")]
    assert one.record == Record(
        "cc_sbu_align/train/2/chat", "cc_sbu_align", "train", None, asked, [], Draw(None, [], []), []
    )
    assert one.image == ref("cc_sbu_align/2")


def test_what_is_wrong_with_an_aligned_caption_is_its_reject(put: Put, run: Run) -> None:
    rows = [("2", "one"), (3, "two"), ("../4", "x"), ("", "x"), (5, ""), (None, "x"), (6, None), ("2", "again")]
    put("filter_cap.json", {"annotations": [{"image_id": id, "caption": text} for id, text in rows]})
    outcomes = run("cc_sbu_align", "train")
    assert [one.reason for one in outcomes] == [
        "", "", "malformed row", "malformed row", "empty caption", "malformed row", "malformed row", "duplicate key",
    ]  # fmt: skip
    assert replies(outcomes) == ["one", "two"]


def test_aligned_pictures_are_found_by_the_same_id(put: Put, tmp_path: Path) -> None:
    put("image/2.jpg", b"x")
    put("image/3.png", b"x")
    assert found("cc_sbu_align", tmp_path) == {"cc_sbu_align/2"}


@pytest.mark.parametrize(
    ("source", "file", "image", "picture"),
    [
        ("llava_pretrain", "blip_laion_cc_sbu_558k.json", "00453/004539375.jpg", "images/00453/004539375.jpg"),
        ("llava_pretrain", "blip_laion_cc_sbu_558k.json", "00453/004539375.jpg", "00453/004539375.jpg"),
        ("llava_cc3m", "chat.json", "GCC_train_004539375.jpg", "images/GCC_train_004539375.jpg"),
        ("llava_cc3m", "chat.json", "GCC_train_004539375.jpg", "GCC_train_004539375.jpg"),
    ],
)
def test_llavas_pretraining_gives_captions_asked_by_our_own_templates(
    put: Put, run: Run, tmp_path: Path, source: str, file: str, image: str, picture: str
) -> None:
    put(file, [said(image, "a dog on a\nbeach")])
    put(picture, b"x")
    (one,) = run(source, "train")
    assert one.record is not None
    assert (one.record.task, one.record.key) == ("caption", f"{source}/train/004539375/caption")
    assert one.record.messages[0].content.startswith("[caption] ")
    assert "Describe it briefly" not in one.record.messages[0].content
    assert replies([one]) == ["a dog on a beach"]
    assert one.image == ref(f"{source}/004539375")
    assert found(source, tmp_path) == {f"{source}/004539375"}


def test_entries_that_are_no_question_and_caption_are_rejects(put: Put, run: Run) -> None:
    entries = [
        said("00000/1.jpg", "one"),
        said("00000/2.jpg", "x", "gpt", "human"),
        said("00000/3.jpg", "x", "human", "gpt", "human"),
        said("00000/4.jpg", "x", "human", "cat"),
        said("../../5.jpg", "x"),
        said("6.jpg", "x"),
        {"image": "00000/7.jpg"},
        said("00000/8.jpg", " "),
    ]
    put("blip_laion_cc_sbu_558k.json", entries)
    outcomes = run("llava_pretrain", "train")
    assert [one.reason for one in outcomes] == ["", *["malformed row"] * 6, "empty caption"]


def test_laviss_pictures_are_named_after_the_line_and_the_checksum_of_its_link(
    put: Put, run: Run, tmp_path: Path
) -> None:
    put("Train_GCC-training.tsv", f"a dog\t{A}\nno tab\na cat\t{B}\n\tx\n".encode())
    names = [f"0_{crc32(A.encode())}", f"2_{crc32(B.encode())}"]
    for name in names:
        put(f"training/{name}.jpg", b"x")
    put("training/2_abc.jpg", b"x")
    outcomes = run("cc3m_lavis", "train")
    assert [one.reason for one in outcomes] == ["", "malformed row", "", "malformed row"]
    assert [one.image for one in outcomes if one.record] == [
        ref(f"cc3m_lavis/{names[0]}", web_id(A)),
        ref(f"cc3m_lavis/{names[1]}", web_id(B)),
    ]
    assert replies(outcomes) == ["a dog", "a cat"]
    assert outcomes[0].key == f"cc3m_lavis/train/{names[0]}/caption"
    assert found("cc3m_lavis", tmp_path) == {f"cc3m_lavis/{name}" for name in names}


def test_laviss_validation_lies_in_a_folder_of_its_own(put: Put, run: Run, tmp_path: Path) -> None:
    put("Validation_GCC-1.1.0-Validation.tsv", f"a dog\t{A}\n".encode())
    put(f"validation/0_{crc32(A.encode())}.jpg", b"x")
    (one,) = run("cc3m_lavis", "val")
    assert one.image is not None
    assert {one.image.id} == found("cc3m_lavis", tmp_path)
