from collections import Counter

import pytest

from schemas.errors import ConfigError
from schemas.prompt import SLOTS, Wording, checked, choose, draw, draws, fill, templates

POOLS = {
    "caption": (),
    "grounding": (),
    "refer": ("phrase",),
    "identify": ("box",),
    "detection": ("phrase",),
    "detection_phrase": ("phrase",),
    "detection_caption": ("caption",),
    "vqa": ("question",),
    "vqa_choices": ("question", "choices"),
    "refer_eval": ("phrase",),
    "vqa_eval": ("question",),
    "vsr_eval": ("statement",),
    "vizwiz_eval": ("question",),
    "hateful_memes_eval": ("text",),
}
EACH = pytest.mark.parametrize("name", POOLS)

# (seed, key, epoch, bits, template): worked out once, apart from the code. Whoever changes one of these changes the
# words of every record of every pool ever built: reordering or rewording prompts.yaml does.
ORDER = [
    (0, "refcoco/val/17-2/refer", 0, 1013002792284542094, "where is {phrase}?"),
    (0, "refcoco/val/17-2/refer", 1, 72941221769819860, "locate {phrase}"),
    (1, "refcoco/val/17-2/refer", 0, 8139581872387590489, "in this image, where can I see {phrase}?"),
    (0, "coco_caption/train/48/caption", 0, 6980984669485595632, "write one sentence about this photo"),
    (0, "coco_instances/val/9-3/detection", 0, 13255232109035078099, "box every {phrase} you see"),
    (0, "refcoco/testA/3-7/identify", 5, 17120398557566053676, "describe what lies within {box}"),
]


@pytest.mark.parametrize(("seed", "key", "epoch", "bits", "template"), ORDER)
def test_the_order_of_draws_never_changes(seed: int, key: str, epoch: int, bits: int, template: str) -> None:
    assert draw(seed, key, epoch, "template") == bits
    assert choose(seed, key, epoch, templates()[key.rpartition("/")[2]]) == template


def test_another_decision_about_the_same_record_is_another_draw() -> None:
    assert draw(0, "a/b/1/refer", 0, "template") != draw(0, "a/b/1/refer", 0, "answer")


def test_where_a_number_ends_and_the_next_begins_counts() -> None:
    assert draw(1, "1/a", 0, "template") != draw(11, "/a", 0, "template")
    assert draw(0, "a", 11, "template") != draw(0, "a1", 1, "template")


def test_there_is_a_pool_for_each_task_that_is_asked() -> None:
    assert set(templates()) == set(POOLS)
    assert {name: tuple(slots) for name, slots in SLOTS.items()} == POOLS


@EACH
def test_every_pool_has_ten_different_templates_or_more(name: str) -> None:
    assert len(templates()[name]) >= 10 if not name.endswith("_eval") else len(templates()[name]) == 1
    assert len(set(templates()[name])) == len(templates()[name])


@EACH
def test_every_template_holds_its_slots_once_and_no_other_brace_or_bracket(name: str) -> None:
    for template in templates()[name]:
        for slot in POOLS[name]:
            assert template.count(f"{{{slot}}}") == 1
            template = template.replace(f"{{{slot}}}", "")
        assert not set(template) & set("{}[]<>\\")


@EACH
def test_all_templates_are_used_about_equally(name: str) -> None:
    pool = templates()[name]
    used = Counter(choose(0, f"source/train/{number}/{name}", 0, pool) for number in range(1000 * len(pool)))
    assert set(used) == set(pool)
    assert min(used.values()) > 850
    assert max(used.values()) < 1150


@EACH
def test_over_epochs_one_record_gets_every_template(name: str) -> None:
    assert {choose(0, "source/train/7/x", epoch, templates()[name]) for epoch in range(300)} == set(templates()[name])


def test_a_filled_slot_is_never_looked_at_again() -> None:
    assert fill("find {phrase}", {"phrase": "{box} and {phrase}", "box": "!"}) == "find {box} and {phrase}"


def test_what_is_no_slot_is_left_alone() -> None:
    assert fill("a {Box} {1} {} {phrase}", {"phrase": "x"}) == "a {Box} {1} {} x"


@pytest.mark.parametrize("template", ["where?", "{phrase} or {phrase}", "{box}", "{phrase} {box}", "{phrase} {colour}"])
def test_a_template_with_other_slots_than_its_pools_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match=r"of pool 'refer': slots \(.*wanted \('phrase',\) once each"):
        checked("refer", ("find {phrase}", template))


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"template pool 'caption' is empty"):
        checked("caption", ())


def test_an_unknown_pool_offers_near_names() -> None:
    with pytest.raises(ConfigError, match=r"unknown template pool 'identifi'; did you mean identify"):
        checked("identifi", ("x",))


def test_a_wording_is_seed_zero_the_default_codec_and_the_shipped_pools() -> None:
    wording = Wording()
    assert (wording.seed, wording.codec.name, wording.pools) == (0, "round-100", templates())


def test_many_draws_at_once_are_the_draws_of_each_key() -> None:
    ids = ["0", "7", "7-1", "é"]
    keys = [f"coco/train/{id}/refer" for id in ids]
    bits = draws(3, ("coco/train/", ids, "/refer"), 2, "template")
    assert [int.from_bytes(bits[at : at + 8], "big") for at in range(0, len(bits), 8)] == [
        draw(3, key, 2, "template") for key in keys
    ]
    assert draws(3, ("a/", [], "/b"), 0, "template") == b""
