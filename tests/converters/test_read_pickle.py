"""Pickles: plain data is read, anything else is refused before it runs."""

import collections
import copyreg
import datetime
import functools
import io
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters._pickle import unpickle
from pipelines.convert import Outcome
from schemas.errors import SourceError

Run = Callable[..., list[Outcome]]

PLAIN = [
    {"text": "a dog", "id": 1719310, "box": [1.5, -2.0], "more": None, "flags": (True, False)},
    {"text": "caf\u00e9 \U0001f697", "id": 2**70, "box": [], "more": {"deep": [[["x"]]]}, "flags": ()},
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "refs.p").write_bytes(pickle.dumps(PLAIN, protocol))
    assert unpickle(str(tmp_path / "refs.p")) == PLAIN


class Payload:
    """Calls what it was given as soon as it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


def refused(path: Path, data: bytes, message: str = "") -> None:
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"^{path}: not a plain-data pickle: .*{message}"):
        unpickle(str(path))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_the_shell_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    data = pickle.dumps([{"ref_id": 0, "split": Payload(os.system, f"touch {marker}")}], protocol)
    refused(tmp_path / "refs.p", data, r"it asks for (posix|nt)\.system")
    assert not marker.exists()
    pickle.loads(data)  # the payload is a live one
    assert marker.exists()


@pytest.mark.parametrize(
    ("call", "argument", "told"),
    [
        (eval, "open({marker!r}, 'w')", r"builtin.*\.eval"),
        (exec, "open({marker!r}, 'w')", r"builtin.*\.exec"),
        (getattr, "system", r"builtin.*\.getattr"),
        (Path.touch, "{marker}", "getattr|touch"),
        (os.mkdir, "{marker}", "mkdir"),
        (functools.partial, "x", "partial"),
        (__import__, "antigravity", "__import__"),
    ],
)
def test_whatever_a_pickle_would_call_is_refused(
    tmp_path: Path, call: Callable[..., Any], argument: str, told: str
) -> None:
    marker = tmp_path / "ran"
    for protocol in (0, 2, 4):
        refused(tmp_path / "refs.p", pickle.dumps([Payload(call, argument.format(marker=str(marker)))], protocol), told)
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch MARKER'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85R.",
        b"(S'touch MARKER'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch MARKER'\no.",
        b"\x80\x02cos\nsystem\n(S'touch MARKER'\nt\x81.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93)}\x92.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cbuiltins\nset\n((ltR.",
        b"c__builtin__\nset\n((ltR.",
        b"cposix\nsystem\n.",
        b"ccopy_reg\n_reconstructor\n(cos\nPathLike\nc__builtin__\nobject\nNtR.",
        b"(lp0\ncnumpy.core.multiarray\nscalar\na.",
        b"\x80\x04\x8c\x08builtins\x8c\x0d__import__.os\x93.",
    ],
)
def test_every_way_to_name_something_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "refs.p"
    refused(path, data.replace(b"MARKER", b"marker"), "it asks for ")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"Pfoo\n.", "persistent id"),
        (b"S'foo'\nQ.", "persistent id"),
        (b"\x80\x02\x82\x01.", "extension code"),
        (b"\x80\x02\x83\x01\x01.", "extension code"),
        (b"\x80\x02\x84\x01\x01\x01\x01.", "extension code"),
        (b"\x80\x02S'os.system'\n(S'true'\ntR.", "callable"),
        (b"\x80\x02S'os.system'\n(S'true'\nt\x81.", ""),
        (b"(S'os.system'\nS'true'\no.", ""),
        (b"\x80\x02}(S'__class__'\nS'x'\nd\x86b.", ""),
        (b"\x80\x02](dS'__setstate__'\nK\x01sb.", ""),
        (b"\x80\x02}(K\x01N}S'__class__'\nK\x01s\x86b.", ""),
        (b"\x80\x05\x97.", "buffer"),
    ],
)
def test_every_other_way_to_call_or_build_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    refused(tmp_path / "refs.p", data, told)


def test_a_registered_extension_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(copyreg._inverted_registry, 77, ("os", "system"))  # type: ignore[attr-defined]
    refused(tmp_path / "refs.p", b"\x80\x02\x82\x4d(S'true'\ntR.", r"it asks for os\.system")


def test_a_persistent_id_is_refused(tmp_path: Path) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> str | None:
            return "elsewhere" if value == "me" else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump([{"sent": "me"}])
    refused(tmp_path / "refs.p", buffer.getvalue(), "it holds a persistent id")


@pytest.mark.parametrize(
    "value",
    [
        collections.OrderedDict(a=1),
        datetime.date(2020, 1, 1),
        1j,
        Path("x"),
        ValueError("x"),
        range(3),
        collections.Counter("a"),
    ],
)
def test_even_harmless_objects_are_refused(tmp_path: Path, value: object) -> None:
    refused(tmp_path / "refs.p", pickle.dumps([value], 2), "it asks for ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        b"PK\x03\x04",
        pickle.dumps(PLAIN, 2)[:-1],
        pickle.dumps(PLAIN, 4)[: len(pickle.dumps(PLAIN, 4)) // 2],
        b"\x80\xff.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"a.",
        b"0.",
        b"g5\n.",
        b"(S'a'\nd.",
        b"]]S'a'\nd.",
        b"}]K\x01s.",
        b"I99x\n.",
        b"V\\ud83\n.",
        b"." * 3,
    ],
)
def test_a_damaged_pickle_is_an_error_that_names_the_file(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path / "refs.p", data)


def test_a_pickle_of_nine_bytes_cannot_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "refs.p").write_bytes(b"\x80\x02]r" + (10_000_000).to_bytes(4, "little") + b".")
    tracemalloc.start()
    assert unpickle(str(tmp_path / "refs.p")) == []
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_missing_pickle_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^cannot read .*refs\.p: "):
        unpickle(str(tmp_path / "refs.p"))


def test_a_source_with_a_hostile_pickle_is_refused_as_a_whole(tmp_path: Path, run: Run) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "refcoco").mkdir()
    (tmp_path / "refcoco/instances.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / "refcoco/refs(unc).p").write_bytes(pickle.dumps([Payload(os.system, f"touch {marker}")]))
    with pytest.raises(
        SourceError, match=r"refcoco/refs\(unc\)\.p: not a plain-data pickle: it asks for posix\.system"
    ):
        run("refcoco", "val")
    assert not marker.exists()


def test_a_bytearray_as_long_as_it_says_is_refused_before_it_is_made(tmp_path: Path) -> None:
    data = b"\x80\x05" + pickle.BYTEARRAY8 + (2**50).to_bytes(8, "little") + b"."
    refused(tmp_path / "refs.p", data, "it holds a bytearray")
