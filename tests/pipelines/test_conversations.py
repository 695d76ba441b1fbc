"""Multi-turn conversations in a pool: counted as a source of their own, and no answer is given away."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines.draw import samples
from pipelines.shard import Built, shard
from pipelines.verify import verify
from schemas.errors import ConfigError
from schemas.pool import pool_config
from schemas.record import Record

Config = dict[str, Any]
TreeOf = Callable[[Path], dict[str, bytes]]
TOKEN = re.compile(r"\{<([0-9]+)><([0-9]+)><([0-9]+)><([0-9]+)>\}")
PHRASE = re.compile(r"<p>(.*?)</p>")


def build(config: Config, out: Path, workers: int = 1) -> Built:
    return shard(pool_config(config, "test"), str(out), workers=workers)


@pytest.fixture
def config(demo_config: Config) -> Config:
    return demo_config | {"multitask": {"per_picture": 2, "splits": ["train", "val"]}}


def read(pool: Path) -> list[tuple[str, Record, dict[str, Record]]]:
    """Every conversation with its picture's id and all records of its sample by key."""
    return [
        (sample.image.id, record, {one.key: one for one in sample.records})
        for sample, _ in samples(str(pool))
        for record in sample.records
        if record.source == "multitask" and sample.image
    ]


def words(text: str) -> str:
    return (
        f" {' '.join(re.findall(r'[a-z0-9]+', TOKEN.sub(' ', text).lower().replace('<p>', ' ').replace('</p>', ' ')))} "
    )


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def boxes(text: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, found)) for found in TOKEN.findall(text)]


def test_no_answers_box_or_phrase_occurs_in_an_earlier_turn(config: Config, tmp_path: Path) -> None:
    build(config, tmp_path / "pool")
    found = read(tmp_path / "pool")
    assert len(found) > 50
    turns = 0
    for _, record, _ in found:
        for place in range(3, len(record.messages), 2):
            answer = record.messages[place].content
            earlier = [message.content for message in record.messages[: place - 1]]
            for phrase in PHRASE.findall(answer) or [TOKEN.sub("", answer)]:
                assert not words(phrase).strip() or all(words(phrase) not in words(text) for text in earlier), record
            for one in boxes(answer) + boxes(record.messages[place - 1].content):
                assert all(overlap(one, other) < 0.55 for text in earlier for other in boxes(text)), record
            turns += 1
    assert turns > 60


def test_every_turn_is_one_of_the_samples_records_of_that_split(config: Config, tmp_path: Path) -> None:
    build(config, tmp_path / "pool")
    found = read(tmp_path / "pool")
    assert {record.split for _, record, _ in found} == {"train", "val"}
    for _, record, by_key in found:
        parts = [by_key[pair.value] for pair in record.meta]
        assert [message for part in parts for message in part.messages] == record.messages
        assert {part.split for part in parts} == {record.split}
        assert len({part.task for part in parts}) >= 2 <= len(parts) <= 6
        assert len({part.key for part in parts}) == len(parts)


def test_the_ledger_counts_every_picture_of_a_split(config: Config, tmp_path: Path) -> None:
    manifest = build(config, tmp_path / "pool").manifest
    told = {tally.split: tally for tally in manifest.ledger if tally.source == "multitask"}
    pictures: dict[str, set[str]] = {}
    for sample, _ in samples(str(tmp_path / "pool")):
        for record in sample.records:
            if sample.image and record.source != "multitask":
                pictures.setdefault(record.split, set()).add(sample.image.id)
    written = [record.split for _, record, _ in read(tmp_path / "pool")]
    for split, tally in told.items():
        assert tally.candidates == 2 * len(pictures[split])
        assert tally.written == written.count(split) > 0
        assert [count.name for count in tally.filtered] in ([], ["too few facts"])
    assert verify(str(tmp_path / "pool"), 1).problems == []


def test_a_damaged_pictures_conversations_are_rejected_with_it(config: Config, tmp_path: Path) -> None:
    folder = Path(config["collections"]["coco"])
    mine = tmp_path / "coco" / "train2014"
    mine.mkdir(parents=True)
    for path in sorted((folder / "train2014").iterdir()):
        (mine / path.name).write_bytes(path.read_bytes())
    victim = next(iter(sorted(mine.iterdir())))
    victim.write_bytes(victim.read_bytes()[:400])
    config |= {"collections": {"coco": [str(tmp_path / "coco"), str(folder)]}}
    config["sources"] = [entry | {"max_reject": 0.2} for entry in config["sources"]]
    manifest = build(config, tmp_path / "pool").manifest
    (told,) = (tally for tally in manifest.ledger if (tally.source, tally.split) == ("multitask", "train"))
    assert [(count.name, count.count) for count in told.rejected] == [("damaged picture", 2)]
    assert verify(str(tmp_path / "pool"), 1).problems == []


def test_any_number_of_workers_makes_the_same_conversations(config: Config, tmp_path: Path, tree: TreeOf) -> None:
    build(config, tmp_path / "one")
    build(config, tmp_path / "four", workers=4)
    assert tree(tmp_path / "one") == tree(tmp_path / "four")


def test_without_being_asked_for_there_are_none(demo_pool: Path) -> None:
    assert read(demo_pool) == []


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        ({"splits": ["training"]}, r"^multitask: unknown split 'training'; did you mean train"),
        ({"tasks": ["refer", "referr"]}, "unknown task 'referr'; did you mean refer"),
        ({"tasks": ["refer"]}, "two tasks or more"),
        ({"min_turns": 4, "max_turns": 3}, "min_turns is more than max_turns"),
        ({"min_turns": 1}, "multitask.min_turns"),
        ({"turns": 3}, "unknown key 'multitask.turns'"),
    ],
)
def test_a_wrong_wish_is_told(demo_config: Config, tmp_path: Path, policy: Config, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        build(demo_config | {"multitask": policy}, tmp_path / "pool")


def test_only_the_tasks_that_were_asked_for_are_mixed(config: Config, tmp_path: Path) -> None:
    config["multitask"] = {"tasks": ["refer", "caption"], "max_turns": 3}
    build(config, tmp_path / "pool")
    tasks = {message.content[:7] for _, record, _ in read(tmp_path / "pool") for message in record.messages[::2]}
    assert tasks == {"[refer]", "[captio"}


def test_a_conversation_is_read_back_from_the_tar_as_it_was_linted(config: Config, tmp_path: Path) -> None:
    build(config, tmp_path / "pool")
    record = read(tmp_path / "pool")[0][1]
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record
