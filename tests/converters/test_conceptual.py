"""CC3M and CC12M: TSVs whose columns are the other way round, and what was downloaded of them."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converters._web import web_id
from pipelines.convert import Outcome, job
from schemas.errors import SourceError
from schemas.ledger import Part
from schemas.record import Draw, ImageRef, Message, Record

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

A, B = "http://a.example/1.jpg", "https://b.example/2.png"


def pair_id(url: str, caption: str | None) -> str:
    """The id of a row: 128 bits of its link without scheme and its caption."""
    both = json.dumps([url.partition("://")[2], caption], ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(both.encode(), digest_size=16).hexdigest()


def record(source: str, split: str, url: str, caption: str, question: str, reply: str | None = None) -> Record:
    return Record(
        key=f"{source}/{split}/{pair_id(url, caption)}/caption",
        source=source,
        split=split,
        task="caption",
        messages=[Message("user", question), Message("assistant", reply or caption)],
        boxes=[],
        draw=Draw("caption", [], []),
        meta=[],
    )


def ends(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(one.reason or "written" for one in outcomes)


def replies(outcomes: list[Outcome]) -> list[str]:
    return [one.record.messages[1].content for one in outcomes if one.record]


def test_a_line_of_cc3m_gives_one_caption_record_of_a_picture_known_by_its_link(put: Put, run: Run) -> None:
    put("Train_GCC-training.tsv", f"a dog runs on a beach .\t{A}\n".encode())
    (one,) = run("cc3m", "train")
    assert one.record == record("cc3m", "train", A, "a dog runs on a beach .", one.record.messages[0].content)  # type: ignore[union-attr]
    assert one.record.messages[0].content.startswith("[caption] ")  # type: ignore[union-attr]
    assert one.image == ImageRef(web_id(A), [], None, None, None, None, [])
    assert one.part == Part("cc3m", "train", "caption")


def test_cc12m_has_its_columns_the_other_way_round(put: Put, run: Run) -> None:
    put("cc12m.tsv", f"{A}\tA dog on a beach\n{B}\tone\ttwo\n".encode())
    assert replies(run("cc12m", "train")) == ["A dog on a beach", "one two"]


@pytest.mark.parametrize(
    ("caption", "reply"),
    [
        ('a "dog', 'a "dog'),
        ("Photo by <PERSON>", "Photo by <PERSON>"),
        ("caf\u00e9 \U0001f436 &amp; co", "caf\u00e9 \U0001f436 &amp; co"),
        (" a\u00a0dog  runs\r", "a dog runs"),
        ("see [refer] and <p>this</p>", "see [\\refer] and <\\p>this<\\/p>"),
    ],
)
def test_letters_of_a_caption_stay_blanks_are_tidied_and_markup_is_quoted(
    put: Put, run: Run, caption: str, reply: str
) -> None:
    put("cc12m.tsv", f"{A}\t{caption}\n".encode())
    assert replies(run("cc12m", "train")) == [reply]


def test_what_is_wrong_with_a_line_is_that_lines_reject(put: Put, run: Run) -> None:
    lines = [f"{A}\tone", "no tab", "not a link\ttwo", f"{B}\t", f"{B}\t \r", "", "ftp://a.example/1\tthree"]
    put("cc12m.tsv", "\n".join(lines).encode() + b"\nhttp://c.example/1\t\xff\n")
    outcomes = run("cc12m", "train")
    assert ends(outcomes) == {"written": 1, "malformed row": 5, "empty caption": 2}
    assert "malformed row: bad link: 'not a link' is not http or https" in [one.detail for one in outcomes]


def test_val_is_for_evaluation_and_mirrors_have_shorter_names(put: Put, run: Run, tmp_path: Path) -> None:
    put("a/Validation_GCC-1.1.0-Validation.tsv", f"one\t{A}\n".encode())
    put("b/GCC-training.tsv", f"two\t{A}\n".encode())
    put("b/GCC-1.1.0-Validation.tsv", f"three\t{A}\n".encode())
    (one,) = run("cc3m", "val", tmp_path / "a")
    assert (one.key, replies([one])) == (f"cc3m/val/{pair_id(A, 'one')}/caption", ["one"])
    assert replies(run("cc3m", "train", tmp_path / "b")) == ["two"]
    assert replies(run("cc3m", "val", tmp_path / "b")) == ["three"]


def test_official_counts_stand_in_the_table() -> None:
    from converters import find

    assert {name: dict(find(name).forms[0].counts) for name in ("cc3m", "cc12m")} == {
        "cc3m": {"train": 3_318_333, "val": 15_840},
        "cc12m": {"train": 12_423_374},
    }
    assert dict(find("cc3m").splits) == {"train": "train", "val": "eval"}


def loaded(**more: Any) -> dict[str, Any]:
    size = {"width": 40, "height": 30, "original_width": 80, "original_height": 60}
    return {"url": A, "caption": "one", "key": "000000000", "status": "success", "error_message": None, **size, **more}


def test_a_download_gives_the_same_record_as_the_list_and_knows_the_size(put: Put, run: Run, tmp_path: Path) -> None:
    put("cc12m.tsv", f"{A}\tone\n{B}\ttwo\n".encode())
    gone = loaded(
        url=B, caption="two", key="000000001", status="failed_to_download", error_message="HTTP Error 410: Gone"
    )
    (tmp_path / "images").mkdir()
    pq.write_table(pa.Table.from_pylist([loaded(), {**gone, "width": None}]), tmp_path / "images" / "00000.parquet")
    put("images/00000.tar", bytes(1024))
    put("images/00000_stats.json", {"count": 2})
    put("images/00001.tar", b"cut")
    listed, downloaded = run("cc12m", "train"), run("cc12m", "train", tmp_path / "images")
    assert listed[0].record == downloaded[0].record
    assert [one.key for one in listed] == [one.key for one in downloaded]
    assert downloaded[0].image == ImageRef(web_id(A), [], 40, 30, None, None, [])
    assert (downloaded[1].reason, downloaded[1].rule) == ("failed to download", True)
    assert downloaded[1].detail == "failed to download: HTTP Error 410: Gone"
    assert job("cc12m", str(tmp_path / "images"), "train").found.unfinished == (f"{tmp_path}/images/00001.tar",)


@pytest.mark.parametrize("more", [{"url": None}, {"url": ""}, {"url": "nowhere"}])
def test_a_failed_download_without_a_good_link_is_left_out_by_rule(
    run: Run, tmp_path: Path, more: dict[str, Any]
) -> None:
    gone = [loaded(status="failed_to_download", error_message="bad link", key=str(key), **more) for key in range(2)]
    pq.write_table(
        pa.Table.from_pylist([*gone, loaded(key="2"), loaded(key="3", status="x", **more)]), tmp_path / "0.parquet"
    )
    (tmp_path / "0.tar").write_bytes(bytes(1024))
    (tmp_path / "0_stats.json").write_text("{}")
    outcomes = run("cc12m", "train")
    assert ends(outcomes) == {"failed to download": 2, "written": 1, "unknown status": 1}
    assert [one.rule for one in outcomes] == [True, True, False, False]
    assert len({one.key for one in outcomes}) == 4


def test_of_list_and_download_in_one_folder_the_pictures_win_and_the_list_can_be_asked_for(
    put: Put, tmp_path: Path
) -> None:
    put("cc12m.tsv", f"{A}\tone\n".encode())
    put("00000.tar", bytes(1024))
    put("00000_stats.json", {})
    assert job("cc12m", str(tmp_path), "train").found.form.name == "img2dataset"
    assert job("cc12m", str(tmp_path), "train", "links").found.form.name == "links"


def test_a_folder_without_any_of_it_names_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cc12m train: not found under .*: wanted cc12m\.tsv or #\.tar or #/"):
        job("cc12m", str(tmp_path), "train")


def test_two_captions_of_a_link_are_two_rows_and_null_is_one_of_its_own(put: Put, run: Run) -> None:
    put("sbu.json", [{"url": A, "caption": text} for text in ("one", "two", "one", None)])
    outcomes = run("sbu", "train")
    assert len({one.key for one in outcomes}) == 3
    assert ends(outcomes) == {"written": 3, "caption missing": 1}
