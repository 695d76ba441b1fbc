"""JSON arrays of any size, item by item: what comes is what decoding the whole would have given."""

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters import _split
from converters._split import array_items
from schemas.errors import SourceError

LETTERS = ['"', "\\", "{", "}", "[", "]", ",", ":", "a", " ", "\u00e9", "\n", "\x00", "\U0001f600", "/"]
BLANKS = ["", " ", "\n", "\t\r\n  "]


def text(dice: random.Random) -> str:
    return "".join(dice.choices(LETTERS, k=dice.randrange(9)))


def value(dice: random.Random, depth: int) -> Any:
    kind = dice.randrange(6 if depth else 4)
    if kind == 4:
        return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
    if kind == 5:
        return {text(dice): value(dice, depth - 1) for _ in range(dice.randrange(4))}
    return [text(dice), dice.random(), dice.choice([None, True, False]), text(dice)][kind]


def found(path: Path, data: bytes) -> list[bytes]:
    path.write_bytes(data)
    return list(array_items(str(path)))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 2**22])
def test_items_are_those_of_the_whole_wherever_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(_split, "_CHUNK", chunk)
    for seed in range(60):
        dice = random.Random(seed)
        values = [value(dice, 3) for _ in range(dice.randrange(7))]
        separators = (dice.choice(BLANKS) + ",", ":" + dice.choice(BLANKS))
        data = json.dumps(values, ensure_ascii=dice.random() < 0.5, separators=separators).encode()
        data = dice.choice(BLANKS).encode() + data + dice.choice(BLANKS).encode()
        wanted = [bytes(item) for item in msgspec.json.decode(data, type=list[msgspec.Raw])]
        assert [item.strip() for item in found(tmp_path / "a.json", data)] == wanted, data


@pytest.mark.parametrize("data", [b"[]", b" [ \n ] ", b"\n[\n]\n"])
def test_an_empty_array_has_no_items(tmp_path: Path, data: bytes) -> None:
    assert found(tmp_path / "a.json", data) == []


def test_what_is_no_item_comes_as_one_so_that_it_is_counted(tmp_path: Path) -> None:
    assert found(tmp_path / "a.json", b'[{"a": 1},,nonsense, {"b" 2}, ]') == [
        b'{"a": 1}', b"", b"nonsense", b' {"b" 2}', b" ",
    ]  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 5, 2**22])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with b'': wanted a JSON array"),
        (b'{"a": []}', "wanted a JSON array"),
        (b"<html>", "wanted a JSON array"),
        (b'[{"a": 1}, {"a": 2}', "cut short: it ends within the array, after 1 items"),
        (b'[{"a": "1]', "cut short"),
        (b"[1, 2] 3", "goes on after the array's end with b'3'"),
        (b"[1, 2]]", "goes on after the array's end"),
    ],
)
def test_a_file_that_is_no_whole_array_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str, chunk: int
) -> None:
    monkeypatch.setattr(_split, "_CHUNK", chunk)
    with pytest.raises(SourceError, match=said):
        found(tmp_path / "a.json", data)


def test_an_item_without_end_is_refused_before_it_fills_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_split, "_CHUNK", 2**10)
    monkeypatch.setattr(_split, "_MOST_ITEM", 2**12)
    with pytest.raises(SourceError, match=r"item 1 has more than 4,096 bytes"):
        found(tmp_path / "a.json", b'["a", "' + b"x" * 2**14 + b'"]')


def test_memory_is_bounded_by_a_chunk_and_not_by_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_split, "_CHUNK", 2**16)
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b",".join([b'{"url": "http://a.example/1.jpg", "caption": "a dog"}'] * 60_000) + b"]")
    tracemalloc.start()
    count = sum(1 for _ in array_items(str(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 2**20 < path.stat().st_size // 3
