"""The orientation tag of a JPEG, set to 1 in place: only the tag's own bytes change.

Annotations are on the stored pixels (EXIF 2.3, tag 0x0112, says how a viewer would turn them), so a reader that obeys
the tag would move every box. The same word in an XMP packet, which Pillow obeys too, is set likewise.
"""

import re
import struct
from collections.abc import Iterator

ORIENTATION = 0x0112
_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([2-9])")
_SHORT = 3
_SCAN, _APP1 = 0xDA, 0xE1
# Markers that all readers know to be followed by a length: tables, frames, application's own, comments.
_PLAIN = {*range(0xC0, 0xD0), 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE} - {0xC8, _APP1}
_CODES = {1: "B", _SHORT: "H", 4: "I"}  # TIFF's BYTE, SHORT and LONG


def neutralised(data: bytes) -> bytes:
    """The JPEG with every orientation tag saying 1; the very same object where no tag says otherwise."""
    changed: bytearray | None = None
    for start, end in app1_segments(data):
        for place, value in (*_exif_tags(data, start, end), *_xmp_tags(data, start, end)):
            changed = changed or bytearray(data)
            changed[place : place + len(value)] = value
    return bytes(changed) if changed else data


def may_be_tagged(data: bytes) -> bool:
    """Whether there may be an APP1 segment, where EXIF and XMP lie, before a JPEG's first scan.

    False is certain: every reader goes from one of these segments to the next alike, and comes to the scan.
    """
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == _SCAN:
            return False
        if marker not in _PLAIN:
            return True
        place += 2 + length  # one under 2 leads to itself, which begins with 0 and so is no marker
    return True


def app1_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the payloads of the JPEG's APP1 segments begin and end."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD7:  # a fill byte, or a marker without a length
            place += 1 if marker == 0xFF else 2
            continue
        if 0xD8 <= marker <= 0xDA:  # another picture, the end, or the scan
            return
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == _APP1:
            yield place + 4, min(end, len(data))
        place = max(end, place + 4)


def _exif_tags(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    tiff = start + 6
    order = {b"II": "<", b"MM": ">"}.get(data[tiff : tiff + 2])
    if data[start:tiff] != b"Exif\x00\x00" or order is None or tiff + 8 > end:
        return
    directory = tiff + int(struct.unpack_from(order + "I", data, tiff + 4)[0])
    if directory + 2 > end:
        return
    for index in range(struct.unpack_from(order + "H", data, directory)[0]):
        entry = directory + 2 + 12 * index
        if entry + 12 > end:
            return
        tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
        if tag != ORIENTATION:
            continue
        code = _CODES.get(kind) if count == 1 else None
        if code is None:  # some readers take a number from any type and count: make it the SHORT it should be
            yield entry + 2, struct.pack(order + "HIHH", _SHORT, 1, 1, 0)
        elif struct.unpack_from(order + code, data, entry + 8)[0] != 1:
            yield entry + 8, struct.pack(order + code, 1)


def _xmp_tags(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    for match in _XMP.finditer(data, start, end):
        yield match.start(1), b"1"
