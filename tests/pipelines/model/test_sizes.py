"""The sizes: the real one counted without memory for it, what is trained of each, and how tiny begins."""

import math

import pytest
import torch
from tokenizers import Tokenizer

from pipelines.model.build import build
from pipelines.model.sizes import SIZES, Size, size
from pipelines.tokenizer import number_ids
from schemas.errors import ConfigError


def count(parameters: object) -> int:
    return sum(each.numel() for each in parameters)  # type: ignore[attr-defined]


def test_the_real_size_has_the_released_models_parameters_and_trains_56_627_200() -> None:
    model, _ = build(size("minigpt-v2"), device="meta")
    assert count(model.trained().values()) == 56_627_200
    assert count(each for name, each in model.trained().items() if "lora_" in name) == 33_554_432
    assert count(model.llama_proj.parameters()) == 23_072_768
    assert {name.split(".")[-4] for name in model.trained() if "lora_" in name} == {"q_proj", "v_proj"}
    assert model.visual_encoder.embeddings.position_embedding.shape == (1, 1 + 32 * 32, 1408)
    assert len(model.visual_encoder.encoder.layers) == 39
    assert size("minigpt-v2").picture_tokens == 256
    assert round(count(model.llama_model.parameters()) / 1e6) == 6738 + 34  # Llama-2-7B and LoRA


def test_tiny_is_trained_whole() -> None:
    model, _ = build(size("tiny"))
    assert model.trained().keys() == dict(model.named_parameters()).keys()
    assert count(model.parameters()) < 600_000
    assert size("tiny").picture_tokens == 16


def test_freezing_and_lora_are_switches(small: Size, adapted: Size) -> None:
    frozen, _ = build(adapted)
    assert {name.split(".")[-3] for name in frozen.trained() if name.startswith("llama_model")} == {"lora_A", "lora_B"}
    assert not any(name.startswith("visual_encoder") for name in frozen.trained())
    only_joined, _ = build(adapted._replace(lora=None))
    assert set(only_joined.trained()) == {"llama_proj.weight", "llama_proj.bias"}
    both, _ = build(small._replace(lora=adapted.lora))
    assert both.trained().keys() == dict(both.named_parameters()).keys()
    assert any("lora_A" in name for name in both.trained())


def test_the_same_seed_begins_alike_and_the_callers_randomness_is_left_alone(small: Size, adapted: Size) -> None:
    for each in (small, adapted):
        torch.manual_seed(5)
        before = torch.get_rng_state()
        one, two, other = (build(each, seed=seed)[0].state_dict() for seed in (1, 1, 2))
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(value, two[name]) for name, value in one.items())
        assert not torch.equal(one["llama_proj.weight"], other["llama_proj.weight"])


def test_tiny_begins_with_numbers_on_a_curve_and_positions_of_row_and_column(words: Tokenizer) -> None:
    model, _ = build(SIZES["tiny"], words)
    for table in (model.llama_model.model.embed_tokens.weight, model.llama_model.lm_head.weight):
        rows = table[number_ids(words)].detach()
        assert rows.std() == pytest.approx(0.08, rel=0.05)
        apart = torch.cdist(rows, rows)
        steps = [apart.diagonal(far).mean().item() for far in (1, 2, 3)]
        assert steps == sorted(steps) and steps[0] < 0.5 * apart.diagonal(30).mean()
        others = table[3:259].detach()
        assert others.std() == pytest.approx(0.08, rel=0.05)
    positions = model.visual_encoder.embeddings.position_embedding[0]
    assert positions[0].abs().max() == 0
    grid = positions[1:].reshape(8, 8, 64)
    assert torch.equal(grid[2, :, :32], grid[2, :1, :32].expand(8, 32)), "the first half tells the row"
    assert torch.equal(grid[:, 5, 32:], grid[:1, 5, 32:].expand(8, 32)), "the second half tells the column"
    assert grid[3, 0, 0].item() == pytest.approx(math.sin(3))
    assert grid[0, 4, 32].item() == pytest.approx(math.sin(4))


def test_weights_of_linear_layers_begin_with_the_sizes_deviation() -> None:
    for name, linear in build(SIZES["tiny"])[0].named_modules():
        if isinstance(linear, torch.nn.Linear | torch.nn.Conv2d):
            assert linear.weight.detach().std() == pytest.approx(0.08, rel=0.1), name


def test_the_vocabulary_is_the_tokenizers(small: Size, words: Tokenizer) -> None:
    assert build(small, words)[0].llama_model.lm_head.out_features == words.get_vocab_size()
    assert build(small)[0].llama_model.lm_head.out_features == 500


def test_an_unknown_size_is_named_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="unknown size 'minigpt'; did you mean minigpt-v2"):
        size("minigpt")
