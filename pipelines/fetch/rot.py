"""Link rot: how many links of a finished fetch gave a picture, by reason, by host and by year; as JSON and as a page.

Reads the ``.parquet`` files that our fetch and img2dataset leave, in anybody's folder, a batch at a time. What is kept
of them is bounded: hosts are counted exactly up to ``MOST_HOSTS``; beyond, the smaller half is forgotten each time.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines import store
from pipelines.fetch.answer import passing
from pipelines.fetch.reasons import reason
from pipelines.fetch.state import STATES, SUCCESS
from schemas.errors import SourceError

MOST_HOSTS = 200_000
LISTED = 30  # hosts in each list of a report
FEWEST = 20  # links of a host that a share can be told of
YEAR_FROM = "a /year/month/ in the link's path, such as /2013/05/: when the picture was put there"
_COLUMNS = ["url", "status", "error_message"]
_ROWS = 2**16
_HOST = r"^(?i:https?)://(?:[^/?#]*@)?(?P<host>\[[^\]]*\]|[^/?#:@]+)"
_YEAR = r"^[^?#]*/(?P<year>199[0-9]|20[0-3][0-9])/(?:0?[1-9]|1[0-2])/"
_LONGEST_HOST, _LONGEST_MESSAGE = 253, 400


class Reason(msgspec.Struct, frozen=True):
    """Why links failed, how many did, and whether that may pass."""

    reason: str
    links: int
    passing: bool


class Group(msgspec.Struct, frozen=True):
    """The links of one host, or of one year, and how many of them gave a picture."""

    name: str
    links: int
    success: int


class Rot(msgspec.Struct, frozen=True):
    """What became of all links of a folder; its lists begin with the largest, years with the earliest.

    ``hosts`` counts different hosts; where ``hosts_exact`` is false they are at most so many, and a listed one may have
    more links than is told. ``worst`` are hosts of at least ``FEWEST`` links, those of which least is left first.
    """

    folder: str
    slices: int
    unfinished: list[str]
    links: int
    states: dict[str, int]
    reasons: list[Reason]
    hosts: int
    hosts_exact: bool
    largest: list[Group]
    worst: list[Group]
    years: list[Group]
    years_from: str = YEAR_FROM


@dataclass
class _Counts:
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    hosts: dict[str, list[int]] = field(default_factory=dict)
    years: dict[str, list[int]] = field(default_factory=dict)
    dropped: int = 0


def rot(folder: str) -> Rot:
    """What became of the links of a folder's finished slices; SourceError where it has none, or one is unreadable."""
    names = {name for name in store.files(folder) if "/" not in name}
    tables = sorted(name for name in names if name.endswith(".parquet"))
    finished = [name for name in tables if f"{name.removesuffix('.parquet')}_stats.json" in names]
    if not finished:
        raise SourceError(f"{folder}: no finished slice: wanted NAME.parquet and NAME_stats.json beside each other")
    counts = _Counts()
    for name in finished:
        for batch in _batches(store.join(folder, name)):
            _add(counts, batch)
    return _told(folder, counts, len(finished), sorted(set(tables) - set(finished)))


def _batches(url: str) -> Iterator[pa.RecordBatch]:
    try:
        with fsspec.open(url, "rb") as file:
            table = pq.ParquetFile(file)
            if missing := set(_COLUMNS) - set(table.schema_arrow.names):
                raise SourceError(f"{url}: no column {', '.join(sorted(missing))}: wanted a downloader's parquet")
            for batch in table.iter_batches(_ROWS, columns=_COLUMNS):
                texts = batch.cast(pa.schema([(name, pa.string()) for name in batch.schema.names]))
                texts.validate(full=True)
                yield texts
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{url}: not a readable parquet: {error}") from error


def _add(counts: _Counts, batch: pa.RecordBatch) -> None:
    good = pc.fill_null(pc.equal(batch["status"], SUCCESS), False)
    message = pc.utf8_slice_codeunits(pc.fill_null(batch["error_message"], ""), 0, _LONGEST_MESSAGE)
    for state, told, links in _counted(status=batch["status"], message=message):
        counts.states[state if state in STATES else "unknown"] += links
        if state != SUCCESS:
            counts.reasons[reason(told)] += links
    url = pc.fill_null(batch["url"], "")
    host = pc.utf8_slice_codeunits(pc.utf8_lower(_part(url, _HOST, "host")), 0, _LONGEST_HOST)
    _sum(counts.hosts, _counted(name=host, good=good))
    _sum(counts.years, _counted(name=_part(url, _YEAR, "year"), good=good))
    counts.years.pop("", None)
    if len(counts.hosts) > MOST_HOSTS:
        kept = heapq.nlargest(MOST_HOSTS // 2, counts.hosts.items(), key=lambda item: item[1][0])
        counts.dropped += len(counts.hosts) - len(kept)
        counts.hosts = dict(kept)


def _part(url: pa.Array, pattern: str, name: str) -> pa.Array:
    return pc.fill_null(pc.struct_field(pc.extract_regex(url, pattern), name), "")


def _counted(**columns: pa.Array) -> Iterator[tuple[str, str, int]]:
    found = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")])
    return zip(*(found[name].to_pylist() for name in (*columns, "count_all")), strict=True)


def _sum(groups: dict[str, list[int]], found: Iterable[tuple[str, str, int]]) -> None:
    for name, good, links in found:
        sums = groups.setdefault(name, [0, 0])
        sums[0] += links
        sums[1] += links if good else 0


def _told(folder: str, counts: _Counts, slices: int, unfinished: list[str]) -> Rot:
    counts.hosts.pop("", None)
    hosts = [Group(name, links, success) for name, (links, success) in counts.hosts.items()]
    enough = [host for host in hosts if host.links >= FEWEST]
    reasons = [Reason(name, links, passing(name)) for name, links in counts.reasons.items()]
    return Rot(
        folder,
        slices,
        unfinished,
        counts.states.total(),
        {state: counts.states[state] for state in (*STATES, "unknown") if counts.states[state] or state in STATES},
        sorted(reasons, key=lambda one: (-one.links, one.reason)),
        len(hosts) + counts.dropped,
        not counts.dropped,
        heapq.nsmallest(LISTED, hosts, key=lambda host: (-host.links, host.name)),
        heapq.nsmallest(LISTED, enough, key=lambda host: (host.success / host.links, -host.links, host.name)),
        [Group(name, links, success) for name, (links, success) in sorted(counts.years.items())],
    )
