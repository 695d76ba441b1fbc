"""Weights out of files under the published key names: what they compute, and what is said of every key."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from pipelines.model.build import Weights, build
from pipelines.model.minigpt import MiniGPT
from pipelines.model.sizes import Size
from pipelines.model.weights import own_name
from schemas.errors import ConfigError, SourceError

WIDTH = 16  # of the small size's tower


def noise(*shape: int, seed: int, scale: float = 0.2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def released_file(size: Size) -> dict[str, Tensor]:
    """What a released checkpoint's ``model`` holds: the linear layer, LoRA in old names, and a buffer."""
    hidden = size.llama.hidden
    state = {
        "llama_proj.weight": noise(hidden, 4 * WIDTH, seed=50),
        "llama_proj.bias": noise(hidden, seed=51),
        "llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq": noise(6, seed=52),
    }
    for layer in range(size.llama.layers):
        for place, which in enumerate(("q_proj", "v_proj")):
            name = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{which}."
            state[name + "lora_A.weight"] = noise(4, hidden, seed=60 + 10 * layer + place)
            state[name + "lora_B.weight"] = noise(hidden, 4, seed=80 + 10 * layer + place)
    return state


def saved(folder: Path, held: Any, name: str = "file.pth") -> Path:
    torch.save(held, folder / name)
    return folder / name


@pytest.fixture
def llama(small: Size, tmp_path: Path) -> Path:
    """A folder of a small Llama in transformers' layout."""
    row = small.llama
    config = LlamaConfig(
        vocab_size=row.vocabulary,
        hidden_size=row.hidden,
        num_hidden_layers=row.layers,
        num_attention_heads=row.heads,
        intermediate_size=row.mlp,
        initializer_range=0.1,
    )
    torch.manual_seed(3)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    return tmp_path / "llama"


def test_a_folder_of_llama_computes_what_it_did(small: Size, llama: Path) -> None:
    model, (placed,) = build(small, weights=Weights(llama=llama))
    ids = torch.tensor([[1, 7, 300, 45]])
    wanted = LlamaForCausalLM.from_pretrained(llama)(input_ids=ids).logits
    found = model.logits(ids, None, None, None, torch.tensor([-1]))
    torch.testing.assert_close(found, wanted)
    assert len(placed.loaded) == 2 * 9 + 3 and placed.missing == placed.unexpected == ()


def test_a_llama_that_lacks_weights_or_is_another_size_is_an_error(small: Size, llama: Path, tmp_path: Path) -> None:
    wider = small._replace(llama=small.llama._replace(mlp=64))
    with pytest.raises(ConfigError, match=r"MLP are \(24, 2, 2, 32\), wanted \(24, 2, 2, 64\) of this size"):
        build(wider, weights=Weights(llama=llama))
    state = LlamaForCausalLM.from_pretrained(llama).state_dict()
    del state["model.layers.1.mlp.up_proj.weight"]
    (llama / "model.safetensors").unlink()
    save_file({**state, "extra.weight": torch.zeros(1)}, llama / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SourceError, match=r"1 weights lack or misfit, such as model.layers.1.mlp.up_proj.weight"):
        build(small, weights=Weights(llama=llama))
    with pytest.raises(SourceError, match=r"no config\.json, wanted a folder of a Llama model"):
        build(small, weights=Weights(llama=tmp_path))
    (llama / "model.safetensors").unlink()
    with pytest.raises(SourceError, match="llama: not read as a Llama model"):
        build(small, weights=Weights(llama=llama))


def test_a_chat_models_own_way_of_sampling_is_not_taken_over(small: Size, llama: Path) -> None:
    (llama / "generation_config.json").write_text('{"do_sample": true, "temperature": 0.6}', encoding="utf-8")
    model, _ = build(small, weights=Weights(llama=llama))
    assert not model.llama_model.generation_config.do_sample


def test_a_released_checkpoint_adds_a_quarter_of_its_low_rank_products(
    adapted: Size, llama: Path, tmp_path: Path
) -> None:
    lora = adapted.lora
    assert lora
    quarter = adapted._replace(lora=lora._replace(alpha=1))  # 1 / 4, as 16 / 64 of the released model
    file = released_file(adapted)
    path = saved(tmp_path, {"model": file, "optimizer": {"state": {}}, "epoch": 31, "config": {"run": {"seed": 42}}})
    model, reports = build(quarter, weights=Weights(llama=llama, checkpoint=path))
    plain = LlamaForCausalLM.from_pretrained(llama)
    for layer in range(2):
        for which in ("q_proj", "v_proj"):
            name = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{which}."
            weight = getattr(plain.model.layers[layer].self_attn, which).weight
            weight.data += 0.25 * file[name + "lora_B.weight"] @ file[name + "lora_A.weight"]
    ids = torch.tensor([[1, 7, 300, 45]])
    found = model.eval().logits(ids, None, None, None, torch.tensor([-1]))
    torch.testing.assert_close(found, plain(input_ids=ids).logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(model.llama_proj.weight, file["llama_proj.weight"])
    placed = reports[-1]
    assert len(placed.loaded) == 10 and set(placed.loaded) < set(file)
    assert placed.unexpected == ("llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq",)
    assert set(placed.missing) == set(model.state_dict()) - set(model.trained())


def test_newer_names_of_lora_and_our_own_are_the_same_weights() -> None:
    ours = "llama_model.model.layers.3.self_attn.v_proj.lora_B.default.weight"
    wrapped = "llama_model.base_model.model.model.layers.3.self_attn.v_proj.lora_B"
    assert {own_name(name) for name in (f"{wrapped}.weight", f"{wrapped}.default.weight", ours)} == {ours}
    assert own_name("llama_proj.weight") == "llama_proj.weight"


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_a_state_of_our_own_is_loaded_from_a_file(adapted: Size, tmp_path: Path, kind: str) -> None:
    one = build(adapted, seed=1)[0]
    path = tmp_path / f"state.{kind}"
    save_file(one.state(), path) if kind == "safetensors" else torch.save(one.state(), path)
    two, (placed,) = build(adapted, seed=2, weights=Weights(checkpoint=path))
    assert all(torch.equal(each, two.state()[name]) for name, each in one.state().items())
    assert placed.unexpected == () and set(placed.loaded) == set(one.trained())


def test_a_checkpoint_that_matches_nothing_is_an_error(adapted: Size, tmp_path: Path) -> None:
    other = {f"base.{name}": each for name, each in released_file(adapted).items()}
    with pytest.raises(
        SourceError, match=r"10 of 10 trained weights are not in it, such as llama_model.*; it holds base\."
    ):
        build(adapted, weights=Weights(checkpoint=saved(tmp_path, {"model": other})))
    with pytest.raises(SourceError, match="it holds no tensors"):
        build(adapted, weights=Weights(checkpoint=saved(tmp_path, {"model": {}})))


def test_a_checkpoint_without_lora_or_of_a_wider_model_is_an_error_and_changes_nothing(
    adapted: Size, tmp_path: Path
) -> None:
    file = released_file(adapted)
    half = {name: each for name, each in file.items() if "lora" not in name}
    with pytest.raises(SourceError, match="8 of 10 trained weights are not in it"):
        build(adapted, weights=Weights(checkpoint=saved(tmp_path, {"model": half})))
    wide = {**file, "llama_proj.weight": torch.zeros(40, 4 * WIDTH)}
    with pytest.raises(SourceError, match=r"llama_proj.weight is \(40, 64\), wanted \(24, 64\)"):
        build(adapted, weights=Weights(checkpoint=saved(tmp_path, {"model": wide})))


class Runs:
    """What runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("which", ["eva", "checkpoint"])
def test_a_file_that_would_run_code_is_refused(adapted: Size, tmp_path: Path, which: str) -> None:
    ran = tmp_path / "ran"
    path = saved(tmp_path, {"model": Runs(ran)})
    with pytest.raises(SourceError, match=r"file.pth: not read as weights: ") as caught:
        build(adapted, weights=Weights(**{which: path}))
    assert not ran.exists() and "\n" not in str(caught.value)


@pytest.mark.parametrize("held", [b"", b"no weights", pickle.dumps([1, 2]), None])
def test_a_file_that_holds_no_weights_is_named(adapted: Size, tmp_path: Path, held: bytes | None) -> None:
    path = tmp_path / "file.pth"
    if held is not None:
        path.write_bytes(held)
    with pytest.raises(SourceError, match=r"file\.pth: (not read as weights|no such file|holds a list)") as caught:
        build(adapted, weights=Weights(checkpoint=path))
    assert "\n" not in str(caught.value)


def test_the_released_names_fit_the_real_size() -> None:
    from pipelines.model.sizes import SIZES

    model: MiniGPT = build(SIZES["minigpt-v2"], device="meta")[0]
    wrapped = "llama_model.base_model.model.model.layers.{}.self_attn.{}_proj.lora_{}.weight"
    names = {wrapped.format(layer, which, half) for layer in range(32) for which in "qv" for half in "AB"}
    released = {own_name(name): name for name in names}
    shapes = {name: tuple(each.shape) for name, each in model.trained().items()}
    assert set(shapes) == {*released, "llama_proj.weight", "llama_proj.bias"}
    assert shapes["llama_proj.weight"] == (4096, 5632) and shapes["llama_proj.bias"] == (4096,)
    for name, old in released.items():
        assert shapes[name] == ((64, 4096) if "lora_A" in old else (4096, 64))
