"""What each address answers: the page itself, pages of samples, rejects and draws as JSON, and pictures.

Every answer is a pure function of an address and what is looked at; nothing of the machine can be named in one.
"""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from converters._table import CHAT
from pipelines.manifest import UNREADABLE
from pipelines.view.opened import Opened
from pipelines.view.pages import Hit, Pages
from pipelines.view.query import Cursor, Words, cursor, query, whole
from pipelines.view.rejects import rejects
from pipelines.view.stream import Stream
from pipelines.view.told import told
from schemas.box import codec
from schemas.errors import BoxcarError, ConfigError, RecordError
from schemas.pool import PoolManifest
from schemas.record import Sample

PAGE, REJECTS, DRAWS = 24, 100, 12
AT_ONCE = 8  # samples read at a time from a pool that is not on this machine
_FILES = Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in ("view", "sample", "lists")},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))
_SAMPLE = msgspec.json.Decoder(Sample)


class Answer(NamedTuple):
    """An answer's bytes, what they are, and whether they stay the same for ever."""

    body: bytes
    kind: str
    lasting: bool = False


class Site:
    """The answers about a pool, or about a lock."""

    def __init__(self, shown: Opened | Stream) -> None:
        """What is looked at, opened."""
        self._about: dict[str, Any] = {}
        answers: dict[str, Callable[[Words], Any]] = {}
        if isinstance(shown, Opened):
            site = PoolSite(shown)
            answers = {"/api/page": site.page, "/api/sample": site.sample, "/api/rejects": site.rejects}
            self._about, self._picture = about_pool(shown.given.manifest), site.picture
        else:
            self._stream = shown
            answers = {"/api/draws": self._draws}
            self._about, self._picture = about_lock(shown), self._square
        self._kind = (b'data-kind="pool"', b'data-kind="%s"' % self._about["kind"].encode())
        self._answers = {"/api/about": lambda _: self._about, **answers}

    def answer(self, path: str, words: Words) -> Answer | None:
        """What lies at that address, None where nothing does; ConfigError for bad words, ShardError for bad data."""
        if path in FILES:
            name, kind = FILES[path]
            return Answer((_FILES / name).read_bytes().replace(*self._kind), kind)
        if path in self._answers:
            return Answer(msgspec.json.encode(self._answers[path](words)), "application/json")
        found = re.fullmatch(r"/picture/([0-9]{1,9}\.[0-9]{1,9})", path)
        return self._picture(cursor({"at": found[1]}, "at")) if found else None

    def _draws(self, words: Words) -> dict[str, Any]:
        found, after = self._stream.page(cursor(words), DRAWS)
        return {"draws": found, "next": after and str(after)}

    def _square(self, at: Cursor) -> Answer:
        return Answer(self._stream.square(at), "image/png", lasting=True)


class PoolSite:
    """The answers about a pool."""

    def __init__(self, opened: Opened) -> None:
        """The pool, opened."""
        self.opened, self.pages = opened, Pages(opened)
        manifest = opened.given.manifest
        self._parts = [tally.part for tally in manifest.ledger]
        self._codec = codec(manifest.config["codec"])

    def page(self, words: Words) -> dict[str, Any]:
        """A page of samples, in brief."""
        asked = query(words, self._parts)
        page = self.pages.page(asked, cursor(words), min(whole(words, "size") or PAGE, PAGE))
        if self.opened.is_local:
            cards = [self._card(hit) for hit in page.hits]
        else:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                cards = list(threads.map(self._card, page.hits))
        shards = 1 if asked.shard is not None else self.opened.shards
        return {"samples": cards, "next": page.next and str(page.next), "looked": page.looked, "shards": shards}

    def sample(self, words: Words) -> dict[str, Any]:
        """All of one sample."""
        if not words.get("at"):
            raise ConfigError("at: nothing, wanted SHARD.NUMBER such as 0.24")
        at = cursor(words, "at")
        return self._told(Hit(at.shard, at.skip, []), brief=False)

    def rejects(self, words: Words) -> dict[str, Any]:
        """A page of rejects."""
        found = rejects(self.opened, query(words, self._parts), words.get("reason", ""), cursor(words), REJECTS)
        return {
            "rejects": found.lines,
            "next": found.next and str(found.next),
            "looked": found.looked,
            "shards": self.opened.shards,
        }

    def picture(self, at: Cursor) -> Answer:
        """A sample's picture as it is stored; what is no picture is never said to be anything else."""
        members = self.opened.members(at.shard, at.skip)
        if len(members) < 2:
            raise ConfigError(f"sample {at}: it has no picture")
        data = members[0].data
        return Answer(data, next((kind for magic, kind in _MAGIC if data.startswith(magic)), "image/jpeg"), True)

    def _card(self, hit: Hit) -> dict[str, Any]:
        return self._told(hit, brief=True)

    def _told(self, hit: Hit, brief: bool) -> dict[str, Any]:
        at = {"at": str(Cursor(hit.shard, hit.sample))}
        try:
            sample = _SAMPLE.decode(self.opened.text(hit.shard, hit.sample))
        except (RecordError, *UNREADABLE) as error:  # a box of no extent is refused as it is read
            return {**at, "error": f"not a sample: {error}", "image": None, "records": [], "matching": 0, "of": 0}
        return {**at, **told(sample, self._codec, hit.places, brief)}


def about_pool(manifest: PoolManifest) -> dict[str, Any]:
    """What the page says of a pool before anything of it is read."""
    reasons: dict[str, int] = {}
    for tally in manifest.ledger:
        for count in tally.rejected:
            reasons[count.name] = reasons.get(count.name, 0) + count.count
    return {
        "kind": "pool",
        "name": manifest.pool,
        "codec": manifest.config["codec"],
        "samples": manifest.samples,
        "records": manifest.records,
        "shards": manifest.shards,
        "parts": [[tally.source, tally.split, tally.task or CHAT, tally.written] for tally in manifest.ledger],
        "rejected": sorted(reasons.items(), key=lambda item: (-item[1], item[0])),
    }


def about_lock(stream: Stream) -> dict[str, Any]:
    """What the page says of a lock."""
    lock = stream.draws.lock
    return {
        "kind": "lock",
        "name": f"stage {lock.stage}",
        "unit": lock.unit,
        "draws": stream.length,
        "steps": lock.steps,
        "step": lock.step,
        "tokens": stream.tokens is not None,
        "parts": [[str(part.part), part.count / lock.block] for part in lock.parts],
    }


def one_line(error: BoxcarError) -> Mapping[str, str]:
    """An error as the page is told of it."""
    return {"error": " ".join(str(error).split())}
