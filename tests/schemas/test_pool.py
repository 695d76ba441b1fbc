import tracemalloc
from typing import Any

import pytest

from manifests import parse
from schemas.errors import ConfigError
from schemas.pool import ImagePolicy, PoolConfig, ShardPolicy, SourceEntry, pool_config

TRAIN: dict[str, Any] = {"name": "refcoco", "root": "/data/refer", "splits": ["train"]}
MINIMAL: dict[str, Any] = {
    "pool": "coco",
    "collections": {"coco": "/data/coco"},
    "sources": [TRAIN],
}


def config(**keys: Any) -> PoolConfig:
    return pool_config({**MINIMAL, **keys}, "coco.yaml")


def source(**keys: Any) -> PoolConfig:
    return config(sources=[{**TRAIN, **keys}])


def test_what_is_not_said_is_the_documented_default() -> None:
    found = config()
    assert found.missing_images == "reject"
    assert found.image == ImagePolicy(max_side=None, min_short_side=448, stretch=None, quality=90)
    assert found.shard == ShardPolicy(max_bytes=512 * 1024 * 1024, max_samples=10_000)
    assert (found.codec, found.seed) == ("round-100", 0)
    assert found.sources == [
        SourceEntry(
            name="refcoco",
            root="/data/refer",
            splits=["train"],
            form="auto",
            tasks=None,
            options={},
            max_reject=0.01,
        )
    ]


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [
        ("512MiB", 536_870_912),
        ("512 mib", 536_870_912),
        ("1KiB", 1024),
        ("2GiB", 2_147_483_648),
        ("1.5 MB", 1_500_000),
        ("5kB", 5_000),
        ("1GB", 1_000_000_000),
        ("2048B", 2048),
        ("4096", 4096),
        (4096, 4096),
    ],
)
def test_sizes_are_read_with_their_units(size: str | int, bytes_: int) -> None:
    assert config(shard={"max_bytes": size}).shard.max_bytes == bytes_


@pytest.mark.parametrize("size", ["1000B", 0, -5, "big", "", "-5MiB", 1.5, True, None, "9" * 400 + "GiB"])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(ConfigError, match=r"^coco\.yaml: shard\.max_bytes: .*found "):
        config(shard={"max_bytes": size})


def test_an_unknown_unit_offers_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown unit 'XiB'; did you mean .*MiB"):
        config(shard={"max_bytes": "5XiB"})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"seeds": 1}, r"unknown key 'seeds'; did you mean seed"),
        ({"image": {"maxside": 5}}, r"unknown key 'image.maxside'; did you mean image.max_side"),
        ({"shard": {"max_sample": 5}}, r"unknown key 'shard.max_sample'; did you mean shard.max_samples"),
        ({"sources": [TRAIN, {**TRAIN, "split": "val"}]}, r"unknown key 'sources.1.split'; did you mean sources.1.spl"),
        ({"zzzzz": 1}, r"unknown key 'zzzzz'; known: codec, collections, dedupe, image, "),
        ({"codec": "round100"}, r"codec: .*unknown codec 'round100'; did you mean round-100"),
    ],
)
def test_an_unknown_key_or_name_offers_near_ones(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"^coco\.yaml: " + message):
        config(**keys)


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"pool": "a b"}, "pool"),
        ({"pool": "a.b"}, "pool"),
        ({"pool": "../a"}, "pool"),
        ({"pool": "coco\n"}, "pool"),
        ({"pool": ""}, "pool"),
        ({"sources": []}, "sources"),
        ({"missing_images": "skip"}, "missing_images"),
        ({"image": {"quality": 101}}, r"image\.quality"),
        ({"image": {"quality": 0}}, r"image\.quality"),
        ({"image": {"max_side": 4}}, r"image\.max_side"),
        ({"image": {"stretch": "448"}}, r"image\.stretch"),
        ({"image": None}, "image"),
        ({"shard": {"max_samples": 0}}, r"shard\.max_samples"),
        ({"seed": "0"}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"collections": {"coco": 5}}, r"collections\.coco"),
        ({"collections": ["coco"]}, "collections"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(keys: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=rf"^coco\.yaml: {place}: .*, found "):
        config(**keys)


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"splits": []}, "splits"),
        ({"splits": "train"}, "splits"),
        ({"max_reject": -0.1}, "max_reject"),
        ({"max_reject": 1.1}, "max_reject"),
        ({"max_reject": float("nan")}, "max_reject"),
        ({"root": 5}, "root"),
        ({"tasks": "refer"}, "tasks"),
        ({"options": {"text": [1.5]}}, "options.text"),
        ({"options": {"text": True}}, "options.text"),
        ({"max_records": 0}, "max_records"),
    ],
)
def test_a_wrong_value_of_a_source_is_told_with_its_place(keys: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=rf"^coco\.yaml: sources\.0\.{place}: "):
        source(**keys)


@pytest.mark.parametrize("key", ["pool", "collections", "sources"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^coco\.yaml: {key}: Field required$"):
        pool_config({name: value for name, value in MINIMAL.items() if name != key}, "coco.yaml")


@pytest.mark.parametrize("raw", [None, [], "pool", 5])
def test_what_is_no_mapping_is_refused(raw: Any) -> None:
    with pytest.raises(ConfigError, match=r"^coco\.yaml: the whole: "):
        pool_config(raw, "coco.yaml")


@pytest.mark.parametrize("entries", [[["val", "train", "val"]], [["train"], ["val", "train"]]])
def test_a_split_listed_twice_is_refused(entries: list[list[str]]) -> None:
    sources = [{**TRAIN, "splits": splits} for splits in entries]
    with pytest.raises(ConfigError, match=r"source refcoco split (train|val) is listed twice"):
        config(sources=sources)


def test_the_same_split_of_two_sources_is_no_doubling() -> None:
    sources = [TRAIN, {**TRAIN, "name": "refcocog"}]
    assert [entry.name for entry in config(sources=sources).sources] == ["refcoco", "refcocog"]


def test_shrinking_and_stretching_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="max_side and stretch exclude each other"):
        config(image={"max_side": 640, "stretch": 448})
    assert config(image={"stretch": 448}).image.stretch == 448


def test_a_form_may_be_a_year() -> None:
    assert source(form=2014).sources[0].form == "2014"


def test_a_collection_may_lie_in_several_places() -> None:
    found = config(collections={"coco": ["/a", "/b.zip"], "vg": "/c"})
    assert found.locations("coco") == ["/a", "/b.zip"]
    assert found.locations("vg") == ["/c"]
    assert found.locations("flickr30k") == []


def test_an_alias_bomb_is_refused_without_being_written_out() -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7))
    bomb = parse(f"a0: &a0 [x]\n{levels}", "bomb")
    tracemalloc.start()
    with pytest.raises(ConfigError, match=r"^coco\.yaml: pool: .*found \[\[\["):
        config(pool=bomb["a6"])
    assert tracemalloc.get_traced_memory()[1] < 3 * 2**20
    tracemalloc.stop()


def test_a_number_too_long_to_be_written_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"max_reject: .*, found an? int too long to be written$"):
        source(max_reject=16**5000)
