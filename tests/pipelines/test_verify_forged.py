"""Tests of verification against a forger who mends every digest: what the files say must still agree."""

import io
import json
import struct
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipelines.verify import verify

Json = dict[str, Any]
Seal = Callable[[Path], None]
TAR = "demo-000000.tar"
INDEX = "index/000000.arrow"


def members(pool: Path, tar: str = TAR) -> list[tuple[str, bytes]]:
    with tarfile.open(pool / tar) as file:
        return [(info.name, file.extractfile(info).read()) for info in file]  # type: ignore[union-attr]


def rewrite(pool: Path, listed: list[tuple[str, bytes]], tar: str = TAR) -> None:
    """Write a tar of those members, and the offsets that belong to it."""
    offsets, seen, held = [], None, io.BytesIO()
    for name, data in listed:
        if name.partition(".")[0] != seen:
            seen = name.partition(".")[0]
            offsets.append(held.tell())
        info = tarfile.TarInfo(name)
        info.size = len(data)
        held.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
    offsets.append(held.tell())
    held.write(bytes(1024))
    (pool / tar).write_bytes(held.getvalue() + bytes(-held.tell() % 10_240))
    (pool / f"{tar}.idx").write_bytes(struct.pack(f"<{len(offsets)}Q", *offsets))


def change_sample(pool: Path, change: Callable[[Json], None], tar: str = TAR) -> None:
    """Change the first sample's JSON, and mend the tar around it."""
    listed = members(pool, tar)
    place = next(place for place, (name, _) in enumerate(listed) if name.endswith(".json"))
    sample = json.loads(listed[place][1])
    change(sample)
    listed[place] = (listed[place][0], json.dumps(sample).encode())
    rewrite(pool, listed, tar)


def boxed(sample: Json) -> Json:
    record: Json = next(record for record in sample["records"] if record["task"] == "refer")
    return record


def change_token(sample: Json) -> None:
    reply = boxed(sample)["messages"][1]
    first, rest = reply["content"][2:].split(">", 1)
    reply["content"] = "{<" + str((int(first) + 1) % 10) + ">" + rest


def change_box(sample: Json) -> None:
    box = boxed(sample)["boxes"][0]
    box[0] = box[0] - 0.011 if box[0] > 0.02 else box[0] + 0.011


def add_box(sample: Json) -> None:
    boxed(sample)["boxes"].append([0.1, 0.1, 0.2, 0.2])


def invert_box(sample: Json) -> None:
    boxed(sample)["boxes"][0].reverse()


def drop_record(sample: Json) -> None:
    sample["records"].pop()


def repeat_record(sample: Json) -> None:
    sample["records"].append(sample["records"][0])


def rename_record(sample: Json) -> None:
    sample["records"][0]["key"] += "x"


def unknown_source(sample: Json) -> None:
    sample["records"][0]["source"] = "nosuch"


def unknown_split(sample: Json) -> None:
    sample["records"][0]["split"] = "nosuch"


def another_split(sample: Json) -> None:
    sample["records"][0]["split"] = "val" if sample["records"][0]["split"] == "train" else "train"


def another_schema(sample: Json) -> None:
    sample["schema"] = "boxcar/2"


def more_fields(sample: Json) -> None:
    sample["records"][0]["note"] = "hello"


def wider_picture(sample: Json) -> None:
    sample["image"]["width"] += 1


def another_id(sample: Json) -> None:
    sample["image"]["id"] = "coco/1"


def another_alias(sample: Json) -> None:
    sample["image"]["aliases"] = ["vg/1"]


def another_score(sample: Json) -> None:
    sample["image"]["scores"] = [{"name": "similarity", "value": 0.9}]


def another_sha(sample: Json) -> None:
    sample["image"]["sha256"] = "0" * 64


def no_picture(sample: Json) -> None:
    sample["image"] = None


def injected(sample: Json) -> None:
    sample["records"][0]["messages"][1]["content"] += " <Img>"


def no_identifier(sample: Json) -> None:
    turn = boxed(sample)["messages"][0]
    turn["content"] = turn["content"].removeprefix("[refer] ")


@pytest.mark.parametrize(
    ("change", "file"),
    [
        *((one, TAR) for one in (change_token, change_box, add_box, invert_box, unknown_source, another_schema)),
        *((one, TAR) for one in (more_fields, wider_picture, another_id, another_sha, no_picture, injected)),
        *((one, TAR) for one in (no_identifier, repeat_record)),
        *((one, INDEX) for one in (drop_record, rename_record, another_alias, another_score)),
        *((one, INDEX) for one in (unknown_split, another_split)),
    ],
)
def test_a_forged_sample_is_found(pool_copy: Path, seal: Seal, change: Callable[[Json], None], file: str) -> None:
    seal(pool_copy)
    assert verify(str(pool_copy)).problems == []
    change_sample(pool_copy, change)
    seal(pool_copy)
    assert file in {problem.file for problem in verify(str(pool_copy)).problems}


def test_a_tar_that_is_written_anew_with_every_digest_mended_is_no_problem(pool_copy: Path, seal: Seal) -> None:
    change_sample(pool_copy, lambda sample: None)
    seal(pool_copy)
    assert verify(str(pool_copy)).problems == []


def swap_pictures(listed: list[tuple[str, bytes]]) -> None:
    listed[0], listed[2] = (listed[0][0], listed[2][1]), (listed[2][0], listed[0][1])


def cut_picture(listed: list[tuple[str, bytes]]) -> None:
    data = listed[0][1][:-400]
    sample = json.loads(listed[1][1])
    sample["image"]["sha256"] = sha256(data).hexdigest()
    listed[:2] = [(listed[0][0], data), (listed[1][0], json.dumps(sample).encode())]


def drop_picture(listed: list[tuple[str, bytes]]) -> None:
    del listed[0]


def drop_json(listed: list[tuple[str, bytes]]) -> None:
    del listed[1]


def drop_sample(listed: list[tuple[str, bytes]]) -> None:
    del listed[:2]


def repeat_sample(listed: list[tuple[str, bytes]]) -> None:
    listed += listed[:2]


def add_member(listed: list[tuple[str, bytes]]) -> None:
    listed.insert(2, (listed[0][0].replace(".jpg", ".txt"), b"more"))


def climbing_member(listed: list[tuple[str, bytes]]) -> None:
    listed.insert(2, ("../../x.jpg", b"more"))


def not_json(listed: list[tuple[str, bytes]]) -> None:
    listed[1] = (listed[1][0], b"{\xff")


def deep_json(listed: list[tuple[str, bytes]]) -> None:
    listed[1] = (listed[1][0], b'{"schema":' + b"[" * 100_000)


TAR_CHANGES = [swap_pictures, cut_picture, drop_picture, drop_json, repeat_sample]
TAR_CHANGES += [add_member, climbing_member, not_json, deep_json]


@pytest.mark.parametrize(("change", "file"), [*((one, TAR) for one in TAR_CHANGES), (drop_sample, INDEX)])
def test_a_forged_tar_is_found(
    pool_copy: Path, seal: Seal, change: Callable[[list[tuple[str, bytes]]], None], file: str
) -> None:
    listed = members(pool_copy)
    change(listed)
    rewrite(pool_copy, listed)
    seal(pool_copy)
    assert file in {problem.file for problem in verify(str(pool_copy)).problems}


def test_a_sample_that_lies_in_two_shards_is_found(pool_copy: Path, seal: Seal) -> None:
    first = members(pool_copy)
    rewrite(pool_copy, [*members(pool_copy, "demo-000001.tar"), *first[:2]], "demo-000001.tar")
    seal(pool_copy)
    problems = verify(str(pool_copy)).problems
    assert [problem.what for problem in problems if problem.file == first[1][0]] == [
        "the sample lies 2 times in the pool"
    ]
