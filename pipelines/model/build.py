"""Building a model of a size, its weights random or out of files."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import nn

from pipelines.model.minigpt import MiniGPT
from pipelines.model.sizes import Lora, Size
from pipelines.model.start import sine_positions, smooth_numbers
from pipelines.model.weights import Placed, load_checkpoint, load_eva, load_llama
from pipelines.tokenizer import number_ids
from schemas.errors import ConfigError

LN_VISION_EPS = 1e-5  # of the norm between tower and linear layer; transformers gives its own tower's 1e-6


class Weights(NamedTuple):
    """Files that pretrained weights come from.

    ``llama`` is a folder in transformers' layout, ``eva`` LAVIS' eva_vit_g.pth, ``checkpoint`` a released MiniGPT-v2.
    """

    llama: Path | None = None
    eva: Path | None = None
    checkpoint: Path | None = None


def build(
    size: Size,
    tokenizer: Tokenizer | None = None,
    weights: Weights = Weights(),  # noqa: B008 - a tuple, never changed
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
) -> tuple[MiniGPT, list[Placed]]:
    """A model of that size, and what became of every key of every file.

    What no file gives begins at random, the same for the same seed. What is frozen is kept, and everything computed, in
    ``precision``; what is trained is float32. Without a tokenizer the vocabulary is the size's. SourceError and
    ConfigError where files are not what they should be; see ``weights``.
    """
    placed: list[Placed] = []
    target = torch.device(device)
    with torch.random.fork_rng(devices=[target] if target.type == "cuda" else []):
        torch.manual_seed(seed)
        model = MiniGPT(
            size,
            _tower(size, weights.eva, target, placed),
            _linear(size, target),
            _llama(size, tokenizer, weights.llama, target, precision, placed),
            precision,
        )
        _adapt(model, size)
    model.to(target)
    if weights.checkpoint:
        placed.append(load_checkpoint(model, weights.checkpoint))
    return model, placed


def _tower(size: Size, eva: Path | None, device: torch.device, placed: list[Placed]) -> Any:
    from transformers import Blip2VisionConfig, Blip2VisionModel

    row = size.tower
    config = Blip2VisionConfig(
        image_size=row.image,
        patch_size=row.patch,
        hidden_size=row.width,
        num_hidden_layers=row.blocks,
        num_attention_heads=row.heads,
        intermediate_size=row.mlp,
        initializer_range=size.start.deviation,
        attn_implementation="sdpa",
    )
    with torch.device("meta" if eva else device):
        tower = Blip2VisionModel(config)
    tower.post_layernorm.eps = LN_VISION_EPS
    if eva:
        placed.append(load_eva(tower, eva))
    elif size.start.positions is not None:
        sine_positions(tower.embeddings.position_embedding, size.start.positions)
    return tower


def _linear(size: Size, device: torch.device) -> nn.Linear:
    linear = nn.Linear(size.join * size.tower.width, size.llama.hidden, device=device)
    nn.init.normal_(linear.weight, std=size.start.deviation)
    nn.init.zeros_(linear.bias)
    return linear


def _llama(
    size: Size,
    tokenizer: Tokenizer | None,
    folder: Path | None,
    device: torch.device,
    precision: torch.dtype,
    placed: list[Placed],
) -> Any:
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    row = size.llama
    vocabulary = tokenizer.get_vocab_size() if tokenizer else row.vocabulary
    if folder:
        llama, report = load_llama(folder, row, precision if size.freeze else torch.float32)
        placed.append(report)
        if vocabulary > llama.config.vocab_size:
            raise ConfigError(
                f"tokenizer: {vocabulary} tokens, wanted at most the {llama.config.vocab_size} of {folder}"
            )
    else:
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=row.hidden,
            num_hidden_layers=row.layers,
            num_attention_heads=row.heads,
            intermediate_size=row.mlp,
            max_position_embeddings=row.context,
            rms_norm_eps=1e-5,
            initializer_range=size.start.deviation,
            attn_implementation="sdpa",
        )
        with device:
            llama = LlamaForCausalLM(config)
        if size.start.smooth_numbers and tokenizer and (ids := number_ids(tokenizer)):
            for table in (llama.model.embed_tokens.weight, llama.lm_head.weight):
                smooth_numbers(ids, table, size.start.deviation)
    llama.generation_config = GenerationConfig()  # a chat model's folder would have it sample
    return llama


def _adapt(model: MiniGPT, size: Size) -> None:
    if size.freeze:
        for part in (model.visual_encoder, model.llama_model):
            part.requires_grad_(False)
            _narrow(part, model.precision)
    if size.lora:
        _add_lora(model.llama_model, size.lora)
    if not size.freeze:
        model.requires_grad_(True)  # peft freezes what it adds to


def _narrow(part: nn.Module, precision: torch.dtype) -> None:
    # Norms and positions stay as they are: the released model keeps them in float32 too.
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
            module.to(precision)


def _add_lora(llama: Any, row: Lora) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=row.rank, lora_alpha=row.alpha, lora_dropout=row.dropout, target_modules=["q_proj", "v_proj"], bias="none"
    )
    inject_adapter_in_model(config, llama)
    for name, each in llama.named_parameters():
        if "lora_" in name:
            each.data = each.data.float()
