"""Pretrained weights out of the files that people have, every key accounted for.

* EVA ViT-g/14 (LAVIS, eva_vit_g.pth): a flat dict in LAVIS' names; 40 blocks, of which the model has 39. Keys have no
  bias, so queries' and values' are laid around zeros. Positions are for 16x16 patches and are interpolated to the
  model's grid, bicubic, without antialias. The norm behind the tower is not in the file: MiniGPT-v2 never loads it.
* Llama-2: a folder in transformers' layout, safetensors or .bin.
* MiniGPT-v2: the dict ``model`` of a released .pth holds the linear layer and LoRA in the names of peft 0.2
  (``...q_proj.lora_A.weight``; newer ones say ``lora_A.default.weight``), under peft's wrapper. Loading those by their
  names alone matches nothing, and the model speaks gibberish (Vision-CAIR/MiniGPT-4 #381, #408, #415, #525): here that
  is an error. What our trainer saves is the same in the model's own names, .safetensors or .pth.

Pickles are read by torch with weights_only: they hold tensors and plain data, or are refused.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.model.minigpt import MiniGPT
from pipelines.model.sizes import Llama
from schemas.errors import ConfigError, SourceError

_EVA_NAMES = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
}
_EVA_BLOCK = {
    "norm1.weight": "layer_norm1.weight",
    "norm1.bias": "layer_norm1.bias",
    "attn.qkv.weight": "self_attn.qkv.weight",
    "attn.proj.weight": "self_attn.projection.weight",
    "attn.proj.bias": "self_attn.projection.bias",
    "norm2.weight": "layer_norm2.weight",
    "norm2.bias": "layer_norm2.bias",
    "mlp.fc1.weight": "mlp.fc1.weight",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.weight": "mlp.fc2.weight",
    "mlp.fc2.bias": "mlp.fc2.bias",
}
_WRAPPER = "llama_model.base_model.model."
_OLD_LORA = re.compile(r"\.(lora_[AB])\.weight$")


class Placed(NamedTuple):
    """What became of the keys of one file: the file's that were loaded and that have no place, the model's it lacks.

    ``missing`` are only those that such a file is expected to lack; any other is an error.
    """

    path: Path
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def line(self) -> str:
        """The same in one line, with the first few names of keys that have no place."""
        few = (
            f" ({', '.join(self.unexpected[:3])}{', ...' if len(self.unexpected) > 3 else ''})"
            if self.unexpected
            else ""
        )
        return (
            f"{self.path}: {len(self.loaded)} keys loaded, {len(self.missing)} of the model's not in it as expected, "
            f"{len(self.unexpected)} without a place{few}"
        )


def load_eva(tower: Any, path: Path) -> Placed:
    """Load the tower, which may be on the meta device before; SourceError where a key lacks or misfits."""
    found = _tensors(path)
    blocks, grid = tower.config.num_hidden_layers, tower.config.image_size // tower.config.patch_size
    names = dict(_EVA_NAMES)
    for block in range(blocks):
        names.update({f"blocks.{block}.{key}": f"encoder.layers.{block}.{own}" for key, own in _EVA_BLOCK.items()})
    biases = [f"blocks.{block}.attn.{which}_bias" for block in range(blocks) for which in "qv"]
    _demand(path, [*names, *biases], found)
    placed = {own: found[key].float() for key, own in names.items()}
    for block in range(blocks):
        query, value = (found[f"blocks.{block}.attn.{which}_bias"].float() for which in "qv")
        placed[f"encoder.layers.{block}.self_attn.qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
    placed["embeddings.position_embedding"] = _regridded(placed["embeddings.position_embedding"], grid, path)
    width = tower.config.hidden_size
    placed |= {"post_layernorm.weight": torch.ones(width), "post_layernorm.bias": torch.zeros(width)}
    _fit(path, placed, tower.state_dict())
    tower.load_state_dict(placed, strict=True, assign=True)
    loaded = (*names, *biases)
    return Placed(path, loaded, ("post_layernorm.weight", "post_layernorm.bias"), _rest(found, loaded))


def load_llama(folder: Path, row: Llama, precision: torch.dtype) -> tuple[Any, Placed]:
    """A folder's language model, on the CPU; SourceError where weights lack, ConfigError where it is another size."""
    from transformers import LlamaForCausalLM

    if not (folder / "config.json").is_file():
        raise SourceError(f"{folder}: no config.json, wanted a folder of a Llama model in transformers' layout")
    try:
        with _quiet():
            llama, info = LlamaForCausalLM.from_pretrained(
                folder, dtype=precision, attn_implementation="sdpa", local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # of as many kinds as there are ways for a folder to be wrong
        raise SourceError(f"{folder}: not read as a Llama model: {_first_line(error)}") from error
    config = llama.config
    found = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size)
    if found != (wanted := (row.hidden, row.layers, row.heads, row.mlp)):
        raise ConfigError(f"{folder}: width, layers, heads, MLP are {found}, wanted {wanted} of this size")
    if lacking := sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])}):
        raise SourceError(f"{folder}: {len(lacking)} weights lack or misfit, such as {lacking[0]}")
    return llama, Placed(folder, tuple(llama.state_dict()), (), tuple(sorted(info["unexpected_keys"])))


def load_checkpoint(model: MiniGPT, path: Path) -> Placed:
    """Load what the model trains from a released MiniGPT-v2 or a state of ours; SourceError where any of it lacks."""
    found = _tensors(path)
    names = {key: own_name(key) for key in found}
    own = model.state_dict(keep_vars=True)
    known = {key: name for key, name in names.items() if name in own}
    trained = model.trained()
    if lacking := sorted(trained.keys() - set(known.values())):
        near = f"; it holds {', '.join(list(found)[:2])} and so on" if found else "; it holds no tensors"
        raise SourceError(
            f"{path}: {len(lacking)} of {len(trained)} trained weights are not in it, such as {lacking[0]}{near}"
        )
    _fit(path, {name: found[key] for key, name in known.items()}, own)
    with torch.no_grad():
        for key, name in known.items():
            own[name].copy_(found[key])
    missing = tuple(sorted(own.keys() - set(known.values())))
    return Placed(path, tuple(known), missing, _rest(found, known))


def own_name(key: str) -> str:
    """The name that this model gives what a released checkpoint calls ``key``; our own names stay as they are."""
    if key.startswith(_WRAPPER):
        key = "llama_model." + key.removeprefix(_WRAPPER)
    return _OLD_LORA.sub(r".\1.default.weight", key)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except Exception as error:  # a file that is not what it should be raises any of a dozen kinds
        raise SourceError(f"{path}: not read as weights: {_first_line(error)}") from error
    inner = held.get("model", held) if isinstance(held, Mapping) else None
    if not isinstance(inner, Mapping):
        raise SourceError(f"{path}: holds a {type(held).__name__}, wanted a dict of names and tensors")
    return {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}


@contextmanager
def _quiet() -> Iterator[None]:
    # What transformers would print of keys is in the report.
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _regridded(positions: Tensor, grid: int, path: Path) -> Tensor:
    side = math.isqrt(positions.shape[1] - 1)
    if positions.dim() != 3 or side * side != positions.shape[1] - 1:
        raise SourceError(f"{path}: pos_embed is {tuple(positions.shape)}, wanted (1, 1 + a square, width)")
    if side == grid:
        return positions
    squares = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    wanted = functional.interpolate(squares, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], wanted.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _demand(path: Path, wanted: Iterable[str], found: Mapping[str, Tensor]) -> None:
    if lacking := [key for key in wanted if key not in found]:
        holds = f"it holds {', '.join(list(found)[:2])} and so on" if found else "it holds no tensors"
        raise SourceError(f"{path}: {len(lacking)} keys of EVA ViT-g lack, such as {lacking[0]}; {holds}")


def _fit(path: Path, given: Mapping[str, Tensor], own: Mapping[str, Tensor | nn.Parameter]) -> None:
    for name, tensor in given.items():
        if tensor.shape != own[name].shape:
            raise SourceError(f"{path}: {name} is {tuple(tensor.shape)}, wanted {tuple(own[name].shape)}")


def _rest(found: Mapping[str, Tensor], loaded: Iterable[str]) -> tuple[str, ...]:
    gone = set(loaded)
    return tuple(key for key in found if key not in gone)
