"""Where files go: written aside, synced, then given their final name in one step, on disk or in an object store."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import fsspec
import msgspec

from converters._read import filesystem
from schemas.errors import ShardError
from schemas.pool import FileDigest

CHUNK = 2**20
ANNOTATIONS = (".json", ".xml", ".txt")


def is_local(url: str) -> bool:
    """Whether the URL is a path of this machine's file system."""
    return "file" in _protocols(url)


def in_process(url: str) -> bool:
    """Whether the URL lives in this process alone (``memory://``), where no worker process can reach it."""
    return "memory" in _protocols(url)


def shown(url: str) -> str:
    """The URL as messages may tell it: without a user's name and password, without a query, which may hold a key."""
    return re.sub(r"(?<=://)[^/?#]*@", "", url).partition("?")[0]


def _protocols(url: str) -> tuple[str, ...]:
    fs, _ = filesystem(url)
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def local(url: str) -> Path:
    """The path of a URL that ``is_local``."""
    return Path(filesystem(url)[1])


def absolute(url: str) -> str:
    """The URL, a relative local path made absolute, without a slash at its end."""
    return str(local(url).absolute()) if is_local(url) else url.rstrip("/")


def join(folder: str, name: str) -> str:
    """The URL of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def relative(path: str, root: str) -> str:
    """The path of what lies below the root, without it."""
    return path.removeprefix(root.rstrip("/")).lstrip("/")


def publish(aside: Path, url: str) -> None:
    """Give a finished, synced file its final name: a rename where both are local, else one whole put."""
    if is_local(url):
        path = local(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(path)
        _sync(path.parent)
        return
    fs, name = filesystem(url)
    fs.makedirs(name.rpartition("/")[0], exist_ok=True)
    fs.put_file(str(aside), name)
    aside.unlink()


def write_aside(path: Path, data: bytes) -> FileDigest:
    """Write and sync a whole file under a name that is not final."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return FileDigest(path.name, len(data), sha256(data))


def digest(url: str, name: str) -> FileDigest:
    """The size and sha256 of what lies at a URL now, under the name that a receipt gives it.

    Of a folder, whose URL ends in a slash: of the names, sizes and digests of all annotation files in it, sorted.
    """
    if url.endswith("/"):
        return _folder_digest(url, name)
    sha, size = hashlib.sha256(), 0
    with fsspec.open(url, "rb") as file:
        while chunk := file.read(CHUNK):
            sha.update(chunk)
            size += len(chunk)
    return FileDigest(name, size, sha.hexdigest())


def _folder_digest(url: str, name: str) -> FileDigest:
    within = [digest(join(url, file), file) for file in sorted(files(url)) if file.endswith(ANNOTATIONS)]
    return FileDigest(name, sum(one.bytes for one in within), sha256(msgspec.json.encode(within)))


def sha256(data: bytes) -> str:
    """The sha256 of bytes in memory, in hex."""
    return hashlib.sha256(data).hexdigest()


def read(url: str) -> bytes:
    """The whole file; ShardError where it is not there or cannot be read."""
    try:
        with fsspec.open(url, "rb") as file:
            data: bytes = file.read()
    except (OSError, ValueError) as error:
        raise ShardError(f"cannot read {url}: {error or type(error).__name__}") from error
    return data


def files(folder: str) -> set[str]:
    """Every file under a folder, relative to it, hidden ones too; empty where there is no such folder."""
    fs, root = filesystem(folder)
    if not fs.isdir(root):
        return set()
    root = root.rstrip("/")
    return {str(path)[len(root) + 1 :] for path in fs.find(root, withdirs=False)}


def sizes(folder: str) -> dict[str, int]:
    """How many bytes every file under a folder has, by its name relative to the folder."""
    fs, root = filesystem(folder)
    root = root.rstrip("/")
    return {str(path)[len(root) + 1 :]: info["size"] for path, info in fs.find(root, detail=True).items()}


def remove(url: str) -> None:
    """Remove a file."""
    fs, name = filesystem(url)
    fs.rm_file(name)


def canonical(value: msgspec.Struct) -> bytes:
    """The one JSON text of a struct: indented, ending with a line feed; equal values are equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1) + b"\n"


def free(folder: str) -> None:
    """Remove a local folder and all in it; quietly, where it is already gone."""
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    # The rename itself is only on disk once its folder is.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
