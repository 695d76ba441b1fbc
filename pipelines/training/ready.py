"""A run's tokenizer, model and dialogue, made from what its setting says: to begin, to go on, or to be asked."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import nn

from pipelines.dialogue import Dialogue, dialogue
from pipelines.model.build import Weights, build
from pipelines.model.minigpt import MiniGPT
from pipelines.model.sizes import size
from pipelines.tokenizer import FILE, load_tokenizer
from pipelines.training.figures import Setting
from pipelines.training.place import Place
from pipelines.training.recipe import Recipe
from schemas.config import validated
from schemas.errors import ConfigError

PRETRAINED = "minigpt-v2"  # the model that is nothing without the weights of others


class Ready(NamedTuple):
    """A model, how conversations are written for it, the recipe, and a line for each file that weights came from."""

    model: MiniGPT
    by: Dialogue
    recipe: Recipe
    loaded: list[str]


def ready(setting: Setting, folder: Path, place: Place, made: Callable[[Recipe], Tokenizer] | None = None) -> Ready:
    """What the setting speaks of. ``made`` makes the tokenizer where neither a Llama folder nor ``folder`` has one.

    ConfigError where weights are needed and not given, SourceError where they are not what they should be.
    """
    if setting.model == PRETRAINED and not (setting.llama and setting.eva):
        raise ConfigError(f"{PRETRAINED}: wanted --llama DIR and --eva FILE, without which nothing in it is pretrained")
    by, row = validated(Recipe, setting.recipe, "recipe"), size(setting.model)
    tokenizer = _tokenizer(setting, folder, by, made)
    weights = Weights(*(Path(path) if path else None for path in (setting.llama, setting.eva, setting.checkpoint)))
    model, told = build(row, tokenizer, weights, seed=by.seed, device=place.device, precision=place.precision)
    if by.recompute:
        model.checkpoint_activations()
    return Ready(model, dialogue(tokenizer, row.picture_tokens, by.rules), by, [one.line() for one in told])


def _tokenizer(setting: Setting, folder: Path, by: Recipe, made: Callable[[Recipe], Tokenizer] | None) -> Tokenizer:
    if setting.llama:
        return load_tokenizer(Path(setting.llama))
    if made is None or (folder / FILE).exists():
        return load_tokenizer(folder)
    return made(by)


def digest_of(part: nn.Module) -> str:
    """The sha256 of all bytes of a module's parameters, in the order of their names."""
    told = hashlib.sha256()
    for _, each in sorted(part.named_parameters()):
        told.update(each.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return told.hexdigest()
