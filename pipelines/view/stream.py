"""A lock as the model will see it: draw by draw, each picture as the square it becomes, each record as it is worded."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock as Mutex
from typing import Any

from PIL import Image

from pipelines.draws import Draws, Fetched, drawing
from pipelines.images import size_of
from pipelines.view.query import Cursor
from pipelines.view.told import told_record
from schemas.box import codec
from schemas.errors import ConfigError, ImageError
from schemas.record import Record

SIDE = 448

Tokens = Callable[[Sequence[Record], bool], Any]  # a sequence's records, and whether it has a picture, as token ids


class Stream:
    """The draws of a lock; safe to ask from several threads."""

    def __init__(self, path: Path, tokens: Tokens | None = None) -> None:
        """All that the lock pins is proven first; with ``tokens``, draws come as token ids too."""
        self.draws: Draws = drawing(path)
        self.tokens = tokens
        self._mutex = Mutex()  # the draws keep files open, and close those that were not asked for longest
        self.length = self.draws.lock.steps * self.draws.lock.step
        self.codec = codec(str(self.draws.lock.mixture["render"].get("codec") or self.draws.lock.pools[0].codec))

    def fetch(self, at: Cursor) -> Fetched:
        """The sequence of a draw, by its number and, in unit ``batch``, its place; ConfigError where there is none."""
        places = self._places(at.shard) if at.shard < self.length else 0
        if at.skip >= places:
            raise ConfigError(f"no draw {at}: the run has {self.length:,}, this one {places} places")
        with self._mutex:
            return self.draws.fetch(at.shard, at.skip)

    def page(self, start: Cursor, size: int) -> tuple[list[dict[str, Any]], Cursor | None]:
        """The next so many sequences as JSON, and where to go on, None at the run's end."""
        found: list[dict[str, Any]] = []
        at: Cursor | None = start
        while at is not None and len(found) < size:
            found.append(self._told(at))
            at = self._after(at)
        return found, at

    def square(self, at: Cursor) -> bytes:
        """The picture of a sequence as the square that the loader makes of it: a PNG; ImageError where damaged."""
        data = self.fetch(at).picture
        if data is None:
            raise ImageError(f"no picture: draw {at} is text alone")
        size_of(data)
        try:
            with Image.open(io.BytesIO(data)) as image:
                square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        except (OSError, ValueError, SyntaxError) as error:
            raise ImageError(f"damaged picture: {error}") from error
        out = io.BytesIO()
        square.save(out, "PNG", compress_level=1)
        return out.getvalue()

    def _places(self, k: int) -> int:
        return self.draws.sizes[self.draws.schedule.at(k).part] or 1

    def _after(self, at: Cursor) -> Cursor | None:
        if at.skip + 1 < self._places(at.shard):
            return Cursor(at.shard, at.skip + 1)
        return Cursor(at.shard + 1) if at.shard + 1 < self.length else None

    def _told(self, at: Cursor) -> dict[str, Any]:
        fetched = self.fetch(at)
        return {
            "at": str(at),
            "part": str(fetched.part),
            "epoch": fetched.epoch,
            "where": fetched.where,
            "picture": fetched.picture is not None,
            "records": [told_record(record, self.codec) for record in fetched.records],
            "tokens": self.tokens(fetched.records, fetched.picture is not None) if self.tokens else None,
        }
