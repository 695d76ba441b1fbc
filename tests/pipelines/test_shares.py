"""Weights, epochs and temperature as counts in a block of draws."""

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.shares import BLOCK, Sized, shares
from schemas.errors import ConfigError
from schemas.ledger import Part
from schemas.mixture import Mixture, mixture

Staged = Callable[..., Mixture]
NAMES = ("refcoco", "coco_caption", "vg", "gqa")


def sized(*weights: float | None, epochs: float | None = None, **more: Any) -> list[Sized]:
    """Parts of 1,000 records in as many items, of 10 tokens each, or what ``more`` says of each of them."""
    parts = []
    for place, weight in enumerate(weights):
        told = {"records": 1000, "items": 1000, "mean_tokens": 10.0, "batch_size": 1}
        told |= {name: values[place] for name, values in more.items()}
        parts.append(Sized(Part(NAMES[place], "train", None), weight, None if weight else epochs, **told))
    return parts


def stage(staged: Staged, **more: Any) -> Mixture:
    return staged(("refcoco", "refer", {"batch_size": 1} if more.get("unit") == "batch" else {}), **more)


@pytest.mark.parametrize(
    ("weights", "counts"), [((3, 2), [3, 2]), ((50, 30), [5, 3]), ((0.5, 0.25), [2, 1]), ((0.1, 0.2), [1, 2])]
)
def test_small_whole_weights_are_met_exactly(staged: Staged, weights: tuple[float, ...], counts: list[int]) -> None:
    found = shares(stage(staged), sized(*weights))
    assert (found.counts, found.block, found.step, found.steps, found.budget) == (counts, sum(counts), 8, 10, 80)


def test_other_weights_are_met_by_largest_remainder_in_a_large_block(staged: Staged) -> None:
    found = shares(stage(staged), sized(1.0, 2**0.5, 3.00001))
    assert found.block == BLOCK == sum(found.counts)
    total = 1 + 2**0.5 + 3.00001
    for count, weight in zip(found.counts, (1, 2**0.5, 3.00001), strict=True):
        assert abs(count - BLOCK * weight / total) < 1


def test_weights_whose_whole_numbers_are_too_large_are_rounded(staged: Staged) -> None:
    assert shares(stage(staged), sized(1, BLOCK - 1)).counts == [1, BLOCK - 1]
    assert shares(stage(staged), sized(3, 2 * BLOCK)).counts == [1, BLOCK - 1]


def test_a_weight_is_a_share_of_records_images_tokens_or_batches(staged: Staged) -> None:
    def counts(unit: str, **more: Any) -> list[float]:
        train = {"steps": 10, "batches": 8} if unit == "batch" else {"steps": 10, "global_batch": 8}
        found = shares(stage(staged, unit=unit, train=train, per_image="all"), sized(1, 1, **more))
        return [count / found.block for count in found.counts]

    # The second part joins four records to an item, so a quarter of the draws gives as many records as the first.
    assert counts("sample", items=(1000, 250)) == pytest.approx([0.8, 0.2], abs=1e-4)
    assert counts("image", items=(1000, 250)) == [0.5, 0.5]
    assert counts("token", items=(1000, 250), mean_tokens=(10.0, 30.0)) == pytest.approx([12 / 13, 1 / 13], abs=1e-4)
    assert counts("batch", items=(1000, 250), batch_size=(1, 6)) == [0.5, 0.5]


def test_temperature_flattens_weights(staged: Staged) -> None:
    found = shares(stage(staged, temperature=2.0), sized(1, 9))
    assert found.counts == [BLOCK // 4, BLOCK * 3 // 4]
    assert shares(stage(staged, temperature=1e-3), sized(1e300, 1e300)).counts == [BLOCK // 2] * 2


def test_epochs_are_met_first_and_weights_share_what_is_left(staged: Staged) -> None:
    train = {"steps": 1000, "global_batch": 8}
    found = shares(stage(staged, train=train), sized(1, None, 3, epochs=2.0))
    assert [count / BLOCK for count in found.counts] == pytest.approx([0.1875, 0.25, 0.5625], abs=1e-4)


def test_epochs_alone_make_the_budget(staged: Staged) -> None:
    parts = [{"source": "refcoco", "task": "refer", "weight": None, "epochs": 2.0}]
    asked = mixture({"stage": 1, "unit": "sample", "parts": parts, "train": {"global_batch": 7}}, "test")
    found = shares(asked, sized(None, epochs=2.0))
    assert (found.steps, found.step) == (286, 7)  # 2,000 draws
    assert found.counts == [BLOCK]


@pytest.mark.parametrize("epochs", [1e30, 1e308])
def test_more_epochs_than_any_stage_has_steps_for_are_refused(epochs: float) -> None:
    parts = [{"source": "refcoco", "task": "refer", "epochs": epochs}]
    asked = mixture({"stage": 1, "unit": "sample", "parts": parts, "train": {"global_batch": 7}}, "test")
    with pytest.raises(ConfigError, match=r"the parts' epochs ask for .* draws: wanted 2,147,483,648 steps of 7"):
        shares(asked, sized(None, epochs=epochs))


def test_passes_over_batches_count_batches(staged: Staged) -> None:
    train = {"steps": 100, "batches": 8}
    found = shares(stage(staged, unit="batch", train=train), sized(1, None, epochs=1.0, batch_size=(6, 5)))
    assert found.counts[1] / BLOCK == pytest.approx(200 / 800, abs=1e-4)


@pytest.mark.parametrize(
    ("parts", "more", "message"),
    [
        (
            sized(1, None, epochs=2.0),
            {},
            r"train\.steps: the parts' epochs ask for 2,000 draws, the stage has 80: give",
        ),
        (
            sized(None, epochs=2.0),
            {"train": {"steps": 1000, "global_batch": 8}},
            r"ask for 2,000 draws, the stage has 8,000: leave steps out, or give a part a weight",
        ),
        (
            sized(1, 1e-9),
            {},
            r"part coco_caption/train/chat: weight 1e-09 cannot be met: .*one in 16,384 .*wanted at least 6\.1e-05$",
        ),
        (
            sized(1, None, epochs=1e-5),
            {"train": {"steps": 1000, "global_batch": 8}},
            r"part coco_caption/train/chat: epochs 1e-05 cannot be met: .*wanted at least 0\.000488",
        ),
        (
            sized(1, None, epochs=0.08),
            {},
            r"part refcoco/train/chat: weight 1 cannot be met: nothing is left for it$",
        ),
    ],
)
def test_what_cannot_be_met_is_told_with_what_could(
    staged: Staged, parts: list[Sized], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        shares(stage(staged, **more), parts)


def test_the_smallest_weight_that_is_named_can_be_met(staged: Staged) -> None:
    for temperature in (1.0, 2.0):
        mixed = stage(staged, temperature=temperature)
        with pytest.raises(ConfigError, match="wanted at least") as raised:
            shares(mixed, sized(1, 1e-20))
        least = float(str(raised.value).rpartition(" ")[2])
        assert shares(mixed, sized(1, least * 1.01)).counts[1] == 1
