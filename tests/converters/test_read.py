"""Safe readers: JSON and paths. Pickles: test_read_pickle."""

from pathlib import Path

import fsspec
import msgspec
import pytest

from converters._read import Broken, decode, exists, items, join, names, objects, outline, read
from schemas.errors import SourceError, TextError
from schemas.text import tidy


class Thing(msgspec.Struct, frozen=True):
    id: int
    name: str


@pytest.mark.parametrize(
    ("root", "parts", "path"),
    [
        ("/data", ("refer", "a.json"), "/data/refer/a.json"),
        ("/data/", ("/refer/", "a.json"), "/data/refer/a.json"),
        ("/", ("a.json",), "/a.json"),
        ("memory://", ("refer", "a.json"), "memory://refer/a.json"),
        ("file:///", ("a.json",), "file:///a.json"),
        ("memory://x", ("", "a.json"), "memory://x/a.json"),
        ("data", (), "data"),
    ],
)
def test_parts_are_joined_to_a_root_with_one_slash_each(root: str, parts: tuple[str, ...], path: str) -> None:
    assert join(root, *parts) == path


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    assert exists(str(tmp_path / "file"))
    assert not exists(str(tmp_path / "folder"))
    assert not exists(str(tmp_path / "absent"))
    assert names(str(tmp_path)) == ["file", "folder"]
    assert names(str(tmp_path / "file")) == []
    assert names(str(tmp_path / "absent")) == []


def test_a_file_is_read_from_disk_and_from_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\xff")
    fsspec.filesystem("memory").pipe("/read-test/file", b"\x00\xff")
    assert (
        read(str(tmp_path / "file"))
        == read(f"file://{tmp_path}/file")
        == read("memory://read-test/file")
        == b"\x00\xff"
    )
    fsspec.filesystem("memory").rm("/read-test", recursive=True)


@pytest.mark.parametrize("path", ["/absent/file", "/", "memory://absent/file", "nosuchprotocol://x/y", "/tmp/a\0b"])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(SourceError, match=r"^cannot read "):
        read(path)


def test_items_come_typed_and_in_order() -> None:
    assert list(items(b'[{"id": 2, "name": "b", "more": [1]}, {"name": "a", "id": 1}]', Thing, "f")) == [
        Thing(2, "b"),
        Thing(1, "a"),
    ]
    assert list(items(b" [] ", Thing, "f")) == []


@pytest.mark.parametrize(
    "damaged",
    [
        b"5",
        b"null",
        b"[]",
        b"{}",
        b'{"id": "1", "name": "b"}',
        b'{"id": 1.5, "name": "b"}',
        b'{"id": 1}',
        b'{"id": true, "name": "b"}',
        b'{"id": 1, "name": "caf\xe9"}',
        b'{"id": 1, "\xe9": "b"}',
        b'{"id": 1, "name": ' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_item_of_another_type_is_broken_alone(damaged: bytes, place: int) -> None:
    listed = [b'{"id": 1, "name": "a"}'] * 3
    listed[place] = damaged
    found = list(items(b"[" + b",".join(listed) + b"]", Thing, "f"))
    assert [index for index, item in enumerate(found) if isinstance(item, Broken)] == [place]
    broken = found[place]
    assert isinstance(broken, Broken)
    assert broken.index == place
    assert broken.why
    assert [item for item in found if not isinstance(item, Broken)] == [Thing(1, "a")] * 2


@pytest.mark.parametrize(
    "data", [b"", b"[", b'[{"id": 1, "name": "a"},', b'[{"id": 1 "name": "a"}]', b"[NaN]", b"[1] 2", b"[" * 100_000]
)
@pytest.mark.parametrize("damaged", [b"", b'[{"id": "wrong"}, '])
def test_what_is_no_json_is_an_error_of_the_whole_file(data: bytes, damaged: bytes) -> None:
    with pytest.raises(SourceError, match=r"^the/file: not the JSON it should be: "):
        list(items(damaged + data, Thing, "the/file"))


@pytest.mark.parametrize("data", [b"{}", b"null", b'"list"', b"5"])
def test_json_that_is_no_list_is_an_error_of_the_whole_file(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"^the/file: not the JSON it should be: Expected `array`"):
        list(items(data, Thing, "the/file"))


def test_decoding_names_the_file_and_what_was_wanted() -> None:
    assert decode(b'{"id": 1, "name": "a"}', Thing, "f") == Thing(1, "a")
    with pytest.raises(SourceError, match=r"^f: not the JSON it should be: .*missing required field `name`"):
        decode(b'{"id": 1}', Thing, "f")


def test_plain_values_are_typed_one_by_one() -> None:
    loop: list[object] = []
    loop.append(loop)
    found = list(objects([{"id": 1, "name": "a"}, {"id": "1", "name": "a"}, loop, b"x", {"id": 2, "name": "b"}], Thing))
    assert [isinstance(one, Broken) for one in found] == [False, True, True, True, False]


def test_an_outline_tells_kind_keys_and_first_items(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(b' {"a": [ {"x": 1, "y": 2}, {"z": 3}], "b": [], "c": {"k": 1}, "d": [5]} ')
    seen = outline(str(path))
    assert seen is not None
    assert (seen.kind, seen.keys) == ("object", frozenset("abcd"))
    assert seen.arrays == {"a": frozenset("xy"), "b": None, "c": None, "d": frozenset()}
    path.write_bytes(b'{"7": {"x": 1}, "8": 5}')
    assert outline(str(path)) == ("object", frozenset("78"), {"7": None, "8": None}, frozenset("x"))
    path.write_bytes(b'[{"q": 1}, 5]')
    assert outline(str(path)) == ("list", frozenset("q"), {}, frozenset())
    path.write_bytes(b"[]")
    assert outline(str(path)) == ("list", frozenset(), {}, frozenset())


@pytest.mark.parametrize("text", ["x" * 200_000, "é" * 40_000, "xé" * 40_000])
def test_an_array_is_known_by_its_first_item_however_long_that_is(tmp_path: Path, text: str) -> None:
    file = f'{{"a": [{{"é": 1, "x": "{text}"}}, {{"y": 1}}], "b": [\n{{"k": "{text[:9]}"}}, "{text}", {{"l": 1}}]}}'
    (tmp_path / "f.json").write_text(file)
    seen = outline(str(tmp_path / "f.json"))
    assert seen is not None and seen.arrays == {"a": frozenset("éx"), "b": frozenset("k")}


def test_a_first_item_nested_without_end_is_no_item(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(f'{{"a": [{"[" * 70_000}], "b": 1}}')
    assert outline(str(tmp_path / "f.json")) is None


@pytest.mark.parametrize(
    "data", [b"", b"5", b"<html>", b'{"a": ', b"[" * 100_000, b'{"a": [{"\xff": 1}]}', b'[{"\xff": 1}]']
)
def test_what_is_no_json_object_or_list_has_no_outline(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f.json").write_bytes(data)
    assert outline(str(tmp_path / "f.json")) is None


@pytest.mark.parametrize("lone", [r"\ud83d", r"\uDE00 \ud83d", r"a\udfffb", r"\ud83d\ud83d", r"\\\ud83d"])
def test_a_lone_surrogate_costs_its_own_row_and_not_the_file(lone: str) -> None:
    rows = r'{"id": 1, "name": "fine \ud83d\ude00 \\ud83d"}', f'{{"id": 2, "name": "{lone}"}}', '{"id": 3, "name": "é"}'
    for data in (f"[{','.join(rows)}]".encode(), f'[{",".join(rows)}, {{"id": "wrong"}}]'.encode()):
        found = [one for one in items(data, Thing, "f") if not isinstance(one, Broken)]
        assert [one.id for one in found] == [1, 2, 3]
        assert [found[0].name, found[2].name] == ["fine \U0001f600 \\ud83d", "é"]
        with pytest.raises(TextError, match=r"^broken name: lone surrogates"):
            tidy(found[1].name, "name")
