import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.ipc
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors, trainers

from pipelines import ranged, store, token_count
from pipelines.eligible import Eligible
from pipelines.manifest import read_manifest
from pipelines.token_count import ESTIMATE, Measured, described, estimate, measured
from schemas.errors import ConfigError, ShardError
from schemas.ledger import Part

CAPTION = Part("coco_caption", "train", "caption")
REFER = Part("refcoco", "train", "refer")
Rows = list[tuple[int, int, int]]


def index_of(pool: Path) -> list[dict[str, Any]]:
    """Every record of a pool, with its shard, as the record index tells it."""
    found = []
    for shard, path in enumerate(sorted((pool / "index").iterdir())):
        with pyarrow.ipc.open_file(path) as file:
            found += [{"shard": shard, **row} for row in file.read_all().to_pylist()]
    return found


def of_part(pool: Path, part: Part) -> list[dict[str, Any]]:
    return [row for row in index_of(pool) if (row["source"], row["split"], row["task"]) == part]


def texts_of(pool: Path, part: Part) -> list[list[str]]:
    """The turns of every record of a part, read from the tars alone."""
    found = []
    for path in sorted(pool.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    records = json.load(tar.extractfile(member) or pytest.fail())["records"]
                    found += [r for r in records if (r["source"], r["split"], r["task"]) == part]
    return [[turn["content"] for turn in record["messages"]] for record in found]


@pytest.fixture
def eligible(tmp_path: Path) -> Callable[..., Eligible]:
    """A function: the files of a part of which these rows of the index may be drawn."""

    def write(rows: list[dict[str, Any]], shards: int) -> Eligible:
        firsts = np.searchsorted([row["shard"] for row in rows], range(shards + 1)).astype("<u8")
        (tmp_path / "part.shards").write_bytes(firsts.tobytes())
        places = np.array([(row["sample"], row["place"]) for row in rows], "<u4")
        (tmp_path / "part.rows").write_bytes(places.tobytes())
        return Eligible(tmp_path / "part.rows", tmp_path / "part.shards", None)

    return write


@pytest.fixture
def count(demo_pool: Path, eligible: Callable[..., Eligible]) -> Callable[..., Measured]:
    """A function: what is measured of all of a part's records, or of some, in the demo pool or a copy of it."""

    def of(
        part: Part,
        tokenizer: Path | None,
        pool: Path | str = demo_pool,
        some: slice = slice(None),
        records_of: Part | None = None,
    ) -> Measured:
        rows = of_part(demo_pool, records_of or part)[some]
        manifest = read_manifest(str(demo_pool))
        files = eligible(rows, manifest.shards)
        return measured(str(pool), manifest, part, files, str(tokenizer) if tokenizer else None)

    return of


@pytest.fixture(scope="session")
def llama_like(demo_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of Llama's kind, trained on the pool's own words: byte-pair, a digit a token, blanks before words."""
    learned = Tokenizer(models.BPE(unk_token="<unk>"))
    blanks = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    digits = pre_tokenizers.Split(Regex(r"[0-9]"), "isolated")
    learned.pre_tokenizer = pre_tokenizers.Sequence([blanks, digits])
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    texts = [turn for part in (CAPTION, REFER) for turns in texts_of(demo_pool, part) for turn in turns]
    learned.train_from_iterator(texts, trainer)
    learned.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    folder.mkdir()
    learned.save(str(folder / "tokenizer.json"))
    return folder


def lengths(pool: Path, part: Part, tokenizer: Path) -> list[int]:
    """The tokens of each record of a part, counted by hand."""
    by = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    counted = [[len(by.encode(turn, add_special_tokens=False).ids) for turn in turns] for turns in texts_of(pool, part)]
    return [sum(turns) for turns in counted]


@pytest.mark.parametrize("part", [CAPTION, REFER])
def test_of_few_records_all_are_counted(
    part: Part, count: Callable[..., Measured], llama_like: Path, demo_pool: Path
) -> None:
    wanted = lengths(demo_pool, part, llama_like)
    assert 30 < len(wanted) <= token_count.SAMPLE
    assert count(part, llama_like) == Measured(sum(wanted) / len(wanted), max(wanted))
    assert count(part, llama_like / "tokenizer.json") == count(part, llama_like)


def test_of_many_the_mean_is_that_of_some_and_the_most_that_of_the_longest(
    count: Callable[..., Measured], llama_like: Path, demo_pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = lengths(demo_pool, CAPTION, llama_like)
    monkeypatch.setattr(token_count, "SAMPLE", 50)
    monkeypatch.setattr(token_count, "LONGEST", 8)
    found = count(CAPTION, llama_like)
    assert found.most == max(wanted)
    assert found.mean != sum(wanted) / len(wanted)
    assert found.mean == pytest.approx(sum(wanted) / len(wanted), rel=0.15)
    assert count(CAPTION, llama_like) == found
    monkeypatch.setattr(ranged, "_AT_ONCE", 3)
    assert count(CAPTION, llama_like) == found


def test_a_pool_that_lies_elsewhere_is_counted_too(
    count: Callable[..., Measured], llama_like: Path, demo_pool: Path
) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{demo_pool}/", "/tokens/demo/", recursive=True)
    try:
        assert count(REFER, llama_like, pool="memory://tokens/demo") == count(REFER, llama_like)
    finally:
        memory.rm("/tokens", recursive=True)


def test_only_the_eligible_records_are_counted(
    count: Callable[..., Measured], llama_like: Path, demo_pool: Path
) -> None:
    wanted = lengths(demo_pool, REFER, llama_like)[5:9]
    assert count(REFER, llama_like, some=slice(5, 9)) == (sum(wanted) / 4, max(wanted))


def test_without_a_tokenizer_every_record_is_estimated_from_the_index(
    count: Callable[..., Measured], demo_pool: Path
) -> None:
    turns = texts_of(demo_pool, REFER)
    chars = np.array([sum(map(len, one)) for one in turns])
    wanted = [-(-max(length - 18, 0) // 4) + 15 for length in chars.tolist()]
    assert count(REFER, None) == (sum(wanted) / len(wanted), max(wanted))
    assert estimate(np.array([10, 18, 400]), np.array([0, 1, 3])).tolist() == [3, 15, 132]


@pytest.mark.parametrize("part", [CAPTION, REFER])
def test_the_estimate_is_near_what_a_tokenizer_of_llamas_kind_counts(
    part: Part, count: Callable[..., Measured], llama_like: Path
) -> None:
    counted, estimated = count(part, llama_like), count(part, None)
    assert estimated.mean == pytest.approx(counted.mean, rel=0.3)


def test_a_file_that_says_to_cut_and_to_fill_up_is_not_obeyed(
    count: Callable[..., Measured], llama_like: Path, tmp_path: Path
) -> None:
    cutting = Tokenizer.from_file(str(llama_like / "tokenizer.json"))
    cutting.enable_truncation(3)
    cutting.enable_padding(length=900)
    cutting.save(str(tmp_path / "cutting.json"))
    assert count(REFER, tmp_path / "cutting.json") == count(REFER, llama_like)


def test_the_lock_is_told_which_tokenizer_counted(llama_like: Path) -> None:
    told = described(str(llama_like))
    digest = store.sha256((llama_like / "tokenizer.json").read_bytes())
    assert told.startswith(f"tiny-llama/tokenizer.json, sha256 {digest}: the mean of 2,000 records")
    assert described(None) == ESTIMATE


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    for named in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(ConfigError, match=r"^tokenizer .*: no .*, wanted a tokenizer\.json or a folder that holds"):
            described(str(named))
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(ConfigError, match=r"; convert tokenizer\.model to tokenizer\.json$"):
        described(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"model": {"type": "BPE"}}'])
def test_what_is_no_tokenizer_is_refused_in_one_line(
    count: Callable[..., Measured], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^tokenizer .*: not one: ") as raised:
        count(REFER, tmp_path)
    assert "\n" not in str(raised.value)


def test_without_the_library_the_way_to_it_is_told(
    count: Callable[..., Measured], llama_like: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_count._opened.cache_clear()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"the library tokenizers is not there: pip install 'boxcar\[train\]'$"):
        count(REFER, llama_like)


def test_tars_that_are_not_what_the_index_says_are_refused(
    count: Callable[..., Measured], llama_like: Path, demo_pool: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(demo_pool, tmp_path / "pool"))
    with pytest.raises(
        ShardError, match=r"found coco_caption/.*, the record index knows of one of refcoco/train/refer "
    ):
        count(REFER, llama_like, records_of=CAPTION)
    (tar,) = sorted(copy.glob("*-000000.tar"))
    whole = tar.read_bytes()
    tar.write_bytes(whole[:4000])
    with pytest.raises(ShardError, match=r"000000\.tar: "):
        count(REFER, llama_like, pool=copy)
    tar.unlink()
    with pytest.raises(ShardError, match=r"cannot read .*000000\.tar"):
        count(REFER, llama_like, pool=copy)
    tar.write_bytes(whole)
    index = tar.with_name(f"{tar.name}.idx")
    index.write_bytes(index.read_bytes()[:16])
    with pytest.raises(ShardError, match=r"000000\.tar\.idx: 1 samples, the record index knows of number "):
        count(REFER, llama_like, pool=copy)
