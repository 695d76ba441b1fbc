"""The splits that can be held out, by name, and how names of pictures are looked up."""

import numpy as np
import pyarrow as pa
import pytest

import converters
from pipelines.held_names import Held
from pipelines.held_out import asked, known
from pipelines.record_index import given
from schemas.errors import ConfigError


def test_strict_names_every_split_that_the_paper_is_evaluated_on_and_vqav2_is_only_held_out_by_name() -> None:
    strict = [one.split for one in asked("strict")]
    assert strict == [
        *(f"refcoco/{split}" for split in ("val", "testA", "testB")),
        *(f"refcocoplus/{split}" for split in ("val", "testA", "testB")),
        *(f"refcocog/{split}" for split in ("val", "test")),
        *(f"flickr30k_grounded/{split}" for split in ("val", "test")),
        *(f"coco_caption/{split}" for split in ("val", "test")),
        "okvqa/val",
        "gqa/testdev",
        "vsr/test",
    ]
    assert asked("released") == []
    assert [one.split for one in asked(["vqav2/val", "strict"])] == [*strict, "vqav2/val"]
    assert [one.split for one in asked(["vsr/test", "refcoco/val"])] == ["refcoco/val", "vsr/test"]


def test_every_split_that_can_be_held_out_is_a_source_that_reads_it_in_those_forms() -> None:
    for split in known().values():
        for name, _, within in (place.partition("/") for place in (split.split, *split.same)):
            source = converters.find(name)
            assert within in source.splits and source.collection
            assert (
                set(split.forms or ()) & {form.name for form in source.forms if within in form.splits}
                or not split.forms
            )


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (["refcoco/vall"], r"held_out: unknown split 'refcoco/vall'; did you mean refcoco/val"),
        (["released"], r"held_out: unknown split 'released'"),
    ],
)
def test_an_unknown_split_offers_near_ones(held_out: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asked(held_out)


def test_the_index_of_a_forged_picture_number_hides_no_picture(mix_pools: dict[str, str]) -> None:
    index = next(iter(given(mix_pools["coco"]).shards())).rows()
    names = dict.fromkeys(index["image"].to_pylist(), 0)
    turned = index.set_column(0, "sample", pa.array(index["sample"].to_numpy()[::-1].copy()))
    held = Held(names, np.empty(0, np.uint64), np.empty(0, np.int16), None)
    assert (held.labels(turned) == 0).all()
