"""img2dataset in place of our own client: it asks for the links of a slice, behind the guarding proxy.

What it lacks stays lacking: it waits for no Retry-After, asks for nothing twice, and what its decoder passes is a
picture. What must hold does: no address that is not public, a bound on bytes and seconds, few connections per host,
boxes that stay true. Its messages are put into our client's reasons.
"""

import asyncio
import json
import os
import re
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.fetch.client import Limits
from pipelines.fetch.output import Outcome, Spool, known, reading
from pipelines.fetch.picture import QUALITY
from pipelines.fetch.proxy import proxy
from pipelines.fetch.reasons import reason
from pipelines.fetch.robots import spelled
from pipelines.fetch.slices import ROWS
from pipelines.fetch.state import FAILED, SUCCESS
from schemas.errors import BoxcarError

_CHILD = Path(__file__).with_name("img2dataset_child.py")
_PROXIED = ("http", "https", "ftp", "file", "data")  # every scheme that urllib opens: what is not http is refused
_LEFT_OUT = re.compile(r".*_proxy|PYTHON.*|REQUEST_METHOD", re.IGNORECASE)
_QUIET = {
    "NO_ALBUMENTATIONS_UPDATE": "1",  # it would ask the web for its newest version
    "WANDB_MODE": "disabled",
    "WANDB_ERROR_REPORTING": "false",
    "PYTHONWARNINGS": "ignore",
}
_LINES, _SHOWN = 12, 500
_NO_LINK = Outcome(FAILED, "bad link")


def ask(
    urls: Sequence[str | None],
    places: Iterable[int],
    spool: Spool,
    scratch: Path,
    image_size: int | None,
    limits: Limits,
    python: Path,
) -> dict[int, Outcome]:
    """What became of the links at those places, by the img2dataset of that Python; their pictures are in the spool.

    At most ``slices.ROWS`` links, each asked once; files in between lie in a folder of ``scratch``. BoxcarError where
    img2dataset fails, or loses a link.
    """
    wanted: dict[str | None, list[int]] = {}
    for place in places:
        wanted.setdefault(urls[place], []).append(place)
    links = [url for url in wanted if url is not None]
    found: dict[str | None, Outcome] = {None: _NO_LINK}
    if links:
        with tempfile.TemporaryDirectory(prefix="img2dataset-", dir=scratch) as folder:
            found |= zip(links, _asked(links, Path(folder), spool, image_size, limits, python), strict=True)
    return {place: found[url] for url, there in wanted.items() for place in there}


def _asked(
    links: list[str], folder: Path, spool: Spool, image_size: int | None, limits: Limits, python: Path
) -> list[Outcome]:
    pq.write_table(pa.table({"url": pa.array(links, pa.string())}), folder / "links.parquet")
    told = asyncio.run(_run(folder, image_size, limits, python))
    if not (folder / "00000_stats.json").exists():
        raise BoxcarError(f"img2dataset did not finish: {told}")
    outcomes = known(str(folder), 0, links)
    if len(outcomes) != len(links):
        raise BoxcarError(f"img2dataset lost links: {len(outcomes):,} of {len(links):,} told of: {told}")
    with reading() as read:
        pieces = {place: spool.add(read(one.piece)) for place, one in sorted(outcomes.items()) if one.piece}
    return [_put(outcomes[place])._replace(piece=pieces.get(place)) for place in range(len(links))]


def _put(one: Outcome) -> Outcome:
    return one if one.status == SUCCESS else one._replace(error_message=reason(one.error_message))


async def _run(folder: Path, image_size: int | None, limits: Limits, python: Path) -> str:
    async with proxy(limits) as guard, _child(python, guard.address) as child:
        assert child.stdin and child.stdout  # pipes, as asked for
        child.stdin.write(json.dumps(options(folder, image_size, limits)).encode() + b"\n")
        told = await _last_lines(child.stdout)
        if code := await child.wait():
            raise BoxcarError(f"img2dataset ended with code {code}: {told}")
    return told


@asynccontextmanager
async def _child(python: Path, address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        str(python),
        "-I",
        str(_CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(address, os.environ),
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.stdin:
            child.stdin.close()  # ends it in the middle of whatever it does
        await child.wait()


def options(folder: Path, image_size: int | None, limits: Limits) -> dict[str, object]:
    """What img2dataset is told: never to pad, crop or enlarge, and to leave alone what need not shrink."""
    return {
        "url_list": str(folder / "links.parquet"),
        "input_format": "parquet",
        "output_folder": str(folder),
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS,
        "resize_mode": "keep_ratio" if image_size else "no",
        **({"image_size": image_size} if image_size else {}),
        "resize_only_if_bigger": True,
        "skip_reencode": True,
        "encode_quality": QUALITY,
        "compute_hash": "sha256",
        "processes_count": 1,
        "thread_count": limits.concurrency,
        "timeout": max(1, round(limits.connect_seconds)),
        "retries": 0,
        "max_shard_retry": 0,
        "user_agent_token": limits.user_agent_token,
        "disallowed_header_directives": sorted(spelled(limits.disallowed)),
        "enable_wandb": False,
    }


def environment(address: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that reaches nothing but through the proxy at that address, whatever was given."""
    kept = {name: value for name, value in given.items() if not _LEFT_OUT.fullmatch(name)}
    return {**kept, **_QUIET, **{f"{scheme}_proxy": address for scheme in _PROXIED}, "no_proxy": ""}


async def _last_lines(output: asyncio.StreamReader) -> str:
    lines: deque[bytes] = deque(maxlen=_LINES)
    while piece := await output.read(2**16):
        lines.extend(line[-_SHOWN:] for line in piece.replace(b"\r", b"\n").split(b"\n") if line.strip())
    return " / ".join(line.decode(errors="replace").strip() for line in lines)[-_SHOWN:]
