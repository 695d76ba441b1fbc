"""Pictures that come twice, against a comparison of all pairs: by link, by bytes, by likeness, in little memory."""

import random
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.duplicates import REASONS, How, dropped, duplicates, repeated
from pipelines.hashes import PICTURES, PictureHashes, sealed, write_hashes
from schemas.errors import ConfigError, ShardError

Shards = Sequence[Sequence[PictureHashes]]

LINK, BYTES, NEAR = REASONS.values()
NONE = bytes(16)
SMALL, LARGE = 2**10, 2**28
SPARE = 3 * 2**20  # Python enlarges its table of strings by 2 MB at once, at any time


def picture(place: int, name: str, likeness: int | None = None, content: str = "", *, alias: str = "") -> PictureHashes:
    """A picture whose ids are ``name`` and ``alias``; its bytes are its own where nothing else is said."""
    ids = tuple(one.encode().ljust(16, b"-") for one in (name, alias) if one)
    return PictureHashes(place, ids, (content or f"{place} {name}").encode().ljust(32, b"-"), likeness)


def said(shards: Shards, how: How, radius: int = 0, memory: int = LARGE) -> list[dict[int, str]]:
    """What is dropped of each shard; the counts must be those of what is dropped."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.hashes") for number in range(len(shards))]
        for path, rows in reversed(list(zip(files, shards, strict=True))):  # written in any order
            write_hashes(path, rows)
        found = duplicates(files, how, radius, Path(folder, "scratch"), memory)
        gone = [dropped(path) for path in found.files]
    assert found.counts == Counter(reason for shard in gone for reason in shard.values())
    assert [list(shard) for shard in gone] == [sorted(shard) for shard in gone]
    return gone


def expected(shards: Shards, how: How, radius: int) -> list[dict[int, str]]:
    """The same by comparing every picture with every earlier one."""
    earlier: list[PictureHashes] = []
    gone: list[dict[int, str]] = []
    for shard in shards:
        gone.append({})
        for one in shard:
            found = {reason for other in earlier for reason in alike(one, other, radius)}
            allowed = list(REASONS.values())[: get_args(How).index(how) + 1]
            if reasons := [reason for reason in allowed if reason in found]:
                gone[-1][one.place] = reasons[0]
            earlier.append(one)
    return gone


def alike(one: PictureHashes, other: PictureHashes, radius: int) -> Iterator[str]:
    if set(one.ids) & set(other.ids) - {NONE}:
        yield LINK
    if one.content == other.content:
        yield BYTES
    known = one.likeness is not None and other.likeness is not None
    if known and (one.likeness ^ other.likeness).bit_count() <= radius:
        yield NEAR


def test_the_first_by_input_shard_and_place_is_kept() -> None:
    shards = [
        [picture(4, "b"), picture(9, "a")],
        [picture(0, "a"), picture(1, "c"), picture(2, "c")],
        [picture(0, "b")],
    ]
    assert said(shards, "link") == [{}, {0: LINK, 2: LINK}, {0: LINK}]


def test_either_of_two_ids_tells_a_picture_again() -> None:
    shards = [
        [picture(0, "url", alias="id"), picture(1, "other")],
        [picture(0, "id"), picture(1, "new", alias="url"), picture(2, "fresh", alias="more")],
    ]
    assert said(shards, "link") == [{}, {0: LINK, 1: LINK}]


def test_the_order_of_pictures_counts_not_which_of_its_ids_is_the_same() -> None:
    assert said([[picture(0, "a", alias="b"), picture(1, "b", alias="c"), picture(2, "c")]], "link") == [
        {1: LINK, 2: LINK}
    ]


def test_a_picture_whose_two_ids_are_one_is_not_its_own_duplicate() -> None:
    assert said([[picture(0, "a", alias="a")], [picture(0, "a", alias="a")]], "link") == [{}, {0: LINK}]


def test_pictures_without_ids_have_no_link_in_common() -> None:
    bare = [
        picture(0, "a")._replace(ids=()),
        picture(1, "b")._replace(ids=(NONE,)),
        picture(2, "c")._replace(ids=(NONE, NONE)),
    ]
    assert said([bare, bare], "link") == [{}, {}]


def test_the_first_reason_that_applies_is_given_and_no_weaker_one_is_asked_for() -> None:
    first = picture(0, "a", likeness=5, content="x")
    again = [first, picture(1, "b", likeness=5, content="x"), picture(2, "c", likeness=4), picture(3, "d", likeness=8)]
    assert said([[first], again], "near", 1) == [{}, {0: LINK, 1: BYTES, 2: NEAR}]
    assert said([[first], again], "exact", 1) == [{}, {0: LINK, 1: BYTES}]
    assert said([[first], again], "link", 1) == [{}, {0: LINK}]


def test_of_pictures_each_near_the_next_only_the_first_is_kept() -> None:
    chain = [picture(place, f"{place}", likeness=2**place - 1) for place in range(64)]
    assert said([chain], "near", 1) == [dict.fromkeys(range(1, 64), NEAR)]


def test_a_picture_without_likeness_is_near_none_and_radius_nought_means_equal() -> None:
    shard = [picture(place, f"{place}", likeness) for place, likeness in enumerate((None, 0, None, 1, 0))]
    assert said([shard], "near", 0) == [{4: NEAR}]
    assert said([shard], "near", 8) == [{3: NEAR, 4: NEAR}]


def test_nothing_at_all_has_no_duplicates() -> None:
    assert said([], "near", 4) == []
    assert said([[], []], "near", 4) == [{}, {}]


def worlds() -> st.SearchStrategy[list[list[PictureHashes]]]:
    """Few ids, contents and likenesses, so that nearly all comes again; likenesses lie a few bits from three others."""
    halves = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: bytes(pair[:1]) * 8 + bytes(pair[1:]) * 8)
    ids = st.lists(halves, max_size=2).map(tuple)
    content = st.integers(0, 25).map(lambda n: bytes([n]) * 32)
    flips = st.lists(st.integers(0, 63), max_size=9).map(lambda bits: sum(1 << bit for bit in set(bits)))
    likeness = st.builds(int.__xor__, st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]), flips)
    hashes = st.tuples(st.integers(1, 5), ids, content, st.none() | likeness)
    return st.lists(st.lists(hashes, max_size=12).map(placed), max_size=5)


def placed(hashes: list[tuple[int, tuple[bytes, ...], bytes, int | None]]) -> list[PictureHashes]:
    places = np.cumsum([step for step, *_ in hashes], dtype=int).tolist()
    return [PictureHashes(place, *rest) for place, (_, *rest) in zip(places, hashes, strict=True)]


@settings(max_examples=60)
@given(worlds(), st.sampled_from(get_args(How)), st.integers(0, 8), st.sampled_from([1, SMALL, 2**13, LARGE]))
def test_it_is_what_comparing_all_pairs_gives(shards: Shards, how: How, radius: int, memory: int) -> None:
    assert said(shards, how, radius, memory) == expected(shards, how, radius)


def web(pictures: int, size: int, *, same: bool = False) -> list[bytes]:
    """Hash files of ``size`` pictures each: one in eight comes again in some way, or all are one placeholder."""
    rng = np.random.default_rng(3)
    rows = np.zeros(pictures, PICTURES)
    rows["place"], rows["alike"] = np.arange(pictures) % size, 1
    rows["likeness"] = 12345 if same else rng.integers(0, 2**64, pictures, np.uint64)
    rows["ids"][:, 0] = rng.integers(0, 2**64, (pictures, 2), np.uint64)
    rows["content"] = 7 if same else rng.integers(0, 2**64, (pictures, 4), np.uint64)
    for field, flip in (("ids", 0), ("content", 0), ("likeness", 0), ("likeness", 0x8000_0100_0200_0001)):
        later = rng.integers(1, pictures, pictures // 32)
        rows[field][later] = rows[field][later // 2] ^ np.uint64(flip)
    return [sealed(rows[start : start + size]) for start in range(0, pictures, size)]


def found_in(folder: Path, files: list[bytes], memory: int) -> tuple[dict[str, int], list[dict[int, str]], int]:
    """The counts, what is dropped, and the peak of memory in bytes."""
    folder.mkdir()
    paths = [folder / f"{number}.hashes" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    tracemalloc.start()
    try:
        found = duplicates(paths, "near", 4, folder, memory)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return found.counts, [dropped(path) for path in found.files], peak


@pytest.mark.parametrize("same", [False, True])
def test_memory_is_bounded_and_how_much_there_is_changes_nothing(tmp_path: Path, same: bool) -> None:
    files, memory = web(100_000, 1_000, same=same), 2**20
    # Twice: Python may enlarge its table of strings once, by megabytes in a process that has read much.
    (counts, gone, peak), (*_, again) = (found_in(tmp_path / name, files, memory) for name in ("little", "again"))
    peak = min(peak, again)
    more_counts, more_gone, more_peak = found_in(tmp_path / "much", files, LARGE)
    assert (counts, gone) == (more_counts, more_gone)
    assert set(counts) == ({LINK, BYTES} if same else {LINK, BYTES, NEAR})
    assert peak < memory + SPARE < more_peak / 2


def test_hash_files_of_the_same_pictures_cut_otherwise_give_the_same(tmp_path: Path) -> None:
    ways = [found_in(tmp_path / f"{size}", web(6_000, size), 2**18) for size in (500, 2_000)]
    (counts, gone, _), (others, other_gone, _) = ways
    assert counts == others
    assert [place + 500 * index for index, shard in enumerate(gone) for place in shard] == [
        place + 2_000 * index for index, shard in enumerate(other_gone) for place in shard
    ]


def test_only_what_is_dropped_is_left_and_the_hash_files_stay(tmp_path: Path) -> None:
    for _ in range(2):  # the second time what the first left is in the way
        files = [write_hashes(tmp_path / f"{n}", [picture(0, "a", n)]).name for n in range(2)]
        found = duplicates([tmp_path / name for name in files], "near", 4, tmp_path, SMALL)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"0", "1", *(str(path.relative_to(tmp_path)) for path in found.files)}


def test_a_damaged_file_is_refused_whether_it_says_hashes_or_what_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_hashes(path, [picture(0, "a"), picture(1, "a")])
    (gone,) = duplicates([path], "link", 0, tmp_path).files
    for ask in (lambda: dropped(gone), lambda: duplicates([path], "link", 0, tmp_path)):
        for file in (path, gone):
            file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(ShardError, match="rows want"):
            ask()


@pytest.mark.parametrize("radius", [-1, 9])
def test_a_radius_out_of_range_is_refused(tmp_path: Path, radius: int) -> None:
    with pytest.raises(ConfigError, match=f"radius {radius}: wanted 0 to 8 bits"):
        duplicates([], "near", radius, tmp_path)


@pytest.mark.parametrize("memory", [1, SMALL, LARGE])
def test_hashes_that_come_more_than_once_are_told_once_each(tmp_path: Path, memory: int) -> None:
    chance = random.Random(1)
    kinds = [chance.randbytes(16) for _ in range(300)] + [NONE]
    files = {tmp_path / f"{n}": [chance.choice(kinds) for _ in range(100)] + [NONE] for n in range(4)}
    for path, hashes in files.items():
        path.write_bytes(b"".join(hashes))
    counted = Counter(one for hashes in files.values() for one in hashes)
    told = list(repeated(list(files), tmp_path / "scratch", memory))
    assert sorted(told) == sorted(one for one, count in counted.items() if count > 1)
    assert list(repeated([], tmp_path / "scratch", memory)) == []


def test_part_of_a_hash_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(33))
    with pytest.raises(ShardError, match="1 bytes after its last row of 16"):
        list(repeated([tmp_path / "x"], tmp_path / "scratch"))
    with pytest.raises(ShardError, match="cannot read"):
        list(repeated([tmp_path / "nowhere"], tmp_path / "scratch"))
