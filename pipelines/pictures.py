"""Finding pictures: which file of a collection holds which picture, in folders or in zips, without unpacking.

Under each location of a collection, for each of its folders, files are looked for in ``<folder>/``, in ``<folder>.zip``
and, where the location is itself such a folder or a flat one, right there; a location may also be a zip. Earlier
locations and folders win, unless an annotation says which folder it means; an empty file gives way to any other, as
Visual Genome has pictures that lie in two folders, in one of them as an empty file. Nothing is searched for elsewhere,
and nothing is ever extracted to disk.
"""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import FileIO
from typing import IO, NamedTuple

import fsspec

from converters._read import filesystem
from converters._table import Collection, Folder
from pipelines.images import size_of
from schemas.box import Size
from schemas.errors import ImageError, SourceError

MAX_FILE_BYTES = 256 * 2**20
_PIECE_BYTES = 2**20
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Located(NamedTuple):
    """Where a picture's bytes lie: a file, a member of a zip, or a file from an offset on; how many are said to be."""

    path: str
    member: str | None
    bytes: int
    offset: int | None = None


def locate(collection: Collection, locations: Sequence[str]) -> dict[str, Located]:
    """Every picture of the collection under the locations, by image id; SourceError where a location is not there.

    Where annotations tell which folder they mean, a picture that several hold is there under ``in_folder(folder, image
    id)`` as well, for each of them.
    """
    found: dict[str, Located] = {}
    first: dict[str, str] = {}
    for location in locations:
        for folder in collection.folders:
            for id, located in _matching(collection, location, folder):
                there = found.get(id)
                if there is None or not there.bytes:
                    found[id], first[id] = located, folder.path
                elif collection.told and located.bytes and first[id] != folder.path and located != there:
                    found.setdefault(in_folder(first[id], id), there)
                    found.setdefault(in_folder(folder.path, id), located)
    return found


def in_folder(folder: str, image: str) -> str:
    """Under what key ``locate`` gives a picture of which a certain folder's file is meant."""
    return f"{folder}:{image}"


def _matching(collection: Collection, location: str, folder: Folder) -> Iterator[tuple[str, Located]]:
    pattern = re.compile(folder.pattern)
    for name, located in _listed(location, folder):
        match = pattern.fullmatch(name)
        if match:
            yield _image_id(collection, match["id"]), located


def sizes(pictures: Mapping[str, Located]) -> Callable[[str], Size | None]:
    """A function that tells the size of a picture by image id from its header; None where it is absent or damaged."""

    def size(image: str) -> Size | None:
        try:
            return size_of(read_picture(pictures[image])) if image in pictures else None
        except ImageError:
            return None

    return size


def read_picture(located: Located) -> bytes:
    """The picture's bytes; ImageError where they cannot be read or are more than 256 MiB."""
    if located.bytes > MAX_FILE_BYTES:
        raise ImageError(f"picture file too large: {located.bytes:,} bytes, at most {MAX_FILE_BYTES:,}")
    try:
        data = _read(located)
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, ValueError, EOFError) as error:
        raise ImageError(f"picture unreadable: {type(error).__name__}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"picture file too large: over {MAX_FILE_BYTES:,} bytes")
    return data


def _read(located: Located) -> bytes:
    if located.offset is not None:
        return _range(located.path, located.offset, located.bytes)
    return _member(located.path, located.member) if located.member else _file(located.path)


def _image_id(collection: Collection, name: str) -> str:
    return f"{collection.name}/{name.lstrip('0') or '0' if collection.numeric else name}"


def _listed(location: str, folder: Folder) -> Iterator[tuple[str, Located]]:
    fs, path = filesystem(location)
    if location.endswith(".zip"):
        yield from _in_zip(location, folder)
        return
    if not fs.isdir(path):
        raise SourceError(f"no such folder of pictures: {location}")
    for place in (f"{path.rstrip('/')}/{folder.path}", path):
        if fs.isdir(place):
            yield from _in_nested(fs, place) if folder.nested else _in_folder(fs, place)
    zipped = f"{path.rstrip('/')}/{folder.path}.zip"
    if fs.isfile(zipped):
        yield from _in_zip(str(fs.unstrip_protocol(zipped)), folder)


def _in_folder(fs: fsspec.AbstractFileSystem, path: str) -> Iterator[tuple[str, Located]]:
    for entry in fs.ls(path, detail=True):
        if entry["type"] == "file":
            name = entry["name"]
            yield name.rpartition("/")[2], Located(str(fs.unstrip_protocol(name)), None, entry["size"])


def _in_nested(fs: fsspec.AbstractFileSystem, path: str) -> Iterator[tuple[str, Located]]:
    for entry in fs.ls(path, detail=True):
        if entry["type"] == "directory":
            parent = entry["name"].rstrip("/").rpartition("/")[2]
            yield from ((f"{parent}/{name}", located) for name, located in _in_folder(fs, entry["name"]))


def _in_zip(path: str, folder: Folder) -> Iterator[tuple[str, Located]]:
    for info in _zip(path).infolist():
        parent, _, name = info.filename.rpartition("/")
        if folder.nested:
            parent, _, within = parent.rpartition("/")
            name = f"{within}/{name}"
        if parent == folder.path or parent.endswith(f"/{folder.path}") or not parent:
            yield name, Located(path, info.filename, info.file_size)


@lru_cache(maxsize=8)
def _zip(path: str) -> zipfile.ZipFile:
    # Kept open per process: reading the directory of a zip of 100,000 pictures takes about a second.
    try:
        return zipfile.ZipFile(fsspec.open(path, "rb").open())
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise SourceError(f"{path}: not a readable zip: {error}") from error


def _member(path: str, name: str) -> bytes:
    archive, data = _zip(path), bytearray()
    # Zips of pictures use no other; and of those zipfile inflates any amount at once, whatever size is stated.
    if archive.getinfo(name).compress_type not in _COMPRESSIONS:
        raise ImageError("picture unreadable: its zip member is neither stored nor deflated")
    with archive.open(name) as member:
        # In pieces: asked for everything, zipfile inflates all there is before it looks at the stated size.
        while len(data) <= MAX_FILE_BYTES and (piece := member.read(_PIECE_BYTES)):
            data += piece
    return bytes(data)


def _range(path: str, offset: int, size: int) -> bytes:
    file = _opened(path)
    file.seek(offset)
    data: bytes = file.read(size)
    if len(data) != size:
        raise ImageError(f"picture unreadable: {len(data):,} bytes of {size:,} are there")
    return data


class _Kept(FileIO):
    # A file that was kept open is closed without a warning when another takes its place.
    def __del__(self) -> None:
        self.close()


@lru_cache(maxsize=2)
def _opened(path: str) -> IO[bytes]:
    # Kept open per process: one tar of pictures is read picture by picture. Each is read whole, so no buffer helps.
    fs, name = filesystem(path)
    file: IO[bytes] = _Kept(name) if "file" in fs.protocol else fs.open(name, "rb")
    return file


def _file(path: str) -> bytes:
    with fsspec.open(path, "rb") as file:
        data: bytes = file.read(MAX_FILE_BYTES + 1)
    return data
