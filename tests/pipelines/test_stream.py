"""Tests of streaming: inputs with their pictures become shards, every row is counted, the same bytes whoever works."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.demo.downloads import write_slices
from pipelines.demo.draw import jpeg
from pipelines.demo.world import scene
from pipelines.shard import Built, shard
from pipelines.tar import members
from pipelines.verify import verify
from schemas.errors import BoxcarError, ConfigError, RejectsError
from schemas.ledger import Tally
from schemas.pool import pool_config

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]
ROWS = 120  # in inputs of 50, 50 and 20
LOADED = [number for number in range(ROWS) if number % 50 % 20 not in (3, 17)]


def row(number: int) -> dict[str, Any]:
    return {"url": f"http://a.example/{number}.jpg", "caption": f"picture {number}"}


def picture(number: int) -> bytes:
    return jpeg(scene(0, number), 0)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    write_slices(folder, [row(number) for number in range(ROWS)], picture)
    return folder


def config(folder: Path | str, **more: Any) -> Config:
    return {"pool": "web", "collections": {}, "sources": [entry(folder)], **more}


def entry(folder: Path | str) -> Config:
    return {"name": "cc3m", "root": str(folder), "splits": ["train"]}


def build(config: Config, out: Path, workers: int = 1) -> Built:
    return shard(pool_config(config, "test"), str(out), workers)


def counts(tally: Tally) -> dict[str, int]:
    found = {"written": tally.written}
    return found | {count.name: count.count for count in (*tally.rejected, *tally.filtered)}


def captions(pool: Path) -> list[str]:
    """What the records of a pool say, in its order."""
    said = []
    for tar in sorted(pool.glob("*.tar")):
        with tar.open("rb") as file:
            texts = [json.loads(member.data) for member in members(file, tar.name) if member.extension == "json"]
        said += [one["records"][0]["messages"][1]["content"] for one in texts]
    return said


def test_every_row_of_every_input_is_counted_and_every_picture_packed(downloads: Path, tmp_path: Path) -> None:
    built = build(config(downloads), tmp_path / "pool")
    (tally,) = built.manifest.ledger
    assert counts(tally) == {"written": len(LOADED), "failed to download": 7, "failed to resize": 5}
    assert captions(tmp_path / "pool") == [f"picture {number}" for number in LOADED]
    assert not verify(str(tmp_path / "pool")).problems
    assert [one.name for one in built.manifest.sources] == ["00000.tar", "00001.tar", "00002.tar"]


def test_the_index_tells_the_scores_of_pictures(tmp_path: Path) -> None:
    scored = [row(number) | {"similarity": number / 128, "punsafe": 0.5} for number in range(3)]
    write_slices(tmp_path / "laion", scored, picture)
    build(config(tmp_path / "laion", sources=[{**entry(tmp_path / "laion"), "name": "laion"}]), tmp_path / "pool")
    table = pa.ipc.open_file((tmp_path / "pool" / "index" / "000000.arrow").read_bytes()).read_all()
    said = [{score["name"]: score["value"] for score in scores} for scores in table["scores"].to_pylist()]
    assert said == [{"similarity": number / 128, "punsafe": 0.5} for number in range(3)]
    assert not verify(str(tmp_path / "pool")).problems


def test_an_unfinished_input_is_passed_over_and_named(downloads: Path, tmp_path: Path) -> None:
    assert list(build(config(downloads), tmp_path / "pool").unfinished) == [f"{downloads}/00003.tar"]


def test_the_same_bytes_come_of_any_number_of_workers(downloads: Path, tmp_path: Path, tree: TreeOf) -> None:
    build(config(downloads, shard={"max_samples": 20}), tmp_path / "one")
    build(config(downloads, shard={"max_samples": 20}), tmp_path / "two", workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize(("bounds", "shards"), [({}, 3), ({"max_samples": 20}, 7), ({"max_bytes": "200KiB"}, None)])
def test_an_input_is_cut_where_a_bound_is_passed(
    downloads: Path, tmp_path: Path, bounds: Config, shards: int | None
) -> None:
    built = build(config(downloads, shard=bounds), tmp_path / "pool")
    sizes = [sum(len(picture(n)) for n in LOADED if n // 50 == number) for number in range(3)]
    assert built.manifest.shards == (shards or sum(-(-size // (200 * 2**10)) for size in sizes))
    assert captions(tmp_path / "pool") == [f"picture {number}" for number in LOADED]


def test_a_row_that_comes_again_is_rejected_in_whatever_shard_its_first_one_is(tmp_path: Path) -> None:
    rows = [row(number) for number in range(40)] + [row(0)]
    write_slices(tmp_path / "downloads", rows, picture)
    entry = {**config(tmp_path / "downloads")["sources"][0], "max_reject": 0.1}
    more = {"sources": [entry], "shard": {"max_samples": 20}}
    built = build(config(tmp_path / "downloads", **more), tmp_path / "pool")
    assert built.manifest.shards > 1 and counts(built.manifest.ledger[0])["duplicate key"] == 1
    assert not verify(str(tmp_path / "pool")).problems


def test_folders_of_pictures_give_the_same_samples_as_tars(downloads: Path, tmp_path: Path) -> None:
    write_slices(tmp_path / "files", [row(number) for number in range(ROWS)], picture, in_folders=True)
    build(config(downloads), tmp_path / "pool")
    build(config(tmp_path / "files"), tmp_path / "other")
    one, other = (sorted((tmp_path / name).glob("*.tar")) for name in ("pool", "other"))
    assert [tar.read_bytes() for tar in one] == [tar.read_bytes() for tar in other]


def test_a_build_that_was_broken_off_is_finished_with_the_same_bytes(
    downloads: Path, tmp_path: Path, tree: TreeOf
) -> None:
    build(config(downloads), tmp_path / "pool")
    whole = tree(tmp_path / "pool")
    for name in ("pool.json", "receipts/000001.json", "web-000002.tar"):
        (tmp_path / "pool" / name).unlink()
    assert build(config(downloads), tmp_path / "pool").reused == 1
    assert tree(tmp_path / "pool") == whole


def test_a_row_whose_picture_is_not_in_its_input_is_rejected_or_filtered(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(20)], picture)
    table = pq.read_table(folder / "00000.parquet").to_pylist()
    lost = {**table[0], "key": "000009999", "url": "http://a.example/lost.jpg"}
    pq.write_table(pa.Table.from_pylist([*table, lost]), folder / "00000.parquet")
    (folder / "00000_stats.json").write_text(json.dumps({"count": 21, "successes": 19}))
    with pytest.raises(RejectsError, match="picture missing 1"):
        build(config(folder), tmp_path / "pool")
    built = build(config(folder, missing_images="filter"), tmp_path / "pool")
    assert counts(built.manifest.ledger[0])["picture missing"] == 1 and built.manifest.ledger[0].left_out == 3


def test_a_damaged_picture_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(20)], lambda n: picture(n)[: 2000 if n == 5 else None])
    entry = {**config(folder)["sources"][0], "max_reject": 0.1}
    built = build({**config(folder), "sources": [entry]}, tmp_path / "pool")
    assert counts(built.manifest.ledger[0])["damaged picture"] == 1
    assert "picture 5" not in captions(tmp_path / "pool")


def test_every_tar_that_is_cut_short_though_finished_is_named_before_anything_is_packed(
    downloads: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(ROWS)], picture)
    whole = (folder / "00001.tar").read_bytes()
    (folder / "00001.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BoxcarError, match=r"1 failed: cc3m 00001\.tar: .*00001\.tar: cut short"):
        build(config(folder), tmp_path / "pool")
    assert not (tmp_path / "pool").exists()
    (folder / "00001.tar").write_bytes(whole)
    assert build(config(folder), tmp_path / "pool").manifest.samples == len(LOADED)


def test_rows_that_say_something_else_are_another_plan(downloads: Path, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(20)], picture)
    build(config(folder), tmp_path / "pool")
    table = pq.read_table(folder / "00000.parquet").to_pylist()
    pq.write_table(pa.Table.from_pylist([{**table[0], "caption": "another"}, *table[1:]]), folder / "00000.parquet")
    with pytest.raises(ConfigError, match="holds a finished pool of another config"):
        build(config(folder), tmp_path / "pool")


def test_a_picture_that_is_another_is_another_plan(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(20)], picture)
    build(config(folder), tmp_path / "pool")
    write_slices(folder, [row(number) for number in range(20)], lambda number: picture(number + number // 19))
    with pytest.raises(ConfigError, match=r"another config, .* remove its pool\.json"):
        build(config(folder), tmp_path / "pool")


def test_what_still_fits_is_reused_when_an_input_comes_later(downloads: Path, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(50)], picture)
    build(config(folder), tmp_path / "pool")
    write_slices(folder, [row(number) for number in range(ROWS)], picture)
    (tmp_path / "pool" / "pool.json").unlink()
    built = build(config(folder), tmp_path / "pool")
    assert (built.manifest.shards, built.reused) == (3, 1)


def test_what_was_fetched_of_one_source_is_not_read_as_another(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    write_slices(folder, [row(number) for number in range(20)], picture)
    begun = {"source": "sbu", "split": "train"}
    (folder / "fetch.json").write_text(json.dumps(begun))
    with pytest.raises(ConfigError, match="was fetched as sbu train, found in a pool as cc3m train"):
        build(config(folder), tmp_path / "pool")


def test_what_is_only_for_the_other_kind_of_pool_is_refused(downloads: Path, demo_files: Path, tmp_path: Path) -> None:
    coco = {"name": "coco_caption", "root": f"{demo_files}/coco", "splits": ["val"]}
    gathered = {"pool": "p", "collections": {"coco": f"{demo_files}/coco"}, "sources": [coco]}
    web = config(downloads)
    mixed = {**gathered, "sources": [coco, *web["sources"]]}
    limited = {**web, "sources": [{**web["sources"][0], "max_records": 5}]}
    for wrong, said in (
        ({**gathered, "dedupe": "exact"}, "dedupe: only for sources with pictures that lie with their rows"),
        ({**web, "multitask": {}}, "multitask: only for sources with collections"),
        (limited, "max_records: only for"),
        (mixed, "cannot be in one pool: make two"),
    ):
        with pytest.raises(ConfigError, match=said):
            build(wrong, tmp_path / "pool")


def test_a_list_of_links_is_no_pool_but_something_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "Train_GCC-training.tsv").write_text("a cat\thttp://a.example/1.jpg\n")
    with pytest.raises(ConfigError, match="is a list of links: boxcar fetch cc3m gets the pictures"):
        build(config(tmp_path), tmp_path / "pool")


def test_inputs_elsewhere_are_copied_for_the_while_and_nothing_of_them_is_left(downloads: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(downloads), "/stream", recursive=True)
    try:
        build(config("memory://stream"), tmp_path / "elsewhere")
        build(config(downloads), tmp_path / "here")
    finally:
        memory.rm("/stream", recursive=True)
    one, other = (sorted((tmp_path / name).glob("*.tar")) for name in ("elsewhere", "here"))
    assert [tar.read_bytes() for tar in one] == [tar.read_bytes() for tar in other]
    assert not (tmp_path / "elsewhere" / ".build").exists()
