"""pool.json and what lies beside it for other readers: made from receipts alone, published last, checked on reading."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipelines import store
from pipelines.convert import Job
from pipelines.images import versions
from pipelines.layout import MANIFEST, is_pool_file, names
from pipelines.tar import STEM
from schemas import __version__
from schemas.box import CODECS
from schemas.errors import ShardError
from schemas.export import features
from schemas.ledger import Ledger, Tally
from schemas.pool import FileDigest, Fingerprint, PoolConfig, PoolManifest, Receipt
from schemas.prompt import Wording, templates
from schemas.record import SCHEMA

ENERGON_VERSION = "7.4.1"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding foreign JSON may raise


class Listed(msgspec.Struct, frozen=True):
    """What a manifest needs of a shard: what it holds, the bytes of its files, and its receipt."""

    shard: int
    samples: int
    records: int
    bytes: int
    receipt: FileDigest


def listed(receipt: Receipt) -> Listed:
    """The shard of a receipt as a manifest lists it."""
    data, name = store.canonical(receipt), names(receipt.pool, receipt.shard).receipt
    size = sum(file.bytes for file in receipt.files)
    proof = FileDigest(name, len(data), store.sha256(data))
    return Listed(receipt.shard, receipt.samples, receipt.records, size, proof)


_DECIDING = {"pool", "multitask", "missing_images", "dedupe", "near_radius", "image", "shard", "codec", "seed"}


def decides(config: PoolConfig, jobs: Sequence[Job], wording: Wording) -> dict[str, Any]:
    """What of a config decides the pool's bytes: no roots, locations, output, workers or bounds; forms as found.

    Of the template pools, those that are not Boxcar's own, in full: who words records anew needs them.
    """
    sources = [
        {
            "name": job.source.name,
            "split": job.split,
            "form": job.found.form.name,
            "tasks": [variant.name for variant in job.variants],
            "options": dict(job.options),
            "max_records": job.max_records,
        }
        for job in jobs
    ]
    kept = config.model_dump(include=_DECIDING)
    if config.multitask:  # of these the order decides nothing
        kept["multitask"] |= {name: sorted(set(kept["multitask"][name])) for name in ("tasks", "splits")}
    own = {name: list(pool) for name, pool in wording.pools.items() if pool != templates()[name]}
    return {**kept, "templates": own, "collections": sorted(config.collections), "sources": sources}


def build_versions() -> dict[str, str]:
    """The versions that decide a pool's bytes."""
    return {"boxcar": __version__, "pyarrow": pa.__version__, **versions()}


def manifest_of(
    config: Mapping[str, Any],
    plan: str,
    sources: Sequence[Fingerprint],
    shards: Sequence[Listed],
    ledger: Ledger,
    staged: Sequence[Tally],
) -> PoolManifest:
    """The manifest of a pool of these shards, whose ledgers sum to ``ledger``; digest included.

    Raises ShardError where that does not sum to the candidates that were read.
    """
    for tally in staged:
        ledger.open(tally.part)
    tallies = ledger.tallies()
    insist_complete(tallies, staged)
    manifest = PoolManifest(
        schema=SCHEMA,
        pool=config["pool"],
        digest="",
        plan=plan,
        config=dict(config),
        versions=build_versions(),
        sources=list(sources),
        samples=sum(shard.samples for shard in shards),
        records=sum(shard.records for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        shards=len(shards),
        ledger=tallies,
        receipts=[shard.receipt for shard in shards],
        files=[FileDigest(name, len(data), store.sha256(data)) for name, data in energon_files(config["pool"], shards)],
        features=features(),
        arrow=arrow_text(),
    )
    return msgspec.structs.replace(manifest, digest=digest_of(manifest))


def insist_complete(tallies: Sequence[Tally], staged: Sequence[Tally]) -> None:
    """ShardError unless every candidate that was read is in the shards' ledgers, part by part."""
    found = {tally.part: tally.candidates for tally in tallies}
    read = {tally.part: tally.candidates for tally in staged}
    for part in found.keys() | read.keys():
        if found.get(part, 0) != read.get(part, 0):
            raise ShardError(
                f"{part}: {read.get(part, 0):,} candidates were read, the shards tell of {found.get(part, 0):,}"
            )


def digest_of(manifest: PoolManifest) -> str:
    """The sha256 of the manifest with its digest left empty."""
    return store.sha256(store.canonical(msgspec.structs.replace(manifest, digest="")))


def publish_manifest(manifest: PoolManifest, shards: Sequence[Listed], out: str, aside: Path) -> None:
    """Write what other readers need, and pool.json after it: from then on the pool is there."""
    for name, data in energon_files(manifest.pool, shards):
        store.write_aside(aside / "file", data)
        store.publish(aside / "file", store.join(out, name))
    store.write_aside(aside / "file", store.canonical(manifest))
    store.publish(aside / "file", store.join(out, MANIFEST))


def read_manifest(pool: str) -> PoolManifest:
    """The manifest of a pool; ShardError where there is none, or it is not as one is published, to the byte."""
    return manifest_in(store.read(store.join(pool, MANIFEST)))


def manifest_in(data: bytes) -> PoolManifest:
    """The manifest that a pool.json's bytes hold; ShardError where it is not as one is published, to the byte."""
    try:
        manifest = msgspec.json.decode(data, type=PoolManifest)
    except UNREADABLE as error:
        raise ShardError(f"{MANIFEST}: not a pool manifest: {error}") from error
    if digest_of(manifest) != manifest.digest or store.canonical(manifest) != data:
        raise ShardError(f"{MANIFEST}: its digest is not that of its content: it was changed after it was published")
    _insist_ours(manifest)
    return manifest


def _insist_ours(manifest: PoolManifest) -> None:
    # Before anything is read that it names: a forged manifest may name any file, and a digest is no signature.
    wanted = [names(manifest.pool, shard).receipt for shard in range(len(manifest.receipts))]
    if [file.name for file in manifest.receipts] != wanted or manifest.shards != len(wanted):
        raise ShardError(f"{MANIFEST}: it tells of {manifest.shards} shards and does not list the receipts of as many")
    strange = [file.name for file in manifest.files if not is_pool_file(manifest.pool, file.name)]
    named, by = manifest.config.get("pool"), manifest.config.get("codec")
    if (
        strange
        or manifest.schema != SCHEMA
        or str(by) not in CODECS
        or named != manifest.pool
        or not STEM.fullmatch(named)
    ):
        found = strange or (manifest.schema, manifest.pool, by)
        raise ShardError(f"{MANIFEST}: not a manifest of this schema: {found}, wanted {SCHEMA}")


def read_receipt(pool: str, listed: FileDigest) -> Receipt:
    """A receipt that the manifest lists; ShardError where it is missing or its bytes are others."""
    return receipt_in(store.read(store.join(pool, listed.name)), listed)


def receipt_in(data: bytes, listed: FileDigest) -> Receipt:
    """The receipt that these bytes hold; ShardError where they are not those that the manifest lists."""
    if (len(data), store.sha256(data)) != (listed.bytes, listed.sha256):
        raise ShardError(f"{listed.name}: not the receipt that {MANIFEST} lists: its sha256 or size differs")
    try:
        return msgspec.json.decode(data, type=Receipt)
    except UNREADABLE as error:
        raise ShardError(f"{listed.name}: not a receipt: {error}") from error


def energon_files(pool: str, shards: Sequence[Listed]) -> list[tuple[str, bytes]]:
    """The side-car with which Megatron-Energon reads the pool as it lies, all of it as one training split.

    ``energon info`` wants a sample type, which its loader refuses in a crude dataset's config: it has a file for that.
    """
    # Of a shard whose rows were all left out there is a tar without samples, which Energon would stumble over.
    counts = {names(pool, shard.shard).tar: shard.samples for shard in shards if shard.samples}
    info = {"energon_version": ENERGON_VERSION, "shard_counts": counts}
    split = "".join(f"  - {tar}\n" for tar in counts)
    return [
        (".nv-meta/.info.json", json.dumps(info, indent=1).encode() + b"\n"),
        (".nv-meta/dataset.yaml", b"__module__: megatron.energon\n__class__: CrudeWebdataset\n"),
        (".nv-meta/info.yaml", b"sample_type: {__module__: megatron.energon, __class__: CrudeSample}\n"),
        (".nv-meta/split.yaml", f"split_parts:\n  train:\n{split}  val: []\n  test: []\nexclude: []\n".encode()),
    ]


def arrow_text() -> str:
    """The Arrow schema of a sample's ``.json`` member as base64 of its IPC message."""
    return base64.b64encode(bytes(arrow_schema().serialize())).decode()


def arrow_schema() -> pa.Schema:
    """The Arrow schema of a sample's ``.json`` member, its fields sorted by name as pool.json sorts its features."""
    return pa.schema(list(_arrow_type(features()["json"])))


def _arrow_type(feature: Any) -> pa.DataType:
    if "_type" not in feature:
        return pa.struct([(name, _arrow_type(kind)) for name, kind in sorted(feature.items())])
    if feature["_type"] == "List":
        return pa.list_(_arrow_type(feature["feature"]))
    return pa.type_for_alias(feature["dtype"])
