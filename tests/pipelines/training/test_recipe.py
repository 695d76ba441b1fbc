"""The numbers of a run: where they come from, and the rate over its course."""

import pytest
import torch
from torch import nn

from pipelines.training.muon import Muon, orthogonal
from pipelines.training.optimise import optimisers, set_rate
from pipelines.training.recipe import rate, recipe
from schemas.errors import ConfigError

STAGE = {"max_lr": 2e-5, "min_lr": None, "warmup_steps": 7, "steps": 100, "global_batch": 4}


def test_the_large_model_takes_what_the_mixture_says_and_else_what_was_released() -> None:
    by = recipe("minigpt-v2", STAGE)
    assert (by.max_lr, by.warmup_steps) == (2e-5, 7)
    assert (by.min_lr, by.warmup_lr, by.weight_decay, by.betas) == (1e-6, 1e-6, 0.05, [0.9, 0.999])
    assert (by.optimiser, by.clip, by.recompute) == ("adamw", None, True)


def test_the_tiny_model_has_numbers_of_its_own() -> None:
    assert recipe("tiny", STAGE) == recipe("tiny", {})
    assert recipe("tiny", {}, ["max_lr=0.001", "clip=null"]).clip is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["max_rl=1"], "unknown key 'max_rl'; did you mean max_lr"),
        (["max_lr=-1"], "max_lr"),
        (["optimiser=sgd"], "optimiser"),
        (["seed"], "--set seed"),
    ],
)
def test_a_wrong_setting_is_said_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe("tiny", {}, settings)


def test_rates_rise_in_a_line_and_fall_along_a_cosine() -> None:
    by = recipe("minigpt-v2", {"max_lr": 1.0, "min_lr": 0.1, "warmup_lr": 0.2, "warmup_steps": 4})
    assert [rate(by, step, 0.0) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [rate(by, 9, done) for done in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert rate(by, 9, 0.25) == pytest.approx(0.1 + 0.9 * (1 + 2**-0.5) / 2)


def named(*shapes: tuple[int, ...]) -> dict[str, nn.Parameter]:
    torch.manual_seed(3)
    return {f"blocks.{at}.weight": nn.Parameter(torch.randn(shape)) for at, shape in enumerate(shapes)}


def test_our_muon_steps_as_torchs_does_but_for_what_bfloat16_loses() -> None:
    ours, theirs = named((8, 20), (20, 8), (8, 20), (6, 6)), named((8, 20), (20, 8), (8, 20), (6, 6))
    one = Muon(ours.values(), lr=0.02, weight_decay=0.1)
    other = torch.optim.Muon(theirs.values(), lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        torch.manual_seed(step)
        for mine, its in zip(ours.values(), theirs.values(), strict=True):
            mine.grad = torch.randn(mine.shape)
            its.grad = mine.grad.clone()
        one.step()
        other.step()
    began = named((8, 20), (20, 8), (8, 20), (6, 6))
    for mine, its, start in zip(ours.values(), theirs.values(), began.values(), strict=True):
        far = (its - start).norm()
        assert (mine - its).norm() < 0.03 * far


def test_orthogonal_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, 6, 30)))
    assert values.min() > 0.6 and values.max() < 1.3


def test_muon_is_for_matrices_of_blocks_and_the_linear_layer_and_adamw_for_the_rest() -> None:
    shapes = {
        "visual_encoder.encoder.layers.0.mlp.fc1.weight": (8, 4),
        "llama_proj.weight": (4, 8),
        "llama_proj.bias": (4,),
        "llama_model.lm_head.weight": (9, 4),
        "llama_model.model.embed_tokens.weight": (9, 4),
        "visual_encoder.embeddings.patch_embedding.weight": (4, 3, 2, 2),
    }
    trained = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    by = recipe("tiny", {})
    adamw, muon = optimisers(trained, by)
    told = {id(each) for group in muon.param_groups for each in group["params"]}
    assert [name for name, each in trained.items() if id(each) in told] == list(shapes)[:2]
    assert sum(len(group["params"]) for group in adamw.param_groups) == 4
    undecayed = [group["params"] for group in adamw.param_groups if not group["weight_decay"]]
    assert [each.ndim for group in undecayed for each in group] == [1]
    set_rate([adamw, muon], by.max_lr / 2, by)
    assert {group["lr"] for group in adamw.param_groups} == {by.max_lr / 2}
    assert [group["lr"] for group in muon.param_groups] == [pytest.approx(by.muon_lr / 2)]
    assert len(optimisers(trained, recipe("minigpt-v2", {}))) == 1
