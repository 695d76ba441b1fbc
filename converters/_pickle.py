"""Reading pickles as the hostile things they may be: lists, dicts, tuples, strings and numbers, and nothing else.

Nothing in them is ever looked up or called, and nothing is built that is larger than its file.
"""

import io
import pickle
import re
from contextlib import suppress
from typing import Any, ClassVar, NoReturn

from converters._read import collector_resting, read
from schemas.errors import SourceError


def _no_bytearray(unpickler: object) -> NoReturn:
    raise pickle.UnpicklingError("it holds a bytearray, and nothing but plain data is allowed")


class _PlainOnly:
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and nothing but plain data is allowed")

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it holds a persistent id, and nothing but plain data is allowed")


class _FastUnpickler(_PlainOnly, pickle.Unpickler):
    pass  # the one in C: only for what was looked through before


class _Unpickler(_PlainOnly, pickle._Unpickler):
    # The one in Python: nine bytes can make the faster one in C fill 64 GB, for an array as long as they say. So can
    # eleven here, by a bytearray.
    dispatch: ClassVar = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _no_bytearray}


_SHORT = 64
# Marks, containers, constants and memo numbers of one byte, small numbers, and the lines of protocol 0.
_FIXED = (
    rb"[\](}aestuldN\x85-\x89]|[qhK].|j....|M..|J....|\x80[\x00-\x02]"
    rb"|g[0-9]{1,18}\n|I(?:0|-?[1-9][0-9]{0,17})\n|[SV][^\n]*\n"
)


def unpickle(path: str) -> Any:
    """The plain data of a pickle (lists, dicts, tuples, strings, numbers); SourceError for anything else.

    Python 2 byte strings are read as UTF-8; bytes that are not become lone surrogates, which text rules then refuse.
    """
    data = read(path)
    try:
        with collector_resting():
            return _unpickled(data)
    except Exception as error:  # a hostile pickle may raise anything at all from the unpickling machine
        raise SourceError(f"{path}: not a plain-data pickle: {error or type(error).__name__}") from error


def _unpickled(data: bytes) -> Any:
    if only_plain_opcodes(data):
        with suppress(Exception):  # what is wrong with it, the other one tells
            file = io.BufferedReader(io.BytesIO(data))
            return _FastUnpickler(file, encoding="utf-8", errors="surrogateescape").load()
    return _Unpickler(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").load()


def only_plain_opcodes(data: bytes) -> bool:
    """Whether a pickle of protocol 0 to 2 names, calls and builds nothing but plain data as large as itself.

    Nor does it put anything aside under a number that a file of its size does not come to: C makes an array that long.
    """
    opcodes, position = _plain_opcodes(len(data)), 0
    while run := opcodes.match(data, position):
        position = run.end()
        if data[position : position + 1] == b"X":  # a text longer than the pattern knows
            position += 5 + int.from_bytes(data[position + 1 : position + 5], "little")
    return data[position:] == b"."


def _plain_opcodes(length: int) -> re.Pattern[bytes]:
    # Runs of so many at most, for the pattern's own stack grows with them. The commonest come first.
    texts = b"|".join(re.escape(n.to_bytes(4, "little")) + b".{%d}" % n for n in range(_SHORT))
    long_put = rb"r..[\x00-%s]\x00" % re.escape(bytes([min(length >> 16, 255)]))
    text_put = rb"p[0-9]{1,%d}\n" % len(str(length // 4))
    return re.compile(rb"(?:%s|%s|X(?:%s)|%s){1,1000}" % (_FIXED, long_put, texts, text_put), re.DOTALL)
