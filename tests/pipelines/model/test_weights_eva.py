"""The vision tower out of LAVIS' file: it computes what is written out by hand, and every key is accounted for."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipelines.model.build import Weights, build
from pipelines.model.sizes import Size
from schemas.errors import SourceError

WIDTH, HEADS, MLP, PATCH, SIDE = 16, 2, 32, 2, 4  # of the small size; SIDE is of the file's grid, the model's is 8


def noise(*shape: int, seed: int, scale: float = 0.2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def eva_file(blocks: int = 3) -> dict[str, Tensor]:
    """A state in the names and shapes of eva_vit_g.pth, one block more than the model has, in half precision."""
    state = {
        "cls_token": noise(1, 1, WIDTH, seed=1),
        "pos_embed": noise(1, 1 + SIDE * SIDE, WIDTH, seed=2),
        "patch_embed.proj.weight": noise(WIDTH, 3, PATCH, PATCH, seed=3),
        "patch_embed.proj.bias": noise(WIDTH, seed=4),
    }
    shapes = {
        "norm1.weight": (WIDTH,),
        "norm1.bias": (WIDTH,),
        "attn.q_bias": (WIDTH,),
        "attn.v_bias": (WIDTH,),
        "attn.qkv.weight": (3 * WIDTH, WIDTH),
        "attn.proj.weight": (WIDTH, WIDTH),
        "attn.proj.bias": (WIDTH,),
        "norm2.weight": (WIDTH,),
        "norm2.bias": (WIDTH,),
        "mlp.fc1.weight": (MLP, WIDTH),
        "mlp.fc1.bias": (MLP,),
        "mlp.fc2.weight": (WIDTH, MLP),
        "mlp.fc2.bias": (WIDTH,),
    }
    for block in range(blocks):
        for place, (name, shape) in enumerate(shapes.items()):
            plus = 1.0 if name in ("norm1.weight", "norm2.weight") else 0.0
            state[f"blocks.{block}.{name}"] = plus + noise(*shape, seed=100 * block + place + 10)
    return {name: each.half() for name, each in state.items()}


def cubic(distance: float) -> float:
    """The bicubic kernel with a = -0.75."""
    a, x = -0.75, abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def stretched(old: int, new: int) -> Tensor:
    """(new, old): what each new place takes of each old one; pixel centres, no antialias, borders repeated."""
    made = torch.zeros(new, old)
    for place in range(new):
        at = (place + 0.5) * old / new - 0.5
        for near in range(math.floor(at) - 1, math.floor(at) + 3):
            made[place, min(max(near, 0), old - 1)] += cubic(at - near)
    return made


def eva_by_hand(file: dict[str, Tensor], picture: Tensor, blocks: int) -> Tensor:
    """What LAVIS' tower makes of a normalised picture (3, S, S), CLS too, written out from its paper and key names."""
    state = {name: each.float() for name, each in file.items()}
    side = picture.shape[1] // PATCH
    by = stretched(SIDE, side)
    grid = state["pos_embed"][0, 1:].reshape(SIDE, SIDE, WIDTH)
    positions = torch.einsum("rj,ck,jkw->rcw", by, by, grid).reshape(side * side, WIDTH)
    cut = picture.reshape(3, side, PATCH, side, PATCH).permute(1, 3, 0, 2, 4).reshape(side * side, -1)
    patches = cut @ state["patch_embed.proj.weight"].reshape(WIDTH, -1).T + state["patch_embed.proj.bias"] + positions
    x = torch.cat([state["cls_token"][0] + state["pos_embed"][0, :1], patches])
    for block in range(blocks):
        own = {name.removeprefix(f"blocks.{block}."): each for name, each in state.items()}
        x = x + attention_by_hand(own, norm(x, own["norm1.weight"], own["norm1.bias"], 1e-6))
        y = norm(x, own["norm2.weight"], own["norm2.bias"], 1e-6) @ own["mlp.fc1.weight"].T + own["mlp.fc1.bias"]
        gelu = 0.5 * y * (1 + torch.erf(y / math.sqrt(2)))
        x = x + gelu @ own["mlp.fc2.weight"].T + own["mlp.fc2.bias"]
    return x


def norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + eps).sqrt() * weight + bias


def attention_by_hand(own: dict[str, Tensor], x: Tensor) -> Tensor:
    query, key, value = own["attn.qkv.weight"].split(WIDTH)
    q, k, v = x @ query.T + own["attn.q_bias"], x @ key.T, x @ value.T + own["attn.v_bias"]
    heads = []
    for head in range(HEADS):
        part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        heads.append((q[:, part] @ k[:, part].T / math.sqrt(WIDTH // HEADS)).softmax(1) @ v[:, part])
    return torch.cat(heads, dim=1) @ own["attn.proj.weight"].T + own["attn.proj.bias"]


def saved(folder: Path, held: dict[str, Tensor]) -> Path:
    torch.save(held, folder / "file.pth")
    return folder / "file.pth"


def test_a_tower_of_lavis_computes_what_lavis_computes(small: Size, tmp_path: Path) -> None:
    file = eva_file()
    model, (placed,) = build(small, weights=Weights(eva=saved(tmp_path, file)))
    picture = noise(3, 16, 16, seed=9, scale=1.0)
    by_hand = eva_by_hand(file, picture, blocks=2)
    wanted = norm(by_hand, torch.ones(WIDTH), torch.zeros(WIDTH), 1e-5)
    found = model.visual_encoder(pixel_values=picture[None]).last_hidden_state[0]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    bias = model.visual_encoder.encoder.layers[1].self_attn.qkv.bias
    assert torch.equal(bias[: 2 * WIDTH], torch.cat([file["blocks.1.attn.q_bias"].float(), torch.zeros(WIDTH)]))
    assert len(placed.loaded) == 4 + 2 * 13 == len(file) - 13
    assert placed.missing == ("post_layernorm.weight", "post_layernorm.bias")
    assert sorted(placed.unexpected) == sorted(name for name in file if name.startswith("blocks.2."))
    assert "30 keys loaded, 2 of the model's not in it as expected, 13 without a place (blocks.2." in placed.line()


def test_the_norm_behind_the_tower_has_lavis_epsilon(small: Size) -> None:
    assert build(small)[0].visual_encoder.post_layernorm.eps == 1e-5


@pytest.mark.parametrize("lost", ["pos_embed", "blocks.1.attn.v_bias", "blocks.0.mlp.fc2.weight"])
def test_a_tower_that_lacks_a_key_is_an_error_that_names_it(small: Size, tmp_path: Path, lost: str) -> None:
    file = {name: each for name, each in eva_file().items() if name != lost}
    with pytest.raises(SourceError, match=rf"file.pth: 1 keys of EVA ViT-g lack, such as {lost}; it holds "):
        build(small, weights=Weights(eva=saved(tmp_path, file)))


def test_a_tower_of_another_shape_is_an_error_that_says_so(small: Size, tmp_path: Path) -> None:
    wide = {**eva_file(), "blocks.0.mlp.fc1.weight": torch.zeros(40, WIDTH)}
    with pytest.raises(SourceError, match=r"encoder.layers.0.mlp.fc1.weight is \(40, 16\), wanted \(32, 16\)"):
        build(small, weights=Weights(eva=saved(tmp_path, wide)))
    odd = {**eva_file(), "pos_embed": torch.zeros(1, 16, WIDTH)}
    with pytest.raises(SourceError, match=r"pos_embed is \(1, 16, 16\), wanted \(1, 1 \+ a square, width\)"):
        build(small, weights=Weights(eva=saved(tmp_path, odd)))
