"""Whole files read at once: the same as one by one, the collector at rest, and nothing read fast but what is plain."""

import gc
import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from converters import _pickle
from converters._pickle import only_plain_opcodes, unpickle
from converters._read import Broken, collector_resting, items, objects
from schemas.errors import SourceError

_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=9), st.text("é\n\\'", max_size=300)
)
plain = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=5), inner), st.tuples(inner)),
    max_leaves=25,
)


def slowly(data: bytes) -> Any:
    return _pickle._Unpickler(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").load()


def outcome(read: Any, data: bytes) -> Any:
    try:
        return read(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, both have to raise it
        return type(error), str(error)


REFS = [
    {"ref_id": n, "split": "val", "sentences": [{"sent": "a dog", "sent_id": n * 7, "raw": "x" * n}]} for n in range(90)
]


@pytest.mark.parametrize("protocol", range(3))
def test_a_refs_file_of_python_2_is_read_by_the_fast_reader(protocol: int) -> None:
    data = pickle.dumps(REFS, protocol)
    assert only_plain_opcodes(data)
    assert _pickle._unpickled(data) == slowly(data) == REFS


def test_byte_strings_of_python_2_are_utf_8_in_both_readers() -> None:
    data = b"(lp0\nS'caf\\xc3\\xa9'\np1\naS'\\xff'\np2\nag1\na."
    assert only_plain_opcodes(data)
    assert _pickle._unpickled(data) == slowly(data) == ["café", "\udcff", "café"]


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_both_readers_give_the_same_plain_data(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert _pickle._unpickled(data) == slowly(data) == value


@given(
    plain,
    st.integers(0, 2),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=3),
    st.integers(0, 9),
)
def test_both_readers_say_the_same_of_a_damaged_file(
    value: Any, protocol: int, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(pickle.dumps(value, protocol))
    for place, byte in flips:
        data[place % len(data)] = byte
    damaged = bytes(data[: len(data) - cut])
    # A number of the memo that fills gigabytes, or a text that long, is what the slow reader is for.
    assume(not re.search(rb"r..[^\x00]|r...[^\x00]|[\x96\x8d\x8e]", damaged, re.DOTALL))
    assert repr(outcome(_pickle._unpickled, damaged)) == repr(outcome(slowly, damaged))


OPCODES = [
    b"(", b"]", b"}", b"e", b"u", b"s", b"a", b"t", b"l", b"d", b"N", b"K\x01", b"q\x01", b"h\x01", b"\x85", b"\x86",
    b"X\x01\x00\x00\x00a", b"S'a'\n", b"S'a\n", b"Va\n", b"I1\n", b"p1\n", b"g1\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(OPCODES), max_size=12))
@example([b"]", b"K\x01", b"K\x01", b"s"])
@example([b"(", b"K\x01", b"d"])
def test_both_readers_say_the_same_of_any_plain_opcodes(opcodes: list[bytes]) -> None:
    data = b"".join(opcodes) + b"."
    assert repr(outcome(_pickle._unpickled, data)) == repr(outcome(slowly, data))


OTHERS = [
    b"cos\nsystem\n", b"\x93", b"R", b"ios\nsystem\n", b"o", b"\x81", b"\x92", b"b", b"Pid\n", b"Q", b"\x97", b"\x98",
    b"\x82\x01", b"\x83\x01\x01", b"\x84\x01\x01\x01\x01", b"\x96" + bytes(8), b"\x95" + bytes(8), b"0", b"1", b"2",
    b"\x8e" + bytes(8), b"\x8d" + bytes(8), b"r\x00\x00\x01\x00", b"r\x00\x00\x00\x01", b".", b"\xff", b"I\n",
    b"p99999999\n", b"p-1\n", b"I010\n", b"I0x1\n", b"I1_0\n",
]  # fmt: skip


@pytest.mark.parametrize("opcode", OTHERS)
@pytest.mark.parametrize("before", [b"]", b"](", b"X\x02\x00\x00\x00ab", b"X\x00\x01\x00\x00" + b"x" * 256])
def test_a_file_with_any_other_opcode_is_left_to_the_slow_reader(opcode: bytes, before: bytes) -> None:
    assert not only_plain_opcodes(b"\x80\x02" + before + opcode + b".")
    assert only_plain_opcodes(b"\x80\x02" + before + b"N.")


@pytest.mark.parametrize("data", [b"", b"]", b"X\xff\xff\xff\xff.", b"X\x05\x00\x00\x00ab.", b"].]", b"X"])
def test_a_file_that_does_not_end_where_it_says_is_left_to_the_slow_reader(data: bytes) -> None:
    assert not only_plain_opcodes(data)


def test_the_fast_reader_too_looks_nothing_up() -> None:
    for data, told in ((b"cos\nsystem\n.", "it asks for os.system"), (b"Pid\n.", "it holds a persistent id")):
        with pytest.raises(pickle.UnpicklingError, match=told):
            _pickle._FastUnpickler(io.BytesIO(data)).load()


class Item(msgspec.Struct):
    id: int
    name: str = ""


def test_values_are_typed_one_by_one_only_where_one_is_wrong() -> None:
    sound: list[Any] = [{"id": 1, "name": "a"}, {"id": 2}]
    assert list(objects(sound, Item)) == [Item(1, "a"), Item(2)]
    first, wrong, last = objects([sound[0], {"id": "x"}, sound[1]], Item)
    assert (first, last) == (Item(1, "a"), Item(2))
    assert isinstance(wrong, Broken) and (wrong.index, wrong.item) == (1, {"id": "x"}) and "`$.id`" in wrong.why


@pytest.mark.parametrize("resting", [False, True])
def test_the_collector_is_left_as_it_was_found(tmp_path: Path, resting: bool) -> None:
    (tmp_path / "refs.p").write_bytes(pickle.dumps(REFS, 2))
    (tmp_path / "bad.p").write_bytes(b"cos\nsystem\n.")
    assert gc.isenabled()
    try:
        if resting:
            gc.disable()
        unpickle(str(tmp_path / "refs.p"))
        with pytest.raises(SourceError):
            unpickle(str(tmp_path / "bad.p"))
        with pytest.raises(SourceError):
            list(items(b"[1", Item, "x.json"))
        for found in items(json.dumps([{"id": 1}, {"id": "x"}]).encode(), Item, "x.json"):
            assert found and gc.isenabled() is not resting
        with collector_resting(), collector_resting():
            assert not gc.isenabled()
        assert gc.isenabled() is not resting
    finally:
        gc.enable()


def test_the_collector_rests_while_a_file_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Watching(msgspec.Struct):
        id: int

        def __post_init__(self) -> None:
            seen.append(gc.isenabled())

    assert len(list(items(b'[{"id": 1}, {"id": 2}]', Watching, "x.json"))) == 2
    assert seen == [False, False]
