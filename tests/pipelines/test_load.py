"""What the loader feeds: batches of a lock's draws, pictures as Pillow would stretch them, nothing global touched."""

import io
import pickle
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.draws import drawing
from pipelines.load import Batch, Feed, loader, picture
from pipelines.tar import members
from schemas.box import CODECS
from schemas.errors import ConfigError, ImageError
from schemas.prompt import Wording
from schemas.record import Record, Sample, lint, reworded

Lock = Callable[..., Path]

REFER = {"source": "refcoco", "task": "refer", "weight": 5}
CAPTION = {"source": "coco_caption", "task": "caption", "weight": 3}
TEXT = {"source": "unnatural", "task": None, "weight": 2}


@pytest.fixture(scope="module")
def pools(demo_pool: Path, text_pool: Path) -> dict[str, Path]:
    return {"demo": demo_pool, "text": text_pool}


@pytest.fixture(scope="module")
def lock(lock_of: Lock, pools: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts of two pools, one of them text alone; 8 steps of 12 draws."""
    return lock_of(tmp_path_factory.mktemp("locks") / "s.lock.json", list(pools.values()), [REFER, CAPTION, TEXT])


@pytest.fixture(scope="module")
def stored(pools: dict[str, Path]) -> dict[str, tuple[Record, bytes]]:
    """By key: each record as it lies in its pool, and its picture's file."""
    found = {}
    for path in (path for pool in pools.values() for path in sorted(pool.glob("*.tar"))):
        jpg = b""
        with path.open("rb") as file:
            for part in members(file, path.name):
                if part.extension == "jpg":
                    jpg = part.data
                else:
                    sample = msgspec.json.decode(part.data, type=Sample)
                    found |= {record.key: (record, jpg if sample.image else b"") for record in sample.records}
    return found


def pillow(data: bytes, size: int) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def decibels(ours: torch.Tensor, theirs: np.ndarray[Any, Any]) -> float:
    """PSNR of (3, S, S) against (S, S, 3)."""
    difference = ours.permute(1, 2, 0).numpy().astype(float) - theirs.astype(float)
    return float(10 * np.log10(255**2 / max(1e-9, np.mean(difference**2))))


def test_batches_hold_what_the_lock_says(lock: Path, stored: dict[str, tuple[Record, bytes]]) -> None:
    batches = list(loader(lock, image_size=32))
    assert [batch.next for batch in batches] == [1, 2, 3, 4, 5, 6, 7, 8]
    parts = Counter(str(part) for batch in batches for part in batch.parts)
    assert parts == {"refcoco/train/refer": 48, "coco_caption/train/caption": 29, "unnatural/train/chat": 19}
    for batch in batches:
        assert batch.images.dtype == torch.uint8
        assert batch.image_of.dtype == torch.int64
        assert {len(batch.parts), len(batch.epochs), len(batch.records), len(batch.image_of)} == {12}
        for records, part, epoch, of in zip(batch.records, batch.parts, batch.epochs, batch.image_of, strict=True):
            (record,) = records
            kept, jpg = stored[record.key]
            assert (record.source, record.split, record.task) == part
            assert record == reworded(kept, Wording(), epoch)
            assert (of >= 0) == bool(jpg)
            if jpg:
                assert decibels(batch.images[of], pillow(jpg, 32)) > 50
            lint(record, CODECS["round-100"])


def test_a_batch_counts_its_pictures_and_says_who_has_none(lock: Path) -> None:
    for batch in loader(lock, image_size=16):
        with_pictures = [part.task is not None for part in batch.parts]
        assert batch.images.shape == (sum(with_pictures), 3, 16, 16)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert [of >= 0 for of in batch.image_of.tolist()] == with_pictures
        assert sorted(of for of in batch.image_of.tolist() if of >= 0) == list(range(sum(with_pictures)))


def test_text_alone_makes_batches_without_pictures(lock_of: Lock, pools: dict[str, Path], tmp_path: Path) -> None:
    lock = lock_of(tmp_path / "t.lock.json", [pools["text"]], [TEXT], train={"steps": 2, "global_batch": 5})
    for batch in loader(lock):
        assert batch.images.shape == (0, 3, 448, 448)
        assert batch.image_of.tolist() == [-1] * 5
        assert all(records[0].source == "unnatural" for records in batch.records)


def test_each_record_of_a_part_is_drawn_once_before_any_is_drawn_again(
    lock_of: Lock, pools: dict[str, Path], tmp_path: Path
) -> None:
    for window in (None, 1):
        lock = lock_of(tmp_path / f"{window}.lock.json", [pools["text"]], [TEXT], train={"steps": 9}, window=window)
        drawn = [(key, epoch) for batch in loader(lock) for (key,), epoch in zip(batch.keys, batch.epochs, strict=True)]
        (part,) = drawing(lock).lock.parts
        assert part.items < 50
        for epoch in range(len(drawn) // part.items):
            some = drawn[epoch * part.items : (epoch + 1) * part.items]
            assert len(set(some)) == part.items
            assert {number for _, number in some} == {epoch}


def test_batches_of_the_unit_batch_are_of_one_part_and_its_size(
    lock_of: Lock, pools: dict[str, Path], tmp_path: Path
) -> None:
    sizes = {"refcoco": 4, "coco_caption": 3, "unnatural": 1}
    parts = [entry | {"batch_size": sizes[str(entry["source"])]} for entry in (REFER, CAPTION, TEXT)]
    lock = lock_of(
        tmp_path / "b.lock.json", list(pools.values()), parts, unit="batch", train={"batches": 5, "steps": 4}
    )
    batches = list(loader(lock, image_size=8))
    assert [batch.next for batch in batches] == [step + (last == 4) for step in range(4) for last in range(5)]
    assert Counter(batch.parts[0].source for batch in batches) == {"refcoco": 10, "coco_caption": 6, "unnatural": 4}
    for batch in batches:
        assert len(set(batch.parts)) == 1
        assert len(batch.records) == sizes[batch.parts[0].source]


@pytest.mark.parametrize(("per_image", "most"), [("all", 99), (2, 2)])
def test_records_of_one_picture_are_joined_and_it_is_decoded_once(
    lock_of: Lock, pools: dict[str, Path], tmp_path: Path, per_image: int | str, most: int,
    stored: dict[str, tuple[Record, bytes]],
) -> None:  # fmt: skip
    lock = lock_of(tmp_path / "j.lock.json", list(pools.values()), [CAPTION], per_image=per_image)
    seen = Counter[int]()
    for batch in loader(lock, image_size=16):
        assert batch.images.shape[0] == len(batch.records) == 12
        for records, of in zip(batch.records, batch.image_of, strict=True):
            seen[len(records)] += 1
            (jpg,) = {stored[record.key][1] for record in records}
            assert decibels(batch.images[of], pillow(jpg, 16)) > 50
    assert 1 < max(seen) <= most


def test_what_the_lock_says_of_words_is_done(lock_of: Lock, pools: dict[str, Path], tmp_path: Path) -> None:
    said = {"reword": False, "codec": "trunc-100", "identifiers": False}
    lock = lock_of(tmp_path / "w.lock.json", list(pools.values()), [REFER], render=said)
    for batch in loader(lock, image_size=8):
        for (record,) in batch.records:
            assert not record.messages[0].content.startswith("[")
            lint(msgspec.structs.replace(record, task=None), CODECS["trunc-100"])


def test_global_generators_are_left_as_they_are(lock: Path) -> None:
    torch.manual_seed(1)
    random.seed(1)
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    first = [batch.keys for batch in loader(lock, image_size=8)]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]
    torch.manual_seed(2)
    assert [batch.keys for batch in loader(lock, image_size=8)] == first


def test_a_feed_pickles_small_and_draws_the_same(lock: Path) -> None:
    feed = Feed(drawing(lock), 8)
    first = feed[17, 0]
    data = pickle.dumps(feed)
    again = pickle.loads(data)[17, 0]
    assert (first.records, first.part, first.epoch) == (again.records, again.part, again.epoch)
    assert len(data) < 40_000
    assert len(feed) == 96


def test_pools_may_lie_elsewhere_than_when_the_lock_was_made(
    lock_of: Lock, pools: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "moved").symlink_to(pools["text"])
    lock = lock_of(tmp_path / "m.lock.json", [tmp_path / "moved"], [TEXT], train={"steps": 1})
    first = next(iter(loader(lock))).keys
    (tmp_path / "moved").unlink()
    assert next(iter(loader(lock, pools={"text": str(pools["text"])}))).keys == first
    with pytest.raises(ConfigError, match="unknown pool 'txt'; did you mean text"):
        loader(lock, pools={"txt": "x"})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rank": 2, "ranks": 2}, "rank 2 of 2: wanted 0 or more, below the ranks"),
        ({"rank": -1}, "rank -1 of 1"),
        ({"ranks": 13}, "13 ranks: wanted at most the 12 samples of a step"),
        ({"start": 9}, "start 9: wanted a step from 0 to the stage's 8"),
    ],
)
def test_a_rank_or_start_there_is_not_is_refused(lock: Path, said: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loader(lock, **said)


def test_a_run_that_is_done_feeds_nothing(lock: Path) -> None:
    assert list(loader(lock, start=8)) == []
    assert len(loader(lock, start=3)) == 5


def photo(width: int, height: int, seed: int, grey: bool = False) -> bytes:
    """A JPEG of shades, edges and fine noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (max(2, height // 40), max(2, width // 40), 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(image).astype(int) + random.normal(0, 12, (height, width, 3)).astype(int)
    noisy[height // 3 : height // 2, width // 3 : width // 2] = (250, 20, 40)
    file = io.BytesIO()
    shown = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    (shown.convert("L") if grey else shown).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.mark.parametrize("size", [448, 224])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (333, 500), (1500, 1000), (64, 48), (448, 448), (3000, 40), (16, 1200), (8, 8)]
)
def test_pixels_are_pillows_bicubic_within_fifty_decibels(width: int, height: int, size: int) -> None:
    data = photo(width, height, seed=width)
    ours = picture(data, size)
    assert (ours.shape, ours.dtype) == ((3, size, size), torch.uint8)
    assert decibels(ours, pillow(data, size)) >= 50


def test_grey_becomes_three_equal_colours() -> None:
    data = photo(200, 150, seed=1, grey=True)
    ours = picture(data, 96)
    assert torch.equal(ours[0], ours[1])
    assert torch.equal(ours[0], ours[2])
    assert decibels(ours, pillow(data, 96)) >= 50


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (photo(64, 64, 1)[:-700], "damaged picture"),
        (photo(64, 64, 1)[:-900] + bytes(898) + b"\xff\xd9", "damaged picture"),
        (b"hello", "no picture"),
        (photo(64, 64, 1).replace(b"\x11\x08\x00\x40\x00\x40", b"\x11\x08\xf0\x00\xf0\x00"), "too many pixels"),
    ],
    ids=["cut", "zeros", "text", "bomb"],
)
def test_a_damaged_picture_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        picture(data)


def test_page_locked_copies_keep_everything_else(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self.clone())
    batch = next(iter(loader(lock, image_size=8)))
    pinned = batch.pin_memory()
    assert isinstance(pinned, Batch)
    assert torch.equal(pinned.images, batch.images)
    assert pinned.images.data_ptr() != batch.images.data_ptr()
    assert (pinned.records, pinned.next) == (batch.records, batch.next)
