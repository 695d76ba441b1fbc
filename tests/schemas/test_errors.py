import pickle
from typing import Any

import pytest

from schemas import errors
from schemas.errors import BoxcarError, Filtered, RecordError, unknown

TREE = {
    "ConfigError": "BoxcarError",
    "SourceError": "BoxcarError",
    "ShardError": "BoxcarError",
    "RejectsError": "BoxcarError",
    "RecordError": "BoxcarError",
    "Filtered": "BoxcarError",
    "BoxError": "RecordError",
    "ImageError": "RecordError",
    "TextError": "RecordError",
}


def public() -> dict[str, type[BoxcarError]]:
    found = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and not name.startswith("_")}
    return {name: kind for name, kind in found.items() if issubclass(kind, BoxcarError)}


def test_the_tree_is_the_designs() -> None:
    assert set(public()) == {"BoxcarError", *TREE}
    for name, above in TREE.items():
        assert issubclass(public()[name], public()[above])


def test_a_stated_rule_is_no_rejection() -> None:
    assert not issubclass(Filtered, RecordError)


@pytest.mark.parametrize("name", ["BoxcarError", *TREE])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling(name: str, protocol: int) -> None:
    error = public()[name]("empty box: xyxy (1, 2, 1, 4) in a 5x5 picture")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert str(again) == "empty box: xyxy (1, 2, 1, 4) in a 5x5 picture"


@pytest.mark.parametrize("name", ["Filtered", "RecordError", "BoxError", "ImageError", "TextError"])
def test_the_reason_is_what_stands_before_the_first_colon(name: str) -> None:
    kind: Any = public()[name]
    assert kind("crowd: the region: stands").reason == "crowd"
    assert kind("empty caption").reason == "empty caption"


def test_an_unknown_name_offers_the_near_ones_nearest_first() -> None:
    assert unknown("split", "tesst", ["val", "testB", "test"]) == "unknown split 'tesst'; did you mean test or testB?"


def test_an_unknown_name_far_from_all_lists_all() -> None:
    assert unknown("source", "zzz", ["refcoco", "coco_caption"]) == (
        "unknown source 'zzz'; known: coco_caption, refcoco"
    )


def test_an_unknown_name_where_nothing_is_known_says_so() -> None:
    assert unknown("option", "text", []) == "unknown option 'text'; known: none"
