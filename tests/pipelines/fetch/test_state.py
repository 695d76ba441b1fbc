"""A folder of downloads is gone on with only as it was begun, by one run at a time; everything else is left alone."""

import fcntl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.fetch.run import Order, fetch
from pipelines.fetch.state import Fetched, told
from schemas.errors import BoxcarError, ConfigError, ShardError, SourceError

Ask = Callable[..., Fetched]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """``ask(captions, **order)`` goes through a list whose links are none; the last list again without captions."""

    def asked(*captions: str, **words: Any) -> Fetched:
        if captions:
            lines = "".join(f"{caption}\tno link\n" for caption in captions)
            (tmp_path / "Train_GCC-training.tsv").write_text(lines)
        order = replace(Order("cc3m", str(tmp_path), "train", image_size=448), **words)
        return fetch(order, str(tmp_path / "out"))

    return asked


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("captions", "words", "why"),
    [
        ((), {"image_size": None}, "was begun with another image_size: 448, this is none; choose another --out"),
        ((), {"opted_out": True}, "was begun with another opted_out: false, this is true"),
        ((), {"img2dataset": Path("/nowhere")}, "was begun with another asker: boxcar, this is img2dataset"),
        (("a cow",), {}, r"another files: Train_GCC-training\.tsv is not the same"),
    ],
)
def test_a_folder_that_was_begun_otherwise_is_left_alone(
    ask: Ask, tmp_path: Path, captions: tuple[str, ...], words: dict[str, Any], why: str
) -> None:
    ask("a cat")
    before = tree(tmp_path / "out")
    with pytest.raises(ConfigError, match=why):
        ask(*captions, **words)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(("first", "last"), [("x", "y"), ("y", "x")])
def test_a_list_that_changed_at_either_end_is_another_one(ask: Ask, first: str, last: str) -> None:
    ask("x", "long" * 700_000, "x")
    with pytest.raises(ConfigError, match=r"another files: Train_GCC-training\.tsv is not the same"):
        ask(first, "long" * 700_000, last)


def test_a_folder_of_something_else_is_left_alone(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/00000.tar").write_bytes(b"somebody's")
    with pytest.raises(ConfigError, match=r"holds what boxcar fetch did not put there: 00000\.tar; choose another"):
        ask("a cat")
    assert tree(tmp_path / "out") == {"00000.tar": b"somebody's"}


def test_two_at_once_in_one_folder_are_refused(ask: Ask, tmp_path: Path) -> None:
    ask("a cat")
    with (tmp_path / "out/fetch.json").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(ConfigError, match="is being filled by another boxcar fetch"):
            ask()
    ask()


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("fetch.json", ConfigError, r"fetch\.json: not what boxcar fetch writes"),
        ("00000_stats.json", ShardError, r"00000_stats\.json: not the stats of a slice: .*; remove it"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_a_file_that_says_nothing_is_named(
    ask: Ask, tmp_path: Path, name: str, kind: type[BoxcarError], why: str, content: bytes
) -> None:
    ask("a cat")
    (tmp_path / "out" / name).write_bytes(content)
    with pytest.raises(kind, match=why):
        ask()


@pytest.mark.parametrize("also", [(), ("00000.parquet",), ("00000.tar",), ("00000.parquet", "00000.tar")])
def test_a_slice_without_its_stats_is_finished_again(ask: Ask, tmp_path: Path, also: tuple[str, ...]) -> None:
    total = ask("a cat", "a cow").total
    before = tree(tmp_path / "out")
    for name in ("00000_stats.json", *also):
        (tmp_path / "out" / name).unlink()
    told = ask()
    assert (told.total, told.reused) == (total, 0)
    assert tree(tmp_path / "out").keys() == before.keys()
    assert all(tree(tmp_path / "out")[name] == before[name] for name in ("00000.parquet", "00000.tar"))


def test_a_slice_with_its_stats_is_done_wherever_its_pictures_were_taken(ask: Ask, tmp_path: Path) -> None:
    ask("a cat")
    for name in ("00000.parquet", "00000.tar"):
        (tmp_path / "out" / name).unlink()
    assert ask().reused == 1
    assert not (tmp_path / "out/00000.tar").exists()


def test_what_lives_in_one_process_takes_one_worker(ask: Ask, tmp_path: Path) -> None:
    ask("a cat")
    with pytest.raises(ConfigError, match="memory://two lives in one process alone: use 1 worker, found 2"):
        fetch(Order("cc3m", str(tmp_path), "train"), "memory://two", workers=2)


def test_what_is_no_list_of_links_is_no_thing_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="coco_caption is not published as a list of links: nothing to fetch"):
        fetch(Order("coco_caption", str(tmp_path), "train"), str(tmp_path / "out"))
    with pytest.raises(SourceError, match=r"cc12m train: not found under .*wanted cc12m\.tsv"):
        fetch(Order("cc12m", str(tmp_path), "train"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_tells_what_was_fetched_into_it(ask: Ask, tmp_path: Path) -> None:
    ask("a cat")
    assert told(str(tmp_path / "out")) == told(f"{tmp_path}/out/") == ("cc3m", "train")


def test_where_nothing_says_what_was_fetched_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "fetch.json").mkdir()
    (tmp_path / "a.tar").write_bytes(b"")
    assert [told(f"{tmp_path}{name}") for name in ("", "/absent", "/a.tar")] == [None] * 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b"[" * 200_000,
        b'{"x": ' * 200_000,
        b'{"source": "cc3m"}',
        b'{"source": "cc3m", "split": 1}',
        b'{"source": "cc3m", "split": null}',
        b'{"source": "\xff", "split": "train"}',
        b'{"source": "cc3m", "split": ""}',
        b'{"source": "cc3m\\n", "split": "train"}',
        b'{"source": "\\u001b[31m", "split": "train"}',
        b'{"source": "' + b"c" * 65 + b'", "split": "train"}',
        b" " * 2**24 + b'{"source": "cc3m", "split": "train"}',
    ],
    ids=lambda content: content[:40].decode(errors="replace"),
)
def test_what_is_no_word_of_a_fetch_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fetch.json").write_bytes(content)
    assert told(str(tmp_path)) is None


def test_words_that_cannot_be_read_are_named(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    ask("a cat")
    monkeypatch.setattr("pipelines.fetch.state.fsspec.open", refusing)
    with pytest.raises(SourceError, match=r"cannot read .*/out/fetch\.json: .*Permission denied"):
        told(str(tmp_path / "out"))
