"""Ids that come again, where a converter vouches for those that do not, and boxes of one thing in any order."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters._block import Block, InBlocks
from converters._table import Reading
from pipelines.columns import left_to_right
from pipelines.convert import job
from pipelines.rendered import Ids, Lines, compiled_all, rendered
from schemas.box import CODECS
from schemas.prompt import Wording
from tests.pipelines.test_rendered import annotated, converted, insist_same, lines_of


def entities(folder: Path, ids: list[int], chains: int = 1) -> None:
    (folder / "train.txt").write_text("".join(f"{id}\n" for id in ids))
    (folder / "UNRELATED_CAPTIONS").write_text("# none\n")
    said = "".join(f"[/EN#{number % chains + 1}/people a man] .\n" for number in range(5))
    with zipfile.ZipFile(folder / "annotations.zip", "w") as file:
        for id in {*ids}:
            objects = [([str(chain)], (id % 50 + 1, chain, 60, 60)) for chain in range(1, chains + 1)]
            file.writestr(f"Annotations/{id}.xml", annotated(id, objects))
            file.writestr(f"Sentences/{id}.txt", said)


@pytest.mark.parametrize("between", [0, 1, 220])
def test_a_picture_listed_twice_is_written_once(tmp_path: Path, between: int) -> None:
    entities(tmp_path, [7, *range(100, 100 + between), 7])
    one = job("flickr30k_grounded", str(tmp_path), "train", options={"min_phrases": "1"})
    insist_same(one, Wording())
    (told,) = converted(one, Wording())[1].ledger
    assert (told.written, [(count.name, count.count) for count in told.rejected]) == (
        5 * (1 + between),
        [("duplicate key", 5)],
    )
    assert lines_of(one, Wording()) == 5 * between


def test_chains_of_the_same_number_in_pictures_of_a_block_are_each_pictures_own(tmp_path: Path) -> None:
    entities(tmp_path, [1, 2, 3], chains=2)
    one = job("flickr30k_grounded", str(tmp_path), "train", options={"min_phrases": "1"})
    insist_same(one, Wording())
    assert lines_of(one, Wording()) == 15


@pytest.mark.parametrize("odd", [False, True])
def test_a_caption_whose_id_came_before_is_refused(tmp_path: Path, odd: bool) -> None:
    said: list[dict[str, Any]] = [{"id": id, "image_id": 1, "caption": f"a dog {id}"} for id in (*range(3000), 5)]
    file = {"images": [{"id": 1, "width": 9, "height": 9}], "annotations": said + ([{"id": "x"}] if odd else [])}
    (tmp_path / "captions_train2017.json").write_text(json.dumps(file))
    one = job("coco_caption", str(tmp_path), "train")
    insist_same(one, Wording())
    (told,) = converted(one, Wording())[1].ledger
    assert (told.written, told.rejects) == (3000, 1 + odd)


def test_an_id_among_rows_that_all_went_alone_is_not_new_to_a_later_block(demo_files: Path) -> None:
    one, ids = job("coco_caption", str(demo_files / "coco"), "train"), Ids()
    assert isinstance(one.found.form.rows, InBlocks)
    (block,) = one.found.form.rows.blocks(Reading("coco_caption", "train", one.found.files, {}))
    assert isinstance(block, Block)
    block = replace(block, once=False)
    variants = compiled_all(one.found.form, one.variants, "coco_caption", "train", Wording())
    for again in (replace(block, alone=range(len(block.ids))), block):
        assert not any(isinstance(found, Lines) for found in rendered(again, variants, ids, CODECS["round-100"]))


def test_of_ids_that_stand_once_none_is_kept(demo_files: Path) -> None:
    one, ids = job("coco_caption", str(demo_files / "coco"), "train"), Ids()
    assert isinstance(one.found.form.rows, InBlocks)
    (block,) = one.found.form.rows.blocks(Reading("coco_caption", "train", one.found.files, {}))
    assert isinstance(block, Block) and block.once
    variants = compiled_all(one.found.form, one.variants, "coco_caption", "train", Wording())
    assert any(isinstance(found, Lines) for found in rendered(block, variants, ids, CODECS["round-100"]))
    assert not ids.written


box = st.tuples(st.integers(0, 3), *[st.integers(0, 2)] * 4)


@given(st.lists(box, max_size=12))
def test_boxes_stand_thing_after_thing_left_to_right_and_once(boxes: list[tuple[int, ...]]) -> None:
    columns = np.array(boxes, float).reshape(-1, 5).T
    places, things = left_to_right([thing for thing, *_ in boxes], columns[1:])
    assert [boxes[place] for place in places.tolist()] == sorted({*boxes})
    assert things.tolist() == [thing for thing, *_ in sorted({*boxes})]
