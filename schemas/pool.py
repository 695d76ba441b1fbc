"""A pool's config (what a person writes), its receipts and its manifest (what a build leaves)."""

import re
from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.box import CODECS, DEFAULT_CODEC
from schemas.config import Config, validated
from schemas.errors import unknown
from schemas.ledger import Tally
from schemas.text import TASKS

_UNITS = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def _size_in_bytes(value: Any) -> Any:
    found = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    if found[2].upper() not in _UNITS:
        raise ValueError(unknown("unit", found[2], ("KiB", "MiB", "GiB", "kB", "MB", "GB")))
    size = float(found[1]) * _UNITS[found[2].upper()]
    return int(size) if size < 2**63 else value


def _known_codec(name: str) -> str:
    if name not in CODECS:
        raise ValueError(unknown("codec", name, CODECS))
    return name


def _as_written(value: Any) -> Any:
    # 16384, 0.3 and null are how YAML says what an option's text is.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "none" if value is None else str(value) if number else value


ByteSize = Annotated[int, BeforeValidator(_size_in_bytes), Field(ge=1024)]
CodecName = Annotated[str, AfterValidator(_known_codec)]


class SourceEntry(Config):
    """One source of a pool: where it lies, which splits and tasks of it, how much of it may be rejected.

    ``max_records`` keeps that many records of each split and task, chosen by hash, and leaves out the rest, counted.
    """

    name: str
    root: str
    splits: list[str] = Field(min_length=1)
    form: Annotated[str, BeforeValidator(lambda form: str(form) if isinstance(form, int) else form)] = "auto"
    tasks: Annotated[list[str], Field(min_length=1)] | None = None
    options: dict[str, Annotated[str, BeforeValidator(_as_written)]] = Field(default_factory=dict)
    max_records: int | None = Field(None, ge=1)
    max_reject: float = Field(0.01, ge=0, le=1)


class ImagePolicy(Config):
    """What is done to pictures: nothing unless one of these says so.

    ``check: header`` keeps JPEGs of which no more than the header was looked at, for pictures that were checked before;
    they have no likeness then.
    """

    check: Literal["strict", "header"] = "strict"
    max_side: int | None = Field(None, ge=16)
    min_short_side: int = Field(448, ge=1)
    stretch: int | None = Field(None, ge=16)
    quality: int = Field(90, ge=1, le=100)

    @model_validator(mode="after")
    def _one_way(self) -> "ImagePolicy":
        if self.max_side and self.stretch:
            raise ValueError("max_side and stretch exclude each other: choose one")
        return self


class ShardPolicy(Config):
    """Where the plan cuts: a shard is closed before it would pass either bound."""

    max_bytes: ByteSize = 512 * 2**20
    max_samples: int = Field(10_000, ge=1)


class Multitask(Config):
    """Conversations to be made of each picture's own records of these tasks, within one split."""

    min_turns: int = Field(2, ge=2)
    max_turns: int = Field(6, ge=2)
    per_picture: int = Field(1, ge=1)
    tasks: list[str] = Field(default=["caption", "grounding", "refer", "identify", "detection", "vqa"])
    splits: list[str] = Field(["train"], min_length=1)

    @model_validator(mode="after")
    def _possible(self) -> "Multitask":
        if self.min_turns > self.max_turns:
            raise ValueError("min_turns is more than max_turns")
        for task in self.tasks:
            if task not in TASKS:
                raise ValueError(unknown("task", task, TASKS))
        if len(set(self.tasks)) < 2:
            raise ValueError("a conversation is of two tasks or more")
        return self


class PoolConfig(Config):
    """A pool YAML. ``templates`` is a YAML of template pools that stand in for Boxcar's own.

    ``remove`` is a list of pictures that the pool shall not hold, one a line: a link, an image id or a sha256.
    ``dedupe`` drops all but the first of pictures of equal bytes, or that differ in ``near_radius`` bits of a
    perceptual hash at most; both are for sources whose pictures come with their rows.
    """

    pool: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    collections: dict[str, str | list[str]]
    sources: list[SourceEntry] = Field(min_length=1)
    multitask: Multitask | None = None
    templates: str | None = None
    missing_images: Literal["reject", "filter"] = "reject"
    dedupe: Literal["exact", "near"] | None = None
    near_radius: int = Field(4, ge=0, le=8)
    remove: str | None = None
    image: ImagePolicy = ImagePolicy()
    shard: ShardPolicy = ShardPolicy()
    codec: CodecName = DEFAULT_CODEC
    seed: int = 0

    @model_validator(mode="after")
    def _no_split_twice(self) -> "PoolConfig":
        parts = [(entry.name, split) for entry in self.sources for split in entry.splits]
        for (name, split), times in Counter(parts).items():
            if times > 1:
                raise ValueError(f"source {name} split {split} is listed twice: its records would have equal keys")
        return self

    def entry(self, source: str, split: str) -> SourceEntry:
        """The entry that a split of a source is listed in."""
        return next(entry for entry in self.sources if entry.name == source and split in entry.splits)

    def places(self) -> list[str]:
        """Every place that the pool is made from: roots of sources, locations of collections."""
        return [
            *(entry.root for entry in self.sources),
            *(at for name in self.collections for at in self.locations(name)),
        ]

    def locations(self, collection: str) -> list[str]:
        """Where a collection's pictures lie, in order of preference."""
        found = self.collections.get(collection, [])
        return [found] if isinstance(found, str) else list(found)


def pool_config(raw: Any, where: str) -> PoolConfig:
    """The config of parsed YAML; ConfigError in one line naming the key, with near ones where it is unknown."""
    return validated(PoolConfig, raw, where)


class FileDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a pool, relative to its folder."""

    name: str
    bytes: int
    sha256: str


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What proves that a shard is complete: written last, and only after the shard was reopened and checked.

    ``plan`` is the digest of all that decides the shard's bytes but a list of removals; ``removed`` has for each
    picture that such a list took from it the digests of all its names, so that it names nobody.
    """

    schema: str
    pool: str
    shard: int
    plan: str
    samples: int
    records: int
    files: list[FileDigest]
    ledger: list[Tally]
    removed: list[list[str]]


class RejectLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of rejects/: which candidate could not become a record, and why in full.

    ``image`` is its picture's id, ``names`` are the other ones that are known: aliases, hashes.
    """

    key: str
    source: str
    split: str
    task: str | None
    image: str | None
    names: list[str]
    reason: str
    detail: str


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An annotation file that went into a pool: its name below the source's root, and its content."""

    source: str
    split: str
    form: str
    name: str
    bytes: int
    sha256: str


class PoolManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """pool.json: what the pool is, what went in, where every candidate ended, and the digest of every receipt.

    ``digest`` is the sha256 of this manifest with the digest left empty: nothing in it can change unseen.
    """

    schema: str
    pool: str
    digest: str
    plan: str
    config: dict[str, Any]
    versions: dict[str, str]
    sources: list[Fingerprint]
    samples: int
    records: int
    bytes: int
    shards: int
    ledger: list[Tally]
    receipts: list[FileDigest]
    files: list[FileDigest]
    features: dict[str, Any]
    arrow: str
