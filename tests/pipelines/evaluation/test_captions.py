"""CIDEr by the library, and objects that captions make up."""

import pytest

from pipelines.evaluation.captions import chair, cider, coco_names, objects, words

COCO = (
    "person bicycle car motorcycle airplane bus train truck boat|traffic light|fire hydrant|stop sign|parking meter|"
    "bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee "
    "skis snowboard|sports ball|kite|baseball bat|baseball glove|skateboard surfboard|tennis racket|bottle|"
    "wine glass|cup "
    "fork knife spoon bowl banana apple sandwich orange broccoli carrot|hot dog|pizza donut cake chair couch|"
    "potted plant|bed|dining table|toilet tv laptop mouse remote keyboard|cell phone|microwave oven toaster sink "
    "refrigerator book clock vase scissors|teddy bear|hair drier|toothbrush"
)
TWO_WORDS = {"traffic light", "fire hydrant", "stop sign", "parking meter", "sports ball", "baseball bat",
             "baseball glove", "tennis racket", "wine glass", "hot dog", "potted plant", "dining table", "cell phone",
             "teddy bear", "hair drier"}  # fmt: skip


def test_all_eighty_categories_of_coco_have_a_name() -> None:
    wanted = {name for group in COCO.split("|") for name in ([group] if group in TWO_WORDS else group.split())}
    assert len(wanted) == 80
    assert set(coco_names().values()) == wanted


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("Two puppies chase a ball.", ["dog", "sports ball"]),
        ("a hot dog on a plate", ["hot dog"]),
        ("A wine glass and glasses", ["wine glass"]),
        ("knives, buses and people", ["knife", "bus", "person"]),
        ("a teddy bear next to a bear", ["teddy bear", "bear"]),
        ("<p>a man</p> {<1><2><3><4>} rides <p>a horse</p> {<5><6><7><8>}", ["person", "horse"]),
        ("a catalogue of scarves", []),
    ],
)
def test_objects_are_found_by_any_of_their_names(caption: str, named: list[str]) -> None:
    assert objects(caption, coco_names()) == named


def test_words_leave_out_tokens_and_marks() -> None:
    assert words("<p>A dog's bowl</p> {<1><2><3><4>}<delim>{<1><2><3><4>} - red.") == ["a", "dog's", "bowl", "red"]


def test_objects_are_made_up_where_neither_instances_nor_people_know_them() -> None:
    told = [
        ("a dog and a cat on a couch", ["dog"], ["a puppy lies on the sofa"]),
        ("a man", ["person"], []),
        ("nothing here", [], []),
    ]
    found = chair(told, coco_names())
    assert found == (3, pytest.approx(1 / 4), pytest.approx(1 / 3), pytest.approx((8 + 2 + 2) / 3))


def test_cider_is_highest_where_captions_are_what_people_say() -> None:
    people = {"1": ["a red star on a grey wall", "a red star"], "2": ["two blue circles"], "3": ["one green square"]}
    same = {"1": "A red star on a grey wall.", "2": "two blue circles", "3": "one green square"}
    crossed = {"1": "two blue circles", "2": "one green square", "3": "a red star"}
    assert cider(same, people) > 1.0 > 0.01 > cider(crossed, people)
